"""Not rigged: do the signs of the edges hold where the assumed numbers are others, and do the pressures bite alone?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spiral_env.core.params import PARAMETERS, Parameter, Value
from spiral_env.evaluation.statistics import Interval, wilson_interval
from spiral_env.scenarios import Scenario
from tests.benchmarks.report import Row
from tests.benchmarks.switches import EDGES, RESPONSES, Claims
from tests.benchmarks.teams import HEIGHT, VALUE, altered, held, play, team

__all__ = ["alone", "alone_table", "assumed", "draws", "draws_table"]

LOW, HIGH = 0.7, 1.3
SHARES = ("class_share", "severity_share", "loss_share")
"""Of these the sum is one: they are left as they are."""
CARELESS = {
    "it": dict.fromkeys(("edge", "core", "internal", "scanning", "threat_intel"), 0.0),
    "business": dict.fromkeys(("modules", "privacy_tech", "verification"), 0.0),
}
"""Levers that a careless platform leaves at nothing."""


def assumed() -> list[Parameter]:
    """Parameters that no evidence fixes, by what their source says; rewards and switches are no part of the world."""
    words = ("assumed",)
    return [
        q
        for q in PARAMETERS
        if any(word in q.source for word in words) and q.group not in ("reward", "switches") and q.name not in SHARES
    ]


def drawn(world: Scenario, count: int, seed: int = 0) -> Iterator[dict[str, Value]]:
    """Values of all assumed parameters, each times a uniform factor, clipped to its range."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield {q.name: _scaled(world.value(q.name), float(rng.uniform(LOW, HIGH)), q) for q in assumed()}


def _scaled(value: Value, factor: float, q: Parameter) -> Value:
    if isinstance(value, tuple):
        return tuple(min(max(x * factor, q.low), q.high) for x in value)
    return min(max(value * factor, q.low), q.high)


def draws(claims: Claims) -> dict[str, Any]:
    """Change of the scripted team when edges are off, in worlds drawn around this one, the same episodes in each."""
    offs = {**{edge: [edge] for edge in EDGES}, "all edges": list(EDGES)}
    players = team("scripted")
    change: dict[str, list[tuple[float, float]]] = {name: [] for name in offs}
    base: list[tuple[float, float, float]] = []
    for values in drawn(claims.world, claims.draws):
        whole = play(altered(claims.world, values), players, claims.draw_episodes).metrics
        base.append(tuple(float(whole[x].mean()) for x in (VALUE, HEIGHT, "collapse")))  # type: ignore[arg-type]
        for name, off in offs.items():
            without = play(altered(claims.world, {**values, **dict.fromkeys(off, 0.0)}), players, claims.draw_episodes)
            pair = (float((without.metrics[x] - whole[x]).mean()) for x in (VALUE, HEIGHT))
            change[name].append(tuple(pair))  # type: ignore[arg-type]
    rows = {name: _signs(np.array(x), np.array(base)) for name, x in change.items()}
    return {
        "draws": claims.draws,
        "episodes a draw": claims.draw_episodes,
        "factor": [LOW, HIGH],
        "parameters": [q.name for q in assumed()],
        "base": {"value": _spread(np.array(base)[:, 0]), "height": _spread(np.array(base)[:, 1])},
        "collapse": float(np.array(base)[:, 2].mean()),
        "edges": rows,
    }


def _signs(change: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    return {
        "share of draws it costs value": wilson_interval(change[:, 0] < 0.0),
        "share of draws it costs height": wilson_interval(change[:, 1] < 0.0),
        "share of value, quantiles .05 .5 .95": _spread(change[:, 0] / np.abs(base[:, 0])),
        "height, quantiles .05 .5 .95": _spread(change[:, 1]),
    }


def _spread(x: np.ndarray) -> list[float]:
    """Quantiles .05, .5 and .95."""
    return [float(q) for q in np.quantile(x, [0.05, 0.5, 0.95])]


def draws_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row an edge."""
    head = ["off", "draws in which V falls", "draws in which H falls", "V, share: .05, .5, .95", "H: .05, .5, .95"]
    rows: list[Row] = [
        ["whole world (V, H)", "", "", _listed(figures["base"]["value"]), _listed(figures["base"]["height"])]
    ]
    for name, x in figures["edges"].items():
        v, h, share, height = x.values()
        rows.append([name, v, h, _listed(share), _listed(height)])
    return head, rows


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
