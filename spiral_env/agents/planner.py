"""A planner over exact snapshots: rolling horizon, plans by the cross-entropy method (Rubinstein 1999).

A plan holds some levers of all agents of a role at 0, .5 or 1 for some months, over what a base team does; after it the
base team plays on to the episode's end. Plans are lived in copies of the present ecosystem; the best of a cross-entropy
search is lived for its first months in the real one, then another is made.

No policy: it copies the whole state, hidden parts included. With the true draws (``Planning.futures`` 0) it knows the
future too, and its score is an upper bound of what plans of this kind can reach: since the unchanged team is always
among them, and what is left of the plan before, no episode ends below the base team's. With resampled draws it is an
honest planner: a copy goes on under other seeds, the same for all plans, and a plan counts by its mean over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spiral_env.evaluation.game_play import PARTS, WIDTH
from spiral_env.policy import Policy, ask_policy, episode_keys, reset_policy
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["PARTS", "WIDTH", "Planning", "planned"]

_VALUE = "ecosystem_value"
_CHOICES = np.array([np.nan, 0.0, 0.5, 1.0])
"""Of a lever in a plan: as the team does, or an effort."""
_KEEP = 0.85
"""Share of levers that a first plan leaves as they are."""
_PACE = 0.7


@dataclass(frozen=True)
class Planning:
    """How much is searched.

    Attributes:
        horizon: months a plan lasts.
        stride: months of it that are lived.
        plans: looked at in each round.
        rounds: of the search for one plan.
        futures: draws under which each plan is looked at; 0 for the true ones alone.
    """

    horizon: int = 8
    stride: int = 4
    plans: int = 48
    rounds: int = 3
    futures: int = 0


class _Batch:
    """Rows of ecosystems, and the base team in all of them."""

    def __init__(self, world: Scenario, team: Mapping[str, Policy], seeds: np.ndarray) -> None:
        self.team, rows = team, len(seeds)
        self.env = SpiralVectorEnv(world, rows, 1, "disabled", action_mode="continuous")
        self.env.reset(seed=list(seeds))
        for role in ROLES:
            reset_policy(team[role], role, episode_keys(range(rows)))
        self.efforts = np.zeros((rows, self.env.num_agents, MAX_LEVERS))

    def live(self, months: int, plan: np.ndarray, lasts: np.ndarray) -> None:
        """Some months, each row's first ``lasts`` ``[rows]`` under its plan ``[rows, levers]``."""
        for month in range(months):
            for k, role in enumerate(ROLES):
                last = k + 1 if k < len(ROLES) - 1 else None
                own = ask_policy(self.team[role], role, self.env.engine.observations[role])
                wish = plan[:, None, PARTS[role]]
                own = np.where(np.isnan(wish) | (lasts <= month)[:, None, None], own, wish)
                self.efforts[:, k:last, : NUM_LEVERS[role]] = own
            self.env.engine.step(self.efforts)

    def values(self) -> np.ndarray:
        """Ecosystem value of the episodes so far, ``[rows]``."""
        return np.asarray(self.env.metrics()[_VALUE])


def planned(
    world: Scenario, team: Mapping[str, Policy], episodes: int, planning: Planning, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ecosystem value ``[episodes]`` of the base team, and with plans, on the first held-out seeds.

    Args:
        world: where.
        team: role -> policy of the base team, which must have no memory of its own: it is set back with its world.
        episodes: how many.
        planning: how much is searched.
        seed: of the search and of resampled futures.
    """
    rng = np.random.default_rng([seed, 7])
    seeds = np.array(world.evaluation_seeds(0, episodes))
    real = _Batch(world, team, seeds)
    copies = _Batch(world, team, np.repeat(seeds, planning.plans * max(1, planning.futures)))
    start, months = real.env.engine.save(), real.env.max_cycles
    best, lasts = np.full((episodes, WIDTH), np.nan), np.zeros(episodes)
    real.live(months, best, lasts)
    before = real.values()
    real.env.engine.load(*start)
    for month in range(0, months, planning.stride):
        best, lasts = _plan(real, copies, best, lasts, months - month, planning, rng)
        lived = min(planning.stride, months - month)
        real.live(lived, best, lasts)
        lasts = np.maximum(0, lasts - lived)
    after = real.values()
    real.env.close()
    copies.env.close()
    return before, after


def _plan(
    real: _Batch,
    copies: _Batch,
    best: np.ndarray,
    lasts: np.ndarray,
    left: int,
    planning: Planning,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The best plan found for each ecosystem, ``[ecosystems, levers]``, and its months.

    ``best`` and ``lasts`` are what is left of the plan before.
    """
    count, futures = len(best), max(1, planning.futures)
    here = _copied(real, planning, rng)
    chance = np.full((count, WIDTH, len(_CHOICES)), (1.0 - _KEEP) / (len(_CHOICES) - 1))
    chance[..., 0] = _KEEP
    elites = max(2, planning.plans // 8)
    every = np.arange(count)
    for _ in range(planning.rounds):
        edges = chance.cumsum(-1)[:, None, :, :-1]
        picks = (rng.random((count, planning.plans, WIDTH, 1)) > edges).sum(-1)
        plans, months = _CHOICES[picks], np.full((count, planning.plans), float(planning.horizon))
        plans[:, 0], plans[:, 1], months[:, 1] = np.nan, best, lasts
        copies.env.engine.load(*here)
        copies.live(left, plans.reshape(-1, WIDTH).repeat(futures, 0), months.reshape(-1).repeat(futures))
        values = copies.values().reshape(count, planning.plans, futures).mean(-1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :elites]
        best, lasts = plans[every, order[:, 0]], months[every, order[:, 0]]
        for k in every:
            share = (picks[k, order[k]][..., None] == np.arange(len(_CHOICES))).mean(0)
            chance[k] = (1.0 - _PACE) * chance[k] + _PACE * share
    return best, lasts


def _copied(real: _Batch, planning: Planning, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The present of each ecosystem, once for each of its rows of copies; with futures of their own if so planned."""
    states, params = (x.repeat(planning.plans * max(1, planning.futures)) for x in real.env.engine.save())
    if planning.futures:
        fresh = rng.integers(2**62, size=(real.env.num_envs, 1, planning.futures))
        states["seed"] = np.broadcast_to(fresh, (real.env.num_envs, planning.plans, planning.futures)).reshape(-1)
    return states, params
