"""Not rigged: do the claims hold where the assumed numbers are others, and do the pressures bite alone?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_env.evaluation.statistics import Interval, wilson_interval
from spiral_env.questions.assumed import HIGH, LOW, assumed, drawn
from spiral_env.questions.claims.paper import CLAIMS, claimed
from spiral_env.questions.claims.switches import EDGES, RESPONSES, Claims, named
from spiral_env.questions.report import Row
from spiral_env.questions.side_by_side import play_worlds
from spiral_env.questions.teams import HEIGHT, VALUE, Team, altered, held, play, team

__all__ = ["AT_ONCE", "CARELESS", "alone", "alone_table", "draws", "draws_table"]

CARELESS = {
    "it": dict.fromkeys(("edge", "core", "internal", "scanning", "threat_intel"), 0.0),
    "business": dict.fromkeys(("modules", "privacy_tech", "verification"), 0.0),
}
"""Levers that a careless platform leaves at nothing."""
AT_ONCE = 8
"""Drawn worlds that are looked at together, each with all its switches."""


def draws(claims: Claims) -> dict[str, Any]:
    """Change under every switch that a claim needs, in worlds drawn around this one, the same episodes in each."""
    values = list(drawn(claims.world, claims.draws))
    teams = {name: x[0] for name, x in claims.teams().items() if name != "average firm"}
    return {
        "draws": claims.draws,
        "episodes a draw": claims.draw_episodes,
        "factor": [LOW, HIGH],
        "parameters": [q.name for q in assumed()],
        "teams": {name: _in_draws(claims, values, x) for name, x in teams.items()},
    }


def _in_draws(claims: Claims, values: list[dict[str, Any]], players: Team) -> dict[str, Any]:
    offs = {name: named(name)[0].params for name in claimed()}
    found: list[dict[str, np.ndarray]] = []
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        worlds = [altered(claims.world, {**x, **off}) for x in part for off in ({}, *offs.values())]
        metrics = play_worlds(worlds, players, claims.draw_episodes).metrics
        # [drawn worlds, switches, the first without]
        found.append({name: x.mean(1).reshape(len(part), 1 + len(offs)) for name, x in metrics.items()})
    means = {name: np.concatenate([x[name] for x in found]) for name in found[0]}
    base = {name: x[:, 0] for name, x in means.items()}
    rows = {}
    for k, name in enumerate(offs, 1):
        change = {measure: x[:, k] - base[measure] for measure, x in means.items()}
        rows[name] = _shares(name, change) | {
            "share of value, quantiles .05 .5 .95": _spread(change[VALUE] / np.abs(base[VALUE])),
            "height, quantiles .05 .5 .95": _spread(change[HEIGHT]),
        }
    whole = {"value": _spread(base[VALUE]), "height": _spread(base[HEIGHT])}
    return {"base": whole, "collapse": float(base["collapse"].mean()), "rows": rows}


def _shares(switch: str, change: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Share of draws in which each measure moves as claimed, and in which it moves the other way."""
    expected = {m: way for x in CLAIMS if x.switch == switch for m, way in x.expected.items()}
    return {
        "as claimed": {m: wilson_interval(way * change[m] > 0.0) for m, way in expected.items()},
        "against it": {m: wilson_interval(way * change[m] < 0.0) for m, way in expected.items()},
    }


def _spread(x: np.ndarray) -> list[float]:
    """Quantiles .05, .5 and .95."""
    return [float(q) for q in np.quantile(x, [0.05, 0.5, 0.95])]


def draws_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a team and switch."""
    head = ["switch", "draws in which it is as claimed", "against it", "V, share: .05, .5, .95", "H: .05, .5, .95"]
    rows: list[Row] = []
    for who, found in figures["teams"].items():
        base = found["base"]
        rows.append([f"**{who}** (whole world: V, H)", "", "", _listed(base["value"]), _listed(base["height"])])
        for name, x in found["rows"].items():
            as_claimed, against, share, height = x.values()
            rows.append([name, _told(as_claimed), _told(against), _listed(share), _listed(height)])
    return head, rows


def _told(shares: Mapping[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', ' ')} {x[0]:.0%} [{x[1]:.0%}, {x[2]:.0%}]" for name, x in shares.items())


def _listed(values: list[float]) -> str:
    return ", ".join(f"{x:,.0f}" if abs(x) >= 100 else f"{x:.2f}" for x in values)


def alone(claims: Claims) -> dict[str, Any]:
    """Share of episodes that collapse: with edges off, with every response off, and in careless hands."""
    worlds = {
        "whole world": {},
        "all edges off": dict.fromkeys(EDGES, 0.0),
        "all responses off": dict.fromkeys(RESPONSES, 0.0),
    }
    teams = {name: x[0] for name, x in claims.teams().items()}
    teams["careless"] = held(team("scripted"), CARELESS)
    out: dict[str, dict[str, Any]] = {}
    for name, params in worlds.items():
        world = altered(claims.world, params)
        for who, players in teams.items():
            metrics = play(world, players, claims.episodes).metrics
            out[f"{name}, {who}"] = {
                "collapse": wilson_interval(metrics["collapse"]),
                "value": float(metrics[VALUE].mean()),
                "height": float(metrics[HEIGHT].mean()),
                "trust": float(metrics["trust"].mean()),
            }
    return {"episodes": claims.episodes, "rows": out}


def alone_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a world and team."""
    rows: list[Row] = [[name, *_cells(x)] for name, x in figures["rows"].items()]
    return ["world, team", "episodes that collapse", "V", "H", "trust at the end"], rows


def _cells(x: Mapping[str, Any]) -> list[object]:
    collapse: Interval = x["collapse"]
    return [collapse, x["value"], x["height"], x["trust"]]
