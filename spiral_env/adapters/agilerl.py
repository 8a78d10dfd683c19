"""An AgileRL vector environment of all agents on the batched engine, and an IPPO that logs outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_env.metrics import HEADLINES, OUTCOME_KEYS
from spiral_env.roles import ROLES
from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    from agilerl.algorithms import IPPO
    from agilerl.vector.pz_vec_env import PettingZooVecEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[agilerl]'") from None

__all__ = ["AgileVecEnv", "LoggedIPPO"]

_SHARED = {OUTCOME_KEYS[name]: name for name in HEADLINES if not name.startswith("return_")}
"""Key in AgileRL's metrics -> measure that all roles share."""
_RETURN = "outcome_return"


class _Infos(dict[str, dict[str, Any]]):
    """Agent -> info; ``ended`` is the environment's list of outcomes that no algorithm has logged yet."""

    ended: list[dict[str, float]]


class AgileVecEnv(PettingZooVecEnv):
    """Agent -> array ``[E, ...]``, as AgileRL's own vector of PettingZoo environments, by one compiled call.

    An episode that ends opens the next in the same step; its last observation is not kept, as AgileRL has it. Infos of
    a step that ends episodes hold their outcome, ``outcome_<measure>`` ``[E]`` with the mask ``_outcome_<measure>``.

    Attributes:
        ended: outcome of each episode that ended since the last reset, until an algorithm takes them.
    """

    def __init__(
        self, scenario: Any = "baseline-v1", num_envs: int = 1, split: str | None = "train", **options: Any
    ) -> None:
        """Build the batch; ``options`` as in ``parallel_env``, and ``num_threads``. Test on ``split="held_out"``."""
        self.batch = SpiralVectorEnv(scenario, num_envs, autoreset_mode="same_step", split=split, **options)
        names = agent_names(self.batch.num_agents_of["sme"])
        seen = {name: self.batch.single_observation_space[agent_role(name)] for name in names}
        acts = {name: self.batch.single_action_space[agent_role(name)] for name in names}
        super().__init__(self.batch.num_envs, seen, acts, names)
        self._members = {role: [name for name in names if agent_role(name) == role] for role in ROLES}
        self.ended: list[dict[str, float]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Open an episode in every row, as ``SpiralVectorEnv.reset``."""
        observations, _ = self.batch.reset(seed=seed, options=options)
        self.ended.clear()
        return self._by_agent(observations), self._infos({})

    def step(self, actions: Mapping[str, Any], *args: Any, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """Live one month in every row under one array of actions ``[E, ...]`` per agent."""
        joint = {role: np.stack([np.asarray(actions[n]) for n in names], 1) for role, names in self._members.items()}
        observations, rewards, terminations, truncations, info = self.batch.step(joint)
        return (
            self._by_agent(observations),
            self._by_agent(rewards),
            {name: terminations.copy() for name in self.agents},
            {name: truncations.copy() for name in self.agents},
            self._infos(info),
        )

    def _infos(self, info: dict[str, Any]) -> _Infos:
        """Agent -> outcome of the rows that ended, in the form of Gymnasium's vectors."""
        said: dict[str, np.ndarray] = {}
        if "final_metrics" in info:
            mask, measures = info["_final_metrics"], info["final_metrics"]
            self.ended += [{name: float(x[row]) for name, x in measures.items()} for row in np.flatnonzero(mask)]
            for name, values in measures.items():
                said |= {OUTCOME_KEYS[name]: values, f"_{OUTCOME_KEYS[name]}": mask}
        infos = _Infos({name: dict(said) for name in self.agents})
        infos.ended = self.ended
        return infos

    def _by_agent(self, blocks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {n: blocks[role][:, i].copy() for role, names in self._members.items() for i, n in enumerate(names)}

    def close_extras(self, **kwargs: Any) -> None:  # type: ignore[override]
        """End the worker threads."""
        self.batch.close()


class LoggedIPPO(IPPO):
    """IPPO whose metrics, and so AgileRL's loggers, hold the outcome of the episodes that ended in training.

    ``outcome_<measure>`` of the measures that all share is the same number for every role; ``outcome_return`` is the
    role's own return.
    """

    _ended: list[dict[str, float]] | None = None

    def init_training_step(self, *args: Any, **kwargs: Any) -> None:
        """Begin a block of training; the metrics of a clone are new, so names are registered here."""
        super().init_training_step(*args, **kwargs)
        for key in {*_SHARED, _RETURN} - set(self.metrics.additional_metrics):
            self.metrics.register(key)

    def get_action(self, obs: Any, infos: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Act, and remember where the environment keeps its outcomes."""
        self._ended = getattr(infos, "ended", None)
        return super().get_action(obs, infos, *args, **kwargs)

    def learn(self, *args: Any, **kwargs: Any) -> Any:
        """Learn, and log the episodes that the experience is from."""
        for outcome in self._ended or ():
            for group in self.metrics.agent_ids:
                for key, name in _SHARED.items():
                    self.metrics.log(key, outcome[name], agent_id=group)
                self.metrics.log(_RETURN, outcome[f"return_{group.split('_')[0]}"], agent_id=group)
        if self._ended:
            self._ended.clear()
        return super().learn(*args, **kwargs)
