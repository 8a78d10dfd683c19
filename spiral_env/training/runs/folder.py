"""A run's folder: its config, its world, its state, its log; everything that is read back is checked.

``config.json`` (the config and what it ran on), ``scenario.toml`` (the resolved world), ``progress.csv`` (a row an
iteration), ``state.safetensors`` (all that is needed to go on bit for bit), ``policy.safetensors`` and ``policy.json``
(what was learned), ``tensorboard/``, ``run.lock`` (who trains here).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spiral_env.agents.checkpoint import write_policy
from spiral_env.checks import shown
from spiral_env.files import locked, parse_json, read_file, remove_leftovers, write_atomically
from spiral_env.provenance import versions
from spiral_env.scenarios import load_scenario
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.state import check_counters, check_tensors

__all__ = [
    "LOG_COLUMNS",
    "OUTCOMES",
    "Status",
    "Stored",
    "check_new",
    "check_same",
    "has_state",
    "hold",
    "lived_seconds",
    "load_state",
    "open_folder",
    "progress_rows",
    "save_state",
    "status",
    "stored_config",
    "world_note",
]

OUTCOMES = ("ecosystem_value", "spiral_height", "platform_breaches", "sme_participation", "trust", "collapse")
LOSSES = ("policy_loss", "value_loss", "entropy", "kl")
LOG_COLUMNS = ("iteration", "agent_steps", "seconds", *OUTCOMES, *LOSSES)
_MAY_CHANGE = ("max_seconds", "checkpoint_seconds", "env_threads", "ray_address")
_MAX_TEXT = 10_000_000
_MAX_LOG = 1_000_000_000


class Stored(Protocol):
    """What can be stored whole."""

    config: TrainConfig
    agent_steps: int
    iteration: int

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays of the state."""

    def counters(self) -> dict[str, Any]:
        """All numbers of the state."""

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""

    def policy(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors and header of the policy's checkpoint."""


def _about(folder: Path) -> dict[str, Any]:
    what = f"config of run {folder}"
    values = parse_json(read_file(folder / "config.json", _MAX_TEXT, "config"), what)
    for name, kind in (("config", dict), ("scenario_hash", str)):
        if not isinstance(values.get(name), kind):
            raise ValueError(f"{what} has no usable {name}")
    names = {x.name for x in fields(TrainConfig)}
    if values["config"].keys() != names:
        odd = min(values["config"].keys() ^ names)
        raise ValueError(f"{what} must hold the hyperparameters of this version, not so {shown(odd)}")
    if not isinstance(values["config"]["scenario"], str):
        raise ValueError(f"{what} must name its scenario as text, got {shown(values['config']['scenario'])}")
    return values


def stored_config(folder: Path) -> TrainConfig:
    """Config of the run in ``folder``, in the world that is stored with it.

    Raises:
        ValueError: there is no run, or what is stored is damaged.
    """
    try:
        about = _about(folder)
        read_file(folder / "scenario.toml", _MAX_TEXT, "scenario")
        config = TrainConfig(**about["config"] | {"scenario": str(folder / "scenario.toml")})
    except (ValueError, TypeError) as error:
        raise ValueError(f"run folder {folder} holds no run to resume: {error}") from None
    if config.world.hash != about["scenario_hash"]:
        found, began = config.world.hash, shown(about["scenario_hash"])
        raise ValueError(f"scenario.toml of run {folder} must be as the run began, of hash {began}, got {found}")
    return config


def world_note(folder: Path) -> str | None:
    """A line where the world that the run was given by name has changed since; the run goes on in its own."""
    given = _about(folder)["config"]["scenario"]
    try:
        same = load_scenario(given).hash == stored_config(folder).world.hash
    except ValueError:
        return None
    return None if same else f"{given} has changed since: the run goes on in its own world, {folder / 'scenario.toml'}"


def open_folder(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make the folder and store the config and the world, or check that the run in it is this one.

    Raises:
        ValueError: it holds a run and ``resume`` is off, or another run.
        OSError: it cannot be written.
    """
    if resume:
        check_same(folder, config)
        return
    check_new(folder)
    write_atomically(folder / "scenario.toml", config.world.to_toml())
    about = {"config": asdict(config), "scenario_hash": config.world.hash}
    about |= {"versions": versions()}
    write_atomically(folder / "config.json", json.dumps(about, indent=1))


def check_new(folder: Path) -> None:
    """Refuse a folder in which no run can start, before anything is made.

    Raises:
        ValueError: it holds a run or a sweep, or cannot be made.
    """
    for name, what in (
        ("config.json", "a run; choose another --out, or --resume it"),
        ("sweep.json", "a sweep; choose another --out"),
    ):
        if (folder / name).exists():
            raise ValueError(f"run folder {folder} already holds {what}")
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"run folder {folder} cannot be made: {there} is no folder")
    if not os.access(there, os.W_OK):
        raise ValueError(f"run folder {folder} cannot be made: {there} cannot be written")


def check_same(folder: Path, config: TrainConfig) -> None:
    """Refuse to resume with what makes another run of it.

    Raises:
        ValueError: names what must stay.
    """
    stored = stored_config(folder)
    if config.world.hash != stored.world.hash:
        own = f"the run's own world (hash {stored.world.hash}, {folder / 'scenario.toml'})"
        raise ValueError(f"scenario must stay {own} to resume, got {config.scenario} of hash {config.world.hash}")
    for name, value in asdict(stored).items():
        if name != "scenario" and value != getattr(config, name) and name not in _MAY_CHANGE:
            raise ValueError(f"{name} must stay {shown(value)} to resume {folder}, got {shown(getattr(config, name))}")


@contextmanager
def hold(folder: Path, *, resume: bool) -> Iterator[None]:
    """Keep other processes out of the run's folder, which is made for a new run.

    Raises:
        ValueError: another process trains there, or there is nothing to resume.
        OSError: the folder cannot be made.
    """
    if resume:
        stored_config(folder)
    else:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise ValueError(f"run folder {folder} must be a folder, is a file") from None
    try:
        with locked(folder / "run.lock", wait=False):
            remove_leftovers(folder)
            yield
    except BlockingIOError as error:
        raise ValueError(f"run folder {folder} is {error.strerror}") from None


def save_state(trainer: Stored, folder: Path, seconds: float) -> None:
    """State first, then the policy made from it: a kill in between leaves both usable."""
    from safetensors.numpy import save

    tensors = _tensors(trainer)
    counters = trainer.counters() | {"seconds": seconds}
    data = save(tensors, metadata={"counters": json.dumps(counters)})
    write_atomically(folder / "state.safetensors", data)
    policy, header = trainer.policy()
    world = trainer.config.world
    write_policy(folder, policy, header | {"scenario": world.id, "scenario_hash": world.hash})


def has_state(folder: Path) -> bool:
    """Whether anything lies where the state is stored, a broken link too."""
    return os.path.lexists(folder / "state.safetensors")


def _tensors(trainer: Stored) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(x) for name, x in trainer.tensors().items()}


def load_state(trainer: Stored, folder: Path) -> float:
    """Go on from the stored state; returns the seconds lived before.

    Raises:
        ValueError: the state is missing, damaged or of another run.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    what, own = f"state of run {folder}", _tensors(trainer)
    # Moments of an optimiser of torch, which it makes in its first step, come on top of what is there now.
    limit = _MAX_TEXT + 4 * sum(x.nbytes for x in own.values())
    data = read_file(folder / "state.safetensors", limit, "state")
    try:
        counters = _counters(data)
        check_counters(counters)
        tensors = load(data)
        check_tensors(tensors, own)
        trainer.load(tensors, counters)
    except (
        SafetensorError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise ValueError(f"{what} cannot be read: {reason}") from None
    return float(counters["seconds"])


def _counters(data: bytes) -> dict[str, Any]:
    """Of the header of a safetensors file: eight bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= len(data) - 8 or length > _MAX_TEXT:
        raise ValueError("it is no safetensors file")
    metadata = parse_json(data[8 : 8 + length], "header").get("__metadata__")
    text = metadata.get("counters") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError("it has no counters")
    return parse_json(text, "counters")


@dataclass(frozen=True)
class Status:
    """How far a run has come.

    Attributes:
        agent_steps: lived so far.
        iteration: rollouts or generations learned from.
        seconds: trained so far.
        finished: whether no further iteration brings it nearer to ``timesteps``.
    """

    agent_steps: int
    iteration: int
    seconds: float
    finished: bool


def status(folder: Path, config: TrainConfig) -> Status:
    """Of the run in ``folder``, by its stored state alone.

    Raises:
        ValueError: the state is damaged.
    """
    path = folder / "state.safetensors"
    if not has_state(folder):
        return Status(0, 0, 0.0, False)
    try:
        if not path.is_file():
            raise ValueError("it must be a regular file")
        with path.open("rb") as file:
            counters = _counters(file.read(8 + _MAX_TEXT))
        check_counters(counters)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"state of run {folder} cannot be read: {error}") from None
    steps, iteration = counters["agent_steps"], counters["iteration"]
    return Status(steps, iteration, float(counters["seconds"]), iteration > 0 and config.is_finished(steps))


def progress_rows(folder: Path) -> list[dict[str, str]]:
    """Whole rows of ``progress.csv``; a last row that a kill or a full disk cut is left out.

    Raises:
        ValueError: it is missing or damaged.
    """
    try:
        text = read_file(folder / "progress.csv", _MAX_LOG, "log").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"log {folder / 'progress.csv'} must be UTF-8") from None
    whole = text[: text.rfind("\n") + 1].splitlines()
    if not whole or tuple(whole[0].split(",")) != LOG_COLUMNS:
        raise ValueError(f"log {folder / 'progress.csv'} must have the columns {','.join(LOG_COLUMNS)}")
    rows = []
    for number, line in enumerate(whole[1:], 2):
        cells = line.split(",")
        if len(cells) != len(LOG_COLUMNS) or not _sound(cells):
            raise ValueError(f"log {folder / 'progress.csv'} has a damaged line {number}: {shown(line)}")
        rows.append(dict(zip(LOG_COLUMNS, cells, strict=True)))
    return rows


def _sound(cells: list[str]) -> bool:
    """Whether the first three are numbers from 0 on, the others numbers or empty."""
    try:
        numbers = [float(x) if x else 0.0 for x in cells]
        int(cells[0]), int(cells[1]), float(cells[2])
    except ValueError:
        return False
    return all(map(math.isfinite, numbers)) and min(numbers[:3]) >= 0.0


def lived_seconds(folder: Path) -> float:
    """How long the run in ``folder`` has learned, by its last row of ``progress.csv``."""
    try:
        return max((float(row["seconds"]) for row in progress_rows(folder)), default=0.0)
    except ValueError:
        return 0.0
