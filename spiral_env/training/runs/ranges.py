"""What a sweep searches: per hyperparameter a range of numbers or a list of choices."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spiral_env.training.runs.config import TrainConfig, parse_override

__all__ = ["Ranges", "Span", "check_ranges", "load_ranges", "parse_range", "start_point", "suggest"]


@dataclass(frozen=True)
class Span:
    """Numbers from ``low`` to ``high``, both among them; ``log`` makes orders of magnitude equally likely."""

    low: float
    high: float
    log: bool = False


Ranges = dict[str, Span | list[Any]]
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
    if len(ends) == 2 and all(isinstance(x, int | float) for x in ends) and parts[2:] in ([], ["log"]):
        return name.strip(), Span(ends[0], ends[1], parts[2:] == ["log"])
    if not sign or "," not in value:
        raise ValueError(f"--set-range must be name=low:high, name=low:high:log or name=a,b,c, got {text!r}")
    return name.strip(), [parse_override(f"x={part.strip()}")[1] for part in value.split(",")]


def load_ranges(path: Path) -> Ranges:
    """Ranges of a TOML file: ``name = [a, b, c]`` or ``name = {low = 1e-4, high = 1e-2, log = true}``.

    Raises:
        ValueError: the file cannot be read or holds something else.
    """
    try:
        return ranges_from(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ValueError(f"ranges {path} cannot be read: {error}") from None


def ranges_from(values: Mapping[str, Any]) -> Ranges:
    """Ranges of plain tables and lists."""
    found: Ranges = {}
    for name, value in values.items():
        if isinstance(value, list) and value:
            found[name] = value
        elif isinstance(value, dict) and {"low", "high"} <= value.keys() <= {"low", "high", "log"}:
            found[name] = Span(**value)
        else:
            raise ValueError(f"{name} must be a list or a table of low, high and log, got {value!r}")
    return found


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
    names = [name for name in asdict(base) if name not in _FIXED]
    for name, x in ranges.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise ValueError(f"ranges cannot name {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
        if isinstance(x, Span) and (isinstance(getattr(base, name), str | bool) or not x.low < x.high):
            raise ValueError(f"{name} must be a list of choices or have low < high, got {x.low} and {x.high}")
        if isinstance(x, Span) and x.log and x.low <= 0:
            raise ValueError(f"{name} must have low > 0 to be searched by logarithm, got {x.low}")
        values: list[Any] = [x.low, x.high] if isinstance(x, Span) else x
        for value in values:
            replace(base, **{name: value})


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
