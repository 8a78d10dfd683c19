"""A role's learner whose every pass is on its device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from spiral_env.training.learning.flat import FusedAdam
from spiral_env.training.learning.learner import Learner
from spiral_env.training.learning.networks import Actor
from spiral_env.training.learning.normalisation import Normaliser

__all__ = ["DeviceLearner", "DeviceNormaliser"]


class DeviceNormaliser:
    """A normaliser's mean and scale as tensors, and the moments of what they are applied to.

    Attributes:
        moments: the normaliser, on the host.
        mean: as it is now, float32 ``[D]``.
        shift: what is added to scaled rows.
        scale: what rows are multiplied by.
    """

    def __init__(self, moments: Normaliser, device: torch.device) -> None:
        """Take over what the normaliser has seen."""
        self.moments = moments
        width = len(moments.mean)
        self.mean, self.shift, self.scale = (torch.zeros(width, device=device) for _ in range(3))
        self.refresh()

    def refresh(self) -> None:
        """Take over what the normaliser has seen meanwhile."""
        mean, scale = self.moments.mean.astype(np.float32), (1.0 / self.moments.std).astype(np.float32)
        self.mean.copy_(torch.from_numpy(mean))
        self.shift.copy_(torch.from_numpy(-mean * scale))
        self.scale.copy_(torch.from_numpy(scale))

    def apply(self, rows: Tensor, clip: float = 10.0) -> Tensor:
        """Rows ``[..., D]`` in standard deviations from the mean, clipped."""
        return torch.addcmul(self.shift, rows, self.scale).clamp_(-clip, clip)

    def merge(self, mean: np.ndarray, variance: np.ndarray, rows: int) -> None:
        """Take in parts of ``rows`` rows each by their means and variances ``[T, D]``."""
        mean, variance = mean.astype(np.float64), variance.astype(np.float64)
        centred = mean - mean.mean(0)
        squares = rows * (variance.sum(0) + (centred * centred).sum(0))
        self.moments.merge(rows * len(mean), np.stack([np.zeros_like(squares), squares]), mean.mean(0))
        self.refresh()


class DeviceLearner(Learner):
    """A learner that acts and values without a word from the host.

    Attributes:
        scaled: its normaliser of observations on the device.
        value_moments: mean and standard deviation of the value targets, ``[2]`` on the device.
    """

    def __init__(self, counts: np.ndarray, inputs: int, actor: Actor, critic: nn.Module, device: torch.device) -> None:
        """Take over freshly initialised networks."""
        super().__init__(counts, inputs, actor, critic, device, FusedAdam)
        self.by_hand = False
        self.scaled = DeviceNormaliser(self.observations, self.device)
        self.value_moments = torch.tensor([0.0, 1.0], device=self.device)

    def luck(self, rows: int, generator: torch.Generator) -> Tensor:
        """What ``draw`` needs for ``rows`` rows."""
        draw = torch.randn if self.actor.continuous else torch.rand
        return draw((rows, len(self.counts)), device=self.device, generator=generator)

    @torch.no_grad()
    def judge(self, x: Tensor, state: Tensor | None) -> Tensor:
        """Values ``[U, A]`` in units of reward, of normalised observations ``[U, A, O]`` and states ``[U, D]``."""
        return self.critic(x, state) * self.value_moments[1] + self.value_moments[0]

    def renew_targets(self, mean: float, variance: float, count: int) -> None:
        """Take in ``count`` new value targets by their mean and variance; the critic says the same as before."""
        before = float(self.targets.mean[0]), float(self.targets.std[0])
        self.targets.merge(count, np.array([[0.0], [count * variance]]), np.array([mean]))
        self.keep_values(*before)
        self._refresh()

    def _refresh(self) -> None:
        self.value_moments.copy_(torch.tensor([float(self.targets.mean[0]), float(self.targets.std[0])]))

    def move(self, gradient: Tensor, moving: Tensor) -> None:
        """Move against a gradient laid out as ``flat``; where ``moving`` is 0 the actor keeps every bit."""
        at = 0
        for adam, resting in zip(self.adam.values(), (1.0 - moving, torch.zeros_like(moving)), strict=True):
            assert isinstance(adam, FusedAdam)
            adam.gradient.copy_(gradient[at : at + len(adam.gradient)])
            adam.step(resting)
            at += len(adam.gradient)

    def set_rate(self, rate: float) -> None:
        """The learning rate from now on."""
        for adam in self.adam.values():
            assert isinstance(adam, FusedAdam)
            adam.rate.fill_(rate)

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        super().load(tensors)
        self.scaled.refresh()
        self._refresh()
