"""What a team could gain that knew the future: a trained team's actions, bettered by plans in the true world.

A plan holds some levers of all agents of a role at 0, .5 or 1 for some months, over what the trained team does; after
it the trained team plays on to the episode's end, which is simulated from a snapshot with the true draws. The best plan
of a cross-entropy search is lived for its first months, then another is made. Since the unchanged team is always among
the plans, and what is left of the plan before, no episode ends below the trained team's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spiral_env.policy import ask_policy, episode_keys, reset_policy
from spiral_env.questions.teams import VALUE, Team
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv
from tests.benchmarks.search import PARTS, WIDTH

__all__ = ["Planning", "planned"]

_CHOICES = np.array([np.nan, 0.0, 0.5, 1.0])
"""Of a lever in a plan: as the team does, or an effort."""
_KEEP = 0.85
"""Share of levers that a first plan leaves as they are."""


@dataclass(frozen=True)
class Planning:
    """How much is searched.

    Attributes:
        horizon: months a plan lasts.
        stride: months of it that are lived.
        plans: looked at in each round.
        rounds: of the search for one plan.
    """

    horizon: int = 8
    stride: int = 4
    plans: int = 48
    rounds: int = 3


class _Copies:
    """Many copies of some ecosystems, a block of ``plans`` rows for each, and the trained team in all of them."""

    def __init__(self, world: Scenario, players: Team, seeds: list[int], plans: int) -> None:
        self.players, self.plans, self.count = players, plans, len(seeds)
        rows = len(seeds) * plans
        self.env = SpiralVectorEnv(world, rows, 1, "disabled", action_mode="continuous")
        self.env.reset(seed=list(np.repeat(seeds, plans)))
        for role in ROLES:
            reset_policy(players[role], role, episode_keys(range(rows)))
        self.efforts = np.zeros((rows, self.env.num_agents, MAX_LEVERS))

    def live(self, months: int, plan: np.ndarray, lasts: np.ndarray) -> None:
        """Some months, each row's first ``lasts`` ``[rows]`` under its plan ``[rows, levers]``."""
        for month in range(months):
            for k, role in enumerate(ROLES):
                last = k + 1 if k < len(ROLES) - 1 else None
                own = ask_policy(self.players[role], role, self.env.engine.observations[role])
                wish = plan[:, None, PARTS[role]]
                own = np.where(np.isnan(wish) | (lasts <= month)[:, None, None], own, wish)
                self.efforts[:, k:last, : NUM_LEVERS[role]] = own
            self.env.engine.step(self.efforts)

    def values(self) -> np.ndarray:
        """Ecosystem value of the episodes so far, ``[ecosystems, plans]``."""
        return np.asarray(self.env.metrics()[VALUE].reshape(self.count, self.plans))


def planned(
    world: Scenario, players: Team, episodes: int, planning: Planning, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ecosystem value ``[episodes]`` of the trained team, and with plans, on the first held-out seeds.

    The team must have no memory of its own: it is set back with its world.
    """
    rng = np.random.default_rng([seed, 7])
    copies = _Copies(world, players, world.evaluation_seeds(0, episodes), planning.plans)
    months, rows = copies.env.max_cycles, episodes * planning.plans
    start = copies.env.engine.save()
    copies.live(months, np.full((rows, WIDTH), np.nan), np.zeros(rows))
    before = copies.values()[:, 0]
    copies.env.engine.load(*start)
    best, lasts = np.full((episodes, WIDTH), np.nan), np.zeros(episodes)
    for month in range(0, months, planning.stride):
        best, lasts = _plan(copies, best, lasts, months - month, planning, rng)
        lived = min(planning.stride, months - month)
        copies.live(lived, np.repeat(best, planning.plans, axis=0), np.repeat(lasts, planning.plans))
        lasts = np.maximum(0, lasts - lived)
    after = copies.values()[:, 0]
    copies.env.close()
    return before, after


def _plan(
    copies: _Copies, best: np.ndarray, lasts: np.ndarray, left: int, planning: Planning, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The best plan found for each ecosystem, ``[ecosystems, levers]``, and its months; the worlds are as they were.

    ``best`` and ``lasts`` are what is left of the plan before.
    """
    here = copies.env.engine.save()
    chance = np.full((copies.count, WIDTH, len(_CHOICES)), (1.0 - _KEEP) / (len(_CHOICES) - 1))
    chance[..., 0] = _KEEP
    elites = max(2, planning.plans // 8)
    every = np.arange(copies.count)
    for _ in range(planning.rounds):
        edges = chance.cumsum(-1)[:, None, :, :-1]
        picks = (rng.random((copies.count, planning.plans, WIDTH, 1)) > edges).sum(-1)
        plans, months = _CHOICES[picks], np.full((copies.count, planning.plans), float(planning.horizon))
        plans[:, 0], plans[:, 1], months[:, 1] = np.nan, best, lasts
        copies.env.engine.load(*here)
        copies.live(left, plans.reshape(-1, WIDTH), months.reshape(-1))
        values = copies.values()
        order = np.argsort(-values, axis=1, kind="stable")[:, :elites]
        best, lasts = plans[every, order[:, 0]], months[every, order[:, 0]]
        for k in every:
            share = (picks[k, order[k]][..., None] == np.arange(len(_CHOICES))).mean(0)
            chance[k] = 0.3 * chance[k] + 0.7 * share
    copies.env.engine.load(*here)
    return best, lasts
