"""Postures and triage of the first months, found by trying all of them in copies of the world.

A policy sees what IT counts in each tier, and its first month sees little. Where findings are named, more can be done:
every set of postures and every triage is held for some months in copies of the opening, under the same draws, and a
base team plays on. The best on average over training seeds is the plan; it is judged in other episodes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from spiral_env.policy import Policy, ask_policy, episode_keys, reset_policy
from spiral_env.roles import LEVERS, ROLES
from spiral_env.roles.public import TIERS
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Held", "plan_first_months"]

HELD_MONTHS = 3
_LEVELS = (0.0, 0.5, 1.0)
_PLANS = np.array(list(itertools.product(_LEVELS, repeat=len(TIERS) + 1)))
"""Efforts for the tiers and for triage, ``[81, 4]``."""
_PLACES = [next(k for k, x in enumerate(LEVERS["it"]) if x.name == name) for name in (*TIERS, "triage")]
_SEEDS = 8


class Held:
    """IT that holds the levers of a plan for its first months and then does as another policy does."""

    def __init__(self, base: Policy, plan: np.ndarray, months: int = HELD_MONTHS) -> None:
        """Over a base policy; ``plan`` is efforts ``[4]`` for the tiers and triage, or a row of them an episode."""
        self.name = f"planner over {base.name}"
        self._base, self._plan, self._months, self._month = base, plan, months, 0

    def reset(self, keys: np.ndarray) -> None:
        """Episodes begin: the plan holds again."""
        self._month = 0
        self._base.reset(keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, 1, L]``."""
        efforts = np.array(self._base.act(observation), dtype=np.float64)
        if self._month < self._months:
            efforts[:, 0, _PLACES] = self._plan
        self._month += 1
        return efforts


def plan_first_months(
    world: Scenario, team: Callable[[], Mapping[str, Policy]], months: int = 12, seed: int = 0
) -> np.ndarray:
    """The plan with the highest mean ecosystem value over so many months: efforts ``[4]`` for the tiers and triage.

    Args:
        world: whose opening is tried.
        team: gives the base team, fresh.
        months: that are lived in each copy.
        seed: of the training seeds that are lived.
    """
    players = dict(team())
    seeds = world.training_seeds(seed, _SEEDS)
    rows = len(_PLANS) * len(seeds)
    players["it"] = Held(players["it"], np.repeat(_PLANS, len(seeds), axis=0))
    env = SpiralVectorEnv(world, rows, autoreset_mode="disabled", action_mode="continuous", max_cycles=months)
    observations, _ = env.reset(seed=np.array(seeds * len(_PLANS), dtype=np.int64))
    for role in ROLES:
        reset_policy(players[role], role, episode_keys(range(rows)))
    for _ in range(months):
        observations, *_ = env.step({r: ask_policy(players[r], r, observations[r]) for r in ROLES})
    values = np.asarray(env.metrics()["ecosystem_value"]).reshape(len(_PLANS), len(seeds)).mean(1)
    env.close()
    best: np.ndarray = _PLANS[int(values.argmax())]
    return best
