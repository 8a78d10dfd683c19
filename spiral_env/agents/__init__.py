"""Policies by name: ``uniform``, ``status_quo``, ``scripted``, ``constant:e1,..,e5`` or a run's folder."""

from __future__ import annotations

from pathlib import Path

from spiral_env.agents.checkpoint import NetworkPolicy
from spiral_env.agents.constant import Constant
from spiral_env.agents.scripted import Scripted
from spiral_env.policy import Policy, StatusQuo, Uniform, check_role

__all__ = ["Constant", "NetworkPolicy", "Scripted", "load_policy"]


def load_policy(spec: str, role: str) -> Policy:
    """The policy that ``spec`` names, for one role; ``ValueError`` in one line if there is none."""
    check_role(role)
    if spec == "uniform":
        return Uniform(role)
    if spec == "status_quo":
        return StatusQuo(role)
    if spec == "scripted":
        return Scripted(role)
    if spec.startswith("constant:"):
        return Constant(role, spec.removeprefix("constant:"))
    if Path(spec).is_dir():
        return NetworkPolicy(Path(spec), role)
    raise ValueError(
        f"policy must be uniform, status_quo, scripted, constant:e1,e2,e3,e4,e5 or a run's folder, got {spec!r}"
    )
