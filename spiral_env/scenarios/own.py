"""The package's own worlds and tables. Calibration writes two of them, which change together or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from spiral_env.files import write_atomically

__all__ = ["OWN_FOLDER", "read_own", "write_own"]

OWN_FOLDER = resources.files("spiral_env.scenarios")
_PENDING = "pending.json"
"""Texts of the files that are being written: what it says is so, until all are and it is gone."""


def read_own(name: str, folder: Traversable = OWN_FOLDER) -> str:
    """Text of a file of the package, also where writing it was cut short."""
    pending = folder / _PENDING
    texts = json.loads(pending.read_text(encoding="utf-8")) if pending.is_file() else {}
    return texts[name] if name in texts else (folder / name).read_text(encoding="utf-8")


def write_own(texts: Mapping[str, str], folder: Path) -> None:
    """Replace several files as one: a process killed at any point leaves all old or all new to ``read_own``.

    Raises:
        OSError: they cannot be written; the same as killed.
    """
    write_atomically(folder / _PENDING, json.dumps(texts))
    for name, text in texts.items():
        write_atomically(folder / name, text)
    (folder / _PENDING).unlink()
