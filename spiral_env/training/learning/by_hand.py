"""Acting and gradients of plain tanh networks on a CPU without autograd: fewer operations, in buffers allocated once.

Everything here equals what torch gives up to rounding; a test holds it to that. What whole iterations gain by it is
measured by ``spiral bench --only trainer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from spiral_env.training.learning.compiled import ppo_rows, sample
from spiral_env.training.learning.flat import views
from spiral_env.training.learning.gradients import Batch, Weights

if TYPE_CHECKING:
    from spiral_env.training.learning.learner import Learner

__all__ = ["ByHand", "HandNetwork", "HandPlayer"]


class HandNetwork:
    """Forward and backward passes of linear layers with tanh between them, for at most ``rows`` rows.

    With a ``state`` layer, what it makes of the state is added to the first layer's output, once for all agents.

    Attributes:
        rows: how many fit in the buffers.
    """

    def __init__(self, layers: Sequence[nn.Linear], state: nn.Linear | None, rows: int) -> None:
        """Take the layers' parameters as they are and will be: they must be changed in place only."""
        self.rows = rows
        self.weights = [layer.weight.detach() for layer in layers]
        self.biases = [layer.bias.detach() for layer in layers]
        self.state = None if state is None else (state.weight.detach(), state.bias.detach())
        self.outputs = [torch.empty(rows, layer.out_features) for layer in layers]
        self.slopes = [torch.empty(rows, layer.out_features) for layer in layers]

    @classmethod
    def of(cls, network: Any, rows: int) -> HandNetwork:
        """The passes of a plain actor, or of a critic, for at most ``rows`` rows."""
        return cls([*network.body, network.head], getattr(network, "state", None), rows)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """Output ``[B, ...]`` of rows ``[B, O]`` with states ``[B / A, D]``; a view of a buffer."""
        rows, last = len(x), len(self.weights) - 1
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = self.outputs[k][:rows]
            torch.addmm(bias, x, weight.t(), out=out)
            if k == 0 and self.state is not None and state is not None:
                shared = torch.addmm(self.state[1], state, self.state[0].t())
                out.view(len(state), -1, out.shape[1]).add_(shared.unsqueeze(1))
            x = torch.tanh_(out) if k < last else out
        return x

    def slope(self, rows: int) -> Tensor:
        """Where the caller puts the loss's gradient by the output ``[B, ...]`` before ``backward``."""
        return self.slopes[-1][:rows]

    def backward(self, x: Tensor, state: Tensor | None, gradients: Sequence[Tensor]) -> None:
        """Write the gradients: weight and bias of each layer, then those of the state layer."""
        rows = len(x)
        for k in range(len(self.weights) - 1, -1, -1):
            slope = self.slopes[k][:rows]
            below = self.outputs[k - 1][:rows] if k else x
            torch.mm(slope.t(), below, out=gradients[2 * k])
            torch.sum(slope, 0, out=gradients[2 * k + 1])
            if k:
                down = self.slopes[k - 1][:rows]
                torch.mm(slope, self.weights[k], out=down)
                torch.ops.aten.tanh_backward.grad_input(down, below, grad_input=down)
        if self.state is not None and state is not None:
            slope = self.slopes[0][:rows].view(len(state), -1, self.slopes[0].shape[1]).sum(1)
            torch.mm(slope.t(), state, out=gradients[-2])
            torch.sum(slope, 0, out=gradients[-1])


class HandPlayer:
    """Draws a plain actor's actions."""

    def __init__(self, actor: nn.Module, counts: np.ndarray) -> None:
        """For levers of ``counts`` values."""
        self._actor, self._counts = actor, counts
        self._network: HandNetwork | None = None

    def act(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Actions ``[B, L]`` for normalised observations ``[B, O]``, and their log-probabilities ``[B]``."""
        if self._network is None or self._network.rows < len(rows):
            self._network = HandNetwork.of(self._actor, len(rows))
        logits = self._network.forward(torch.from_numpy(rows)).numpy()
        actions, log_p = np.empty((len(rows), len(self._counts)), np.int64), np.empty(len(rows), np.float32)
        sample(logits, self._counts, rng.random(actions.shape, dtype=np.float32), actions, log_p)
        return actions, log_p


class ByHand:
    """``Gradient`` of plain actors and their critics on a CPU.

    Attributes:
        out: gradient, laid out as the learner's parameters.
    """

    def __init__(self, learner: Learner, weights: Weights) -> None:
        """Buffers are made when the first piece comes."""
        self.learner, self.weights = learner, weights
        self.out = torch.zeros_like(learner.flat)
        split = views(self.out, learner.parameters())
        actors = len(list(learner.actor.parameters()))
        self._actor_out, self._critic_out = split[:actors], split[actors:]
        self._sums = np.zeros(4)
        self._x = torch.empty(0)
        self._state = torch.empty(0)
        self._nets: tuple[HandNetwork, HandNetwork] | None = None

    def _allocate(self, batch: Batch, cells: int) -> tuple[HandNetwork, HandNetwork]:
        if self._nets is None or len(self._x) < cells:
            agents, width = batch.x.shape[1:]
            self._x = torch.empty(cells, agents * width)
            self._state = torch.empty(cells, 0 if batch.state is None else batch.state.shape[1])
            self._nets = (
                HandNetwork.of(self.learner.actor, cells * agents),
                HandNetwork.of(self.learner.critic, cells * agents),
            )
        return self._nets

    @torch.no_grad()
    def take(self, batch: Batch, cells: np.ndarray, scale: float, moving: bool) -> np.ndarray:
        """As the protocol says."""
        index = torch.from_numpy(cells.reshape(-1))
        actor, critic = self._allocate(batch, len(index))
        x, state = self._x[: len(index)], None
        torch.index_select(batch.x.flatten(1), 0, index, out=x)
        if batch.state is not None:
            state = self._state[: len(index)]
            torch.index_select(batch.state, 0, index, out=state)
        x = x.view(-1, batch.x.shape[2])
        logits, values = actor.forward(x), critic.forward(x, state)
        self._loss(batch, index, logits, values, actor.slope(len(x)), critic.slope(len(x)), scale)
        critic.backward(x, state, self._critic_out)
        if moving:
            actor.backward(x, None, self._actor_out)
        else:
            for part in self._actor_out:
                part.zero_()
        return self._sums * scale

    def _loss(self, batch, index, logits, values, d_logits, d_values, scale):  # type: ignore[no-untyped-def]
        w = self.weights
        ppo_rows(
            logits.numpy(),
            values.numpy()[:, 0],
            self.learner.counts,
            index.numpy(),
            batch.actions.numpy(),
            batch.log_p.numpy(),
            batch.advantages.numpy(),
            batch.targets.numpy(),
            np.array([w.clip_coef, w.ent_coef, w.vf_coef, scale], np.float32),
            d_logits.numpy(),
            d_values.numpy(),
            self._sums,
        )
