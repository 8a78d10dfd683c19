"""Measures of a team as a game: what each role adds, responds with and can ruin, what selfishness costs, who earns.

All play the same held-out episodes, so that differences are paired.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from spiral_env.evaluation.aggregates import mean_of_strata, stratified_bootstrap
from spiral_env.evaluation.game_play import agents_of, live
from spiral_env.evaluation.game_search import (
    ONE_SME,
    OWN,
    SEATS,
    VALUE,
    Budget,
    Response,
    best_response,
    role_of,
    worst_constant,
)
from spiral_env.evaluation.rollout import run_episodes
from spiral_env.evaluation.statistics import Interval, mean_interval, paired_difference
from spiral_env.policy import Policy, StatusQuo, Uniform
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario

__all__ = [
    "Added",
    "Anarchy",
    "Gap",
    "Harm",
    "added",
    "anarchy",
    "cash_flow_gini",
    "coalitions",
    "gini",
    "harms",
    "response_gaps",
    "selfish_team",
    "shapley",
]

Team = Mapping[str, Policy]
Coalition = frozenset[str]
Progress = Callable[[int], None] | None


def coalitions(members: Iterable[str]) -> list[Coalition]:
    """Every set of members, from the empty one to all."""
    names = tuple(members)
    return [frozenset(x) for size in range(len(names) + 1) for x in itertools.combinations(names, size)]


def shapley(values: Mapping[Coalition, np.ndarray]) -> dict[str, np.ndarray]:
    """Shapley's value of each member (Shapley 1953), member -> float64 ``[n]``.

    It is the mean, over all orders in which members may join, of what a member adds when it joins; those of all members
    sum up to what all of them add to nobody.

    Args:
        values: coalition -> what it earns ``[n]``, for every set of the members.
    """
    everyone = max(values, key=len)
    count = len(everyone)
    out = {}
    for member in sorted(everyone):
        shares = [
            (values[x | {member}] - values[x]) / (count * math.comb(count - 1, len(x)))
            for x in values
            if member not in x
        ]
        out[member] = np.asarray(np.sum(shares, axis=0), dtype=np.float64)
    return out


@dataclass(frozen=True)
class Added:
    """What a role of a team adds to the ecosystem's value, k$ a month.

    Attributes:
        lost: by the whole team when the average firm plays the role in its stead.
        shapley: the role's Shapley value, the average firm playing for those who are not in a coalition.
        share: of all that the team adds to the average firm; not a number where that is nothing.
    """

    lost: Interval
    shapley: Interval
    share: float


def added(world: Scenario, team: Team, episodes: int, progress: Progress = None) -> dict[str, Added]:
    """Role -> what it adds, from the 16 teams in which each role is the team's or the average firm."""
    values = {}
    for members in coalitions(ROLES):
        players = {role: team[role] if role in members else StatusQuo(role) for role in ROLES}
        values[members] = run_episodes(world, players, episodes, progress=progress).metrics[VALUE]
    everyone, parts = frozenset(ROLES), shapley(values)
    gained = float((values[everyone] - values[frozenset()]).mean())
    return {
        role: Added(
            paired_difference(values[everyone - {role}], values[everyone]),
            mean_interval(parts[role]),
            float(parts[role].mean()) / gained if gained else math.nan,
        )
        for role in ROLES
    }


@dataclass(frozen=True)
class Gap:
    """What a seat would gain by another policy, the others as they are: at least this.

    Attributes:
        response: that was found.
        own: payoff of the seat in the team, k$ a month.
        gap: payoff with the response less that, paired; nothing where no better was found.
    """

    response: Response
    own: Interval
    gap: Interval


def response_gaps(
    world: Scenario,
    team: Team,
    episodes: int,
    budget: Budget,
    others: Mapping[str, Team] | None = None,
    progress: Progress = None,
) -> dict[str, Gap]:
    """Seat -> its best-response gap, in held-out worlds that no search has played.

    Args:
        world: where.
        team: that is deviated from.
        episodes: held-out ones.
        budget: of each search.
        others: name -> team whose policies may be better responses.
        progress: told how many more episodes of searches have been played.
    """
    seeds = np.array(world.evaluation_seeds(0, episodes), dtype=np.int64)
    before = live(world, team, seeds).payoffs
    out = {}
    for seat in SEATS:
        known = {} if seat == ONE_SME else {name: x[role_of(seat)] for name, x in (others or {}).items()}
        found = best_response(world, team, seat, budget, known, progress)
        after = live(world, {**team, role_of(seat): found.policy(episodes)}, seeds).payoffs
        own, now = (_payoff(world, x, seat) for x in (before, after))
        out[seat] = Gap(found, mean_interval(own), paired_difference(now, own))
    return out


