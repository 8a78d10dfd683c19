"""Policies by name, from a run's folder, or from the user's own code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from spiral_env.agents.checkpoint import NetworkPolicy
from spiral_env.agents.constant import Constant
from spiral_env.agents.scripted import Scripted
from spiral_env.outside import Imported, Limits, Outside
from spiral_env.policy import Policy, StatusQuo, Uniform, check_role
from spiral_env.text import one_line

__all__ = [
    "ALLOWED",
    "NAMED",
    "Constant",
    "Imported",
    "Limits",
    "NetworkPolicy",
    "Outside",
    "Scripted",
    "load_policy",
]

NAMED: dict[str, Callable[[str], Policy]] = {"uniform": Uniform, "status_quo": StatusQuo, "scripted": Scripted}
"""Policies that a name alone tells."""
ALLOWED = f"{', '.join(NAMED)}, constant:e1,e2,.., a run's folder, module:name or path/file.py:name"
"""What ``load_policy`` takes."""


def load_policy(spec: str | os.PathLike[str], role: str, limits: Limits | None = None) -> Policy:
    """The policy that ``spec`` names, for one role.

    Args:
        spec: ``uniform``, ``status_quo``, ``scripted``; ``constant:`` and an effort for all levers or for each; the
            folder of a run or of a trained policy; or the user's own class or function, called with the role, as
            ``module:name`` (looked for in the working directory too) or ``path/file.py:name``.
        role: it, business, finance or sme.
        limits: how long a policy of the user's own may take; it is then imported and asked in a process of its own,
            when its first episodes are opened. None: it is imported here.

    Raises:
        TypeError: ``spec`` is no text and no path.
        ImportError: a run's folder needs a package that is not installed.
        ValueError: there is none, or it cannot be read; in one line.
    """
    check_role(role)
    text = os.fspath(spec) if isinstance(spec, os.PathLike) else spec
    if not isinstance(text, str):
        raise TypeError(f"policy must be {ALLOWED}, got {one_line(repr(spec), 80)}")
    if text in NAMED:
        return NAMED[text](role)
    if text.startswith("constant:"):
        return Constant(role, text.removeprefix("constant:"))
    if _is_folder(text):
        return NetworkPolicy(Path(text), role)
    module, colon, name = text.rpartition(":")
    if colon and name.isidentifier() and (module.endswith(".py") or _is_dotted(module)):
        return Imported(text, role) if limits is None else Outside(text, role, limits)
    raise ValueError(f"policy must be {ALLOWED}, got {one_line(repr(text), 200)}")


def _is_folder(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_dir()
    except (OSError, ValueError):
        return False


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
