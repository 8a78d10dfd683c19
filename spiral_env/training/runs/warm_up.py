"""Compiling before the clock of a run starts, so that ``max_seconds`` counts training alone."""

from __future__ import annotations

import numpy as np

from spiral_env.roles import NUM_LEVERS
from spiral_env.training.runs.config import TrainConfig
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["warm_up"]


def warm_up(config: TrainConfig) -> None:
    """Live a month in the config's world; compiled code that is on disk is loaded in a moment."""
    env = SpiralVectorEnv(config.world, 1, autoreset_mode="disabled", reward_mode=config.reward_mode)
    env.reset(seed=config.world.training_seeds(config.seed, 1))
    env.step({role: np.zeros((1, n, NUM_LEVERS[role]), dtype=np.int64) for role, n in env.num_agents_of.items()})
    env.close()
