"""The measures of a team as a game: measured part by part, as JSON and as tables of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spiral_env.evaluation.game_measures import added, anarchy, cash_flow_gini, harms, response_gaps, selfish_team
from spiral_env.evaluation.game_search import ONE_SME, OWN, SEATS, VALUE, Budget, Response, role_of
from spiral_env.evaluation.report import rounded, shown_digits, span
from spiral_env.evaluation.rollout import run_episodes
from spiral_env.evaluation.statistics import Interval
from spiral_env.policy import Policy, close_policy
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.text import Table

__all__ = ["PARTS", "Game", "as_texts", "measure", "wrapped"]

Team = Mapping[str, Policy]
WIDTH = 80
_STARTS = 2
"""Searches for a response."""


@dataclass(frozen=True)
class Game:
    """What is asked of a team.

    Attributes:
        world: where.
        team: role -> policy that is looked at.
        episodes: held-out ones, the same for everything that is told.
        budget: of each search.
        known: name -> team whose SMEs' earnings are told beside.
        responders: name -> team whose policies may be better responses.
        best: name and team of the best known.
        selfish: name and team that was trained selfishly; None for the one that best responses lead to.
        rounds: of these.
    """

    world: Scenario
    team: Team
    episodes: int
    budget: Budget
    known: Mapping[str, Team]
    responders: Mapping[str, Team]
    best: tuple[str, Team]
    selfish: tuple[str, Team] | None = None
    rounds: int = 2
    tell: Callable[[int], None] = field(default=lambda count: None)

    def value(self, team: Team) -> np.ndarray:
        """Of the ecosystem in the held-out episodes."""
        return run_episodes(self.world, team, self.episodes).metrics[VALUE]


def _responses(game: Game) -> dict[str, Any]:
    gaps = response_gaps(game.world, game.team, game.episodes, game.budget, game.responders, game.tell)
    return {
        seat: {"payoff": _told(x.own), "gap": _told(x.gap), "response": _response(x.response)}
        for seat, x in gaps.items()
    }


def _anarchy(game: Game) -> dict[str, Any]:
    selfish, rounds = game.selfish, list[str]()
    if selfish is None:
        team, rounds = selfish_team(game.world, game.team, game.budget, game.rounds, game.tell)
        selfish = f"best responses, {len(rounds)} rounds from the team", team
    found = anarchy(game.value(game.best[1]), game.value(selfish[1]))
    told = {key: _told(x) for key, x in vars(found).items() if x is not None}
    return {**told, "best_team": game.best[0], "selfish_team": selfish[0], "rounds": rounds}


def _roles(game: Game) -> dict[str, Any]:
    found = added(game.world, game.team, game.episodes, game.tell)
    return {
        role: {"lost": _told(x.lost), "shapley": _told(x.shapley), "share": x.share}
        for role, x in ((role, found[role]) for role in ROLES)
    }


def _fairness(game: Game) -> dict[str, Any]:
    out = {}
    for name, team in {"team": game.team, **game.known}.items():
        inequality, nothing = cash_flow_gini(game.world, team, game.episodes)
        out[name] = {"gini": _told(inequality), "earn_nothing": _told(nothing)}
    return out


def _rogue(game: Game) -> dict[str, Any]:
    return {
        role: {
            "uniform": _told(x.uniform),
            "constant": _told(x.constant),
            "worst": _response(x.worst),
            "collapse": x.collapse,
        }
        for role, x in harms(game.world, game.team, game.episodes, game.budget, game.tell).items()
    }


@dataclass(frozen=True)
class _Part:
    """How a part is measured, how many episodes progress is told of, and how it is shown."""

    measure: Callable[[Game], dict[str, Any]]
    work: Callable[[Game], int]
    table: Callable[[Mapping[str, Any]], Table]


def measure(game: Game, parts: Mapping[str, _Part], tell: Callable[[int], None]) -> dict[str, Any]:
    """Name of a part -> what was measured, as JSON."""
    try:
        return {name: part.measure(replace(game, tell=tell)) for name, part in parts.items()}
    finally:
        for policy in game.team.values():
            close_policy(policy)


def as_texts(measured: Mapping[str, Any]) -> list[str]:
    """A table of 80 columns a part."""
    tables = [PARTS[name].table(found) for name, found in measured.items()]
    for table in tables:
        table.notes = [wrapped(line) for line in table.notes]
    return [table.text(WIDTH) for table in tables]


def wrapped(line: str) -> str:
    """Broken at 80 columns."""
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _told(x: Interval) -> dict[str, Any]:
    return {"mean": x.mean, "interval95": [x.low, x.high]}


def _response(x: Response) -> dict[str, Any]:
    """Kind, and a table as stage or levers -> efforts."""
    names = [lever.name for lever in LEVERS[role_of(x.seat)]]
    rows = None if x.table is None else [dict(zip(names, row, strict=True)) for row in np.round(x.table, 3).tolist()]
    return {"kind": x.kind, "efforts": rows, "searched_episodes": x.episodes}


class _Columns:
    """Means and intervals of one unit, with as many digits as show them all."""

    def __init__(self, found: list[Mapping[str, Any]]) -> None:
        self.digits = shown_digits([v for x in found for v in (x["mean"], *x["interval95"]) if v is not None])

    def cells(self, x: Mapping[str, Any], sign: str = "") -> tuple[str, str]:
        low, high = x["interval95"]
        interval = "" if low is None or high is None else span(Interval(x["mean"], low, high), self.digits)
        return rounded(x["mean"], self.digits, sign), interval


def _responses_table(found: Mapping[str, Any]) -> Table:
    columns = _Columns([x[key] for x in found.values() for key in ("payoff", "gap")])
    table = Table(
        ("who", "payoff", "gap >=", "interval", "response that was found"),
        title="Gap to a best response: what another policy brings, others as they are, k$/month",
    )
    for seat, x in found.items():
        table.add_row(seat, columns.cells(x["payoff"])[0], *columns.cells(x["gap"], "+"), x["response"]["kind"])
    searched = sum(x["response"]["searched_episodes"] for x in found.values())
    table.notes = (f"Lower bounds: bounded searches, {searched:,} episodes in all. {OWN}: no better was found.",)
    if ONE_SME in found:
        table.notes = (*table.notes, f"sme: all firms change together. {ONE_SME}: one of them alone.")
    return table


def _anarchy_table(found: Mapping[str, Any]) -> Table:
    money = _Columns([found["best"], found["selfish"]])
    table = Table(
        ("team", "k$ a month", "interval", "who"),
        [
            ("best known", *money.cells(found["best"]), found["best_team"]),
            ("selfish", *money.cells(found["selfish"]), found["selfish_team"]),
        ],
        title="Price of anarchy: value of the best known team over that of a selfish one",
    )
    said = {"price": "price of anarchy", "kept": "share of the value that the selfish team keeps"}
    ratios = {key: " ".join(_Columns([found[key]]).cells(found[key])) for key in said if key in found}
    table.notes = [f"{name}: {ratios.get(key, 'not defined, a team may make nothing')}" for key, name in said.items()]
    table.notes += [f"round {k}: {line}" for k, line in enumerate(found["rounds"], 1)]
    return table


def _roles_table(found: Mapping[str, Any]) -> Table:
    columns = _Columns([x[key] for x in found.values() for key in ("lost", "shapley")])
    table = Table(
        ("role", "replaced", "interval", "Shapley", "interval", "share"),
        title="What each role adds to ecosystem value over the average firm, k$ a month",
        notes=(
            "replaced: the average firm plays the role in the whole team. Shapley: mean over all orders in which roles "
            "join the average firm's team; share: of all that the team adds.",
        ),
    )
    for role, x in found.items():
        share = "" if x["share"] is None or not np.isfinite(x["share"]) else f"{x['share']:.2f}"
        table.add_row(role, *columns.cells(x["lost"], "+"), *columns.cells(x["shapley"], "+"), share)
    return table


def _fairness_table(found: Mapping[str, Any]) -> Table:
    table = Table(
        ("team", "Gini", "interval", "earn nothing", "interval"),
        title="Fairness: Gini coefficient of SMEs' cash flow, share of them that earn nothing",
    )
    for name, x in found.items():
        cells = (_Columns([x[key]]).cells(x[key]) for key in ("gini", "earn_nothing"))
        table.add_row(name, *(cell for pair in cells for cell in pair))
    return table


def _rogue_table(found: Mapping[str, Any]) -> Table:
    columns = _Columns([x[key] for x in found.values() for key in ("uniform", "constant")])
    table = Table(
        ("role", "at random", "interval", "worst constant", "interval", "collapse"),
        title="One role goes rogue: change of ecosystem value, k$ a month",
        notes=("collapse: share of episodes under the worst constant that was found.",),
    )
    for role, x in found.items():
        table.add_row(
            role, *columns.cells(x["uniform"], "+"), *columns.cells(x["constant"], "+"), f"{x['collapse']:.2f}"
        )
    return table


def _searches(game: Game) -> int:
    return game.budget.rounds * game.budget.population * game.budget.worlds


PARTS: dict[str, _Part] = {
    "responses": _Part(_responses, lambda x: len(SEATS) * _STARTS * _searches(x), _responses_table),
    "anarchy": _Part(
        _anarchy,
        lambda x: 0 if x.selfish else x.rounds * len(ROLES) * _STARTS * _searches(x),
        _anarchy_table,
    ),
    "roles": _Part(_roles, lambda x: 2 ** len(ROLES) * x.episodes, _roles_table),
    "fairness": _Part(_fairness, lambda x: 0, _fairness_table),
    "rogue": _Part(_rogue, lambda x: len(ROLES) * _searches(x), _rogue_table),
}
"""Name -> part, in the order in which they are told."""
