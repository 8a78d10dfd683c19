"""A stable-baselines3 VecEnv over the batched engine: one row per agent, homogenised spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spiral_env.roles import ROLES
from spiral_env.vector_env import SpiralVectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[stable-baselines3]'") from None

__all__ = ["SharedVecEnv"]


class SharedVecEnv(VecEnv):
    """Rows are environment-major: row ``e * num_agents + a``. Episodes restart in the step that ends them."""

    def __init__(self, scenario: str, num_envs: int, reward_mode: str = "mixed") -> None:
        """Build the batch."""
        self.batch = SpiralVectorEnv(
            scenario, num_envs, autoreset_mode="same_step", homogenize=True, reward_mode=reward_mode
        )
        self.agents = self.batch.num_agents
        self.finished: list[dict[str, float]] = []
        self._seed: int | None = None
        self._actions = np.zeros((num_envs * self.agents, 5), dtype=np.int64)
        super().__init__(
            num_envs * self.agents, self.batch.single_observation_space["it"], self.batch.single_action_space["it"]
        )

    def _rows(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        joined = np.concatenate([blocks[role] for role in ROLES], axis=1)
        return joined.reshape(self.num_envs, *joined.shape[2:])

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed of the next reset."""
        self._seed = seed
        return [seed] * self.num_envs

    def reset(self) -> np.ndarray:
        """Open an episode in every environment."""
        observations, _ = self.batch.reset(seed=self._seed)
        self._seed = None
        return self._rows(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions ``[rows, 5]``."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step the batch; a row that ends carries its last observation in its info."""
        shaped = self._actions.reshape(self.batch.num_envs, self.agents, 5)
        cuts = {"it": shaped[:, :1], "business": shaped[:, 1:2], "finance": shaped[:, 2:3], "sme": shaped[:, 3:]}
        observations, rewards, terminations, truncations, info = self.batch.step(cuts)
        done = np.repeat(terminations | truncations, self.agents)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._rows(info["final_obs"])
            cut = np.repeat(truncations, self.agents)
            for row in np.flatnonzero(done):
                infos[row] = {"terminal_observation": last[row], "TimeLimit.truncated": bool(cut[row])}
            for e in np.flatnonzero(info["_final_metrics"]):
                self.finished.append({name: float(x[e]) for name, x in info["final_metrics"].items()})
        return self._rows(observations), self._rows(rewards).astype(np.float32), done, infos

    def close(self) -> None:
        """End the batch."""
        self.batch.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The batch's attribute, once per row."""
        return [getattr(self.batch, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set the batch's attribute."""
        setattr(self.batch, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call the batch's method once; the answer stands for every row."""
        return [getattr(self.batch, method_name)(*args, **kwargs)] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No row is wrapped."""
        return [False] * len(list(self._get_indices(indices)))
