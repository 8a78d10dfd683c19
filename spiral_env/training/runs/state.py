"""Checks of a stored state, which may come from anywhere, before a trainer takes it over."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["check_counters", "check_generator", "check_tensors", "check_whole"]

_MOST = 2**62


def check_whole(name: str, value: Any, high: int = _MOST) -> None:
    """Refuse what is no integer from 0 to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise ValueError(f"{name} must be an integer from 0 to {high}, got {str(value)[:40]!r}")


def check_counters(counters: Mapping[str, Any]) -> None:
    """The numbers that every trainer stores; the batch's own are checked where they are restored."""
    for name in ("agent_steps", "iteration"):
        check_whole(name, counters.get(name))
    seconds = counters.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.0 <= seconds < math.inf:
        raise ValueError(f"seconds must be a number >= 0, got {str(seconds)[:40]!r}")


def check_generator(name: str, state: Any) -> dict[str, Any]:
    """The state of numpy's PCG64 as ``bit_generator.state`` takes it."""
    if not isinstance(state, dict) or state.get("bit_generator") != "PCG64" or not isinstance(state.get("state"), dict):
        raise ValueError(f"{name} must be the state of a PCG64 generator")
    for part in ("state", "inc"):
        check_whole(f"{name}.{part}", state["state"].get(part), 2**128 - 1)
    if state["state"]["inc"] % 2 == 0:
        raise ValueError(f"{name}.inc must be odd")
    check_whole(f"{name}.has_uint32", state.get("has_uint32"), 1)
    check_whole(f"{name}.uinteger", state.get("uinteger"), 2**32 - 1)
    return state


def check_tensors(tensors: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray]) -> None:
    """Every tensor must be one that the trainer itself would store: name, type, shape, and finite.

    Moments of Adam, which torch makes in the first step, may come on top; ``load_adam`` checks them.
    """
    for name, mine in own.items():
        given = tensors.get(name)
        if given is None:
            raise ValueError(f"tensor {name} is missing")
        if given.shape != mine.shape or given.dtype != mine.dtype:
            raise ValueError(
                f"tensor {name} must be {mine.dtype} {list(mine.shape)}, is {given.dtype} {list(given.shape)}"
            )
    for name, given in tensors.items():
        if name not in own and re.fullmatch(r"\w+\.adam\.\d+\.\w+", name) is None:
            raise ValueError(f"tensor {name[:60]} belongs to nothing")
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            raise ValueError(f"tensor {name} must be finite")
        if name.rpartition(".")[2] in _NOT_NEGATIVE and given.size and given.min() < 0:
            raise ValueError(f"tensor {name} must be >= 0, got {given.min()}")


_NOT_NEGATIVE = ("count", "m2", "square", "steps", "exp_avg_sq", "step")
