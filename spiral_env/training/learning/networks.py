"""Actors and critics: small tanh networks, orthogonally initialised."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Actor", "Critic", "linear"]


def linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    """A layer with orthogonal weights and no bias at the start."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _body(inputs: int, hidden: int, layers: int) -> nn.ModuleList:
    widths = [inputs, *[hidden] * layers]
    return nn.ModuleList(linear(a, b, math.sqrt(2.0)) for a, b in itertools.pairwise(widths))


class Actor(nn.Module):
    """Observation ``[..., O]`` to the parameters of the action's distribution.

    With ``counts`` (values of each lever) it gives logits ``[..., L, K]``, ``-1e9`` where a lever has no k-th value;
    with ``continuous`` means ``[..., L]`` of normals with one learned ``log_std`` a lever. ``recurrent`` puts a GRU
    behind the layers.
    """

    def __init__(
        self,
        inputs: int,
        counts: np.ndarray,
        hidden: int,
        layers: int,
        *,
        continuous: bool,
        recurrent: bool,
        start: Sequence[float] | None = None,
        start_logit: float = 0.0,
    ) -> None:
        """Build and initialise; the policy starts nearly the same everywhere.

        ``start`` names an effort in [0, 1] for each lever, whose logit starts ``start_logit`` above the others.
        """
        super().__init__()
        self.body = _body(inputs, hidden, layers)
        self.cell = nn.GRUCell(hidden, hidden) if recurrent else None
        self.counts, self.width = counts, int(counts.max())
        self.continuous = continuous
        self.head = linear(hidden, len(counts) * (1 if continuous else self.width), 0.01)
        if start is not None and not continuous:
            chosen = np.arange(len(counts)) * self.width + np.rint(np.array(start) * (counts - 1)).astype(int)
            self.head.bias.data[torch.from_numpy(chosen)] = start_logit
        self.log_std = nn.Parameter(torch.full((len(counts),), -1.0)) if continuous else None
        self.register_buffer("absent", torch.arange(self.width)[None] >= torch.as_tensor(counts)[:, None], False)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """One step of rows ``[B, O]`` with memory ``[B, H]`` of recurrent actors; returns (parameters, memory)."""
        for layer in self.body:
            x = torch.tanh(layer(x))
        if self.cell is not None:
            memory = self.cell(x, memory)
            x = memory
        out = self.head(x)
        if self.continuous:
            return out + 0.5, memory
        logits = out.unflatten(-1, (len(self.counts), self.width))
        if bool((self.counts < self.width).any()):
            logits = logits.masked_fill(self.absent, -1e9)
        return logits, memory

    @property
    def plain(self) -> bool:
        """Whether it is layers and categorical heads alone."""
        return self.cell is None and not self.continuous

    def unroll(self, x: Tensor, memory: Tensor, starts: Tensor) -> Tensor:
        """Parameters ``[T, B, ...]`` over sequences ``[T, B, O]``; memory is cleared where ``starts`` [T, B]."""
        out = []
        state: Tensor | None = memory
        for t in range(len(x)):
            assert state is not None
            state = state * (1.0 - starts[t]).unsqueeze(-1)
            parameters, state = self(x[t], state)
            out.append(parameters)
        return torch.stack(out)


class Critic(nn.Module):
    """What is known, ``[B, D]``, to the normalised value ``[B]``."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        """Build and initialise."""
        super().__init__()
        self.body = _body(inputs, hidden, layers)
        self.head = linear(hidden, 1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Values of rows."""
        for layer in self.body:
            x = torch.tanh(layer(x))
        return self.head(x).squeeze(-1)
