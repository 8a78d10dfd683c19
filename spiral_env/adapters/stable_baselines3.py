"""A stable-baselines3 VecEnv over the batched engine: one row per agent, homogenised spaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed
from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[stable-baselines3]'") from None

__all__ = ["SharedVecEnv"]


class SharedVecEnv(VecEnv):
    """Every agent of every ecosystem is a row, so that one policy plays all roles.

    Rows are ecosystem by ecosystem, ``row = ecosystem * num_agents + agent``, agents in ``possible_agents`` order.
    An episode restarts in the step that ends it; each of its rows then has ``terminal_observation``,
    ``TimeLimit.truncated`` and ``metrics`` (the outcome measures of the episode) in its info.

    Attributes:
        batch: the ecosystems.
        agents: name of each row's agent.
        roles: role of each row's agent.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v0",
        num_envs: int = 1,
        num_threads: int = 1,
        **options: Any,
    ) -> None:
        """Build ``num_envs`` ecosystems; ``options`` as in ``vector_env``.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        self.batch = SpiralVectorEnv(scenario, num_envs, num_threads, "same_step", **(options | {"homogenize": True}))
        names = agent_names(self.batch.num_agents_of["sme"])
        self.agents = names * num_envs
        self.roles = [agent_role(agent) for agent in self.agents]
        self.render_mode: str | None = None
        self._cuts = np.cumsum([self.batch.num_agents_of[role] for role in ROLES])[:-1]
        self._shape = (num_envs, len(names), *self.batch.options.action_shape())
        self._actions = np.zeros(self._shape, dtype=np.int64)
        super().__init__(
            num_envs * len(names),
            self.batch.single_observation_space["it"],
            self.batch.single_action_space["it"],
        )

    def _rows(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """Role -> ``[E, A, ...]`` to ``[rows, ...]``."""
        joined = np.concatenate([blocks[role] for role in ROLES], axis=1)
        return joined.reshape(self.num_envs, *joined.shape[2:])

    def _ecosystem(self, row: int) -> int:
        return row // self._shape[1]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Fix the next reset: ecosystem ``e`` gets the seed ``seed + e``. Returns the seed of each row's ecosystem."""
        first = check_seed(seed)
        self._seeds = [first + self._ecosystem(row) for row in range(self.num_envs)]
        return self._seeds

    def reset(self) -> np.ndarray:
        """Open an episode in every ecosystem."""
        observations, _ = self.batch.reset(seed=None if self._seeds[0] is None else self._seeds[:: self._shape[1]])
        self._reset_seeds()
        self._reset_options()
        return self._rows(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions, one a row."""
        self._actions = np.asarray(actions).reshape(self._shape)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Live one month in every ecosystem."""
        actions = dict(zip(ROLES, np.split(self._actions, self._cuts, axis=1), strict=True))
        observations, rewards, terminations, truncations, info = self.batch.step(actions)
        done = np.repeat(terminations | truncations, self._shape[1])
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._rows(info["final_obs"])
            for row in np.flatnonzero(done).tolist():
                e = self._ecosystem(row)
                infos[row] = {
                    "terminal_observation": last[row],
                    "TimeLimit.truncated": bool(truncations[e]),
                    "metrics": {name: float(values[e]) for name, values in info["final_metrics"].items()},
                }
        return self._rows(observations), self._rows(rewards).astype(np.float32), done, infos

    def close(self) -> None:
        """End the worker threads."""
        self.batch.close()

    def _of_row(self, value: Any, row: int) -> Any:
        """The part of a batch's value that belongs to a row: arrays ``[E, ...]`` are cut to its ecosystem."""
        if isinstance(value, dict):
            return {name: self._of_row(part, row) for name, part in value.items()}
        if isinstance(value, np.ndarray) and value.shape[:1] == (self._shape[0],):
            return value[self._ecosystem(row)]
        return value

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """``agent`` and ``role`` of the rows; any other attribute of the batch, cut to the row's ecosystem.

        Raises:
            AttributeError: the batch has no such attribute.
        """
        own: dict[str, list[Any]] = {"agent": self.agents, "role": self.roles}
        own["render_mode"] = [self.render_mode] * self.num_envs
        if attr_name in own:
            return [own[attr_name][row] for row in self._get_indices(indices)]
        value = getattr(self.batch, attr_name)
        return [self._of_row(value, row) for row in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch, which all rows share.

        Raises:
            ValueError: ``indices`` leave rows out.
        """
        if indices is not None and set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ValueError(f"indices must be None or all {self.num_envs} rows, which share one batch, got {indices}")
        setattr(self.batch, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the batch once; arrays ``[E, ...]`` of its answer are cut to the row's ecosystem.

        Raises:
            AttributeError: the batch has no such method.
        """
        answer = getattr(self.batch, method_name)(*method_args, **method_kwargs)
        return [self._of_row(answer, row) for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No row is wrapped."""
        return [False for _ in self._get_indices(indices)]
