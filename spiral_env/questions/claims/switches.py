"""What each mechanism is worth: every switch and policy lever, for teams that play on and for teams trained without."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spiral_env.evaluation.statistics import Interval, mean_interval, paired_difference
from spiral_env.questions.adaptation import Adaptation, adapt
from spiral_env.questions.report import Row, shown
from spiral_env.questions.runs import Run, Runs
from spiral_env.questions.side_by_side import play_worlds
from spiral_env.questions.teams import HEIGHT, VALUE, Team, altered, team
from spiral_env.scenarios import Scenario

__all__ = [
    *("AIMS", "ARROWS", "DRIVERS", "EDGES", "POLICY", "RESPONSES", "SWITCHES", "adapted"),
    *("Claims", "Switch", "measures_of", "named", "retrained", "switches", "table"),
]

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
AIMS = ("sme_participation", "trust", "greenwash_gap", "eps12")
"""What policy levers aim at, beside value and height."""
_WHOLE = (VALUE, HEIGHT, "collapse", *AIMS)


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
    out: list[Switch] = []
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
        adapt_steps: agent-steps of teams that are trained on.
    """

    world: Scenario
    episodes: int
    runs: Runs
    seeds: int
    trained: str
    retrain: list[Switch]
    draws: int
    draw_episodes: int
    adapt_steps: int = 4_000_000

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


def measures_of(worlds: Sequence[Scenario], players: Sequence[Team], episodes: int) -> list[dict[str, np.ndarray]]:
    """Each episode's measures in every world, averaged over teams of one kind."""
    found = [play_worlds(worlds, x, episodes).metrics for x in players]
    mean = {name: np.mean([x[name] for x in found], axis=0) for name in _WHOLE}
    return [{name: x[k] for name, x in mean.items()} for k in range(len(worlds))]


def _change(after: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray]) -> dict[str, Any]:
    out: dict[str, Any] = {name: paired_difference(after[name], before[name]) for name in (VALUE, HEIGHT, *AIMS)}
    return out | {
        "share": float(after[VALUE].mean() / before[VALUE].mean() - 1.0),
        "collapse": float(after["collapse"].mean()),
    }


def switches(claims: Claims) -> dict[str, Any]:
    """Change under every switch, of teams that play on as they are."""
    worlds = [claims.world, *(altered(claims.world, x.params) for x in SWITCHES)]
    played = {name: measures_of(worlds, x, claims.episodes) for name, x in claims.teams().items()}
    rows = [
        _row(switch, {name: _change(x[k], x[0]) for name, x in played.items()}) for k, switch in enumerate(SWITCHES, 1)
    ]
    base = {name: _means(x[0]) for name, x in played.items()}
    return {"episodes": claims.episodes, "base": base, "switches": rows}


def retrained(claims: Claims) -> dict[str, Any]:
    """Change under a switch, of teams trained in the whole world against teams trained in the switched one."""
    worlds = [altered(claims.world, switch.params) for switch in claims.retrain]
    whole = claims.folders(claims.world)
    anew = [claims.folders(x, y.name.replace(" ", "-")) for x, y in zip(worlds, claims.retrain, strict=True)]
    return _learned(claims, "retrained", [whole, *anew], claims.seeds, claims.runs.timesteps)


def adapted(claims: Claims) -> dict[str, Any]:
    """The same of one trained team that is trained on, in the whole world and in the switched one."""
    spec = claims.trained or claims.folders(claims.world)[0]
    worlds = [claims.world, *(altered(claims.world, switch.params) for switch in claims.retrain)]
    how = Adaptation(claims.adapt_steps, "es", claims.seeds, claims.runs.overrides, claims.runs.jobs)
    with tempfile.TemporaryDirectory(prefix="spiral-claims-") as folder:
        return _learned(claims, "trained on", adapt(spec, worlds, how, Path(folder)), claims.seeds, how.timesteps)


def _learned(claims: Claims, name: str, folders: Sequence[Sequence[str]], seeds: int, steps: int) -> dict[str, Any]:
    """Teams of each switched world, and those of the whole one playing on there, against these at home.

    ``folders``: of teams that learned in the whole world, then in each switched one.
    """
    worlds = [altered(claims.world, switch.params) for switch in claims.retrain]
    base, *going_on = measures_of([claims.world, *worlds], [team(x) for x in folders[0]], claims.episodes)
    rows = []
    for switch, world, on, mine in zip(claims.retrain, worlds, going_on, folders[1:], strict=True):
        (after,) = measures_of([world], [team(x) for x in mine], claims.episodes)
        rows.append(_row(switch, {name: _change(after, base), "of them, playing on": _change(on, base)}))
    about = {"episodes": claims.episodes, "training_seeds": seeds, "agent_steps": steps}
    return {**about, "base": {name: _means(base)}, "switches": rows}


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
