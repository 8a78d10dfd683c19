"""What is asked: settings, grids and named policies as changes of a world."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.checks import shown
from spiral_env.core.params import Value
from spiral_env.files import parse_toml, read_file
from spiral_env.questions.teams import altered
from spiral_env.scenarios import Scenario
from spiral_env.text import one_line
from spiral_env.training import parse_override

__all__ = ["MAX_CHANGES", "Change", "changes_of", "parse_grid", "parse_settings", "read_policies"]

MAX_CHANGES = 400
"""Worlds that one question may hold."""
_MAX_BYTES = 1_000_000
_MAX_NAME = 60


@dataclass(frozen=True)
class Change:
    """One changed world.

    Attributes:
        name: as it is shown.
        params: parameter -> its value in the changed world.
    """

    name: str
    params: Mapping[str, Value]


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """``name=value`` for each parameter, given once.

    Raises:
        ValueError: there is no ``=``, or a name is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in map(parse_override, texts):
        if name in found:
            raise ValueError(f"--set {name[:_MAX_NAME]} must be given once, got it twice")
        found[name] = value
    return found


def parse_grid(text: str) -> tuple[str, list[float]]:
    """``name=low:high:count`` as evenly spread values, or ``name=a,b,c`` as they stand.

    Raises:
        ValueError: it is neither.
    """
    wrong = f"--grid must be name=low:high:count or name=a,b,c, got {shown(text)}"
    name, sign, rest = text.partition("=")
    try:
        if ":" not in rest:
            values = [float(x) for x in rest.split(",")]
        else:
            low, high, count = rest.split(":")
            if not 2 <= int(count) <= MAX_CHANGES:
                raise ValueError
            values = np.linspace(float(low), float(high), int(count)).tolist()
    except ValueError:
        raise ValueError(wrong) from None
    if not sign or not name.strip() or not np.isfinite(values).all():
        raise ValueError(wrong)
    return name.strip(), [float(f"{x:.12g}") for x in values]


def read_policies(path: Path) -> dict[str, dict[str, Any]]:
    """Named policies of a TOML file: a table each, parameter = value.

    Raises:
        ValueError: it cannot be read, or holds something else than tables.
    """
    what = f"policies {path}"
    found = parse_toml(read_file(path, _MAX_BYTES, "policies"), what)
    wrong = next((name for name, x in found.items() if not isinstance(x, dict) or not x), None)
    if wrong is not None or not found:
        got = "an empty file" if wrong is None else f"{one_line(wrong, _MAX_NAME)} = {shown(found[wrong])}"
        raise ValueError(f"{what} must hold a table [name] with parameter = value for each policy, got {got}")
    return found


def changes_of(
    world: Scenario,
    settings: Mapping[str, Any],
    grids: Sequence[tuple[str, Sequence[float]]] = (),
    policies: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Change]:
    """The changes that are asked for: the settings, on every point of the grids or on every policy if there are some.

    Raises:
        ValueError: nothing is asked for or too much, a parameter is named twice or does not exist, its value is not
            allowed, or a change leaves the world as it is.
    """
    if grids and policies:
        raise ValueError("--grid must be left out with --policies: ask for one or the other")
    names = [name for name, _ in grids]
    twice = next((x for x in names if names.count(x) > 1 or x in settings), None)
    if twice is not None:
        raise ValueError(f"{twice[:_MAX_NAME]} must be given once, by --set or by one --grid")
    if policies:
        asked = {name: {**settings, **params} for name, params in policies.items()}
    elif grids:
        size = int(np.prod([len(values) for _, values in grids], dtype=np.float64))
        if size > MAX_CHANGES:
            raise ValueError(f"--grid must have at most {MAX_CHANGES} points in all, got {size}")
        points = itertools.product(*(values for _, values in grids))
        asked = {_told(at): {**settings, **at} for at in (dict(zip(names, x, strict=True)) for x in points)}
    elif settings:
        asked = {_told(settings): dict(settings)}
    else:
        raise ValueError("a what-if needs a change: --set name=value, --grid name=low:high:count or --policies FILE")
    if len(asked) > MAX_CHANGES:
        raise ValueError(f"--policies must hold at most {MAX_CHANGES} policies, got {len(asked)}")
    return [_change(world, name, params, may_be_none=bool(grids)) for name, params in asked.items()]


def _told(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()
    )


def _change(world: Scenario, name: str, params: Mapping[str, Any], *, may_be_none: bool) -> Change:
    changed = altered(world, params)
    values = {x: changed.value(x) for x in params}
    if not may_be_none and all(world.value(x) == value and x not in world.ranges for x, value in values.items()):
        raise ValueError(f"{one_line(name, 120)} must change {world.id}, which has these values already")
    return Change(one_line(name, 120), values)
