"""The two tables a role is known by: its levers and its features."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Feature", "Lever", "features"]


class Lever(NamedTuple):
    """What an agent may choose."""

    name: str
    kind: str
    options: tuple[str, str, str]
    unit: str
    note: str


class Feature(NamedTuple):
    """What an agent sees."""

    name: str
    unit: str
    low: float
    high: float


def features(spec: str) -> tuple[Feature, ...]:
    """Parse lines ``name low high unit``; ``name*k`` stands for ``name_0 .. name_{k-1}``."""
    out: list[Feature] = []
    for line in filter(None, (part.strip() for part in spec.splitlines())):
        name, low, high, unit = line.split(maxsplit=3)
        if "*" in name:
            stem, count = name.split("*")
            out.extend(Feature(f"{stem}_{i}", unit, float(low), float(high)) for i in range(int(count)))
        else:
            out.append(Feature(name, unit, float(low), float(high)))
    return tuple(out)
