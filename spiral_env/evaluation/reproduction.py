"""Whether a result comes out again: every number of two results, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spiral_env.checks import shown

__all__ = ["Reproduction", "compare_results"]

COMPARED = ("scenario", "seeds", "score", "partners", "teams", "known_answer")
"""Parts of a result that must be the same; what was asked is given, versions are told apart from it."""


@dataclass(frozen=True)
class Reproduction:
    """How two results compare.

    Attributes:
        compared: values that were held against each other.
        differences: a line for each that differs or is in one alone.
        versions: a line for each package of another version, and the commit.
    """

    compared: int
    differences: list[str]
    versions: list[str]


def compare_results(stored: Mapping[str, Any], again: Mapping[str, Any]) -> Reproduction:
    """Hold a result against the same played again, both as JSON gives them."""
    before, now = (dict(_leaves({key: x[key] for key in COMPARED if key in x}, "")) for x in (stored, again))
    keys = dict.fromkeys((*before, *now))
    differences = [
        f"{key}: {shown(before.get(key, 'nothing'))} stored, {shown(now.get(key, 'nothing'))} now"
        for key in keys
        if key not in before or key not in now or before[key] != now[key]
    ]
    ours, theirs = (x.get("versions", {}) for x in (again, stored))
    versions = [
        f"{name}: {theirs.get(name, 'none')} stored, {ours.get(name, 'none')} now"
        for name in dict.fromkeys((*theirs, *ours))
        if ours.get(name) != theirs.get(name)
    ]
    return Reproduction(len(keys), differences, versions)


def _leaves(x: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Path and value of all that is no list and no object, and of empty ones."""
    items = x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ()
    if not items:
        yield path, x
    for key, value in items:
        yield from _leaves(value, f"{path}.{key}" if path else str(key))
