"""Steady efforts, and every alert answered: what a search for the best constant team finds, and one rule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.core.state import LABELS

__all__ = ["Vigilant"]

_STEADY: dict[str, dict[str, float]] = {
    "it": {"scanning": 0.8, "threat_intel": 0.65, "triage": 0.75},
    "business": {
        "maintenance_window": 0.45,
        "modules": 0.9,
        "privacy_tech": 0.8,
        "tenant_fee": 1.0,
        "privacy_budget": 0.5,
        "verification": 0.3,
        "payout": 0.4,
    },
    "finance": {
        "security_budget": 0.5,
        "green_lending": 1.0,
        "esg_verification": 0.2,
        "disclosure": 0.6,
        "green_threshold": 0.35,
        **{f"asset_{j}": 0.4 for j in range(1, 5)},
    },
    "sme": {
        "patching": 0.8,
        "module_tier": 0.9,
        "esg": 0.9,
        "borrowing": 0.6,
        "data_sharing": 1.0,
        "curation": 0.95,
    },
}
"""Efforts of the best constant teams that cross-entropy found in the baseline, rounded."""


class Vigilant(Rules):
    """Always the same efforts, but a tier is put forward (``now``) while an alert names it, else patched in batches.

    The constants are those that ``python -m tests.benchmarks.game --only constant`` finds; answering alerts is worth
    most where attackers come in campaigns.
    """

    name = "vigilant"

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """The role's constants; IT's postures by the alert."""
        efforts: dict[str, np.ndarray | float] = dict(_STEADY[self._role])
        if self._role == "it":
            for tier in LABELS["tiers"]:
                efforts[tier] = np.where(see[f"alert_{tier}"] > 0.5, 1.0, 0.5)
        return efforts
