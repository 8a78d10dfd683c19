"""Worth more together: two things taken away one by one and both, on the same luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spiral_env.evaluation.statistics import mean_interval, wilson_interval
from spiral_env.questions.assumed import drawn
from spiral_env.questions.claims.draws import AT_ONCE, CARELESS
from spiral_env.questions.claims.switches import Claims
from spiral_env.questions.report import Row
from spiral_env.questions.side_by_side import play_worlds
from spiral_env.questions.teams import HEIGHT, VALUE, Team, altered, held
from spiral_env.scenarios import Scenario

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

    Governance is taken away by careless hands, all else by its switches. ``draws`` are the shares of the worlds with
    other assumed numbers in which the pair is worth more together.
    """
    teams = {name: x[0] for name, x in claims.teams().items()}
    learned = {name: x for name, x in teams.items() if name != "average firm"}
    values = list(drawn(claims.world, claims.draws))
    return {
        "episodes": claims.episodes,
        "rows": {name: _here(claims, x) for name, x in teams.items()},
        "draws": {name: _in_draws(claims, values, x) for name, x in learned.items()},
        "domains": {name: list(x) for name, x in DOMAINS.items()},
        "aggregation": list(AGGREGATION),
        "careless": CARELESS,
    }


def _here(claims: Claims, players: Team) -> dict[str, Any]:
    """Pair -> measure -> intervals over episodes."""
    found = _pairs([claims.world], players, claims.episodes)
    return {
        pair: {m: {name: mean_interval(x[0]) for name, x in worth.items()} for m, worth in by_measure.items()}
        for pair, by_measure in found.items()
    }


def _in_draws(claims: Claims, values: Sequence[Mapping[str, Any]], players: Team) -> dict[str, Any]:
    """Pair -> measure -> share of drawn worlds in which the two are worth more together, and less."""
    found = []
    for start in range(0, len(values), AT_ONCE):
        worlds = [altered(claims.world, x) for x in values[start : start + AT_ONCE]]
        found.append(_pairs(worlds, players, claims.draw_episodes))
    out: dict[str, Any] = {}
    for pair, by_measure in found[0].items():
        more = {m: np.concatenate([x[pair][m]["more"].mean(1) for x in found]) for m in by_measure}
        out[pair] = {
            "as claimed": {m: wilson_interval(x > 0.0) for m, x in more.items()},
            "against it": {m: wilson_interval(x < 0.0) for m, x in more.items()},
        }
    return out


def _pairs(worlds: Sequence[Scenario], players: Team, episodes: int) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Pair -> measure -> what the first is worth with the second, without, and the difference, ``[W, E]``."""
    offs: list[tuple[str, ...]] = [(), AGGREGATION, *DOMAINS.values()]
    offs += [DOMAINS[a] + DOMAINS[b] for a, b in _PAIRS]
    played, careless = (
        play_worlds([altered(w, dict.fromkeys(x, 0.0)) for w in worlds for x in some], who, episodes).metrics
        for some, who in ((offs, players), (offs[:2], held(players, CARELESS)))
    )
    out: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for measure in (VALUE, HEIGHT):
        by_off = played[measure].reshape(len(worlds), len(offs), episodes).swapaxes(0, 1)
        at = dict(zip(offs, by_off, strict=True))
        unguarded = careless[measure].reshape(len(worlds), 2, episodes).swapaxes(0, 1)
        worth = {"aggregation, governance": _worth(at[()], at[AGGREGATION], *unguarded)}
        for a, b in _PAIRS:
            worth[f"{a}, {b}"] = _worth(at[()], at[DOMAINS[a]], at[DOMAINS[b]], at[DOMAINS[a] + DOMAINS[b]])
        for pair, found in worth.items():
            out.setdefault(pair, {})[measure] = found
    return out


def _worth(both: np.ndarray, second: np.ndarray, first: np.ndarray, none: np.ndarray) -> dict[str, np.ndarray]:
    """Of a measure with both, with the second or the first alone, and with neither."""
    beside, alone = both - second, first - none
    return {"with": beside, "without": alone, "more": beside - alone}


def interplay_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a team and pair."""
    head = ["team: the first of a pair", *(f"{m}: {x}" for m in "VH" for x in ("with the second", "without", "more"))]
    rows: list[Row] = [
        [f"{who}: {pair}", *(x for m in (VALUE, HEIGHT) for x in found[m].values())]
        for who, pairs in figures["rows"].items()
        for pair, found in pairs.items()
    ]
    return head, rows
