"""The AEC view, and our ids in the registries of Gymnasium and, where it has one, PettingZoo."""

from __future__ import annotations

from typing import Any

import gymnasium
import pettingzoo
from pettingzoo import AECEnv
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec

from spiral_env.parallel_env import parallel_env

__all__ = ["env", "register_ids"]

_GYMNASIUM_ID = "spiral_env/SingleRole-v0"
_TUPLE_ID = "spiral_env/Tuple-v0"
_PETTINGZOO_ID = "spiral_env/Spiral-v0"


def env(scenario: Any = "baseline-v0", **options: Any) -> AECEnv:
    """The agent-by-agent (AEC) environment, by PettingZoo's own conversion; options as in ``parallel_env``."""
    return wrappers.OrderEnforcingWrapper(parallel_to_aec(parallel_env(scenario, **options)))


def register_ids() -> None:
    """Register our ids once."""
    if _GYMNASIUM_ID not in gymnasium.registry:
        gymnasium.register(
            id=_GYMNASIUM_ID,
            entry_point="spiral_env.single_role_env:SingleRoleEnv",
            vector_entry_point="spiral_env.single_role_vector_env:SingleRoleVectorEnv",
        )
    if _TUPLE_ID not in gymnasium.registry:
        # Rewards are a list, one per agent: the checker of single-agent environments would warn at each step.
        gymnasium.register(id=_TUPLE_ID, entry_point="spiral_env.tuple_env:TupleEnv", disable_env_checker=True)
    registry = getattr(pettingzoo, "parallel_registry", None)
    if registry is not None and _PETTINGZOO_ID not in registry:
        pettingzoo.register("parallel", _PETTINGZOO_ID, "spiral_env.parallel_env:parallel_env")
        pettingzoo.register("aec", _PETTINGZOO_ID, "spiral_env._registration:env")
