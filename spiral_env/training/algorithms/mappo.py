"""Multi-agent PPO: a central critic sees the whole state and whose value is asked for (Yu et al. 2022)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from spiral_env.training.algorithms.ppo import make_trainer
from spiral_env.training.learning.networks import Critic, linear
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.run import Report, run

__all__ = ["CentralCritic", "train"]


class CentralCritic(Critic):
    """Values ``[U, A]`` of states ``[U, D]`` for agents with observations ``[U, A, O]``.

    The state's part of the first layer is computed once for all agents of the role.
    """

    def __init__(self, inputs: int, state: int, hidden: int, layers: int) -> None:
        """Build and initialise."""
        super().__init__(inputs, hidden, layers)
        self.state: nn.Linear = linear(state, hidden, 1.0)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """Values of every agent."""
        assert state is not None
        first, *rest = self.body
        hidden = torch.tanh(first(x) + self.state(state).unsqueeze(1))
        for layer in rest:
            hidden = torch.tanh(layer(hidden))
        return self.head(hidden).squeeze(-1)


def train(config: TrainConfig, folder: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Train; see ``spiral_env.training.runs.run.run``."""
    return run(make_trainer(config, CentralCritic, central=True), folder, resume=resume, report=report)
