"""A native PufferLib environment of all agents on the batched engine: one row per agent."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.roles import ROLES
from spiral_env.vector_env import SpiralVectorEnv

try:
    import pufferlib
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[pufferlib]'") from None

__all__ = ["BatchedPufferEnv"]


class BatchedPufferEnv(pufferlib.PufferEnv):
    """Rows are environment-major: row ``e * A + a``; spaces are homogenised; PufferLib's buffers are written in place.

    An episode that ends restarts in the next step, as PufferLib's own vectors do. Infos hold the outcome measures
    of the episodes that ended, from which PufferLib's trainer makes its ``environment/...`` curves. PufferLib seeds its
    copies ``seed + i``; with a split no two of them share a world. To evaluate, give ``split="held_out"``.
    """

    def __init__(
        self,
        scenario: Any = "baseline-v1",
        num_envs: int = 1,
        buf: Any = None,
        seed: int = 0,
        split: str | None = "train",
        **options: Any,
    ) -> None:
        """Build the batch; ``options`` as in ``parallel_env``, and ``num_threads``. ``reset`` sets the seed."""
        self.batch = SpiralVectorEnv(scenario, num_envs, split=split, **{"homogenize": True, **options})
        self.single_observation_space = self.batch.single_observation_space["it"]
        self.single_action_space = self.batch.single_action_space["it"]
        self.num_agents = self.batch.num_envs * self.batch.num_agents
        super().__init__(buf)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Open an episode in every ecosystem, as ``SpiralVectorEnv.reset``."""
        observations, _ = self.batch.reset(seed=seed)
        self._write(self.observations, observations)
        for buffer in (self.rewards, self.terminals, self.truncations):
            buffer[:] = 0
        return self.observations, []

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[dict[str, float]]]:
        """Live one month in every ecosystem under actions ``[rows, ...]``."""
        agents = self.batch.num_agents
        rows = np.asarray(actions).reshape(self.batch.num_envs, agents, *self.batch.options.action_shape("it"))
        joint = {"it": rows[:, :1], "business": rows[:, 1:2], "finance": rows[:, 2:3], "sme": rows[:, 3:]}
        observations, rewards, terminations, truncations, info = self.batch.step(joint)
        self._write(self.observations, observations)
        self._write(self.rewards, rewards)
        self.terminals[:] = np.repeat(terminations, agents)
        self.truncations[:] = np.repeat(truncations, agents)
        return self.observations, self.rewards, self.terminals, self.truncations, _outcomes(info)

    @staticmethod
    def _write(buffer: np.ndarray, blocks: dict[str, np.ndarray]) -> None:
        np.copyto(buffer, np.concatenate([blocks[role] for role in ROLES], axis=1).reshape(buffer.shape), "same_kind")

    def close(self) -> None:
        """End the worker threads."""
        self.batch.close()


def _outcomes(info: dict[str, Any]) -> list[dict[str, float]]:
    ended = np.flatnonzero(info.get("_final_metrics", ()))
    return [{name: float(x[row]) for name, x in info["final_metrics"].items()} for row in ended]
