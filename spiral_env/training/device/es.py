"""The evolution strategy with all on one device: a generation's policies act by one batched product a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spiral_env.roles import ROLES
from spiral_env.tensor_engine import as_device
from spiral_env.training.algorithms.es import EsTrainer, Species
from spiral_env.training.device.captured import Captured, memory_suffices, prepare
from spiral_env.training.device.learner import DeviceNormaliser
from spiral_env.training.runs.config import TrainConfig
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["DeviceEsTrainer"]


class DeviceEsTrainer(EsTrainer):
    """A generation an iteration; every episode is given its full number of months, in which a fallen world rests."""

    env: Any

    def __init__(self, config: TrainConfig, device: torch.device | None = None) -> None:
        """Build all from the seed alone.

        Args:
            config: what to train and how.
            device: another than ``config.device``, as a CPU, on which the same functions run.
        """
        self.device = as_device(config.device) if device is None else device
        self._generator = prepare(self.device)
        super().__init__(config)
        envs, agents = self.env.num_envs, self.env.num_agents_of
        levers = {role: self.env.options.num_levers(role) for role in ROLES}
        self.actions = {
            role: torch.zeros((envs, agents[role], levers[role]), dtype=torch.int64, device=self.device)
            for role in ROLES
        }
        for species in self.species.values():
            species.noise = torch.zeros(species.noise_shape(envs // 2), device=self.device)
        self._scaled = {role: DeviceNormaliser(x.observations, self.device) for role, x in self.species.items()}
        # Deviations from the mean and their squares, summed over the rows that run, and how many these were.
        self._sums = {
            role: torch.zeros((2, len(x.observations.mean)), dtype=torch.float64, device=self.device)
            for role, x in self.species.items()
        }
        self._rows = torch.zeros((), dtype=torch.float64, device=self.device)
        self._running = torch.ones(envs, dtype=torch.bool, device=self.device)
        self._seen: dict[str, Tensor] = {}
        self._returns = {
            role: torch.zeros((envs, agents[role]), dtype=torch.float64, device=self.device) for role in ROLES
        }
        self._month = Captured(self._live, self.device, self._generator)

    def _new_batch(self, **options: Any) -> SpiralVectorEnv:
        return SpiralVectorEnv(device=str(self.device), **options)

    def iterate(self) -> dict[str, float]:
        """One generation; its figures are those of a CPU."""
        with memory_suffices(self.env.num_envs):
            return super().iterate()

    def mutate(self, species: Species, rng: np.random.Generator) -> None:
        """Draw the noise of a generation on the device."""
        self._generator.manual_seed(int(rng.integers(2**63)))
        species.noise.normal_(generator=self._generator)

    @torch.no_grad()
    def _live(self) -> None:
        """A month, from what is seen to what is seen next."""
        self._choose()
        _, rewards, terminated, truncated, _ = self.env.step(self.actions)
        for role, returns in self._returns.items():
            returns += rewards[role] * self._running.unsqueeze(1)
        self._running &= ~(terminated | truncated)

    def _choose(self) -> None:
        """See, note and act."""
        self._rows += self._running.sum()
        for role, species in self.species.items():
            scaled, seen = self._scaled[role], self._seen[role]
            centred = ((seen - scaled.mean) * self._running.view(-1, 1, 1)).flatten(0, 1)
            self._sums[role] += torch.stack([centred.sum(0), (centred * centred).sum(0)])
            self.actions[role].copy_(species.act(scaled.apply(seen), self.config.es_sigma))

    @torch.no_grad()
    def _play(self, seeds: np.ndarray) -> tuple[dict[str, Tensor], dict[str, float], int]:
        for tensor in (self._rows, *self._sums.values(), *self._returns.values()):
            tensor.zero_()
        self._running.fill_(True)
        self._seen, _ = self.env.reset(seed=seeds)
        for _ in range(self.env.max_cycles):
            self._month()
        self._take_noted()
        measures = self.env.metrics()
        means = torch.stack([x.double().mean() for x in measures.values()]).tolist()
        return self._returns, dict(zip(measures, means, strict=True)), self.env.max_cycles

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""
        super().load(tensors, counters)
        for scaled in self._scaled.values():
            scaled.refresh()

    def _take_noted(self) -> None:
        rows = float(self._rows)
        for role, scaled in self._scaled.items():
            agents = self.env.num_agents_of[role]
            scaled.moments.merge(int(rows * agents), self._sums[role].cpu().numpy(), scaled.mean.cpu().numpy())
            scaled.refresh()
