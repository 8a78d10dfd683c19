"""The user's services: a CSV of name, tier, criticality, whom each calls and what belongs to it."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spiral_env.checks import shown
from spiral_env.core.state import LABELS
from spiral_env.data.findings import short
from spiral_env.data.sources import Bounded, SourceError
from spiral_env.scenarios.given import MAX_SERVICES, Service

__all__ = ["OwnService", "pooled", "read", "without_loops"]

_COLUMNS = {
    "name": ("name", "service"),
    "tier": ("tier",),
    "criticality": ("criticality", "weight"),
    "calls": ("calls", "callees"),
    "match": ("match", "matches", "pattern", "patterns"),
}
_TIERS = {
    "edge": ("edge", "internet", "external", "public", "dmz", "frontend"),
    "core": ("core", "business", "backend", "middle"),
    "internal": ("internal", "private", "data", "database"),
}
_WEIGHTS = {"critical": 4.0, "high": 3.0, "medium": 2.0, "low": 1.0}
_MOST_ROWS = 5_000
_MANY = re.compile(r"[;|\s]+")


@dataclass
class OwnService:
    """A service as the user's table has it.

    Attributes:
        name: unique.
        tier: edge, core or internal.
        criticality: weight, larger than 0.
        calls: names of services it calls.
        match: what belongs to it: patterns of paths, packages or addresses.
    """

    name: str
    tier: str
    criticality: float = 1.0
    calls: list[str] = field(default_factory=list)
    match: list[str] = field(default_factory=list)


def read(stream: Bounded) -> list[OwnService]:
    """The services of a table.

    Raises:
        SourceError: a row is wrong; the line is named.
    """
    reader = _rows(stream)
    head = next(reader, None)
    if head is None:
        raise SourceError("is no table of services: it has no line of columns")
    places = _places(head[1])
    found: list[OwnService] = []
    for line, cells in reader:
        if len(found) >= _MOST_ROWS:
            raise SourceError(f"must have at most {_MOST_ROWS:,} services, has more")
        found.append(_service(line, cells, places))
    if not found:
        raise SourceError("is no table of services: it has no service")
    names = [x.name for x in found]
    twice = next((x for k, x in enumerate(names) if x in names[:k]), None)
    if twice is not None:
        raise SourceError(f"must name service {shown(twice)} once")
    _demand_known(found)
    return found


def _rows(stream: Bounded) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row that is no comment; separated by commas, or by semicolons or tabs as the first."""
    delimiter = ""
    for number, line in enumerate(stream.lines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        delimiter = delimiter or max(",;\t", key=line.count)
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise SourceError(f"line {number} is no row of a table: {error}") from None
        yield number, [x.strip() for x in cells]


def _places(head: Sequence[str]) -> dict[str, int]:
    low = [x.lower().replace(" ", "_") for x in head]
    places = {}
    for column, names in _COLUMNS.items():
        at = [k for k, x in enumerate(low) if x in names]
        if len(at) > 1:
            raise SourceError(f"must have one column {column}, has {len(at)}")
        if at:
            places[column] = at[0]
    missing = next((x for x in ("name", "tier") if x not in places), None)
    if missing is not None:
        raise SourceError(f"is no table of services: column {missing} is missing (columns: {', '.join(_COLUMNS)})")
    return places


def _service(line: int, cells: Sequence[str], places: dict[str, int]) -> OwnService:
    if len(cells) <= max(places["name"], places["tier"]):
        raise SourceError(f"line {line} must have a name and a tier, has {len(cells)} cells")
    told = {column: cells[at] if at < len(cells) else "" for column, at in places.items()}
    name = short(told["name"], 80)
    if not name:
        raise SourceError(f"line {line} must name a service")
    tier = next((tier for tier, words in _TIERS.items() if told["tier"].lower() in words), None)
    if tier is None:
        raise SourceError(f"line {line}: tier must be one of {', '.join(LABELS['tiers'])}, got {shown(told['tier'])}")
    return OwnService(
        name=name,
        tier=tier,
        criticality=_weight(line, told.get("criticality", "")),
        calls=[x for x in _MANY.split(told.get("calls", "")) if x]
        if " " not in name
        else _split(told.get("calls", "")),
        match=_split(told.get("match", "")),
    )


def _split(text: str) -> list[str]:
    return [x.strip() for x in re.split(r"[;|]", text) if x.strip()]


def _weight(line: int, text: str) -> float:
    if not text:
        return 1.0
    if text.lower() in _WEIGHTS:
        return _WEIGHTS[text.lower()]
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and 0.0 < value <= 1e6):
        raise SourceError(f"line {line}: criticality must be in (0, 1e6] or low to critical, got {shown(text)}")
    return value


def _demand_known(found: list[OwnService]) -> None:
    names = {x.name for x in found}
    for x in found:
        for callee in x.calls:
            if callee not in names:
                raise SourceError(f"service {shown(x.name)} calls {shown(callee)}, which the table does not name")
    if not any(x.tier == "edge" for x in found):
        raise SourceError("must have a service of tier edge: that is where attacks come in")


def pooled(found: list[OwnService], most: int = MAX_SERVICES) -> tuple[list[OwnService], dict[str, str], list[str]]:
    """At most so many services: the least critical of each tier become one.

    Returns:
        The services, the name that each of the old ones has now, and notes.
    """
    if len(found) <= most:
        return found, {x.name: x.name for x in found}, []
    kept = sorted(found, key=lambda x: -x.criticality)[: most - len(LABELS["tiers"])]
    left = [x for x in found if x not in kept]
    now = {x.name: x.name for x in kept} | {x.name: f"other {x.tier}" for x in left}
    every = [*kept]
    for tier in LABELS["tiers"]:
        inside = [x for x in left if x.tier == tier]
        if inside:
            calls = list(dict.fromkeys(now[y] for x in inside for y in x.calls))
            every.append(OwnService(f"other {tier}", tier, sum(x.criticality for x in inside), calls))
    for x in every:
        x.calls = [y for y in dict.fromkeys(now.get(y, y) for y in x.calls) if y != x.name]
    note = f"{len(found)} services: the {len(left)} least critical stand as {len(every) - len(kept)} (one a tier)"
    return every, now, [note]


def without_loops(found: list[OwnService]) -> tuple[list[Service], list[str]]:
    """The services with the calls that the model can follow: to the same tier or a deeper one, in no cycle.

    Returns:
        The services, and a note for each call that was left out.
    """
    depth = {x.name: LABELS["tiers"].index(x.tier) for x in found}
    reached: dict[str, set[str]] = {x.name: {x.name} for x in found}
    calls: dict[str, list[str]] = {x.name: [] for x in found}
    notes = []
    for x in found:
        for callee in dict.fromkeys(x.calls):
            if callee == x.name:
                notes.append(f"call of {x.name} to itself: left out")
            elif depth[callee] < depth[x.name]:
                notes.append(f"call {x.name} -> {callee} goes up a tier: left out")
            elif x.name in reached[callee]:
                notes.append(f"call {x.name} -> {callee} closes a cycle: left out")
            else:
                calls[x.name].append(callee)
                for above, names in reached.items():
                    if x.name in names or above == x.name:
                        names |= reached[callee]
    return [Service(x.name, x.tier, x.criticality, tuple(calls[x.name])) for x in found], notes
