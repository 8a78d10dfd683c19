"""What a scenario file may say: validated here, once, before any kernel runs."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spiral_env.core.params import PARAMETERS, Parameter, Value
from spiral_env.scenarios.own import OWN_FOLDER, read_own
from spiral_env.scenarios.seeds import HELD_OUT_SEEDS, TRAIN_SEEDS, series
from spiral_env.simulator.engine import World
from spiral_env.simulator.reset import LAW_COLUMNS

__all__ = ["Scenario", "load_scenario", "scenario_ids", "starting_law"]

_TABLE: dict[str, Parameter] = {q.name: q for q in PARAMETERS}


def _check_value(name: str, value: Any) -> Value:
    """One parameter's value, within its range and of its shape; ``ValueError`` names it."""
    q = _TABLE[name]
    want = len(q.default) if isinstance(q.default, tuple) else 0
    numbers = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in numbers):
        raise ValueError(f"params.{name} must be a number ({q.unit}), got {value!r}")
    if want != (len(numbers) if isinstance(value, list | tuple) else 0):
        shape = f"a list of {want} numbers" if want else "one number"
        raise ValueError(f"params.{name} must be {shape} ({q.unit}), got {value!r}")
    for x in numbers:
        if not q.low <= x <= q.high:
            raise ValueError(f"params.{name} must be in [{q.low:g}, {q.high:g}] ({q.unit}), got {x!r}")
    return tuple(float(x) for x in numbers) if want else float(numbers[0])


