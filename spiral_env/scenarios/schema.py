"""What a scenario file may say: validated here, once, before any kernel runs."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator

from spiral_env.checks import check_count, check_list, shown
from spiral_env.core.params import PARAMETERS, Parameter, Value
from spiral_env.core.state import CAPACITIES
from spiral_env.scenarios.given import OpenFinding, Service, as_table, backlog, check_together, given, services
from spiral_env.scenarios.own import read_own
from spiral_env.scenarios.seeds import HELD_OUT_SEEDS, TRAIN_SEEDS, series
from spiral_env.simulator.engine import World
from spiral_env.simulator.reset import LAW_COLUMNS
from spiral_env.text import one_line

__all__ = ["MAX_CYCLES", "MAX_EPISODES", "MAX_SMES", "Scenario", "starting_law"]

MAX_SMES = CAPACITIES[-1]
MAX_CYCLES = 600
MAX_EPISODES = 1_000_000

_TABLE: dict[str, Parameter] = {q.name: q for q in PARAMETERS}


def _check_value(table: str, name: str, value: Any) -> Value:
    """One parameter's value, within its range and of its shape; ``ValueError`` names it."""
    q = _TABLE[name]
    where = f"{table}.{name}"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    listed = isinstance(value, list | tuple)
    want = len(q.default) if isinstance(q.default, tuple) else 0
    if want != (len(value) if listed else 0):
        shape = f"a list of {want} numbers" if want else "one number"
        raise ValueError(f"{where} must be {shape} ({q.unit}), got {shown(value)}")
    for x in value if listed else [value]:
        if isinstance(x, bool) or not isinstance(x, int | float | np.integer | np.floating):
            raise ValueError(f"{where} must be a number ({q.unit}), got {shown(value)}")
        if not q.low <= x <= q.high:
            raise ValueError(f"{where} must be in [{q.low:g}, {q.high:g}] ({q.unit}), got {shown(x)}")
    return tuple(float(x) for x in value) if listed else float(value)


def _table(name: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{name} must be a table, got {shown(raw)}")
    for key in raw:
        _known(name, key)
    return raw


def _known(table: str, name: Any) -> None:
    if isinstance(name, str) and name in _TABLE:
        return
    near = difflib.get_close_matches(name, _TABLE, n=1) if isinstance(name, str) and len(name) < 100 else []
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"{table}.{one_line(name, 60)} is not a parameter of the model{hint}")


def _seeds(name: str, pair: Any) -> tuple[int, int]:
    """A half-open range of seeds."""
    low, high = (check_count(name, x, 0, 2**62) for x in check_list(name, pair, 2))
    if low >= high:
        raise ValueError(f"{name} must be [low, high] with 0 <= low < high <= 2^62, got [{low}, {high}]")
    return low, high


