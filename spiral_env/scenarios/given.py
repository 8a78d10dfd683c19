"""Services and open findings that a scenario file names itself, in place of those that the model draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spiral_env.checks import check_choice, check_flag, shown
from spiral_env.core.state import LABELS, capacity_for
from spiral_env.simulator.given import Given
from spiral_env.simulator.reset import NO_PATCH, NOT_SAID, NOT_SCORED, PATCHED_NOW

__all__ = ["CLASSES", "MAX_SERVICES", "MOST_EPSS", "OpenFinding", "Service", "backlog", "given", "services", "slots"]

TIERS = LABELS["tiers"]
CLASSES = ("code", "runtime", "dependency", "interaction")
"""Classes of vulnerabilities, in the order of the parameter ``class_share``."""
MAX_SERVICES = 32
LEAST_EPSS, MOST_EPSS = 1e-6, 0.97
"""EPSS that the model can tell apart; what a scenario gives beyond is taken for the end of this range."""
_MOST_WEIGHT = 1e6
_LONGEST = 200
"""Characters of a name."""


class Service(NamedTuple):
    """A service of the user's own.

    Attributes:
        name: unique.
        tier: edge, core or internal.
        criticality: weight; shares of them are what a breach of the service reaches.
        calls: names of services of the same tier or a deeper one; no cycles.
        tail: hazard, the sum of -ln(1 - EPSS), of what is open on it beyond the findings that are named.
    """

    name: str
    tier: str
    criticality: float = 1.0
    calls: tuple[str, ...] = ()
    tail: float = 0.0


class OpenFinding(NamedTuple):
    """A finding that is open when an episode opens. The first of equals is the oldest.

    Attributes:
        name: unique, as an advice calls it.
        service: where it is.
        kind: ``class`` in a file: code, runtime, dependency or interaction.
        cvss: in [0, 10].
        epss: in [0, 1]; None where nobody tells it: every episode then draws it as of an arrival of its severity.
        patch: whether there is one; None where nobody says: drawn alike.
        kev: whether the catalogue of known exploited vulnerabilities holds it.
    """

    name: str
    service: str
    kind: str
    cvss: float
    epss: float | None = None
    patch: bool | None = None
    kev: bool = False


def slots(num_services: int) -> int:
    """Findings that a world of so many services can hold by name."""
    return capacity_for(1, num_services).slots


def services(table: str, raw: Any) -> tuple[Service, ...]:
    """The services of a file, sorted so that each calls later ones: edge, core, internal, callers first.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a value is not allowed; in one line.
    """
    found = [_service(f"{table}[{k}]", row) for k, row in enumerate(_rows(table, raw, MAX_SERVICES))]
    _demand_unique(table, [x.name for x in found])
    if found and not any(x.tier == "edge" for x in found):
        raise ValueError(f"{table} must hold one of tier edge at least: that is where attacks and members come in")
    return _sorted(table, found)


def backlog(table: str, raw: Any) -> tuple[OpenFinding, ...]:
    """The open findings of a file.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a value is not allowed; in one line.
    """
    found = tuple(_finding(f"{table}[{k}]", row) for k, row in enumerate(_rows(table, raw, slots(MAX_SERVICES))))
    _demand_unique(table, [x.name for x in found])
    return found


def check_together(named: Sequence[Service], findings: Sequence[OpenFinding]) -> None:
    """Refuse findings on services that are not there, or more of them than the world holds.

    Raises:
        ValueError: that is so.
    """
    if not findings:
        return
    names = {x.name for x in named}
    strange = next((x for x in findings if x.service not in names), None)
    if strange is not None:
        raise ValueError(f"backlog: {shown(strange.name)} is on {shown(strange.service)}, which services do not name")
    most = slots(len(named))
    if len(findings) > most:
        raise ValueError(f"backlog must have at most {most} entries at {len(named)} services, has {len(findings)}")


def given(named: Sequence[Service], findings: Sequence[OpenFinding]) -> Given | None:
    """The arrays that a world is made of; None where it names nothing."""
    if not named:
        return None
    place = {x.name: k for k, x in enumerate(named)}
    weights = np.array([x.criticality for x in named])
    return Given(
        tier=np.array([TIERS.index(x.tier) for x in named]),
        criticality=weights / weights.sum(),
        calls=tuple(tuple(sorted(place[callee] for callee in x.calls)) for x in named),
        tail=np.array([x.tail for x in named]),
        service=np.array([place[x.service] for x in findings], dtype=np.int64),
        kind=np.array([CLASSES.index(x.kind) for x in findings], dtype=np.int64),
        cvss=np.array([x.cvss for x in findings], dtype=np.float64),
        epss=np.array([_told(x.epss) for x in findings], dtype=np.float64),
        patch=np.array([_PATCH[x.patch] for x in findings], dtype=np.int64),
        kev=np.array([x.kev for x in findings], dtype=np.int64),
    )


def as_table(row: Service | OpenFinding) -> dict[str, Any]:
    """What a file says of it: keys that have their default left out."""
    left_out = type(row)._field_defaults
    found = {key: value for key, value in row._asdict().items() if key not in left_out or value != left_out[key]}
    return {"class" if key == "kind" else key: value for key, value in found.items()}


_PATCH = {True: PATCHED_NOW, False: NO_PATCH, None: NOT_SAID}


def _told(epss: float | None) -> float:
    return NOT_SCORED if epss is None else min(max(epss, LEAST_EPSS), MOST_EPSS)


def _rows(table: str, raw: Any, most: int) -> Sequence[Any]:
    if not isinstance(raw, list | tuple):
        raise TypeError(f"{table} must be a list of tables, got {shown(raw)}")
    if len(raw) > most:
        raise ValueError(f"{table} must have at most {most} entries, has {len(raw)}")
    return raw


def _service(where: str, row: Any) -> Service:
    told = _keys(where, row, Service, ("name", "tier"))
    calls = told.get("calls", ())
    if not isinstance(calls, list | tuple):
        raise TypeError(f"{where}.calls must be a list of names, got {shown(calls)}")
    return Service(
        name=_name(f"{where}.name", told["name"]),
        tier=check_choice(f"{where}.tier", told["tier"], TIERS),
        criticality=_number(f"{where}.criticality", told.get("criticality", 1.0), 1e-6, _MOST_WEIGHT),
        calls=tuple(dict.fromkeys(_name(f"{where}.calls", x) for x in calls)),
        tail=_number(f"{where}.tail", told.get("tail", 0.0), 0.0, _MOST_WEIGHT),
    )


def _finding(where: str, row: Any) -> OpenFinding:
    told = _keys(where, row, OpenFinding, ("name", "service", "class", "cvss"))
    epss, patch = told.get("epss"), told.get("patch")
    return OpenFinding(
        name=_name(f"{where}.name", told["name"]),
        service=_name(f"{where}.service", told["service"]),
        kind=check_choice(f"{where}.class", told["class"], CLASSES),
        cvss=_number(f"{where}.cvss", told["cvss"], 0.0, 10.0),
        epss=None if epss is None else _number(f"{where}.epss", epss, 0.0, 1.0),
        patch=None if patch is None else check_flag(f"{where}.patch", patch),
        kev=check_flag(f"{where}.kev", told.get("kev", False)),
    )


def _keys(where: str, row: Any, kind: type[Any], needed: Sequence[str]) -> dict[str, Any]:
    """A table of a file, or what was made of one, with the keys of its kind."""
    told = as_table(row) if isinstance(row, kind) else row
    if not isinstance(told, Mapping):
        raise TypeError(f"{where} must be a table, got {shown(row)}")
    allowed = ["class" if x == "kind" else x for x in kind._fields]
    strange = [key for key in told if key not in allowed]
    if strange:
        raise ValueError(f"{where}: {shown(strange[0])} is not a key of it (allowed: {', '.join(allowed)})")
    missing = [key for key in needed if key not in told]
    if missing:
        raise ValueError(f"{where}.{missing[0]} is missing")
    return dict(told)


def _name(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where} must be a text, got {shown(value)}")
    if not value.strip() or not value.isprintable() or len(value) > _LONGEST:
        raise ValueError(f"{where} must be 1 to {_LONGEST} characters that can be printed, got {shown(value)}")
    return value


def _number(where: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{where} must be a number, got {shown(value)}")
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{where} must be in [{low:g}, {high:g}], got {shown(value)}")
    return float(value)


def _demand_unique(table: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{table} must name {shown(name)} once")
        seen.add(name)


def _sorted(table: str, found: list[Service]) -> tuple[Service, ...]:
    """By tier and, within one, callers before whom they call; otherwise as they stand."""
    by_name = {x.name: x for x in found}
    for x in found:
        for callee in x.calls:
            if callee not in by_name:
                raise ValueError(f"{table}: {shown(x.name)} calls {shown(callee)}, which is not there")
            if TIERS.index(by_name[callee].tier) < TIERS.index(x.tier):
                raise ValueError(
                    f"{table}: calls go to the same tier or a deeper one, {shown(x.name)} ({x.tier}) calls "
                    f"{shown(callee)} ({by_name[callee].tier})"
                )
    left = sorted(found, key=lambda x: TIERS.index(x.tier))
    out: list[Service] = []
    while left:
        called = {callee for x in left for callee in x.calls}
        free = next((x for x in left if x.name not in called), None)
        if free is None:
            raise ValueError(f"{table}: calls must form no cycle, {shown(left[0].name)} is in one or behind one")
        out.append(free)
        left.remove(free)
    return tuple(sorted(out, key=lambda x: TIERS.index(x.tier)))
