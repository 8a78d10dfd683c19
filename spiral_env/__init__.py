"""spiral_env: the Spiral Upgrade Model as a multi-agent reinforcement learning environment."""

from __future__ import annotations

from spiral_env._registration import env, register_ids
from spiral_env.parallel_env import SpiralParallelEnv, parallel_env
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

register_ids()
