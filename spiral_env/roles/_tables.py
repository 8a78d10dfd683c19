"""The two tables a role is known by, its levers and its features, and the names kernels use for their places."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from typing import Any, NamedTuple

from spiral_env.core.params import PARAMETERS

__all__ = [
    "Feature",
    "Lever",
    "category",
    "default",
    "features",
    "graded",
    "own_action",
    "per",
    "places",
    "scales",
]

_ROWS = {q.name: q for q in PARAMETERS}


class Lever(NamedTuple):
    """What an agent may choose.

    ``options`` of a graded lever, and ``note``, tell the parameters' defaults; a scenario may override the row
    ``table`` (low, middle, high: of a graded lever its options, of a category what they cost). ``average`` is the
    effort of the average firm, which the calibration and the policy ``status_quo`` play.
    """

    name: str
    kind: str
    options: tuple[str, ...]
    unit: str
    note: str
    table: str
    average: float = 0.5


class Feature(NamedTuple):
    """What an agent sees: a number of ``unit`` divided by ``scale``, then clipped to ``[low, high]``.

    ``group`` is the name without what tells members of a group apart: ``known`` of ``known_edge``.
    """

    name: str
    low: float
    high: float
    scale: float
    unit: str
    group: str

    @property
    def one(self) -> str:
        """What a value of 1 stands for."""
        return self.unit if self.scale == 1.0 else f"{self.scale:,g} {self.unit}"


def default(name: str, k: int | None = None) -> str:
    """Default of a parameter, or of the k-th number of a vector, as text."""
    value = _ROWS[name].default
    return f"{value if k is None else value[k]:g}"  # type: ignore[index]


def graded(name: str, table: str, note: str, average: float = 0.5) -> Lever:
    """A lever from low to high along the parameter ``table``."""
    options = tuple(default(table, k) for k in range(3))
    return Lever(name, "graded", options, _ROWS[table].unit, note, table, average)


def category(name: str, options: tuple[str, str, str], unit: str, table: str, note: str, average: float = 0.5) -> Lever:
    """A choice of three, which cost what the parameter ``table`` says."""
    return Lever(name, "category", options, unit, note, table, average)


def features(spec: str) -> tuple[Feature, ...]:
    """Parse lines ``name low high scale unit``."""
    out = []
    for line in filter(None, (part.strip() for part in spec.splitlines())):
        name, low, high, scale, unit = line.split(maxsplit=4)
        out.append(Feature(name, float(low), float(high), float(scale), unit, name))
    return tuple(out)


def per(members: Iterable[str], spec: str, group: str | None = None) -> tuple[Feature, ...]:
    """The lines of ``spec`` once for every member: ``name_member``, of the group ``name`` if none is given."""
    rows = features(spec)
    return tuple(x._replace(name=f"{x.name}_{member}", group=group or x.name) for member in members for x in rows)


def own_action(levers: tuple[Lever, ...]) -> tuple[Feature, ...]:
    """The features that tell an agent its own last efforts; the last of every role."""
    return per((lever.name for lever in levers), "last 0 1 1 own last action, effort")


def places(table: Iterable[Lever | Feature]) -> Any:
    """A named tuple of each row's index in the table; of a group's rows a tuple of indices, by the group's name."""
    found: dict[str, Any] = {}
    for k, row in enumerate(table):
        group = row.group if isinstance(row, Feature) else row.name
        found[group] = k if group == row.name else (*found.get(group, ()), k)
    return _constants("places", found)


def scales(table: Iterable[Feature]) -> Any:
    """A named tuple of the features' scales, by the names of ``places``."""
    return _constants("scales", {row.group: row.scale for row in table})


def _constants(kind: str, values: dict[str, Any]) -> Any:
    """Numbers by name that compiled code takes as constants."""
    return namedtuple(kind, values)(**values)  # type: ignore[misc]
