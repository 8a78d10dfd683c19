"""One scripted policy per role, from what the role may observe, by feature name."""

from __future__ import annotations

import numpy as np

from spiral_env.policy import check_role
from spiral_env.roles import FEATURES

__all__ = ["Scripted"]


class Scripted:
    """Invest when the spiral is in a stock's own stage; answer alerts; follow the market filter."""

    name = "scripted"

    def __init__(self, role: str) -> None:
        """For one role."""
        self._role = check_role(role)
        self._index = {feature.name: k for k, feature in enumerate(FEATURES[role])}

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, 5]`` from observations ``[E, A, O]``."""
        see = {name: observation[..., k].astype(np.float64) for name, k in self._index.items()}
        columns = getattr(self, f"_{self._role}")(see)
        return np.stack([np.broadcast_to(c, observation.shape[:2]) for c in columns], axis=-1).astype(np.float64)

    @staticmethod
    def _it(see: dict[str, np.ndarray]) -> list[np.ndarray]:
        """``now`` on the alerted tier while it still helps, else ``batch``; scan and share in their stages."""
        postures = []
        for tier in ("edge", "core", "internal"):
            fresh = see[f"posture_months_{tier}"] * 6.0 < 2.5
            worth = tier != "internal"
            postures.append(np.where((see[f"alert_{tier}"] > 0.5) & fresh & worth, 1.0, 0.5))
        scanning = np.where(see["stage_aggregation"] > 0.5, 1.0, 0.5)
        intel = np.where(see["stage_governance"] > 0.5, 1.0, 0.5)
        return [*postures, scanning, intel]

    @staticmethod
    def _business(see: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Modules in aggregation, privacy in governance, a low fee, epsilon within a year's account."""
        modules = np.where(see["stage_aggregation"] > 0.5, 1.0, 0.5)
        privacy = np.where(see["stage_governance"] > 0.5, 1.0, 0.5)
        epsilon = np.where(see["eps12"] < 0.6, 1.0, 0.5)
        return [np.full_like(modules, 0.5), modules, privacy, np.zeros_like(modules), epsilon]

    @staticmethod
    def _finance(see: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Release enough, lend, hold the market only in calm, verify a little, disclose in governance."""
        weight = np.where(see["calm_filter"] > 0.8, 1.0, np.where(see["calm_filter"] > 0.5, 0.5, 0.0))
        disclosure = np.where(see["stage_governance"] > 0.5, 1.0, 0.5)
        budget = np.where(see["R"] > 0.6, 1.0, 0.5)
        half = np.full_like(weight, 0.5)
        return [budget, np.ones_like(weight), weight, half, disclosure]

    @staticmethod
    def _sme(see: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Full tier and full sharing, hygiene most in governance, real ESG, borrow within the limit."""
        hygiene = np.where(see["stage_governance"] > 0.5, 1.0, 0.5)
        one = np.ones_like(hygiene)
        borrowing = np.where(see["leverage"] < 0.8, 1.0, 0.5)
        esg = np.where((see["stage_governance"] > 0.5) & (see["esg"] < 0.6), 1.0, 0.0)
        return [hygiene, one, esg, borrowing, one]
