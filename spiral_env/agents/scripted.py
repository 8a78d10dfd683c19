"""One scripted policy per role, from what the role may observe, by feature name and in the units of its table."""

from __future__ import annotations

import numpy as np

from spiral_env.policy import check_role
from spiral_env.roles import FEATURES, LEVERS

__all__ = ["Scripted"]


class Scripted:
    """Invest when the spiral is in a stock's own stage; answer alerts; hold assets where the market is calm."""

    name = "scripted"

    def __init__(self, role: str) -> None:
        """For one role."""
        self._role = check_role(role)

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, L]`` from observations ``[E, A, O]``; a lever without a rule as the average firm's."""
        table = enumerate(FEATURES[self._role])
        see = {x.name: observation[..., k].astype(np.float64) * x.scale for k, x in table}
        chosen = getattr(self, f"_{self._role}")(see)
        columns = [chosen.get(lever.name, lever.average) for lever in LEVERS[self._role]]
        return np.stack([np.broadcast_to(c, observation.shape[:2]) for c in columns], axis=-1).astype(np.float64)

    @staticmethod
    def _it(see: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """``now`` on the alerted tier while it still helps, else ``batch``; scan and share in their stages."""
        efforts = {}
        for tier in ("edge", "core", "internal"):
            fresh = see[f"posture_months_{tier}"] < 2.5
            worth = tier != "internal"
            efforts[tier] = np.where((see[f"alert_{tier}"] > 0.5) & fresh & worth, 1.0, 0.5)
        efforts["scanning"] = np.where(see["stage_aggregation"] > 0.5, 1.0, 0.5)
        efforts["threat_intel"] = np.where(see["stage_governance"] > 0.5, 1.0, 0.5)
        return efforts

    @staticmethod
    def _business(see: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Modules in aggregation, privacy in governance, a low fee, epsilon within a year's account."""
        return {
            "modules": np.where(see["stage_aggregation"] > 0.5, 1.0, 0.5),
            "privacy_tech": np.where(see["stage_governance"] > 0.5, 1.0, 0.5),
            "tenant_fee": np.zeros_like(see["fee"]),
            "privacy_budget": np.where(see["eps12"] < 6.0, 1.0, 0.5),
        }

    @staticmethod
    def _finance(see: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Release enough, lend, hold the market only in calm, verify a little, disclose in governance."""
        calm = see["volatility"] < 0.035
        return {
            "security_budget": np.where(see["R"] > 0.6, 1.0, 0.5),
            "green_lending": np.ones_like(see["R"]),
            **{f"asset_{j}": np.where(calm & (see[f"asset_signal_{j}"] > 0.0), 0.5, 0.05) for j in range(1, 5)},
            "disclosure": np.where(see["stage_governance"] > 0.5, 1.0, 0.5),
        }

    @staticmethod
    def _sme(see: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Full tier and full sharing, hygiene most in governance, real ESG, borrow within the limit."""
        governing = see["stage_governance"] > 0.5
        return {
            "patching": np.where(governing, 1.0, 0.5),
            "module_tier": np.ones_like(see["esg"]),
            "esg": np.where(governing & (see["esg"] < 0.6), 1.0, 0.0),
            "borrowing": np.where(see["leverage"] < 0.8, 1.0, 0.5),
            "data_sharing": np.ones_like(see["esg"]),
        }