def _table(name: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{name} must be a table, got {raw!r}")
    for key in raw:
        _known(key)
    return raw


def _known(name: str) -> None:
    if name not in _TABLE:
        import difflib

        near = difflib.get_close_matches(name, _TABLE, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"params.{name} is not a parameter of the model{hint}")


class Scenario(BaseModel):
    """A world: versioned id, sizes, overrides of the parameter table, ranges of a procedural world.

    Attributes:
        id: name with a version, as ``baseline-v0``.
        title: a few words.
        description: what is special about it.
        num_smes: SMEs, in [1, 512].
        max_cycles: months an episode lasts at most, in [1, 600].
        params: parameter -> its value in place of the default (``spiral_env.core.params.PARAMETERS``).
        ranges: parameter -> (low, high) from which every episode draws it.
        train_seeds: half-open range of the seeds of worlds to learn from.
        held_out_seeds: half-open range of the seeds of worlds to be judged on.
        known_answer: what is known to be best in it, if anything is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*-v\d+$")
    title: str
    description: str = ""
    num_smes: int = Field(default=8, ge=1, le=512)
    max_cycles: int = Field(default=60, ge=1, le=600)
    params: dict[str, Value] = {}
    ranges: dict[str, tuple[float, float]] = {}
    train_seeds: tuple[int, int] = TRAIN_SEEDS
    held_out_seeds: tuple[int, int] = HELD_OUT_SEEDS
    known_answer: str = ""

    @field_validator("params", mode="before")
    @classmethod
    def _params(cls, raw: Any) -> dict[str, Value]:
        return {name: _check_value(name, value) for name, value in _table("params", raw).items()}

    @field_validator("ranges", mode="before")
    @classmethod
    def _ranges(cls, raw: Any) -> dict[str, tuple[float, float]]:
        return {name: _range(name, pair) for name, pair in _table("ranges", raw).items()}

    @model_validator(mode="after")
    def _seeds(self) -> Scenario:
        for name in ("train_seeds", "held_out_seeds"):
            low, high = getattr(self, name)
            if not 0 <= low < high <= 2**62:
                raise ValueError(f"{name} must be [low, high] with 0 <= low < high <= 2^62, got [{low}, {high}]")
        (a, b), (c, d) = self.train_seeds, self.held_out_seeds
        if a < d and c < b:
            raise ValueError(f"train_seeds [{a}, {b}] and held_out_seeds [{c}, {d}] must not overlap")
        return self

    @model_validator(mode="after")
    def _whole(self) -> Scenario:
        for name in ("num_services", *_SWITCHES):
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
        _known(name)
        low, high = self.ranges.get(name, (0.0, 1.0))
        return low if low == high else self.params.get(name, _TABLE[name].default)

    def episode_seed(self, seed: int, episode: int, split: str | None = None) -> int:
        """The world's own seed in the n-th episode after ``reset(seed)``, as ``spiral_env.scenarios.seeds`` says."""
        if split is None and episode == 0:
            return seed
        return series(seed, episode, self.held_out_seeds if split == "held_out" else self.train_seeds)

    def training_seeds(self, seed: int, count: int) -> list[int]:
        """Seeds in ``train_seeds`` with which ``count`` ecosystems of a training run start."""
        return [series(seed, 1 + row, self.train_seeds) for row in range(count)]

    def evaluation_seeds(self, seed: int, count: int) -> list[int]:
        """Paired seeds: the ``seed``-th of ``held_out_seeds`` and those after it.

        Raises:
            ValueError: they do not lie in the range.
        """
        low, high = self.held_out_seeds
        if not 0 <= seed <= high - low - count:
            raise ValueError(f"seed must be in [0, {high - low - count}] for {count} episodes of {self.id}, got {seed}")
        return list(range(low + seed, low + seed + count))

    def world(self, num_smes: int | None = None, max_cycles: int | None = None) -> World:
        """What an engine needs; ``num_smes`` and ``max_cycles`` replace the scenario's."""
        smes = self.num_smes if num_smes is None else num_smes
        cycles = self.max_cycles if max_cycles is None else max_cycles
        for name, got, high in (("num_smes", smes, 512), ("max_cycles", cycles, 600)):
            if isinstance(got, bool) or not isinstance(got, int | np.integer):
                raise TypeError(f"{name} must be an integer, got {got!r}")
            if not 1 <= got <= high:
                raise ValueError(f"{name} must be in [1, {high}], got {got}")
        values = {**self.params, **{name: self.value(name) for name in self.ranges}}
        return World(values, dict(self.ranges), starting_law(), int(smes), int(cycles))

    def to_toml(self) -> str:
        """The scenario as TOML that loads to an equal one; equal scenarios give equal text."""
        keys = ("id", "title", "description", "num_smes", "max_cycles", "train_seeds", "held_out_seeds", "known_answer")
        lines = [f"{key} = {_toml(getattr(self, key))}" for key in keys]
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
        params = {q.name: self.value(q.name) for q in PARAMETERS if q.name not in drawn}
        bare = {"id": "world-v0", "title": "", "description": "", "known_answer": "", "params": params, "ranges": drawn}
        digest = hashlib.sha256(self.model_copy(update=bare).to_toml().encode())
        digest.update(starting_law().tobytes())
        return digest.hexdigest()[:16]


def _toml(value: Any) -> str:
    """A text, number or list as TOML, one way each: ``-0.0`` as ``0.0``, floats with all their digits."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value + 0)


_SWITCHES = tuple(q.name for q in PARAMETERS if q.group == "switches")
_SHARES = ("class_share", "severity_share", "loss_share")
_FED = (
    *("size_exponent", "breach_mu", "breach_sigma", "breach_cap"),
    *("campaign_onset", "campaign_end", "threat_quiet", "threat_campaign"),
)
"""From these ``core.params.pack`` makes other numbers once, before any world is drawn."""
_ROUNDING = 0.002


def _range(name: str, pair: Any) -> tuple[float, float]:
    """Low and high of what a procedural world draws."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(f"ranges.{name} must be [low, high], got {pair!r}")
    if isinstance(_TABLE[name].default, tuple) or name in ("num_services", *_SWITCHES, *_FED):
        raise ValueError(f"ranges.{name} cannot be drawn: it is a list, a count, a switch or what others follow from")
    for x in pair:
        _check_value(name, x)
    low, high = (float(x) for x in pair)
    if low > high:
        raise ValueError(f"ranges.{name} must be [low, high] with low <= high, got {pair!r}")
    return low, high


@cache
def starting_law() -> np.ndarray:
    """Law of the starting backlog, float64 ``[L, 7]`` in the columns of ``LAW_COLUMNS``."""
    names, *rows = read_own("starting_backlog.csv").splitlines()
    if tuple(names.split(",")) != LAW_COLUMNS:
        raise ValueError(f"starting_backlog.csv must have the columns {LAW_COLUMNS}, got {names}")
    return np.loadtxt(rows, delimiter=",", ndmin=2)


def scenario_ids() -> tuple[str, ...]:
    """Ids of the scenarios that come with the package."""
    return tuple(sorted(x.name[:-5] for x in OWN_FOLDER.iterdir() if x.name.endswith(".toml")))


def load_scenario(id_or_path: str | Path | Scenario) -> Scenario:
    """Load a scenario.

    Args:
        id_or_path: id of a shipped scenario, path of a TOML file, or a ``Scenario``, which is returned as it is.

    Raises:
        ValueError: in one line, what is wrong.
    """
    if isinstance(id_or_path, Scenario):
        return id_or_path
    return _build(_merged(str(id_or_path), ()), str(id_or_path))


def _read(name: str) -> dict[str, Any]:
    if name in scenario_ids():
        text = read_own(f"{name}.toml")
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ValueError(f"scenario file {name} cannot be read: {reason}") from None
    else:
        known = ", ".join(scenario_ids())
        raise ValueError(f"scenario must be a .toml file or one of {known}, got {name!r}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"scenario file {name} is not TOML: {error}") from None


def _merged(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The file over what it extends; tables ``params`` and ``ranges`` merge key by key."""
    if name in seen:
        raise ValueError(f"scenario {name} extends itself: {' -> '.join((*seen, name))}")
    raw = _read(name)
    parent = raw.pop("extends", None)
    if parent is None:
        return raw
    if not isinstance(parent, str):
        raise ValueError(f"extends must be a scenario id or file, got {parent!r} in {name}")
    if parent.endswith(".toml") and not Path(parent).is_absolute():
        parent = str(Path(name).parent / parent)
    base = _merged(parent, (*seen, name))
    base.pop("known_answer", None)
    for table in ("params", "ranges"):
        if isinstance(raw.get(table), dict):
            raw[table] = {**base.get(table, {}), **raw[table]}
    return {**base, **raw}


def _build(raw: dict[str, Any], name: str) -> Scenario:
    try:
        return Scenario(**raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(x) for x in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"{where} is not a key of a scenario (allowed: extends, {', '.join(Scenario.model_fields)})"
        elif not message.startswith(("params.", "ranges.", "train_seeds", "held_out_seeds")):
            message = f"{where}: {message}, got {first.get('input')!r}"
        raise ValueError(f"scenario {name}: {message}") from None
