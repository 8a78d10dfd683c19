"""Policies of the user's own code: imported here, or played in a process of their own behind walls."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spiral_env.outside.imported import Imported
    from spiral_env.outside.process import Limits, Outside

__all__ = ["Imported", "Limits", "Outside"]

_HOMES = {"Imported": "imported", "Limits": "process", "Outside": "process"}
"""Where each name is loaded from when it is first used: a policy's process starts sooner without what it needs not."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
