"""The study of a sweep: Optuna's, in one SQLite file that is looked at before it is opened."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy

from spiral_env.text import one_line

__all__ = ["StudyError", "create_study", "open_study", "study_errors"]

_NAME = "sweep"
_PATIENCE = 20.0
"""Seconds to wait for another process that writes."""


class StudyError(ValueError):
    """The study cannot be used."""


def create_study(folder: Path, first: dict[str, Any]) -> None:
    """Make ``study.db``, whole or not at all; its first trial takes the values ``first``."""
    temporary = folder / ".study.tmp"
    for left in folder.glob(f"{temporary.name}*"):
        left.unlink()
    with study_errors(folder):
        storage = _storage(temporary)
        study = optuna.create_study(storage=storage, study_name=_NAME, direction="maximize")
        study.enqueue_trial(first)
        storage.remove_session()
        storage.engine.dispose()
    os.replace(temporary, folder / "study.db")


def open_study(folder: Path, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
    """The sweep's study.

    Raises:
        StudyError: the file is missing, damaged, in use for long or something else.
    """
    with study_errors(folder):
        _check(folder / "study.db")
        return optuna.load_study(study_name=_NAME, storage=_storage(folder / "study.db"), pruner=pruner)


def _storage(path: Path) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Opened by its path: a URL holds no name that is no UTF-8.
    connect = partial(sqlite3.connect, path.resolve(), timeout=_PATIENCE, check_same_thread=False)
    return optuna.storages.RDBStorage(f"sqlite:///{path.name}", engine_kwargs={"creator": connect})


def _check(path: Path) -> None:
    """Optuna would make its tables in any database, and an empty file is one."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it must be a regular file")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)) as database:
        if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise ValueError("it is damaged")
        found = database.execute("SELECT study_name FROM studies").fetchall()
    if found != [(_NAME,)]:
        raise ValueError("it is no sweep's")


@contextmanager
def study_errors(folder: Path) -> Iterator[None]:
    """Whatever is wrong with the study inside the block is one line.

    Raises:
        StudyError: says what.
    """
    try:
        yield
    except (OSError, ValueError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "orig", None) or getattr(cause, "strerror", None) or cause
        line = (str(reason).splitlines() or [type(reason).__name__])[0]
        path = one_line(folder / "study.db", 200)
        raise StudyError(f"study {path} cannot be used: {one_line(line, 200)}") from None
