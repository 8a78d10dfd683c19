"""A run that survives: progress, logs, stored states, and going on where it stopped."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spiral_env.files import write_atomically
from spiral_env.text import is_utf8
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.folder import (
    LOG_COLUMNS,
    LOSSES,
    OUTCOMES,
    Stored,
    has_state,
    hold,
    lived_seconds,
    load_state,
    open_folder,
    progress_rows,
    save_state,
    stored_config,
)

__all__ = ["OUTCOMES", "Diverged", "Learns", "Report", "lived_seconds", "run", "stored_config"]

Report = Callable[[float, dict[str, float]], bool]
"""Told after every iteration the share of the run that is done and its figures; true ends the run."""


class Diverged(ValueError):
    """A loss is no longer a number."""


class Learns(Stored, Protocol):
    """What a run drives: something that learns by iterations and can be stored whole."""

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; losses as ``<loss>/<network>``, outcomes as ``outcome/<name>``."""

    def close(self) -> None:
        """End all threads."""


def run(trainer: Learns, folder: Path, *, resume: bool, report: Report | None = None) -> Path:
    """Train until ``timesteps`` or ``max_seconds``; Ctrl-C and ``report`` stop it, state stored. Returns the folder.

    A run that has come to its end is left as it is.

    Raises:
        ValueError: the folder does not fit, or another process trains there.
        Diverged: a loss is no longer a number (the last good state is kept).
        OSError: the folder cannot be written, the disk is full.
        KeyboardInterrupt: Ctrl-C, after the rollout in hand was learned from and the state stored.
    """
    try:
        with hold(folder, resume=resume):
            open_folder(folder, trainer.config, resume=resume)
            before = load_state(trainer, folder) if resume and has_state(folder) else 0.0
            if trainer.iteration and trainer.config.is_finished(trainer.agent_steps):
                return folder
            log = _Log(folder, trainer)
            try:
                _loop(trainer, folder, log, before, report)
            finally:
                log.close()
    finally:
        trainer.close()
    return folder


class _Log:
    """Appends a row an iteration to ``progress.csv`` and to TensorBoard; rows after the stored state are dropped.

    TensorBoard opens no path that is no UTF-8: there, the rows are all there is.
    """

    def __init__(self, folder: Path, trainer: Learns) -> None:
        self.path, self.first = folder / "progress.csv", trainer.agent_steps + 1
        rows = progress_rows(folder) if trainer.iteration and os.path.lexists(self.path) else []
        kept = [row for row in rows if int(row["iteration"]) <= trainer.iteration]
        lines = [",".join(LOG_COLUMNS), *(",".join(row.values()) for row in kept)]
        write_atomically(self.path, "\n".join(lines) + "\n")
        self.board: Any = None

    def _board(self) -> Any:
        """Made with the first row: a run that does nothing leaves no file."""
        if self.board is None:
            from torch.utils.tensorboard import SummaryWriter

            # Scalars stand at agent-steps; those of a run that was killed after its state are taken back.
            purged = self.first if self.first > 1 else None
            self.board = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=purged)
        return self.board

    def write(self, trainer: Learns, seconds: float, figures: dict[str, float]) -> None:
        losses = {n: [v for k, v in figures.items() if k.startswith(n + "/")] for n in LOSSES}
        outcomes = [f"{figures[f'outcome/{n}']:.6g}" if f"outcome/{n}" in figures else "" for n in OUTCOMES]
        row = [str(trainer.iteration), str(trainer.agent_steps), f"{seconds:.1f}", *outcomes]
        with self.path.open("a") as file:
            file.write(",".join([*row, *(f"{np.mean(x):.6g}" if x else "" for x in losses.values())]) + "\n")
        for name, value in figures.items() if is_utf8(self.path) else ():
            self._board().add_scalar(name, value, trainer.agent_steps)

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


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


def _loop(trainer: Learns, folder: Path, log: _Log, before: float, report: Report | None) -> None:
    config: TrainConfig = trainer.config
    start = stored = time.monotonic()
    first = trainer.agent_steps
    with _deferred_interrupt() as interrupted:
        while not interrupted and time.monotonic() - start < config.max_seconds:
            figures = trainer.iterate()
            now = time.monotonic()
            bad = next((name for name, value in figures.items() if not math.isfinite(value)), None)
            if bad is not None:
                raise Diverged(f"{bad} became {figures[bad]}: stopped, the last good state is kept in {folder}")
            log.write(trainer, before + now - start, figures)
            if now - stored >= config.checkpoint_seconds or trainer.iteration == 1:
                save_state(trainer, folder, before + now - start)
                stored = now
            share = max(trainer.agent_steps / config.timesteps, (now - start) / config.max_seconds)
            rate = {"agent_steps_per_second": (trainer.agent_steps - first) / (now - start)}
            if report is not None and report(min(share, 1.0), figures | rate):
                break
            if config.is_finished(trainer.agent_steps):
                break
    save_state(trainer, folder, before + time.monotonic() - start)
    if interrupted:
        raise KeyboardInterrupt
