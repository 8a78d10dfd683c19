"""What a sweep searches: per hyperparameter a range of numbers or a list of choices."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spiral_env.checks import shown
from spiral_env.files import parse_toml, read_file
from spiral_env.training.runs.config import TrainConfig, check_value, hyperparameters, parse_override

__all__ = ["Ranges", "Span", "check_ranges", "load_ranges", "parse_range", "start_point", "suggest"]


@dataclass(frozen=True)
class Span:
    """Numbers from ``low`` to ``high``, both among them; ``log`` makes orders of magnitude equally likely."""

    low: float
    high: float
    log: bool = False


Ranges = dict[str, Span | list[Any]]
_MAX_BYTES = 1_000_000
_MAX_CHOICES = 1_000
_FIXED = (
    "scenario",
    "algo",
    "seed",
    "max_seconds",
    "timesteps",
    "checkpoint_seconds",
    "env_threads",
    "engine",
    "ray_address",
)


def parse_range(text: str) -> tuple[str, Span | list[Any]]:
    """``name=low:high``, ``name=low:high:log`` or ``name=a,b,c``, values in TOML's notation or bare strings.

    Raises:
        ValueError: it is none of these.
    """
    name, sign, value = text.partition("=")
    parts = value.split(":")
    ends = [parse_override(f"x={part}")[1] for part in parts[:2]]
    if len(ends) == 2 and all(_is_number(x) for x in ends) and parts[2:] in ([], ["log"]):
        return name.strip(), Span(ends[0], ends[1], parts[2:] == ["log"])
    if not sign or "," not in value:
        raise ValueError(f"--set-range must be name=low:high, name=low:high:log or name=a,b,c, got {shown(text)}")
    return name.strip(), [parse_override(f"x={part.strip()}")[1] for part in value.split(",")]


def load_ranges(path: Path) -> Ranges:
    """Ranges of a TOML file: ``name = [a, b, c]`` or ``name = {low = 1e-4, high = 1e-2, log = true}``.

    Raises:
        ValueError: the file cannot be read or holds something else.
    """
    values = parse_toml(read_file(path, _MAX_BYTES, "ranges"), f"ranges {path}")
    try:
        return ranges_from(values)
    except ValueError as error:
        raise ValueError(f"ranges {path} cannot be used: {error}") from None


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def ranges_from(values: Mapping[str, Any]) -> Ranges:
    """Ranges of plain tables and lists."""
    found: Ranges = {}
    for name, value in values.items():
        if isinstance(value, list) and value:
            found[name] = value
        elif _is_span(value):
            found[name] = Span(**value)
        else:
            raise ValueError(f"{shown(name)} must be a list or a table of low, high and log, got {shown(value)}")
    return found


def _is_span(value: Any) -> bool:
    if not isinstance(value, dict) or not {"low", "high"} <= value.keys() <= {"low", "high", "log"}:
        return False
    return _is_number(value["low"]) and _is_number(value["high"]) and isinstance(value.get("log", False), bool)


def plain(ranges: Ranges) -> dict[str, Any]:
    """The other way round of ``ranges_from``."""
    return {name: asdict(x) if isinstance(x, Span) else x for name, x in ranges.items()}


def check_ranges(base: TrainConfig, ranges: Ranges) -> None:
    """Every end and every choice must be a config that can be run.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a name is unknown or fixed, or a value is out of range.
    """
    if not ranges:
        raise ValueError("ranges must name at least one hyperparameter: --set-range name=low:high or --ranges FILE")
    known = {x.name: x for x in hyperparameters() if x.name not in _FIXED}
    for name, x in ranges.items():
        if name not in known:
            near = difflib.get_close_matches(name[:60], known, 1)
            raise ValueError(f"ranges cannot name {shown(name)}" + (f", did you mean {near[0]!r}?" if near else ""))
        if isinstance(x, Span) and (known[name].kind in (str, bool) or not x.low < x.high):
            raise ValueError(f"{name} must be a list of choices or have low < high, got {x.low:g} and {x.high:g}")
        if isinstance(x, Span) and x.log and x.low <= 0:
            raise ValueError(f"{name} must have low > 0 to be searched by logarithm, got {x.low:g}")
        for value in _ends(x):
            check_value(known[name], value)
        if isinstance(x, list) and not len(set(x)) == len(x) <= _MAX_CHOICES:
            raise ValueError(f"{name} must have at most {_MAX_CHOICES:,} choices, each once, got {shown(x)}")
    for name, x in ranges.items():
        for value in _ends(x):
            _check_fit(base, ranges, name, value)


def _ends(x: Span | list[Any]) -> list[Any]:
    return [x.low, x.high] if isinstance(x, Span) else x


def _check_fit(base: TrainConfig, ranges: Ranges, name: str, value: Any) -> None:
    """Refuse a value that neither the base nor an end of another range makes a config that can be run."""
    others = [{other: y} for other, x in ranges.items() if other != name for y in (_ends(x)[0], _ends(x)[-1])]
    failures: list[ValueError] = []
    for change in [{}, *others]:
        try:
            replace(base, **change, **{name: value})
        except ValueError as error:
            failures.append(error)
        else:
            return
    raise failures[0]


def start_point(base: TrainConfig, ranges: Ranges) -> dict[str, Any]:
    """What the base config says, where that lies in its range: the first trial."""
    inside = {}
    for name, x in ranges.items():
        value = getattr(base, name)
        if (x.low <= value <= x.high) if isinstance(x, Span) else value in x:
            inside[name] = value
    return inside


def suggest(trial: Any, base: TrainConfig, ranges: Ranges) -> TrainConfig:
    """The base config with what an Optuna trial says."""
    values: dict[str, Any] = {}
    for name, x in ranges.items():
        if not isinstance(x, Span):
            values[name] = trial.suggest_categorical(name, x)
        elif isinstance(getattr(base, name), int):
            values[name] = trial.suggest_int(name, int(x.low), int(x.high), log=x.log)
        else:
            values[name] = trial.suggest_float(name, x.low, x.high, log=x.log)
    return replace(base, **values)
