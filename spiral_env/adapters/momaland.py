"""The environment with vector rewards, as MOMAland's multi-objective parallel environments are."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from spiral_env.parallel_env import SpiralParallelEnv

try:
    from momaland.utils.conversions import mo_parallel_to_aec
    from momaland.utils.env import MOParallelEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[momaland]'") from None

__all__ = ["OBJECTIVES", "MultiObjectiveEnv", "mo_env", "mo_parallel_env"]

OBJECTIVES = ("security", "cost", "value")


class MultiObjectiveEnv(SpiralParallelEnv, MOParallelEnv):
    """``SpiralParallelEnv`` whose rewards are vectors (security, cost, value) in k$, float32 ``[3]``.

    They are ``reward_vectors()`` of the same month: ``reward_mode`` plays no part.
    """

    metadata: dict[str, Any] = {
        **SpiralParallelEnv.metadata,
        "name": "mo_spiral_env_v0",
        "central_observation": True,
    }

    def __init__(self, scenario: Any = "baseline-v1", split: str | None = "train", **options: Any) -> None:
        """Build the world; options as in ``parallel_env``. To evaluate, give ``split="held_out"``."""
        super().__init__(scenario, split=split, **options)
        space = spaces.Box(-np.inf, np.inf, (len(OBJECTIVES),), np.float32)
        self.reward_spaces = dict.fromkeys(self.possible_agents, space)

    def reward_space(self, agent: str) -> spaces.Space:
        """Space of the agent's reward vector: always the same object."""
        return self.reward_spaces[agent]

    def get_central_observation_space(self) -> spaces.Box:
        """Space of ``state()``, by the name MOMAland's central agent asks for."""
        return self.state_space

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any], Any, Any, Any]:
        """Live one month, as ``SpiralParallelEnv.step``, with a vector for each agent's reward."""
        observations, rewards, terminations, truncations, infos = super().step(actions)
        vectors = self.engine.vectors[0].astype(np.float32)
        paid = {agent: vectors[self.possible_agents.index(agent)] for agent in rewards}
        return observations, paid, terminations, truncations, infos


def mo_parallel_env(scenario: Any = "baseline-v1", **options: Any) -> MultiObjectiveEnv:
    """The environment with vector rewards; options as in ``parallel_env``."""
    return MultiObjectiveEnv(scenario, **options)


def mo_env(scenario: Any = "baseline-v1", **options: Any) -> AECEnv:
    """Its agent-by-agent form, by MOMAland's own conversion."""
    return OrderEnforcingWrapper(mo_parallel_to_aec(mo_parallel_env(scenario, **options)))
