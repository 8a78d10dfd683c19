"""The numbers that no evidence fixes, and worlds in which they are others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from spiral_env.core.params import PARAMETERS, Parameter, Value
from spiral_env.scenarios import Scenario

__all__ = ["HIGH", "LOW", "assumed", "drawn", "scaled", "varied"]

LOW, HIGH = 0.7, 1.3
"""What an assumed value is multiplied with, at least and at most; the result stays within the parameter's range."""
SHARES = ("class_share", "severity_share", "loss_share")
"""Of these the sum is one: they are left as they are."""


def assumed() -> list[Parameter]:
    """Parameters that no evidence fixes, by what their source says; rewards and switches are no part of the world."""
    return [
        q
        for q in PARAMETERS
        if "assumed" in q.source and q.group not in ("reward", "switches") and q.name not in SHARES
    ]


def varied(world: Scenario, but: Collection[str] = ()) -> list[str]:
    """Names of the assumed parameters that a factor moves in this world, those of ``but`` left out."""
    names = [q.name for q in assumed() if q.name not in but]
    return [name for name in names if any(scaled(world, {name: x})[name] != world.value(name) for x in (LOW, HIGH))]


def scaled(world: Scenario, factors: Mapping[str, float]) -> dict[str, Value]:
    """Values of parameters, each times its factor, clipped to its range."""
    table = {q.name: q for q in PARAMETERS}
    return {name: _scaled(world.value(name), factor, table[name]) for name, factor in factors.items()}


def _scaled(value: Value, factor: float, q: Parameter) -> Value:
    if isinstance(value, tuple):
        return tuple(min(max(x * factor, q.low), q.high) for x in value)
    return min(max(value * factor, q.low), q.high)


def drawn(world: Scenario, count: int, seed: int = 0) -> Iterator[dict[str, Value]]:
    """Values of all assumed parameters, each times a uniform factor, clipped to its range."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield scaled(world, {q.name: float(rng.uniform(LOW, HIGH)) for q in assumed()})
