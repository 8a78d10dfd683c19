"""The two tables a role is known by: its levers and its features."""

from __future__ import annotations

from typing import NamedTuple

from spiral_env.core.params import PARAMETERS

__all__ = ["Feature", "Lever", "category", "default", "features", "graded"]

_ROWS = {q.name: q for q in PARAMETERS}


class Lever(NamedTuple):
    """What an agent may choose.

    ``options`` of a graded lever, and ``note``, tell the parameters' defaults; a scenario may override the row
    ``table`` (low, middle, high: of a graded lever its options, of a category what they cost).
    """

    name: str
    kind: str
    options: tuple[str, ...]
    unit: str
    note: str
    table: str


class Feature(NamedTuple):
    """What an agent sees."""

    name: str
    unit: str
    low: float
    high: float


def default(name: str, k: int | None = None) -> str:
    """Default of a parameter, or of the k-th number of a vector, as text."""
    value = _ROWS[name].default
    return f"{value if k is None else value[k]:g}"  # type: ignore[index]


def graded(name: str, table: str, note: str) -> Lever:
    """A lever from low to high along the parameter ``table``."""
    return Lever(name, "graded", tuple(default(table, k) for k in range(3)), _ROWS[table].unit, note, table)


def category(name: str, options: tuple[str, str, str], unit: str, table: str, note: str) -> Lever:
    """A choice of three, which cost what the parameter ``table`` says."""
    return Lever(name, "category", options, unit, note, table)


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
