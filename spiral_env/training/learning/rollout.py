"""Months lived by every ecosystem, as the arrays that learning reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from spiral_env.roles import ROLES
from spiral_env.training.learning.learner import Learner
from spiral_env.training.learning.normalisation import Normaliser
from spiral_env.training.learning.returns import gae
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Player", "RoleRollout", "Rollout"]


@dataclass
class RoleRollout:
    """``[T, E, A, ...]`` arrays of one role; observations are normalised."""

    x: np.ndarray
    actions: np.ndarray
    log_p: np.ndarray
    rewards: np.ndarray
    last_x: np.ndarray
    memory: np.ndarray | None = None
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    advantages: np.ndarray = field(default_factory=lambda: np.zeros(0))
    targets: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass
class Rollout:
    """One rollout: what the roles saw, where episodes ended and what they came to.

    Attributes:
        roles: role -> its arrays.
        state: normalised states ``[T, E, D]``, or None without a central critic.
        starts: whether the episode began with this step, ``[T, E]``.
        ends: whether it ended in this step, ``[T, E]``.
        truncated: of these, whether by time, ``[T, E]``.
        final: (t, rows, role -> normalised last observations, normalised last states) of steps in which rows ended.
        outcomes: outcome measures of the episodes that ended, name -> list.
    """

    roles: dict[str, RoleRollout]
    state: np.ndarray | None
    starts: np.ndarray
    ends: np.ndarray
    truncated: np.ndarray
    last_state: np.ndarray | None = None
    final: list[tuple[int, np.ndarray, dict[str, np.ndarray], np.ndarray | None]] = field(default_factory=list)
    outcomes: dict[str, list[float]] = field(default_factory=dict)


def _aligned(*shape: int) -> np.ndarray:
    """Float32 memory that starts on a cache line: products of rows in it round the same in every process."""
    return torch.empty(shape).numpy()


class Player:
    """Plays a team of learners in a batch of ecosystems and keeps the thread from rollout to rollout."""

    def __init__(self, env: SpiralVectorEnv, team: dict[str, Learner], *, central: bool, seed: int) -> None:
        """Reset the batch to training seeds."""
        self.env, self.team, self.central = env, team, central
        self.rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        self.observations, _ = env.reset(seed=env.scenario.training_seeds(seed, env.num_envs))
        self.state_moments = Normaliser(env.state().shape[1] if central else 0)
        self.fresh = np.ones(env.num_envs, dtype=np.bool_)
        shape = (env.num_envs,)
        self.memory = {
            role: np.zeros((*shape, env.num_agents_of[role], x.hidden), dtype=np.float32)
            for role, x in team.items()
            if x.recurrent
        }

    def _allocate(self, steps: int) -> Rollout:
        e = self.env.num_envs
        roles = {}
        for role in ROLES:
            a, o = self.env.num_agents_of[role], self.observations[role].shape[-1]
            kind = np.float32 if self.team[role].actor.continuous else np.int64
            roles[role] = RoleRollout(
                x=_aligned(steps, e, a, o),
                actions=np.empty((steps, e, a, self.env.options.num_levers(role)), kind),
                log_p=np.empty((steps, e, a), np.float32),
                rewards=np.empty((steps, e, a), np.float64),
                last_x=_aligned(e, a, o),
                memory=self.memory[role].copy() if role in self.memory else None,
            )
        state = _aligned(steps, e, len(self.state_moments.mean)) if self.central else None
        starts, ends, truncated = (np.zeros((steps, e), dtype=np.bool_) for _ in range(3))
        return Rollout(roles, state, starts, ends, truncated)

    def _state(self) -> np.ndarray | None:
        return self.env.state() if self.central else None

    def _scaled_state(self, state: np.ndarray | None) -> np.ndarray | None:
        return None if state is None else self.state_moments.apply(state)

    def _act(self, rollout: Rollout, t: int) -> dict[str, np.ndarray]:
        actions = {}
        for role, learner in self.team.items():
            out = rollout.roles[role]
            learner.observations.note(self.observations[role], out.x[t])
            memory = None
            if role in self.memory:
                self.memory[role][self.fresh] = 0.0
                memory = self.memory[role].reshape(-1, learner.hidden)
            out.actions[t], out.log_p[t], after = learner.act(out.x[t], memory, self.rng)
            if after is not None:
                self.memory[role] = after.reshape(self.memory[role].shape)
            actions[role] = np.clip(out.actions[t], 0.0, 1.0) if learner.actor.continuous else out.actions[t]
        return actions

    def collect(self, steps: int) -> Rollout:
        """Live ``steps`` months; moments of what was seen are updated afterwards, not within."""
        rollout = self._allocate(steps)
        for t in range(steps):
            state = self._state()
            if rollout.state is not None and state is not None:
                self.state_moments.note(state, rollout.state[t])
            rollout.starts[t] = self.fresh
            actions = self._act(rollout, t)
            self.observations, rewards, terminated, truncated, info = self.env.step(actions)
            for role in ROLES:
                rollout.roles[role].rewards[t] = rewards[role]
            self.fresh = terminated | truncated
            rollout.ends[t], rollout.truncated[t] = self.fresh, truncated
            if self.fresh.any():
                self._finish(rollout, t, info)
        for role, learner in self.team.items():
            rollout.roles[role].last_x[:] = learner.observations.apply(self.observations[role])
        rollout.last_state = self._scaled_state(self._state())
        for moments in (*(learner.observations for learner in self.team.values()), self.state_moments):
            moments.take_noted()
        return rollout

    def _finish(self, rollout: Rollout, t: int, info: dict[str, Any]) -> None:
        rows = np.flatnonzero(self.fresh)
        last = {role: x.observations.apply(self.observations[role][rows]) for role, x in self.team.items()}
        state = self._state()
        rollout.final.append((t, rows, last, self._scaled_state(None if state is None else state[rows])))
        for name, values in info["final_metrics"].items():
            rollout.outcomes.setdefault(name, []).extend(values[rows].tolist())
        self.observations, _ = self.env.reset(options={"reset_mask": self.fresh})

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on, beside the batch itself."""
        out = {f"memory.{role}": x for role, x in self.memory.items()} | {"fresh": self.fresh}
        return out | {f"state.{k}": v for k, v in self.state_moments.tensors().items()}

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        self.memory = {role: tensors[f"memory.{role}"].copy() for role in self.memory}
        self.fresh = tensors["fresh"].copy()
        self.state_moments.load({k: tensors[f"state.{k}"] for k in ("count", "mean", "m2")})

    def judge(self, rollout: Rollout, gamma: float, gae_lambda: float) -> None:
        """Fill in values, advantages and value targets."""
        for role, learner in self.team.items():
            r = rollout.roles[role]
            steps, envs = r.x.shape[:2]
            flat_state = None if rollout.state is None else rollout.state.reshape(steps * envs, -1)
            values = learner.values(r.x.reshape(steps * envs, *r.x.shape[2:]), flat_state)
            r.values = values.reshape(r.rewards.shape)
            end_values = np.zeros_like(r.values)
            for t, rows, last, state in rollout.final:
                cut = rollout.truncated[t, rows][:, None]
                end_values[t, rows] = np.where(cut, learner.values(last[role], state), 0.0)
            last_values = learner.values(r.last_x, rollout.last_state)
            ends = np.broadcast_to(rollout.ends[..., None], r.values.shape)
            r.advantages, r.targets = gae(r.rewards, r.values, last_values, ends, end_values, gamma, gae_lambda)
