"""Is the past worth remembering: the evolution strategy with means of past months beside the present view."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from spiral_env.policy import Policy
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.training import TrainConfig
from spiral_env.training.algorithms.es import EsTrainer

__all__ = ["WINDOWS", "Remembering", "trained_with_memory"]

WINDOWS = (3, 6)
"""Months over which past views are averaged; each mean stands behind the present view."""


class _Views:
    """The last views of a role, and what stands for them."""

    def __init__(self) -> None:
        self._past: deque[np.ndarray] = deque(maxlen=max(WINDOWS))

    def clear(self) -> None:
        """Forget."""
        self._past.clear()

    def seen(self, view: np.ndarray) -> np.ndarray:
        """``[..., O]`` to ``[..., O (1 + windows)]``: the view, and means over the windows as far as they reach."""
        self._past.appendleft(view.copy())
        past = list(self._past)
        return np.concatenate([view, *(np.mean(past[:n], axis=0) for n in WINDOWS)], axis=-1, dtype=np.float32)


class _Batch:
    """A batch of ecosystems that shows memories too; all rows open together."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._views = {role: _Views() for role in ROLES}
        self.single_observation_space = {
            role: gymnasium.spaces.Box(-np.inf, np.inf, (space.shape[0] * (1 + len(WINDOWS)),), np.float32)
            for role, space in env.single_observation_space.items()
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, *, seed: Any) -> Any:
        """Open all rows."""
        for views in self._views.values():
            views.clear()
        seen, info = self._env.reset(seed=seed)
        return self._with_memory(seen), info

    def step(self, actions: Any) -> Any:
        """A month."""
        seen, *rest = self._env.step(actions)
        return self._with_memory(seen), *rest

    def _with_memory(self, seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {role: self._views[role].seen(view) for role, view in seen.items()}


class _StackedEs(EsTrainer):
    """The evolution strategy of the package on views with memories."""

    def _new_batch(self, **options: Any) -> Any:
        return _Batch(super()._new_batch(**options))


class Remembering:
    """The policy of a role that was trained with memories."""

    name = "remembering"

    def __init__(self, tensors: dict[str, np.ndarray], role: str) -> None:
        """``tensors``: those of the trainer's policy, of all roles."""
        self._role, self._views = role, _Views()
        mine = {k.removeprefix(f"{role}."): x for k, x in tensors.items() if k.startswith(f"{role}.")}
        self._mean, self._std = mine["mean"], mine["std"]
        names = [*(f"layer{k}" for k in range(len(mine) // 2 - 2)), "head"]
        self._layers = [(mine[f"{name}.weight"].T, mine[f"{name}.bias"]) for name in names]

    def reset(self, keys: np.ndarray) -> None:
        """Forget what was seen."""
        self._views.clear()

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The likeliest of three efforts a lever."""
        x = np.clip((self._views.seen(observation) - self._mean) / self._std, -10.0, 10.0)
        for weight, bias in self._layers[:-1]:
            x = np.tanh(x @ weight + bias)
        weight, bias = self._layers[-1]
        logits = x @ weight + bias
        return logits.reshape(*x.shape[:-1], NUM_LEVERS[self._role], -1).argmax(-1) / 2.0


def trained_with_memory(config: TrainConfig, file: Path) -> dict[str, Policy]:
    """A cooperative team on views with memories; trained once, then read from ``file``."""
    if not file.exists():
        trainer = _StackedEs(config)
        while not config.is_finished(trainer.agent_steps):
            trainer.iterate()
        tensors, _ = trainer.policy()
        trainer.close()
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **tensors)  # type: ignore[arg-type]
    with np.load(file) as stored:
        tensors = dict(stored)
    return {role: Remembering(tensors, role) for role in ROLES}
