"""Policies by name, from a run's folder, or from the user's own code."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from spiral_env.agents.checkpoint import NetworkPolicy
from spiral_env.agents.constant import Constant
from spiral_env.agents.scripted import Scripted
from spiral_env.agents.zoo import PREFIX, team_policy
from spiral_env.outside import Imported, Limits, Outside
from spiral_env.policy import Policy, StatusQuo, check_role
from spiral_env.roles import ROLES
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
    "team_of",
]

NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "uniform": ("spiral_env.policy:Uniform", ROLES),
    "status_quo": ("spiral_env.policy:StatusQuo", ROLES),
    "scripted": ("spiral_env.agents.scripted:Scripted", ROLES),
    "vigilant": ("spiral_env.agents.vigilant:Vigilant", ROLES),
    "cvss_first": ("spiral_env.agents.patch_ranking:CvssFirst", ("it",)),
    "epss_first": ("spiral_env.agents.patch_ranking:EpssFirst", ("it",)),
    "kev_first": ("spiral_env.agents.patch_ranking:KevFirst", ("it",)),
    "hybrid_risk": ("spiral_env.agents.patch_ranking:HybridRisk", ("it",)),
    "patch_planner": ("spiral_env.agents.patch_planner:PatchPlanner", ("it",)),
    "gordon_loeb": ("spiral_env.agents.gordon_loeb:GordonLoeb", ("business",)),
    "equal_weight": ("spiral_env.agents.portfolio:EqualWeight", ("finance",)),
    "lstm_portfolio": ("spiral_env.agents.portfolio:LstmPortfolio", ("finance",)),
    "marginal_sme": ("spiral_env.agents.marginal_sme:MarginalSme", ("sme",)),
}
"""Policies that a name alone tells: the class, looked for when it is asked for, and the roles that it plays."""
ALLOWED = f"{', '.join(NAMED)}, constant:e1,e2,.., zoo:NAME, a run's folder, module:name or path/file.py:name"
"""What ``load_policy`` takes."""


def load_policy(spec: str | os.PathLike[str], role: str, limits: Limits | None = None) -> Policy:
    """The policy that ``spec`` names, for one role.

    Args:
        spec: a name of ``NAMED`` that plays the role; ``constant:`` and an effort for all levers or for each; the
            folder of a run or of a trained policy; ``zoo:`` and the name of a team of the zoo; or the user's own class
            or function, called with the role, as ``module:name`` (looked for in the working directory too) or
            ``path/file.py:name``.
        role: it, business, finance or sme.
        limits: how long a policy of the user's own may take; it is then imported and asked in a process of its own,
            when its first episodes are opened. None: it is imported here.

    Raises:
        TypeError: ``spec`` is no text and no path.
        ImportError: it needs a package that is not installed.
        ValueError: there is none, or it cannot be read, or it does not play the role; in one line.
    """
    check_role(role)
    text = os.fspath(spec) if isinstance(spec, os.PathLike) else spec
    if not isinstance(text, str):
        raise TypeError(f"policy must be {ALLOWED}, got {one_line(repr(spec), 80)}")
    if text in NAMED:
        return _named(text, role)
    if text.startswith("constant:"):
        return Constant(role, text.removeprefix("constant:"))
    if text.startswith(PREFIX):
        return team_policy(text.removeprefix(PREFIX), role)
    if _is_folder(text):
        return NetworkPolicy(Path(text), role)
    module, colon, name = text.rpartition(":")
    if colon and name.isidentifier() and (module.endswith(".py") or _is_dotted(module)):
        return Imported(text, role) if limits is None else Outside(text, role, limits)
    raise ValueError(f"policy must be {ALLOWED}, got {one_line(repr(text), 200)}")


def team_of(spec: str) -> dict[str, str]:
    """Role -> policy of the team that one name tells: it plays every role that it can, the average firm the others."""
    roles = NAMED[spec][1] if spec in NAMED else ROLES
    return {role: spec if role in roles else StatusQuo.name for role in ROLES}


def _named(name: str, role: str) -> Policy:
    place, roles = NAMED[name]
    if role not in roles:
        raise ValueError(f"policy {name} plays {' and '.join(roles)}, not {role}")
    module, _, attribute = place.partition(":")
    try:
        made: Any = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ImportError(f"no module {error.name}: pip install 'spiral-env[baselines]'") from None
    policy: Policy = made(role)
    return policy


def _is_folder(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_dir()
    except (OSError, ValueError):
        return False


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
