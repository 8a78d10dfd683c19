"""All parameters of a role as one vector, and Adam on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Adam", "FusedAdam", "clip_", "flatten", "length", "views"]

_ALIGN = 16  # floats: every parameter starts on a cache line, so that products round the same in every process


def _offsets(parameters: Sequence[nn.Parameter]) -> list[int]:
    sizes = [-(-p.numel() // _ALIGN) * _ALIGN for p in parameters]
    return np.cumsum([0, *sizes]).tolist()


def length(parameters: Sequence[nn.Parameter]) -> int:
    """Floats that ``flatten`` lays the parameters out in."""
    return int(_offsets(parameters)[-1])


def flatten(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Move the parameters into one vector, which is returned; they stay what they are, as views of it."""
    flat = torch.zeros(length(parameters), device=parameters[0].device)
    for parameter, view in zip(parameters, views(flat, parameters), strict=True):
        view.copy_(parameter.detach())
        parameter.data = view
    return flat


def views(flat: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The parts of a vector laid out as ``flatten`` does, in the parameters' shapes."""
    starts = _offsets(parameters)[:-1]
    return [flat[a : a + p.numel()].view(p.shape) for a, p in zip(starts, parameters, strict=True)]


def clip_(gradient: Tensor, limit: float) -> float:
    """Scale a gradient in place to a norm of at most ``limit``; returns the norm before."""
    norm = math.sqrt(float(torch.dot(gradient, gradient)))
    if norm > limit:
        gradient.mul_(limit / norm)
    return norm


class Adam:
    """Kingma & Ba 2015 on one vector, as ``torch.optim.Adam``.

    Attributes:
        mean: running mean of the gradient.
        square: running mean of its square.
        steps: steps taken.
    """

    def __init__(self, flat: Tensor, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-5) -> None:
        """Start with no memory of gradients."""
        self.flat, self.betas, self.eps = flat, betas, eps
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        self.steps = 0

    @torch.no_grad()
    def step(self, gradient: Tensor, learning_rate: float) -> None:
        """Move ``flat`` against the gradient."""
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1.0 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1.0 - second)
        scale = self.square.sqrt().div_(math.sqrt(1.0 - second**self.steps)).add_(self.eps)
        self.flat.addcdiv_(self.mean, scale, value=-learning_rate / (1.0 - first**self.steps))

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on."""
        moments = {"mean": self.mean, "square": self.square}
        return {k: v.cpu().numpy().copy() for k, v in moments.items()} | {"steps": np.array([self.steps])}

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        self.mean.copy_(torch.from_numpy(tensors["mean"]))
        self.square.copy_(torch.from_numpy(tensors["square"]))
        self.steps = int(tensors["steps"][0])


class FusedAdam:
    """As ``Adam``, one kernel a step and no word from the host: what a CUDA graph can hold.

    Attributes:
        gradient: put here before a step, laid out as the vector.
        rate: the learning rate, a number on the device.
    """

    def __init__(self, flat: Tensor, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-5) -> None:
        """Start with no memory of gradients."""
        self.rate = torch.zeros((), device=flat.device)
        self.gradient = flat.grad = torch.zeros_like(flat)
        self._adam = torch.optim.Adam([flat], lr=self.rate, betas=betas, eps=eps, fused=True, capturable=True)
        self._moments = {"exp_avg": torch.zeros_like(flat), "exp_avg_sq": torch.zeros_like(flat)}
        self._steps = torch.zeros((), device=flat.device)
        self._adam.state[flat] = {"step": self._steps, **self._moments}

    def step(self, resting: Tensor) -> None:
        """Move the vector against the gradient; where ``resting`` (a number) is 1 every bit stays."""
        # torch skips the step of a fused optimiser where its gradient is said to be infinite.
        self._adam.found_inf = resting  # type: ignore[attr-defined]
        self._adam.step()

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on, as of ``Adam``."""
        mean, square = (x.cpu().numpy().copy() for x in self._moments.values())
        return {"mean": mean, "square": square, "steps": np.array([int(self._steps)])}

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        for own, name in zip(self._moments.values(), ("mean", "square"), strict=True):
            own.copy_(torch.from_numpy(tensors[name]))
        self._steps.fill_(int(tensors["steps"][0]))
