"""Learning with some levers while all others stand still: one role beside the average firm, or an answer's levers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.agents.known_answers import ANSWERS
from spiral_env.files import write_atomically
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.training import TrainConfig, load_config
from spiral_env.training.algorithms.es import EsTrainer, Species
from spiral_env.training.runs.run import run
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["trained_answer", "trained_role"]

Efforts = Mapping[str, Mapping[str, float]]
_START = {"algo": "es", "start_logit": 0.5, "es_sigma": 0.2, "learning_rate": 0.1, "env_threads": 1}


class _Held(SpiralVectorEnv):
    """A batch in which some levers of one role move, and all else stands at given efforts."""

    role: str
    moved: list[int]
    still: dict[str, np.ndarray]

    def _encode(self, actions: dict[str, np.ndarray]) -> np.ndarray:
        efforts = super()._encode(actions)
        wished = efforts[:, self._slice(self.role), self.moved].copy()
        for role in ROLES:
            efforts[:, self._slice(role), : NUM_LEVERS[role]] = self.still[role]
        efforts[:, self._slice(self.role), self.moved] = wished
        return efforts


class _Trainer(EsTrainer):
    """The evolution strategy in such a batch: what the other levers learn has no effect."""

    def __init__(
        self, config: TrainConfig, role: str, levers: Collection[str], still: Efforts, *, joint: bool = False
    ) -> None:
        """``still``: role -> lever -> effort of what does not move; ``joint``: a role's agents share their returns."""
        self._role, self._levers, self._still, self._joint = role, levers, still, joint
        super().__init__(config)

    def _species(self, role: str, groups: int) -> Species:
        return super()._species(role, 1 if self._joint else groups)

    def _new_batch(self, **options: Any) -> SpiralVectorEnv:
        env = _Held(num_threads=self.config.env_threads, **options)
        env.role = self._role
        env.moved = [k for k, lever in enumerate(LEVERS[self._role]) if lever.name in self._levers]
        env.still = {role: np.array([self._still[role][x.name] for x in LEVERS[role]]) for role in ROLES}
        return env


def trained_role(world: Scenario, role: str, folder: Path, timesteps: int, seed: int = 0, **values: Any) -> Path:
    """The run of one role that learns beside the average firm, for the ecosystem's value."""
    levers = [lever.name for lever in LEVERS[role]]
    still = {x: dict(zip([y.name for y in LEVERS[x]], STATUS_QUO[x], strict=True)) for x in ROLES}
    start = {"reward_mode": "cooperative", "timesteps": timesteps, "seed": seed, **values}
    return _trained(world, folder / f"{role}-{seed}", start, role, levers, still)


def trained_answer(world: Scenario, folder: Path, timesteps: int, seed: int = 0, **values: Any) -> Path:
    """The run of the levers that a known answer is about, of agents that look after their role as a whole."""
    answer = ANSWERS[world.known_answer]
    still = {x: {y.name: answer.others.get(x, {}).get(y.name, 0.0) for y in LEVERS[x]} for x in ROLES}
    start = {"reward_mode": "selfish", "timesteps": timesteps, "seed": seed, **values}
    return _trained(world, folder / f"answer-{seed}", start, answer.role, answer.levers, still, joint=True)


def _trained(
    world: Scenario,
    folder: Path,
    values: dict[str, Any],
    role: str,
    levers: Collection[str],
    still: Efforts,
    *,
    joint: bool = False,
) -> Path:
    """Train unless that was done, with the same values."""
    out, done = folder.with_name(f"{folder.name}-{world.hash}"), json.dumps(values, sort_keys=True)
    if not (out / "done.json").exists() or (out / "done.json").read_text() != done:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = out.with_name(f"{world.id}-{world.hash}.toml")
        write_atomically(file, world.to_toml())
        config = load_config(None, {**_START, **values, "scenario": str(file)})
        run(_Trainer(config, role, levers, still, joint=joint), out, resume=False)
        write_atomically(out / "done.json", done)
    return out
