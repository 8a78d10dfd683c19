"""What a team does over the months of its episodes, and what breaches cost it year by year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spiral_env.policy import Policy
from spiral_env.render.replay.course import SERIES
from spiral_env.render.replay.recording import play
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Course", "course_of"]

_YEAR = 12


@dataclass(frozen=True)
class Course:
    """Of a team, over episodes.

    Attributes:
        levers: role -> mean effort of each lever by month, float64 ``[L, M]``, over episodes that live and agents.
        losses: drawn breach losses of platform and SMEs in k$, one a whole year that was lived, float64 ``[Y]``.
    """

    levers: dict[str, np.ndarray]
    losses: np.ndarray


def course_of(world: Scenario, team: Mapping[str, Policy], episodes: int, seed: int = 0) -> Course:
    """Play ``episodes`` held-out episodes from the ``seed``-th on, side by side.

    Args:
        world: the scenario.
        team: role -> who plays it.
        episodes: how many.
        seed: which of the held-out seeds is the first.
    """
    env = SpiralVectorEnv(world, episodes, autoreset_mode="disabled", action_mode="continuous")
    months = env.max_cycles
    efforts = {role: np.full((NUM_LEVERS[role], months), np.nan) for role in ROLES}
    losses = np.full((months, episodes), np.nan)
    month = iter(range(months))

    def look(asked: dict[str, np.ndarray], alive: np.ndarray) -> None:
        m = next(month)
        for role in ROLES:
            efforts[role][:, m] = asked[role][alive].mean((0, 1))
        losses[m, alive] = SERIES["realised_loss"].of(env.engine.states[alive])

    play(env, [team], world.evaluation_seeds(seed, episodes), look)
    env.close()
    years = losses[: months - months % _YEAR].reshape(-1, _YEAR, episodes).sum(1).ravel()
    return Course(efforts, years[~np.isnan(years)])
