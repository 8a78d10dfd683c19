"""Co-players of those that are judged: a population for each role, some of whom nobody may have met in training.

A background team is one place of the lists: the k-th of every role. Teams of the zoo join by their cards.
"""

from __future__ import annotations

from spiral_env.agents.zoo import PREFIX, read_card, zoo_names
from spiral_env.roles import ROLES

__all__ = ["POPULATIONS", "background_teams"]

POPULATIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "seen": {
        "it": ("status_quo", "scripted"),
        "business": ("status_quo", "scripted"),
        "finance": ("status_quo", "scripted"),
        "sme": ("status_quo", "scripted"),
    },
    "held_out": {
        "it": ("hybrid_risk", "constant:1", "uniform"),
        "business": ("gordon_loeb", "constant:0.25", "uniform"),
        "finance": ("equal_weight", "constant:0.25", "uniform"),
        "sme": ("marginal_sme", "constant:1", "uniform"),
    },
}
"""Kind -> role -> scripted co-players; all lists of a kind have one length."""


def background_teams(kind: str) -> list[dict[str, str]]:
    """Teams of a kind, "seen" or "held_out": role -> policy."""
    lists = POPULATIONS[kind]
    scripted = [dict(zip(ROLES, team, strict=True)) for team in zip(*(lists[role] for role in ROLES), strict=True)]
    trained = [f"{PREFIX}{name}" for name in zoo_names() if read_card(name).partner == kind]
    return [*scripted, *(dict.fromkeys(ROLES, spec) for spec in trained)]
