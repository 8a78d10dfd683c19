"""Who acts: four roles, each with its levers, its observation and its reward."""

from __future__ import annotations

from spiral_env.roles import business, finance, it, sme
from spiral_env.roles._tables import Feature, Lever

__all__ = ["FEATURES", "LEVERS", "NUM_LEVERS", "ROLES", "Feature", "Lever"]

ROLES = ("it", "business", "finance", "sme")
NUM_LEVERS = 5

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
