"""Epochs of minibatch gradient steps of all roles on a rollout that lies on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spiral_env.roles import ROLES
from spiral_env.training.device.captured import Captured, NoRoom
from spiral_env.training.device.learner import DeviceLearner
from spiral_env.training.learning.gradients import Batch, ByAutograd, Weights
from spiral_env.training.learning.update import LOSSES, Rule

if TYPE_CHECKING:
    from spiral_env.training.device.fused import Fused

__all__ = ["DeviceUpdater"]


class DeviceUpdater:
    """As ``Updater``; a minibatch is a set of cells, or of whole ecosystems where a memory must be unrolled.

    Every minibatch has the same size: what an epoch's permutation puts last and does not fill one rests.
    """

    def __init__(
        self,
        team: dict[str, DeviceLearner],
        batches: dict[str, Batch],
        rule: Rule,
        weights: Weights,
        generator: torch.Generator,
    ) -> None:
        """Learn again and again from the same tensors."""
        self.team, self.rule, self._weights, self._batches, self._generator = team, rule, weights, batches, generator
        device = generator.device
        self._steps, self._envs = next(iter(batches.values())).starts.shape
        self._sequences = any(x.recurrent for x in team.values())
        count = self._envs if self._sequences else self._steps * self._envs
        self._size, self._count = count // rule.minibatches, count
        shape = (self._steps, self._size) if self._sequences else (self._size,)
        self._index = torch.zeros(shape, dtype=torch.int64, device=device)
        self._months = torch.arange(self._steps, device=device).unsqueeze(1) * self._envs
        self._gradients: dict[str, ByAutograd | Fused] = {role: _gradient(x, weights) for role, x in team.items()}
        self._moving = {role: torch.ones((), device=device) for role in ROLES}
        self._sums = {role: torch.zeros(len(LOSSES), device=device) for role in ROLES}
        self._epoch_kl = {role: torch.zeros((), device=device) for role in ROLES}
        self._minibatch = Captured(self._learn, device, generator)

    def step(self, learning_rate: float) -> dict[str, float]:
        """All epochs on the rollout; returns the losses, mean over minibatches, ``<loss>/<role>``."""
        for role, learner in self.team.items():
            learner.set_rate(learning_rate)
            self._moving[role].fill_(1.0)
            self._sums[role].zero_()
        for _ in range(self.rule.epochs):
            order = torch.randperm(self._count, device=self._index.device, generator=self._generator)
            for k in range(self.rule.minibatches):
                part = order[k * self._size : (k + 1) * self._size]
                self._index.copy_(self._months + part if self._sequences else part)
                self._minibatch()
            self._rest()
        means = (torch.stack([*self._sums.values()]) / (self.rule.epochs * self.rule.minibatches)).tolist()
        rows = dict(zip(self._sums, means, strict=True))
        return {f"{name}/{role}": rows[role][k] for k, name in enumerate(LOSSES) for role in ROLES}

    def _rest(self) -> None:
        """An actor that went too far in this epoch rests for the others."""
        for role, kl in self._epoch_kl.items():
            if self.rule.target_kl > 0.0:
                self._moving[role].mul_(kl <= 1.5 * self.rule.target_kl * self.rule.minibatches)
            kl.zero_()

    def _learn(self) -> None:
        """One gradient step of every role."""
        for role, learner in self.team.items():
            batch, moving = self._batches[role], self._moving[role]
            scale = 1.0 / (self._index.numel() * batch.x.shape[1])
            try:
                sums = self._gradients[role].write(batch, self._index, scale, moving) * scale
            except NoRoom:
                self._gradients[role] = ByAutograd(learner, self._weights)
                sums = self._gradients[role].write(batch, self._index, scale, moving) * scale
            gradient = self._gradients[role]
            norm = _clip(gradient.out, self.rule.max_grad_norm)
            with torch.no_grad():
                learner.move(gradient.out, moving)
                self._sums[role] += torch.cat([sums, norm.unsqueeze(0)])
                self._epoch_kl[role] += sums[LOSSES.index("kl")]


def _gradient(learner: DeviceLearner, weights: Weights) -> ByAutograd | Fused:
    """One pass by Triton where that covers the networks, else torch's autograd."""
    if learner.device.type == "cuda":
        try:
            from spiral_env.training.device.fused import Fused, suits
        except ModuleNotFoundError:
            # Triton comes with torch where there are wheels of it.
            return ByAutograd(learner, weights)
        if suits(learner):
            return Fused(learner, weights)
    return ByAutograd(learner, weights)


def _clip(gradient: Tensor, limit: float) -> Tensor:
    """Scale a gradient in place to a norm of at most ``limit``; returns the norm before."""
    norm = torch.linalg.vector_norm(gradient)
    gradient.mul_((limit / norm).clamp_(max=1.0))
    return norm