def _payoff(world: Scenario, payoffs: np.ndarray, seat: str) -> np.ndarray:
    """Of a seat ``[E]``: the mean of its agents, or of the one SME that is looked at in each world."""
    mine = payoffs[:, agents_of(world, role_of(seat))]
    if seat == ONE_SME:
        return np.asarray(mine[np.arange(len(mine)), np.arange(len(mine)) % mine.shape[1]])
    return np.asarray(mine.mean(1))


def selfish_team(
    world: Scenario, team: Team, budget: Budget, rounds: int, progress: Progress = None
) -> tuple[dict[str, Policy], list[str]]:
    """Where a team gets when each role in turn plays the best response found, by its own payoff alone, for some rounds.

    Returns:
        The team, and a line a round: what each role changed to. A round in which nobody changes is the last; then the
        team is an equilibrium as far as these searches see.
    """
    now, told = dict(team), []
    for number in range(rounds):
        kinds = {}
        for role in ROLES:
            own = Budget(**{**vars(budget), "seed": budget.seed + 10_000 * (number + 1)})
            found = best_response(world, now, role, own, progress=progress)
            now[role], kinds[role] = found.policy(1), found.kind
        told.append(", ".join(f"{role}: {kind}" for role, kind in kinds.items()))
        if set(kinds.values()) == {OWN}:
            break
    return now, told


@dataclass(frozen=True)
class Anarchy:
    """What is lost where roles care for themselves.

    Attributes:
        best: ecosystem value of the best known team, k$ a month.
        selfish: of the selfish team.
        price: best / selfish, means over the same episodes; None where the selfish team may make nothing.
        kept: selfish / best, likewise; None where the best known may make nothing.
    """

    best: Interval
    selfish: Interval
    price: Interval | None
    kept: Interval | None


def anarchy(best: np.ndarray, selfish: np.ndarray) -> Anarchy:
    """The price of anarchy (Koutsoupias & Papadimitriou 1999) from values of the same episodes ``[n]``."""
    ends = {
        "best": stratified_bootstrap(mean_of_strata, [best]),
        "selfish": stratified_bootstrap(mean_of_strata, [selfish]),
    }
    price, kept = (
        stratified_bootstrap(_ratio, [above], [below], paired=True) if ends[name].low > 0.0 else None
        for name, above, below in (("selfish", best, selfish), ("best", selfish, best))
    )
    return Anarchy(mean_interval(best), mean_interval(selfish), price, kept)


def _ratio(above: list[np.ndarray], below: list[np.ndarray]) -> float:
    return float(above[0].mean() / below[0].mean())


def gini(x: np.ndarray) -> np.ndarray:
    """Gini coefficient along the last axis ``[..., N]``, in [0, 1) also where some of the amounts are negative.

    The mean difference of two amounts over twice the mean of their sizes (Raffinetti, Siletti & Vernizzi 2015); of
    amounts that are not negative it is the usual one. Nothing for everybody is equal: 0.
    """
    values = np.sort(np.asarray(x, dtype=np.float64), axis=-1)
    n = values.shape[-1]
    differences = 2.0 * ((2.0 * np.arange(1, n + 1) - n - 1.0) * values).sum(-1)
    sizes = 2.0 * n * np.abs(values).sum(-1)
    return np.asarray(differences / np.where(sizes > 0.0, sizes, 1.0))


def cash_flow_gini(world: Scenario, team: Team, episodes: int) -> tuple[Interval, Interval]:
    """How unequally SMEs earn: the Gini coefficient of their cash flow, and the share of them that earn nothing.

    Cash flow is what a firm's seat earned over the episode, with the losses and fines that were drawn, before its
    owners draw and its creditors lend.
    """
    seeds = np.array(world.evaluation_seeds(0, episodes), dtype=np.int64)
    flows = live(world, team, seeds, basis="realised").payoffs[:, agents_of(world, "sme")]
    return mean_interval(gini(flows)), mean_interval((flows <= 0.0).mean(1))


@dataclass(frozen=True)
class Harm:
    """What a role that goes rogue does to the ecosystem's value, k$ a month, paired to the team.

    Attributes:
        uniform: it plays at random.
        constant: it plays the worst constant that was found.
        worst: that.
        collapse: share of episodes in which the ecosystem collapses under it.
    """

    uniform: Interval
    constant: Interval
    worst: Response
    collapse: float


def harms(world: Scenario, team: Team, episodes: int, budget: Budget, progress: Progress = None) -> dict[str, Harm]:
    """Role -> what it can ruin while the others of the team go on."""
    whole = run_episodes(world, team, episodes).metrics[VALUE]
    out = {}
    for role in ROLES:
        worst = worst_constant(world, team, role, budget, progress)
        tables = [run_episodes(world, {**team, role: x}, episodes) for x in (Uniform(role), worst.policy(episodes))]
        at_random, constant = (paired_difference(x.metrics[VALUE], whole) for x in tables)
        out[role] = Harm(at_random, constant, worst, float(tables[1].metrics["collapse"].mean()))
    return out
