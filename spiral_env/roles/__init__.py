"""Who acts: four roles, each with its levers, its observation and its reward.

The tables of a role's file are the only place where its levers and features are counted, ordered, scaled and bounded.
"""

from __future__ import annotations

from spiral_env.roles import business, finance, it, sme
from spiral_env.roles._tables import Feature, Lever

__all__ = ["FEATURES", "LEVERS", "MAX_LEVERS", "NUM_LEVERS", "ROLES", "Feature", "Lever"]

ROLES = ("it", "business", "finance", "sme")

LEVERS: dict[str, tuple[Lever, ...]] = {
    "it": it.LEVERS,
    "business": business.LEVERS,
    "finance": finance.LEVERS,
    "sme": sme.LEVERS,
}
FEATURES: dict[str, tuple[Feature, ...]] = {
    "it": it.FEATURES,
    "business": business.FEATURES,
    "finance": finance.FEATURES,
    "sme": sme.FEATURES,
}
NUM_LEVERS = {role: len(levers) for role, levers in LEVERS.items()}
MAX_LEVERS = max(NUM_LEVERS.values())
"""Width of the arrays that hold the efforts of all agents; what a role has fewer of is padding behind its own."""
