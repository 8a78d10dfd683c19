"""Independent PPO: each role's critic sees what its actor sees (de Witt et al. 2020)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from spiral_env.training.algorithms.ppo import make_trainer
from spiral_env.training.learning.networks import Critic
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.run import Report, run

__all__ = ["LocalCritic", "train"]


class LocalCritic(Critic):
    """Values ``[U, A]`` of observations ``[U, A, O]``."""

    def __init__(self, inputs: int, _state: int, hidden: int, layers: int) -> None:
        """The state's width does not matter here."""
        super().__init__(inputs, hidden, layers)

    def forward(self, x: Tensor, _state: Tensor | None = None) -> Tensor:
        """Values of every agent."""
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def train(config: TrainConfig, folder: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Train; see ``spiral_env.training.runs.run.run``."""
    return run(make_trainer(config, LocalCritic, central=False), folder, resume=resume, report=report)
