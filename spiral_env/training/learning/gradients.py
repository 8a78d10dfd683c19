"""The gradient of a share of a minibatch, for one role, as a protocol, and by torch's autograd.

``by_hand`` and ``training.device.fused`` hold what is faster where it can be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from spiral_env.training.learning.flat import views
from spiral_env.training.learning.losses import policy_loss, value_loss

if TYPE_CHECKING:
    from spiral_env.training.learning.learner import Learner

__all__ = ["Batch", "ByAutograd", "Gradient", "Weights"]


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss."""

    clip_coef: float
    ent_coef: float
    vf_coef: float


@dataclass
class Batch:
    """One role's rollout as tensors of ``T * E`` cells, ``[U, A, ...]``, and what all roles share.

    Attributes:
        memory: of recurrent actors at the rollout's start, ``[E, A, H]``.
        state: normalised states ``[U, D]`` for a central critic.
        starts: 1 where an episode began, float32 ``[T, E]``.
    """

    x: Tensor
    actions: Tensor
    log_p: Tensor
    advantages: Tensor
    targets: Tensor
    memory: Tensor | None
    state: Tensor | None
    starts: Tensor


class Gradient(Protocol):
    """Computes one piece."""

    out: Tensor

    def take(self, batch: Batch, cells: np.ndarray, scale: float, moving: bool) -> np.ndarray:
        """Write the gradient of ``scale`` times the summed loss over ``cells`` to ``out``.

        Where not ``moving``, the actor's part is zero. Returns the sums of policy loss, value loss, entropy and KL,
        each times ``scale``.
        """


class ByAutograd:
    """For everything else: normals, memories, CUDA.

    Attributes:
        out: gradient, laid out as the learner's parameters.
    """

    def __init__(self, learner: Learner, weights: Weights) -> None:
        """Nothing is kept but the gradient."""
        self.learner, self.weights = learner, weights
        self.out = torch.zeros_like(learner.flat)
        self._parameters = learner.parameters()
        self._parts = views(self.out, self._parameters)

    def take(self, batch: Batch, cells: np.ndarray, scale: float, moving: bool) -> np.ndarray:
        """As the protocol says."""
        index = torch.from_numpy(np.ascontiguousarray(cells)).to(self.learner.device)
        return self.write(batch, index, scale, float(moving)).cpu().numpy().astype(np.float64) * scale

    def write(self, batch: Batch, index: Tensor, scale: float, moving: float | Tensor) -> Tensor:
        """As ``take`` with all on the learner's device: cells ``index``, 1 or 0 for ``moving``; sums not scaled."""
        loss, sums = self._loss(batch, index, scale, moving)
        gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        for part, gradient in zip(self._parts, gradients, strict=True):
            if gradient is None:
                part.zero_()
            else:
                part.copy_(gradient)
        return torch.stack(sums)

    def _loss(self, batch: Batch, index: Tensor, scale: float, moving: float | Tensor) -> tuple[Tensor, list[Tensor]]:
        learner, weights, flat = self.learner, self.weights, index.reshape(-1)
        x = batch.x[flat]
        rows = x.shape[0] * x.shape[1]
        parameters = self._unroll(batch, x, index) if learner.recurrent else learner.actor(x.reshape(rows, -1))[0]
        log_p, entropy = learner.terms(parameters, batch.actions[flat].reshape(rows, -1))
        old_log_p, advantages, targets = (y[flat].reshape(rows) for y in (batch.log_p, batch.advantages, batch.targets))
        policy, kl = policy_loss(log_p, old_log_p, advantages, weights.clip_coef)
        value = value_loss(learner.critic(x, None if batch.state is None else batch.state[flat]).reshape(-1), targets)
        bonus = entropy.sum()
        actor = (policy - weights.ent_coef * bonus) * (scale * moving)
        return actor + weights.vf_coef * scale * value, [y.detach() for y in (policy, value, bonus, kl)]

    def _unroll(self, batch: Batch, x: Tensor, index: Tensor) -> Tensor:
        assert batch.memory is not None
        steps, envs = index.shape
        agents = x.shape[1]
        columns = index[0] % batch.starts.shape[1]
        clear = batch.starts[:, columns].repeat_interleave(agents, dim=1)
        memory = batch.memory[columns].reshape(envs * agents, -1)
        return self.learner.actor.unroll(x.reshape(steps, envs * agents, -1), memory, clear).flatten(0, 1)
