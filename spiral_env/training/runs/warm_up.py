"""Compiling before the clock of a run starts, so that ``max_seconds`` counts training alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.roles import NUM_LEVERS
from spiral_env.training.runs.config import TrainConfig
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["warm_up"]


def warm_up(config: TrainConfig) -> None:
    """Live a month in the config's world where it will be; compiled code that is on disk is loaded in a moment."""
    device = config.device if config.on_device else None
    env: Any = SpiralVectorEnv(
        config.world, 1, autoreset_mode="disabled", reward_mode=config.reward_mode, device=device
    )
    env.reset(seed=config.world.training_seeds(config.seed, 1))
    actions: dict[str, Any] = {
        role: np.zeros((1, n, NUM_LEVERS[role]), dtype=np.int64) for role, n in env.num_agents_of.items()
    }
    if device is not None:
        import torch

        actions = {role: torch.from_numpy(x).to(env.device) for role, x in actions.items()}
    env.step(actions)
    env.close()
