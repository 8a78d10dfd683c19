"""Learning: stable-baselines3 PPO over the batched engine."""

from __future__ import annotations

from train.config import TrainConfig
from train.sb3 import train

__all__ = ["TrainConfig", "train"]
