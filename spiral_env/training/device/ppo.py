"""IPPO and MAPPO with all on one device; what they learn, store and log is that of ``training.algorithms.ppo``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from spiral_env.tensor_engine import as_device
from spiral_env.training.algorithms.ppo import PpoTrainer
from spiral_env.training.device.captured import memory_suffices, prepare
from spiral_env.training.device.learner import DeviceLearner
from spiral_env.training.device.rollout import DevicePlayer
from spiral_env.training.device.update import DeviceUpdater
from spiral_env.training.learning.learner import CriticFactory
from spiral_env.training.learning.networks import Actor
from spiral_env.training.runs.config import TrainConfig
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["DeviceTrainer"]


class DeviceTrainer(PpoTrainer[DeviceLearner]):
    """On a device, from the simulator to the optimiser."""

    player: DevicePlayer

    def __init__(
        self, config: TrainConfig, critic: CriticFactory, *, central: bool, device: torch.device | None = None
    ) -> None:
        """Build all from the seed alone.

        Args:
            config: what to train and how.
            critic: makes a role's critic.
            central: whether critics see the state.
            device: another than ``config.device``, as a CPU, on which the same functions run.
        """
        self.device = as_device(config.device) if device is None else device
        self._generator = prepare(self.device)
        with memory_suffices(config.num_envs):
            super().__init__(config, critic, central=central)
            self.player = DevicePlayer(
                self.env,
                self.team,
                central=central,
                seed=config.seed,
                steps=config.num_steps,
                generator=self._generator,
            )
            self.updater = DeviceUpdater(self.team, self.player.batch, self.rule, self.weights, self._generator)

    def _new_batch(self, **options: Any) -> SpiralVectorEnv:
        return SpiralVectorEnv(device=str(self.device), **options)

    def _new_learner(self, counts: np.ndarray, inputs: int, actor: Actor, critic: nn.Module) -> DeviceLearner:
        return DeviceLearner(counts, inputs, actor, critic, self.device)

    def _restore(self, snapshot: dict[str, Any]) -> None:
        self.player.seen = self.env.restore(snapshot)

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; returns losses and the outcomes of episodes that ended."""
        config = self.config
        seed = np.random.SeedSequence([config.seed, 4, self.iteration]).generate_state(1, np.uint64)
        self._generator.manual_seed(int(seed[0]) >> 1)
        with memory_suffices(config.num_envs):
            outcomes = self.player.collect()
            self.player.judge(config.gamma, config.gae_lambda)
            losses = self.updater.step(self.learning_rate)
        return self.count(losses, outcomes)
