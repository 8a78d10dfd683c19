"""Networks and optimisers of torch as plain arrays, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["adam_tensors", "layer_tensors", "load_adam"]


def layer_tensors(body: Iterable[Any], head: Any) -> dict[str, np.ndarray]:
    """Weights and biases of linear layers by the names of a checkpoint: ``layer0`` ... and ``head``."""
    out = {}
    for name, layer in [*((f"layer{k}", x) for k, x in enumerate(body)), ("head", head)]:
        assert isinstance(layer, nn.Linear)
        out[f"{name}.weight"] = layer.weight.detach().cpu().numpy().copy()
        out[f"{name}.bias"] = layer.bias.detach().cpu().numpy().copy()
    return out


def adam_tensors(optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """Moments and steps of every parameter: ``<number>.<field>``."""
    state = optimiser.state_dict()["state"]
    return {f"{k}.{field}": v.detach().cpu().numpy().copy() for k, x in state.items() for field, v in x.items()}


def load_adam(optimiser: torch.optim.Optimizer, tensors: Mapping[str, np.ndarray]) -> None:
    """Go on from ``adam_tensors()``."""
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        k, field = key.split(".")
        moments.setdefault(int(k), {})[field] = torch.from_numpy(value.copy())
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
