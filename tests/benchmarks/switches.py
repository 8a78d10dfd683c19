"""What each mechanism is worth: every switch and policy lever, for teams that play on and for teams trained without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spiral_env.evaluation import EpisodeTable
from spiral_env.evaluation.statistics import Interval, mean_interval, paired_difference
from spiral_env.scenarios import Scenario
from tests.benchmarks.report import Row, shown
from tests.benchmarks.runs import Run, Runs
from tests.benchmarks.teams import HEIGHT, VALUE, Team, altered, play, team

__all__ = ["EDGES", "RESPONSES", "SWITCHES", "Claims", "Switch", "named", "retrained", "switches", "table"]

EDGES = ("edge_aggregation_governance", "edge_governance_value", "edge_value_aggregation")
ARROWS = ("arrow_data_finance", "arrow_capital_commerce", "arrow_security_assets")
DRIVERS = ("modularity", "privacy_technology", "sme_participation")
ANSWERS = ("insurance", "detection", "shared_intelligence", "forecasting", "pool", "credit", "growth")
PRESSURES = ("attacks", "privacy_incidents", "greenwashing", "market_risk", "seat_turnover")
POLICY = {
    "subsidy_tools": 0.5,
    "tax_break_esg": 0.8,
    "privacy_strictness": 2.0,
    "verification_norm": 0.1,
    "adaptive_rules": 0.2,
}
RESPONSES = (*EDGES, *ARROWS, *DRIVERS[:2], "insurance", "detection", "shared_intelligence")
"""All that answers a pressure; with these off the pressures stand alone."""
MEASURES = (VALUE, HEIGHT, "collapse", "sme_participation", "trust")


class Switch(NamedTuple):
    """A change of the world: its name, the group it is shown in, the parameters it sets."""

    name: str
    group: str
    params: Mapping[str, float]


def _off(names: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(names, 0.0)


SWITCHES: tuple[Switch, ...] = (
    *(Switch(name, "edge off", _off([name])) for name in EDGES),
    Switch("all edges", "edge off", _off(EDGES)),
    *(Switch(name, "arrow off", _off([name])) for name in ARROWS),
    Switch("all arrows", "arrow off", _off(ARROWS)),
    *(Switch(name, "driver off", _off([name])) for name in DRIVERS),
    *(Switch(name, "response of a cell off", _off([name])) for name in ANSWERS),
    Switch("all responses", "response of a cell off", _off(RESPONSES)),
    *(Switch(name, "pressure off", _off([name])) for name in PRESSURES),
    *(Switch(f"{name} {value:g}", "policy lever on", {name: value}) for name, value in POLICY.items()),
)


def named(names: str) -> list[Switch]:
    """Switches by name or group (``edge off``), comma-separated; ``all`` for every one.

    Raises:
        ValueError: there is none of that name.
    """
    out = []
    for name in filter(None, names.split(",")):
        found = [x for x in SWITCHES if name in ("all", x.name, x.name.split()[0], x.group)]
        if not found:
            raise ValueError(f"--retrain must name switches or groups, got {name!r}: {', '.join(_names())}")
        out += [x for x in found if x not in out]
    return out


def _names() -> list[str]:
    return [*dict.fromkeys(x.group for x in SWITCHES), *(x.name for x in SWITCHES)]


@dataclass
class Claims:
    """What the parts of the claims need to know.

    Attributes:
        world: as it is examined.
        episodes: held-out episodes of every team, the same for all.
        runs: trainings.
        seeds: training seeds; a trained figure is the mean over them, its interval that over episodes.
        trained: folder of a stored run in place of trainings of our own, or "".
        retrain: switches in whose world teams are trained anew.
        draws: worlds drawn from the assumed parameters.
        draw_episodes: episodes in each of them.
    """

    world: Scenario
    episodes: int
    runs: Runs
    seeds: int
    trained: str
    retrain: list[Switch]
    draws: int
    draw_episodes: int

    def folders(self, world: Scenario, name: str = "") -> list[str]:
        """Runs of the cooperative team in a world."""
        return [str(x) for x in self.runs.trained(Run("cooperative", k, world, name) for k in range(self.seeds))]

    def teams(self) -> dict[str, list[Team]]:
        """Those that every claim is looked at with."""
        runs = [self.trained] if self.trained else self.folders(self.world)
        return {
            "average firm": [team("status_quo")],
            "scripted": [team("scripted")],
            "trained": [team(x) for x in runs],
        }


def episodes_of(world: Scenario, players: list[Team], episodes: int) -> dict[str, np.ndarray]:
    """Each episode's measures, averaged over teams of one kind."""
    tables: list[EpisodeTable] = [play(world, x, episodes) for x in players]
    return {name: np.mean([x.metrics[name] for x in tables], axis=0) for name in MEASURES}