def _text(name: str, value: Any, *, lines: bool = False) -> str:
    """A text that may be printed as it is."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {shown(value)}")
    if not (value.replace("\n", " ").replace("\t", " ") if lines else value).isprintable():
        raise ValueError(f"{name} must be a text{'' if lines else ' of one line'} without control characters")
    if len(value) > _LONGEST:
        raise ValueError(f"{name} must have at most {_LONGEST} characters, has {len(value)}")
    return value


class Scenario(BaseModel):
    """A world: versioned id, sizes, overrides of the parameter table, ranges of a procedural world.

    Attributes:
        id: name with a version, as ``baseline-v1``.
        title: a few words.
        description: what is special about it.
        num_smes: SMEs, in [1, 512].
        max_cycles: months an episode lasts at most, in [1, 600].
        params: parameter -> its value in place of the default (``spiral_env.core.params.PARAMETERS``).
        ranges: parameter -> (low, high) from which every episode draws it.
        train_seeds: half-open range of the seeds of worlds to learn from.
        held_out_seeds: half-open range of the seeds of worlds to be judged on.
        known_answer: what is known to be best in it, if anything is.
        services: the services of a world of one's own, sorted by tier and calls; empty where they are drawn.
        backlog: what is open on them; empty where it is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    description: str = ""
    num_smes: int = 8
    max_cycles: int = 60
    params: dict[str, Value] = {}
    ranges: dict[str, tuple[float, float]] = {}
    train_seeds: tuple[int, int] = TRAIN_SEEDS
    held_out_seeds: tuple[int, int] = HELD_OUT_SEEDS
    known_answer: str = ""
    services: tuple[Service, ...] = ()
    backlog: tuple[OpenFinding, ...] = ()

    def __init__(self, **data: Any) -> None:
        """Check everything.

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is not allowed, a key is missing or unknown; in one line.
        """
        fields = type(self).model_fields
        unknown = [key for key in data if key not in fields]
        if unknown:
            allowed = f"allowed: extends, {', '.join(fields)}"
            raise ValueError(f"{one_line(unknown[0], 60)} is not a key of a scenario ({allowed})")
        missing = [key for key in ("id", "title") if key not in data]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Scenario:
        """A scenario with some values replaced, checked like any other."""
        return Scenario(**{**{name: getattr(self, name) for name in type(self).model_fields}, **(update or {})})

    @field_validator("*", mode="before")
    @classmethod
    def _checked(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return _CHECKS[info.field_name](info.field_name, value)

    @model_validator(mode="after")
    def _together(self) -> Scenario:
        (a, b), (c, d) = self.train_seeds, self.held_out_seeds
        if a < d and c < b:
            raise ValueError(f"train_seeds [{a}, {b}] and held_out_seeds [{c}, {d}] must not overlap")
        check_together(self.services, self.backlog)
        count = self.params.get("num_services", len(self.services))
        if self.services and count != len(self.services):
            raise ValueError(f"params.num_services must be left out or {len(self.services)}, as services are named")
        for name in _WHOLE:
            value = self.params.get(name, _TABLE[name].default)
            if value != int(value):  # type: ignore[arg-type]
                raise ValueError(f"params.{name} must be a whole number, got {value!r}")
        for name in _SHARES:
            total = sum(self.value(name))  # type: ignore[arg-type]
            if abs(total - 1.0) > _ROUNDING:
                raise ValueError(f"params.{name} must add to 1 within {_ROUNDING}, got {total:g}")
        return self

    def value(self, name: str) -> Value:
        """The value in force of one parameter; of a procedural world's, the one it has where it is not drawn."""
        _known("params", name)
        if name == "num_services" and self.services:
            return float(len(self.services))
        low, high = self.ranges.get(name, (0.0, 1.0))
        return low if low == high else self.params.get(name, _TABLE[name].default)

    def episode_seed(self, seed: int, episode: int, split: str | None = None) -> int:
        """The world's own seed in the n-th episode after ``reset(seed)``, as ``spiral_env.scenarios.seeds`` says."""
        if split is None and episode == 0:
            return seed
        return series(seed, episode, self.held_out_seeds if split == "held_out" else self.train_seeds)

    def training_seeds(self, seed: int, count: int) -> list[int]:
        """Seeds in ``train_seeds`` with which the ecosystems of a training run start: no two alike, if so many are."""
        low, high = self.train_seeds
        found: dict[int, None] = {}
        number = 0
        while len(found) < min(count, high - low):
            number += 1
            found[series(seed, number, self.train_seeds)] = None
        return (list(found) * -(-count // len(found)))[:count]

    def evaluation_seeds(self, seed: int, count: int) -> list[int]:
        """Paired seeds: the ``seed``-th of ``held_out_seeds`` and those after it.

        Raises:
            TypeError: not integers.
            ValueError: they do not lie in the range.
        """
        seed, count = check_count("seed", seed, 0, 2**62), check_count("episodes", count, 1, MAX_EPISODES)
        low, high = self.held_out_seeds
        if count > high - low:
            raise ValueError(f"episodes must be at most the {high - low} held_out_seeds of {self.id}, got {count}")
        if not 0 <= seed <= high - low - count:
            raise ValueError(f"seed must be in [0, {high - low - count}] for {count} episodes of {self.id}, got {seed}")
        return list(range(low + seed, low + seed + count))

    def world(self, num_smes: int | None = None, max_cycles: int | None = None) -> World:
        """What an engine needs; ``num_smes`` and ``max_cycles`` replace the scenario's."""
        smes = check_count("num_smes", self.num_smes if num_smes is None else num_smes, 1, MAX_SMES)
        cycles = check_count("max_cycles", self.max_cycles if max_cycles is None else max_cycles, 1, MAX_CYCLES)
        values = {**self.params, **{name: self.value(name) for name in self.ranges}}
        if self.services:
            values["num_services"] = self.value("num_services")
        named = given(self.services, self.backlog)
        return World(values, dict(self.ranges), starting_law(), smes, cycles, named)

    def to_toml(self) -> str:
        """The scenario as TOML that loads to an equal one; equal scenarios give equal text."""
        keys = ("id", "title", "description", "num_smes", "max_cycles", "train_seeds", "held_out_seeds", "known_answer")
        lines = [f"{key} = {_toml(getattr(self, key))}" for key in keys]
        for key in ("services", "backlog"):
            rows = [f"    {_toml(as_table(row))}," for row in getattr(self, key)]
            lines += ["", f"{key} = [", *rows, "]"] if rows else []
        for table, content in (("params", self.params), ("ranges", self.ranges)):
            lines += ["", f"[{table}]", *(f"{name} = {_toml(content[name])}" for name in sorted(content))]
        return "\n".join(lines) + "\n"

    @property
    def hash(self) -> str:
        """What tells worlds apart: equal for equal worlds, whatever their names and however they were written.

        The first 16 hex digits of the SHA-256 of the canonical TOML of every number in force (sizes, seeds, all
        parameters, ranges) and of the law of the starting backlog.
        """
        drawn = {name: (low, high) for name, (low, high) in self.ranges.items() if low < high}
        told = {"num_services"} if self.services else set()
        params = {q.name: self.value(q.name) for q in PARAMETERS if q.name not in drawn and q.name not in told}
        bare = {"id": "world-v0", "title": "", "description": "", "known_answer": "", "params": params, "ranges": drawn}
        bare |= _unnamed(self.services, self.backlog)
        digest = hashlib.sha256(self.model_copy(update=bare).to_toml().encode())
        digest.update(starting_law().tobytes())
        return digest.hexdigest()[:16]


def _unnamed(named: tuple[Service, ...], findings: tuple[OpenFinding, ...]) -> dict[str, Any]:
    """Services and findings under numbers in place of their names."""
    number = {x.name: str(k) for k, x in enumerate(named)}
    return {
        "services": [x._replace(name=number[x.name], calls=tuple(sorted(number[y] for y in x.calls))) for x in named],
        "backlog": [x._replace(name=str(k), service=number[x.service]) for k, x in enumerate(findings)],
    }


def _toml(value: Any) -> str:
    """A text, number, flag, list or table as TOML, one way each: ``-0.0`` as ``0.0``, floats with all their digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(x)}" for key, x in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value + 0)


_SWITCHES = tuple(q.name for q in PARAMETERS if q.group == "switches")
_WHOLE = ("num_services", *_SWITCHES)
_SHARES = ("class_share", "severity_share", "loss_share")
_FED = (
    *("size_exponent", "breach_mu", "breach_sigma", "breach_cap"),
    *("campaign_onset", "campaign_end", "threat_quiet", "threat_campaign"),
)
"""From these ``core.params.pack`` makes other numbers once, before any world is drawn."""
_ROUNDING = 0.002


_LONGEST = 2000
"""Characters of a text."""


def _range(name: str, pair: Any) -> tuple[float, float]:
    """Low and high of what a procedural world draws."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(f"ranges.{name} must be [low, high], got {shown(pair)}")
    if isinstance(_TABLE[name].default, tuple) or name in (*_WHOLE, *_FED):
        raise ValueError(f"ranges.{name} cannot be drawn: it is a list, a count, a switch or what others follow from")
    low, high = (_check_value("ranges", name, x) for x in pair)
    if low > high:  # type: ignore[operator]
        raise ValueError(f"ranges.{name} must be [low, high] with low <= high, got {shown(pair)}")
    return low, high  # type: ignore[return-value]


def _id(name: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,80}-v[0-9]{1,6}", value):
        raise ValueError(
            f"{name} must be lower-case letters, digits and hyphens that end in -v and a number, got {shown(value)}"
        )
    return value


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "title": _text,
    "description": partial(_text, lines=True),
    "num_smes": lambda name, value: check_count(name, value, 1, MAX_SMES),
    "max_cycles": lambda name, value: check_count(name, value, 1, MAX_CYCLES),
    "params": lambda table, raw: {name: _check_value(table, name, x) for name, x in _table(table, raw).items()},
    "ranges": lambda table, raw: {name: _range(name, pair) for name, pair in _table(table, raw).items()},
    "train_seeds": _seeds,
    "held_out_seeds": _seeds,
    "known_answer": _text,
    "services": services,
    "backlog": backlog,
}
"""What each key of a scenario is held against."""


@cache
def starting_law() -> np.ndarray:
    """Law of the starting backlog, float64 ``[L, 7]`` in the columns of ``LAW_COLUMNS``."""
    names, *rows = read_own("starting_backlog.csv").splitlines()
    if tuple(names.split(",")) != LAW_COLUMNS:
        raise ValueError(f"starting_backlog.csv must have the columns {LAW_COLUMNS}, got {names}")
    return np.loadtxt(rows, delimiter=",", ndmin=2)
