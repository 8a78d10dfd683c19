"""Worth more together: two things taken away one by one and both, on the same luck."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.evaluation.statistics import mean_interval
from spiral_env.questions.claims.draws import CARELESS
from spiral_env.questions.claims.switches import Claims
from spiral_env.questions.report import Row
from spiral_env.questions.side_by_side import play_worlds
from spiral_env.questions.teams import HEIGHT, VALUE, Team, altered, held

__all__ = ["AGGREGATION", "DOMAINS", "interplay", "interplay_table"]

DOMAINS: dict[str, tuple[str, ...]] = {
    "commerce": ("pool", "growth"),
    "finance": ("forecasting", "credit"),
    "cybersecurity": ("detection", "shared_intelligence"),
}
"""Domain -> the answers of its cells."""
AGGREGATION = ("pool", "forecasting", "detection")
"""The answers of the first stage's cells."""
_PAIRS = (("commerce", "finance"), ("commerce", "cybersecurity"), ("finance", "cybersecurity"))


def interplay(claims: Claims) -> dict[str, Any]:
    """For each pair what the first is worth with the second and without it, and by how much more with it.

    Governance is taken away by careless hands, all else by its switches.
    """
    return {
        "episodes": claims.episodes,
        "rows": {name: _pairs(claims, x[0]) for name, x in claims.teams().items()},
        "domains": {name: list(x) for name, x in DOMAINS.items()},
        "aggregation": list(AGGREGATION),
        "careless": CARELESS,
    }


def _pairs(claims: Claims, players: Team) -> dict[str, Any]:
    offs: list[tuple[str, ...]] = [(), AGGREGATION, *DOMAINS.values()]
    offs += [DOMAINS[a] + DOMAINS[b] for a, b in _PAIRS]
    worlds = [altered(claims.world, dict.fromkeys(x, 0.0)) for x in offs]
    played = play_worlds(worlds, players, claims.episodes).metrics
    careless = play_worlds(worlds[:2], held(players, CARELESS), claims.episodes).metrics
    found = {}
    for measure in (VALUE, HEIGHT):
        at = dict(zip(offs, played[measure], strict=True))
        found["aggregation, governance", measure] = (at[()], at[AGGREGATION], *careless[measure])
        for a, b in _PAIRS:
            both = DOMAINS[a] + DOMAINS[b]
            found[f"{a}, {b}", measure] = (at[()], at[DOMAINS[a]], at[DOMAINS[b]], at[both])
    names = dict.fromkeys(name for name, _ in found)
    return {name: {m: _worth(*found[name, m]) for m in (VALUE, HEIGHT)} for name in names}


def _worth(both: np.ndarray, second: np.ndarray, first: np.ndarray, none: np.ndarray) -> dict[str, Any]:
    """Of measures ``[E]`` with both, with the second or the first alone, and with neither."""
    beside, alone = both - second, first - none
    return {"with": mean_interval(beside), "without": mean_interval(alone), "more": mean_interval(beside - alone)}


def interplay_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a team and pair."""
    head = ["team: the first of a pair", *(f"{m}: {x}" for m in "VH" for x in ("with the second", "without", "more"))]
    rows: list[Row] = [
        [f"{who}: {pair}", *(x for m in (VALUE, HEIGHT) for x in found[m].values())]
        for who, pairs in figures["rows"].items()
        for pair, found in pairs.items()
    ]
    return head, rows
