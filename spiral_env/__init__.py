"""spiral_env: the Spiral Upgrade Model as a multi-agent reinforcement learning environment."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spiral_env._registration import register_ids

if TYPE_CHECKING:
    from spiral_env.parallel_env import SpiralParallelEnv, env, parallel_env
    from spiral_env.scenarios import Scenario, load_scenario, scenario_ids
    from spiral_env.single_role_env import SingleRoleEnv
    from spiral_env.vector_env import SpiralVectorEnv, vector_env

__version__ = "0.1.0"

__all__ = [
    "Scenario",
    "SingleRoleEnv",
    "SpiralParallelEnv",
    "SpiralVectorEnv",
    "env",
    "load_scenario",
    "parallel_env",
    "scenario_ids",
    "vector_env",
]

_HOMES = {
    "Scenario": "scenarios",
    "SingleRoleEnv": "single_role_env",
    "SpiralParallelEnv": "parallel_env",
    "SpiralVectorEnv": "vector_env",
    "env": "parallel_env",
    "load_scenario": "scenarios",
    "parallel_env": "parallel_env",
    "scenario_ids": "scenarios",
    "vector_env": "vector_env",
}
"""Where each public name is loaded from when it is first used: the simulator and its compiler take a second."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """A package in which functions keep their names from submodules called the same."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Bind a name, but not a submodule in the place of a public name."""
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, as every module: functions that use it are sent to workers."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
register_ids()
