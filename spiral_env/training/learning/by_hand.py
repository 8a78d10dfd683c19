"""Gradients of a small tanh network without autograd: fewer operations, in buffers allocated once.

Everything here equals what ``torch.autograd`` gives up to rounding; a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["HandNetwork"]


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
