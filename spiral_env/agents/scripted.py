"""One scripted policy per role, from what the role may observe, by feature name and in the units of its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.core.state import LABELS
from spiral_env.roles.finance import ASSETS

__all__ = ["Scripted"]

_MARGIN = 0.08
"""How far above a level's need a stock is held."""


def _held(stock: np.ndarray, level: np.ndarray, hold: float) -> np.ndarray:
    """Full effort until the stock meets what a level needs in the shipped worlds; ``hold`` from then on."""
    return np.where(stock < 0.34 + 0.06 * level + _MARGIN, 1.0, hold)


class Scripted(Rules):
    """Build what the level needs and hold it; answer alerts; follow forecasts while the market is calm."""

    name = "scripted"

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """By the rule of the role."""
        rule: Callable[..., dict[str, np.ndarray]] = getattr(self, f"_{self._role}")
        return rule(see)

    @staticmethod
    def _it(see: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """``now`` on the alerted tier while it still helps, else ``batch``; tools as needed; rank by EPSS."""
        efforts = {}
        for tier in ("edge", "core", "internal"):
            fresh = see[f"posture_months_{tier}"] < 2.5
            worth = tier != "internal"
            efforts[tier] = np.where((see[f"alert_{tier}"] > 0.5) & fresh & worth, 1.0, 0.5)
        maturity = np.mean([see[f"maturity_{tool}"] for tool in LABELS["tools"]], axis=0)
        efforts["scanning"] = _held(maturity, see["level"], 0.3)
        efforts["triage"] = np.full_like(see["R"], 0.5)
        return efforts

    @staticmethod
    def _business(see: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Modules as needed, privacy technology to a half, epsilon within the account that counts as kept."""
        return {
            "modules": _held(see["modules"], see["level"], 0.4),
            "privacy_tech": np.where(see["privacy"] < 0.5, 0.6, 0.3),
            "privacy_budget": np.where(see["eps12"] < 3.5, 0.6, 0.3),
        }

    @staticmethod
    def _finance(see: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Lend, hold what is forecast to rise while the market is calm, verify a little."""
        calm = see["volatility"] < 0.035
        rising = {f"asset_{j}": np.where(see[f"asset_signal_{j}"] > 0.0, 0.4, 0.1) for j in ASSETS}
        return {
            "green_lending": np.ones_like(see["R"]),
            **{name: np.where(calm, weight, 0.05) for name, weight in rising.items()},
        }

    @staticmethod
    def _sme(see: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Full tier and sharing, hygiene to a good stock, real ESG where money allows it, loans within limits."""
        return {
            "patching": np.where(see["hygiene"] < 0.7, 1.0, 0.5),
            "module_tier": np.ones_like(see["esg"]),
            "esg": np.where((see["constraint"] < 0.6) & (see["esg"] < 0.6), 1.0, 0.0),
            "borrowing": np.where(see["leverage"] < 0.8, 1.0, 0.5),
            "data_sharing": np.ones_like(see["esg"]),
            "curation": np.full_like(see["esg"], 0.7),
        }
