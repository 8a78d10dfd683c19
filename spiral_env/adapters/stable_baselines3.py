"""A stable-baselines3 VecEnv over the batched engine: one row per agent, homogenised spaces; and one to evaluate in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.metrics import HEADLINES, OUTCOME_KEYS, outcomes_of_row
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed, row_seeds
from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[stable-baselines3]'") from None

__all__ = ["INFO_KEYWORDS", "OutcomeCallback", "PerAgent", "SharedVecEnv", "TeamVecEnv"]

INFO_KEYWORDS = tuple(OUTCOME_KEYS[name] for name in HEADLINES)
"""For ``info_keywords`` of ``Monitor`` and ``VecMonitor``: a column for each of ``spiral_env.metrics.HEADLINES``."""


class SharedVecEnv(VecEnv):
    """Every agent of every ecosystem is a row, so that one policy plays all roles.

    Rows are ecosystem by ecosystem, ``row = ecosystem * num_agents + agent``, agents in ``possible_agents`` order.
    An episode restarts in the step that ends it; each of its rows then has ``terminal_observation``,
    ``TimeLimit.truncated`` and the outcome measures of the episode (``spiral_env.metrics.OUTCOME_KEYS``) in its info.
    To evaluate, take ``TeamVecEnv``.

    Attributes:
        batch: the ecosystems.
        agents: name of each row's agent.
        roles: role of each row's agent.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v1",
        num_envs: int = 1,
        num_threads: int = 1,
        split: str | None = "train",
        **options: Any,
    ) -> None:
        """Build ``num_envs`` ecosystems; ``options`` as in ``vector_env``.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        options |= {"homogenize": True, "split": split}
        self.batch = SpiralVectorEnv(scenario, num_envs, num_threads, "same_step", **options)
        names = agent_names(self.batch.num_agents_of["sme"])
        self.agents = names * num_envs
        self.roles = [agent_role(agent) for agent in self.agents]
        self.render_mode: str | None = None
        self._cuts = np.cumsum([self.batch.num_agents_of[role] for role in ROLES])[:-1]
        self._shape = (num_envs, len(names), *self.batch.options.action_shape("it"))
        self._actions = np.zeros(self._shape, dtype=np.int64)
        spaces = self.batch.single_observation_space["it"], self.batch.single_action_space["it"]
        super().__init__(self._num_rows(), *spaces)

    def _num_rows(self) -> int:
        return len(self.agents)

    def _rows(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """Role -> ``[E, A, ...]`` to ``[E A, ...]``."""
        joined = np.concatenate([blocks[role] for role in ROLES], axis=1)
        return joined.reshape(len(self.agents), *joined.shape[2:])

    def _ecosystem(self, row: int) -> int:
        return row // (self.num_envs // self._shape[0])

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Fix the next reset, as ``SpiralVectorEnv.reset(seed)``. Returns the seed of each row's ecosystem."""
        fixed = row_seeds(check_seed(seed), self._shape[0], self.batch.split)
        self._seeds = [fixed[self._ecosystem(row)] for row in range(self.num_envs)]
        return self._seeds

    def reset(self) -> np.ndarray:
        """Open an episode in every ecosystem.

        Raises:
            ValueError: ``evaluate_policy`` would score some of a team's agents and leave out others.
        """
        self._check_evaluation()
        fixed = self._seeds[:: self.num_envs // self._shape[0]]
        observations, _ = self.batch.reset(seed=None if fixed[0] is None else fixed)
        self._reset_seeds()
        self._reset_options()
        return self._rows(observations)

    def _check_evaluation(self) -> None:
        """``evaluate_policy`` takes whole episodes of the last rows; five of them would be five SMEs.

        No argument tells who resets, so the frames above are asked.
        """
        frame = sys._getframe(1)
        while frame is not None and frame.f_code is not evaluate_policy.__code__:
            frame = frame.f_back  # type: ignore[assignment]
        if frame is not None and frame.f_locals["n_eval_episodes"] % self.num_envs:
            raise ValueError(
                f"n_eval_episodes must be a multiple of the {self.num_envs} rows, each of which is an agent, "
                f"got {frame.f_locals['n_eval_episodes']}; TeamVecEnv has a row for each team"
            )

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions, one for each agent."""
        self._actions = np.asarray(actions).reshape(self._shape)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Live one month in every ecosystem."""
        observations, rewards, done, truncated, info = self._live()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._rows(info["final_obs"])
            for e in np.flatnonzero(done).tolist():
                shared = _last_info(info, e, truncated)
                for row in range(e * self._shape[1], (e + 1) * self._shape[1]):
                    infos[row] = {"terminal_observation": last[row], **shared}
        return observations, rewards.reshape(-1), np.repeat(done, self._shape[1]), infos

    def _live(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Observations ``[E A, O]``, rewards float32 ``[E, A]``, ends and truncations ``[E]``, and the batch's info."""
        actions = dict(zip(ROLES, np.split(self._actions, self._cuts, axis=1), strict=True))
        observations, rewards, terminations, truncations, info = self.batch.step(actions)
        paid = self._rows(rewards).astype(np.float32).reshape(self._shape[:2])
        return self._rows(observations), paid, terminations | truncations, truncations, info

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

    def _own(self) -> dict[str, list[Any]]:
        """What the rows themselves answer to ``get_attr``."""
        return {"agent": self.agents, "role": self.roles}

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """``agent`` and ``role`` of the rows; any other attribute of the batch, cut to the row's ecosystem.

        Raises:
            AttributeError: the batch has no such attribute.
        """
        own = self._own() | {"render_mode": [self.render_mode] * self.num_envs}
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


class TeamVecEnv(SharedVecEnv):
    """To evaluate one shared policy: a row is a team, paid the mean reward of its agents, in held-out worlds.

    For ``evaluate_policy`` and ``EvalCallback``. Observations and actions stay those of the agents, ``[E A, ...]``: the
    policy is asked once for all of them. An episode's info holds its outcome measures.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v1",
        num_envs: int = 1,
        num_threads: int = 1,
        split: str | None = "held_out",
        **options: Any,
    ) -> None:
        """Build ``num_envs`` ecosystems; ``options`` as in ``vector_env``."""
        super().__init__(scenario, num_envs, num_threads, split, **options)

    def _num_rows(self) -> int:
        return self._shape[0]

    def _check_evaluation(self) -> None:
        """Any number of episodes is one of teams."""

    def _own(self) -> dict[str, list[Any]]:
        return {}

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Live one month in every ecosystem."""
        observations, rewards, done, truncated, info = self._live()
        infos = [_last_info(info, e, truncated) if done[e] else {} for e in range(self.num_envs)]
        return observations, rewards.mean(1), done, infos


def _last_info(info: dict[str, Any], ecosystem: int, truncated: np.ndarray) -> dict[str, Any]:
    outcomes = outcomes_of_row(info["final_metrics"], ecosystem)
    return {"TimeLimit.truncated": bool(truncated[ecosystem]), **outcomes}


class PerAgent:
    """A recurrent model for ``evaluate_policy`` in ``TeamVecEnv``: a team starts when each of its agents does."""

    def __init__(self, model: Any) -> None:
        """Wrap ``model``."""
        self.model = model

    def predict(
        self, observation: np.ndarray, state: Any = None, episode_start: np.ndarray | None = None, **options: Any
    ) -> Any:
        """Actions and next states of all agents."""
        if episode_start is not None:
            episode_start = np.repeat(episode_start, len(observation) // len(episode_start))
        return self.model.predict(observation, state, episode_start, **options)


class OutcomeCallback(BaseCallback):
    """Logs ``outcome/ecosystem_value`` and the other ``HEADLINES``: means over the episodes that ended since the last.

    For ``learn(callback=...)`` on any of our environments, by id too.
    """

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            for name in HEADLINES:
                if OUTCOME_KEYS[name] in info:
                    self.logger.record_mean(f"outcome/{name}", info[OUTCOME_KEYS[name]])
        return True