def _change(after: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray]) -> dict[str, Any]:
    out: dict[str, Any] = {name: paired_difference(after[name], before[name]) for name in (VALUE, HEIGHT)}
    return out | {
        "share": after[VALUE].mean() / before[VALUE].mean() - 1.0,
        "collapse": float(after["collapse"].mean()),
    }


def switches(claims: Claims) -> dict[str, Any]:
    """Change under every switch, of teams that play on as they are."""
    base = {name: episodes_of(claims.world, x, claims.episodes) for name, x in claims.teams().items()}
    rows = []
    for switch in SWITCHES:
        world = altered(claims.world, switch.params)
        after = {name: episodes_of(world, x, claims.episodes) for name, x in claims.teams().items()}
        rows.append(_row(switch, {name: _change(after[name], base[name]) for name in base}))
    return {"episodes": claims.episodes, "base": {name: _means(x) for name, x in base.items()}, "switches": rows}


def retrained(claims: Claims) -> dict[str, Any]:
    """Change under a switch, of teams trained in the whole world against teams trained in the switched one."""
    whole = [team(x) for x in claims.folders(claims.world)]
    base = episodes_of(claims.world, whole, claims.episodes)
    rows = []
    for switch in claims.retrain:
        world = altered(claims.world, switch.params)
        anew = [team(x) for x in claims.folders(world, switch.name.replace(" ", "-"))]
        after = episodes_of(world, anew, claims.episodes)
        change = {"retrained": _change(after, base)}
        change["of them, playing on"] = _change(episodes_of(world, whole, claims.episodes), base)
        rows.append(_row(switch, change))
    steps = {"training_seeds": claims.seeds, "agent_steps": claims.runs.timesteps}
    return {"episodes": claims.episodes, **steps, "base": {"retrained": _means(base)}, "switches": rows}


def _row(switch: Switch, changes: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": switch.name, "group": switch.group, "params": dict(switch.params), "teams": dict(changes)}


def _means(figures: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    return {name: mean_interval(x) for name, x in figures.items()}


def table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a switch: change of value (k$ a month) and height (levels), for each team; the base above."""
    teams = list(figures["switches"][0]["teams"]) if figures["switches"] else list(figures["base"])
    head = ["switch", *(f"{name}: {x}" for name in teams for x in ("V", "V, %", "H"))]
    rows: list[Row] = []
    first: list[object] = ["**whole world**"]
    for name in teams:
        base = figures["base"].get(name)
        first += [shown(base[VALUE]), "", shown(base[HEIGHT])] if base else ["", "", ""]
    rows.append(first)
    group = ""
    for row in figures["switches"]:
        if row["group"] != group:
            group = row["group"]
            rows.append([f"**{group}**", *[""] * (3 * len(teams))])
        cells: list[object] = [row["name"]]
        for name in teams:
            x = row["teams"][name]
            fallen = f" (collapse {x['collapse']:.0%})" if x["collapse"] >= 0.005 else ""
            cells += [shown(x[VALUE]), f"{x['share']:+.0%}{fallen}", shown(x[HEIGHT])]
        rows.append(cells)
    return head, rows
