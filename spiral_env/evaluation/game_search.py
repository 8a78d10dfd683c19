"""Bounded search of what a role does best, or worst, against given others: tables by stage, found by cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from spiral_env.evaluation.game_play import STAGES, Deviation, agents_of, live
from spiral_env.policy import Policy
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.references import MEASURE as VALUE

__all__ = [
    "ONE_SME",
    "SEATS",
    "OWN",
    "VALUE",
    "Budget",
    "Response",
    "best_response",
    "cross_entropy",
    "role_of",
    "worst_constant",
]

ONE_SME = "one sme"
SEATS = (*ROLES, ONE_SME)
"""Who may deviate: a role, all its agents together, or one SME of each world, another in each."""
OWN, ADDED, TABLE, CONSTANT = "its own", "own, changed by stage", "efforts by stage", "constant"
_SPREAD, _LEAST, _PACE = 0.35, 0.03, 0.7
_ELITES = 5
"""Of a population one in so many."""
_ROWS = 1024
"""Episodes in a batch: some 40 kB each."""

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Mean score ``[P]`` of points ``[P, ...]`` in the worlds of some seeds."""
Candidate = Callable[[int], Policy]


@dataclass(frozen=True)
class Budget:
    """How much one search may play.

    Attributes:
        episodes: of each search from one start.
        population: points looked at in a round.
        worlds: in which each of them is looked at; new ones every round.
        judged: worlds, never searched in, that choose between what searches found.
        seed: of draws and worlds, which are of the scenario's training seeds.
    """

    episodes: int = 3000
    population: int = 24
    worlds: int = 8
    judged: int = 64
    seed: int = 0

    @property
    def rounds(self) -> int:
        """Of a search."""
        return max(1, self.episodes // (self.population * self.worlds))


@dataclass(frozen=True)
class Response:
    """What was found for one seat.

    Attributes:
        seat: of ``SEATS``.
        kind: what it is; "its own" where nothing better was found than what is played anyhow.
        policy: number of worlds in a batch -> who plays the seat's role in them; one SME is another in each.
        table: efforts by stage or what is added to one's own, ``[3 or 1, L]``; None of a policy given by name.
        value: mean in the worlds that chose it.
        episodes: played to find it.
    """

    seat: str
    kind: str
    policy: Candidate
    table: np.ndarray | None
    value: float
    episodes: int


def cross_entropy(
    score: Score,
    start: np.ndarray,
    bounds: tuple[float, float],
    seeds: Callable[[int], np.ndarray],
    budget: Budget,
    rng: np.random.Generator,
) -> np.ndarray:
    """Where a search by the cross-entropy method (Rubinstein 1999) ends, from ``start``.

    Args:
        score: mean score of points on seeds: higher is better.
        start: a point of any shape.
        bounds: of every coordinate.
        seeds: number of a round -> seeds of its worlds.
        budget: rounds and population.
        rng: of the draws.
    """
    mean, spread = start.astype(np.float64), np.full(start.shape, _SPREAD)
    for number in range(budget.rounds):
        points = np.clip(mean + spread * rng.standard_normal((budget.population, *mean.shape)), *bounds)
        points[0] = mean
        order = np.argsort(-score(points, seeds(number)), kind="stable")
        elites = points[order[: max(2, budget.population // _ELITES)]]
        mean = _PACE * elites.mean(0) + (1.0 - _PACE) * mean
        spread = np.maximum(_LEAST, _PACE * elites.std(0) + (1.0 - _PACE) * spread)
    return mean


def role_of(seat: str) -> str:
    """The role of a seat."""
    return "sme" if seat == ONE_SME else seat


@dataclass(frozen=True)
class _Against:
    """A seat, with the others frozen.

    Attributes:
        world: where.
        team: role -> policy, the seat's own among them.
        seat: of ``SEATS``.
        measure: outcome that counts; empty for the seat's own payoff.
        sign: 1 to make it large, -1 to make it small.
    """

    world: Scenario
    team: Mapping[str, Policy]
    seat: str
    measure: str = ""
    sign: float = 1.0

    @property
    def role(self) -> str:
        return role_of(self.seat)

    def chosen(self, count: int) -> np.ndarray | None:
        """Who deviates in each of ``count`` worlds, ``[count, A]``; None for all."""
        if self.seat != ONE_SME:
            return None
        smes = self.world.num_smes
        return np.asarray(np.arange(count)[:, None] % smes == np.arange(smes))

    def deviation(self, tables: np.ndarray, kind: str, worlds: int) -> Policy:
        """Of tables ``[P, stages, L]``, each in all worlds."""
        rows = tables.repeat(worlds, 0)
        return Deviation(self.team[self.role], self.role, rows, kind == ADDED, self.chosen(worlds))

    def values(self, policy: Policy, seeds: np.ndarray, each: int) -> np.ndarray:
        """What counts, ``[E]``, where ``policy`` plays the seat's role; ``each`` rows are the worlds once."""
        lived = live(self.world, {**self.team, self.role: policy}, seeds)
        if self.measure:
            return self.sign * lived.metrics[self.measure]
        mine, chosen = lived.payoffs[:, agents_of(self.world, self.role)], self.chosen(each)
        if chosen is None:
            return np.asarray(self.sign * mine.mean(1))
        return np.asarray(self.sign * mine[np.tile(chosen, (len(seeds) // each, 1))])

    def score(self, kind: str) -> Score:
        """Mean of what counts for tables of a kind."""

        def mean(tables: np.ndarray, seeds: np.ndarray) -> np.ndarray:
            at_once = max(1, _ROWS // len(seeds))
            parts = []
            for k in range(0, len(tables), at_once):
                part = tables[k : k + at_once]
                policy = self.deviation(part, kind, len(seeds))
                found = self.values(policy, np.tile(seeds, len(part)), len(seeds))
                parts.append(found.reshape(len(part), len(seeds)).mean(1))
            return np.concatenate(parts)

        return mean


def best_response(
    world: Scenario,
    team: Mapping[str, Policy],
    seat: str,
    budget: Budget,
    others: Mapping[str, Policy] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Response:
    """What pays a seat most against the frozen others, of what a bounded search finds.

    Its own efforts changed by stage, and efforts by stage in their place, are searched; then these, what it does anyhow
    and ``others`` are judged in worlds that no search played. What it gains in worlds that neither played bounds the
    best response's gain from below.

    Args:
        world: where.
        team: role -> policy, all of them frozen.
        seat: of ``SEATS``; what counts is its mean payoff.
        budget: of each of the two searches.
        others: name -> policy of the seat's role that might be better; not for one SME.
        progress: told how many more episodes have been played.
    """
    against, levers = _Against(world, team, seat), NUM_LEVERS[role_of(seat)]
    starts = {ADDED: (np.zeros((len(STAGES), levers)), (-1.0, 1.0)), TABLE: (np.full((3, levers), 0.5), (0.0, 1.0))}
    return _searched(against, starts, budget, others or {}, progress)


def worst_constant(
    world: Scenario,
    team: Mapping[str, Policy],
    role: str,
    budget: Budget,
    progress: Callable[[int], None] | None = None,
) -> Response:
    """The constant efforts of a role that harm the ecosystem's value most, of what a bounded search finds."""
    against = _Against(world, team, role, VALUE, -1.0)
    starts = {CONSTANT: (np.full((1, NUM_LEVERS[role]), 0.5), (0.0, 1.0))}
    return _searched(against, starts, budget, {}, progress, ends=True)


def _searched(
    against: _Against,
    starts: Mapping[str, tuple[np.ndarray, tuple[float, float]]],
    budget: Budget,
    others: Mapping[str, Policy],
    progress: Callable[[int], None] | None,
    *,
    ends: bool = False,
) -> Response:
    """Search from each start, and judge what was found beside the seat's own policy and others.

    ``ends``: what was found is judged too with every effort at the nearest of its bounds, and so are all low, all high.
    """
    world, rng = against.world, np.random.default_rng([budget.seed, SEATS.index(against.seat)])
    tell = progress or (lambda count: None)

    def seeds(number: int) -> np.ndarray:
        tell(budget.population * budget.worlds)
        return np.array(world.training_seeds(budget.seed + 1 + number, budget.worlds), dtype=np.int64)

    given = {OWN: against.team[against.role], **others}
    found: dict[str, Candidate] = {name: partial(_same, policy) for name, policy in given.items()}
    tables: dict[str, np.ndarray] = {}
    for kind, (start, bounds) in starts.items():
        best = cross_entropy(against.score(kind), start, bounds, seeds, budget, rng)
        tables |= {kind: best}
        tables |= {f"{kind} at its ends": np.round(best), **_ends(kind, best.shape)} if ends else {}
    found |= {kind: partial(against.deviation, table[None], kind) for kind, table in tables.items()}
    judged = np.array(world.training_seeds(budget.seed + 1_000_000, budget.judged), dtype=np.int64)
    values = {name: float(against.values(x(len(judged)), judged, len(judged)).mean()) for name, x in found.items()}
    kind = max(values, key=lambda name: values[name])
    played = len(starts) * budget.rounds * budget.population * budget.worlds + len(values) * len(judged)
    return Response(against.seat, kind, found[kind], tables.get(kind), against.sign * values[kind], played)


def _ends(kind: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {f"{kind} {value}": np.full(shape, float(value)) for value in (0, 1)}


def _same(policy: Policy, worlds: int) -> Policy:
    return policy
