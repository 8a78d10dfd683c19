"""An AgileRL vector environment of all agents on the batched engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_env.roles import ROLES
from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    from agilerl.vector.pz_vec_env import PettingZooVecEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[agilerl]'") from None

__all__ = ["AgileVecEnv"]


class AgileVecEnv(PettingZooVecEnv):
    """Agent -> array ``[E, ...]``, as AgileRL's own vector of PettingZoo environments, by one compiled call.

    An episode that ends opens the next in the same step; its last observation is not kept, as AgileRL has it.
    """

    def __init__(self, scenario: Any = "baseline-v0", num_envs: int = 1, **options: Any) -> None:
        """Build the batch; ``options`` as in ``parallel_env``, and ``num_threads``."""
        self.batch = SpiralVectorEnv(scenario, num_envs, autoreset_mode="same_step", **options)
        names = agent_names(self.batch.num_agents_of["sme"])
        seen = {name: self.batch.single_observation_space[agent_role(name)] for name in names}
        acts = {name: self.batch.single_action_space[agent_role(name)] for name in names}
        super().__init__(self.batch.num_envs, seen, acts, names)
        self._members = {role: [name for name in names if agent_role(name) == role] for role in ROLES}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Open an episode in every row, as ``SpiralVectorEnv.reset``."""
        observations, _ = self.batch.reset(seed=seed, options=options)
        return self._by_agent(observations), {name: {} for name in self.agents}

    def step(self, actions: Mapping[str, Any], *args: Any, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """Live one month in every row under one array of actions ``[E, ...]`` per agent."""
        joint = {role: np.stack([np.asarray(actions[n]) for n in names], 1) for role, names in self._members.items()}
        observations, rewards, terminations, truncations, _ = self.batch.step(joint)
        return (
            self._by_agent(observations),
            self._by_agent(rewards),
            {name: terminations.copy() for name in self.agents},
            {name: truncations.copy() for name in self.agents},
            {name: {} for name in self.agents},
        )

    def _by_agent(self, blocks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {n: blocks[role][:, i].copy() for role, names in self._members.items() for i, n in enumerate(names)}

    def close_extras(self, **kwargs: Any) -> None:  # type: ignore[override]
        """End the worker threads."""
        self.batch.close()
