"""A run that survives: progress, logs, stored states, and going on where it stopped."""

from __future__ import annotations

import csv
import json
import math
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from spiral_env.agents.checkpoint import write_policy
from spiral_env.files import write_atomically
from spiral_env.training.runs.config import TrainConfig

__all__ = ["OUTCOMES", "Diverged", "Learns", "Report", "lived_seconds", "run", "stored_config"]

Report = Callable[[float, dict[str, float]], bool]
"""Told after every iteration the share of the run that is done and its figures; true ends the run."""

OUTCOMES = ("ecosystem_value", "spiral_height", "platform_breaches", "sme_participation", "trust", "collapse")
_MAY_CHANGE = ("max_seconds", "checkpoint_seconds", "env_threads", "ray_address")
_LOSSES = ("policy_loss", "value_loss", "entropy", "kl")


def stored_config(folder: Path) -> TrainConfig:
    """Config of the run in ``folder``.

    Raises:
        ValueError: there is no run.
    """
    try:
        return TrainConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"run folder {folder} holds no run to resume: {error}") from None


def lived_seconds(folder: Path) -> float:
    """How long the run in ``folder`` has learned, by its last row of ``progress.csv``."""
    try:
        with (folder / "progress.csv").open(newline="") as file:
            return max((float(row["seconds"]) for row in csv.DictReader(file)), default=0.0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def open_folder(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make the folder and store the config, or check that the run in it is this one.

    Raises:
        ValueError: it holds a run and ``resume`` is off, or another run.
        OSError: it cannot be written.
    """
    if resume:
        stored = stored_config(folder)
        for name, value in asdict(stored).items():
            if value != getattr(config, name) and name not in _MAY_CHANGE:
                raise ValueError(f"{name} must stay {value!r} to resume {folder}, got {getattr(config, name)!r}")
        return
    if (folder / "config.json").exists():
        raise ValueError(f"run folder {folder} already holds a run; choose another --out, or --resume it")
    folder.mkdir(parents=True, exist_ok=True)
    packages = {name: version(name) for name in ("spiral_env", "numpy", "numba", "torch")}
    about = {"config": asdict(config), "python": platform.python_version(), "packages": packages}
    write_atomically(folder / "config.json", json.dumps(about, indent=1).encode())


def _save(trainer: Learns, folder: Path, seconds: float) -> None:
    """State first, then the policy made from it: a kill in between leaves both usable."""
    from safetensors.numpy import save

    tensors = {k: np.ascontiguousarray(v) for k, v in trainer.tensors().items()}
    counters = trainer.counters() | {"seconds": seconds}
    data = save(tensors, metadata={"counters": json.dumps(counters)})
    write_atomically(folder / "state.safetensors", data)
    policy, header = trainer.policy()
    write_policy(folder, policy, header | {"scenario": trainer.config.scenario})


def _load(trainer: Learns, folder: Path) -> float:
    """Go on from the stored state; returns the seconds lived before."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(folder / "state.safetensors"), "numpy") as file:
            counters = json.loads(file.metadata()["counters"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        trainer.load(tensors, counters)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"state of run {folder} cannot be read: {str(error).splitlines()[0]}") from None
    return float(counters["seconds"])


class _Log:
    """Appends a row an iteration to ``progress.csv`` and to TensorBoard; rows after the stored state are dropped."""

    def __init__(self, folder: Path, iteration: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / "progress.csv"
        kept: list[dict[str, str]] = []
        if iteration and self.path.exists():
            with self.path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["iteration"]) <= iteration]
        self.names = ["iteration", "agent_steps", "seconds", *OUTCOMES, *_LOSSES]
        lines = [",".join(self.names), *(",".join(row[name] for name in self.names) for row in kept)]
        write_atomically(self.path, ("\n".join(lines) + "\n").encode())
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=iteration or None)

    def write(self, trainer: Learns, seconds: float, figures: dict[str, float]) -> None:
        losses = {n: [v for k, v in figures.items() if k.startswith(n + "/")] for n in _LOSSES}
        outcomes = [f"{figures[f'outcome/{n}']:.6g}" if f"outcome/{n}" in figures else "" for n in OUTCOMES]
        row = [str(trainer.iteration), str(trainer.agent_steps), f"{seconds:.1f}", *outcomes]
        with self.path.open("a") as file:
            file.write(",".join([*row, *(f"{np.mean(x):.6g}" if x else "" for x in losses.values())]) + "\n")
        for name, value in figures.items():
            self.board.add_scalar(name, value, trainer.agent_steps)

    def close(self) -> None:
        self.board.close()


@contextmanager
def _bar(quiet: bool) -> Iterator[Any]:
    columns = (TextColumn("training"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share, text: progress.update(task, completed=share, description=text)


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Ctrl-C is noted and raised at the end, so that no state is stored half-learned; a second one raises at once."""
    noted: list[int] = []

    def note(number: int, _frame: Any) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    main = threading.current_thread() is threading.main_thread()
    old = signal.signal(signal.SIGINT, note) if main else None
    try:
        yield noted
    finally:
        if main:
            signal.signal(signal.SIGINT, old)


class Diverged(ValueError):
    """A loss is no longer a number."""


class Learns(Protocol):
    """What a run drives: something that learns by iterations and can be stored whole."""

    config: TrainConfig
    agent_steps: int
    iteration: int

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; losses as ``<loss>/<network>``, outcomes as ``outcome/<name>``."""

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays of the state."""

    def counters(self) -> dict[str, Any]:
        """All numbers of the state."""

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""

    def policy(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors and header of the policy's checkpoint."""

    def close(self) -> None:
        """End all threads."""


def run(trainer: Learns, folder: Path, *, resume: bool, quiet: bool, report: Report | None = None) -> Path:
    """Train until ``timesteps`` or ``max_seconds``; Ctrl-C and ``report`` stop it, state stored. Returns the folder.

    Raises:
        ValueError: the folder does not fit.
        Diverged: a loss is no longer a number (the last good state is kept).
        OSError: the folder cannot be written, the disk is full.
        KeyboardInterrupt: Ctrl-C, after the rollout in hand was learned from and the state stored.
    """
    try:
        open_folder(folder, trainer.config, resume=resume)
        before = _load(trainer, folder) if resume and (folder / "state.safetensors").exists() else 0.0
        log = _Log(folder, trainer.iteration)
        try:
            with _bar(quiet) as bar:
                _loop(trainer, folder, log, before, _told(bar, report))
        finally:
            log.close()
    finally:
        trainer.close()
    return folder


def _told(bar: Any, report: Report | None) -> Callable[[float, float, dict[str, float]], bool]:
    """Shows progress on the bar, then asks ``report`` whether to stop."""

    def tell(share: float, rate: float, figures: dict[str, float]) -> bool:
        value = figures.get("outcome/ecosystem_value", float("nan"))
        bar(share, f"{rate:,.0f} agent-steps/s  ecosystem value {value:.0f} k$ a month")
        return report is not None and report(share, figures)

    return tell


def _loop(trainer: Learns, folder: Path, log: _Log, before: float, tell: Any) -> None:
    config, start, stored = trainer.config, time.monotonic(), time.monotonic()
    first = trainer.agent_steps
    with _deferred_interrupt() as interrupted:
        while trainer.agent_steps < config.timesteps and time.monotonic() - start < config.max_seconds:
            if interrupted:
                break
            figures = trainer.iterate()
            now = time.monotonic()
            bad = next((name for name, value in figures.items() if not math.isfinite(value)), None)
            if bad is not None:
                raise Diverged(f"{bad} became {figures[bad]}: stopped, the last good state is kept in {folder}")
            log.write(trainer, before + now - start, figures)
            if now - stored >= config.checkpoint_seconds or trainer.iteration == 1:
                _save(trainer, folder, before + now - start)
                stored = now
            rate = (trainer.agent_steps - first) / (now - start)
            share = max(trainer.agent_steps / config.timesteps, (now - start) / config.max_seconds)
            if tell(min(share, 1.0), rate, figures):
                break
    _save(trainer, folder, before + time.monotonic() - start)
    if interrupted:
        raise KeyboardInterrupt
