"""Months lived by every ecosystem, in tensors that stay where they are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from spiral_env.roles import ROLES
from spiral_env.training.device.captured import Captured, NoRoom
from spiral_env.training.device.learner import DeviceLearner, DeviceNormaliser
from spiral_env.training.learning.gradients import Batch
from spiral_env.training.learning.normalisation import Normaliser
from spiral_env.training.learning.returns import gae_tensors

if TYPE_CHECKING:
    from spiral_env.training.device.fused_act import FusedActor

__all__ = ["DevicePlayer"]


@dataclass
class _Noted:
    """What is normalised, a row a month: moments ``[T, D]`` of what was seen, and last sights ``[K, E, ...]``.

    A row of the batch is cut by time at most K times in T months; what it then saw is kept until it is valued.
    """

    normaliser: DeviceNormaliser
    mean: Tensor
    variance: Tensor
    x: Tensor
    cut: Tensor

    @classmethod
    def of(cls, normaliser: DeviceNormaliser, sight: Tensor, steps: int, cuts: int) -> _Noted:
        """Room for ``steps`` sights ``[E, ..., D]`` like the given one."""
        mean, variance = (sight.new_zeros((steps, sight.shape[-1]), dtype=torch.float32) for _ in range(2))
        x = sight.new_zeros((steps, *sight.shape), dtype=torch.float32)
        return cls(normaliser, mean, variance, x, sight.new_zeros((cuts, *sight.shape), dtype=torch.float32))

    def count(self, sight: Tensor, t: Tensor) -> None:
        """Take the moments of a month's sight, at row ``t`` (int64 ``[1]``)."""
        rows = sight.flatten(0, -2)
        variance, mean = torch.var_mean(rows, 0, correction=0)
        self.mean.index_copy_(0, t, mean.unsqueeze(0))
        self.variance.index_copy_(0, t, variance.unsqueeze(0))

    def store(self, sight: Tensor, t: Tensor) -> Tensor:
        """Store a month's sight normalised, which is returned, at row ``t``."""
        x = self.normaliser.apply(sight)
        self.x.index_copy_(0, t, x.unsqueeze(0))
        return x

    def keep(self, sight: Tensor, masks: list[Tensor]) -> None:
        """Keep last sights where the k-th mask, bool ``[E]``, says so."""
        for kept, mask in zip(self.cut, masks, strict=True):
            torch.where(mask.view(-1, *[1] * (sight.dim() - 1)), sight, kept, out=kept)


class DevicePlayer:
    """Plays a team of learners in a batch of ecosystems on a device, and keeps the thread from rollout to rollout.

    Attributes:
        env: the batch, with ``autoreset_mode="disabled"``; its arrays are tensors on the device.
        batch: role -> what is learned from, ``T * E`` cells; the same tensors in every rollout.
        starts: 1 where an episode began, float32 ``[T, E]``.
    """

    def __init__(
        self,
        env: Any,
        team: dict[str, DeviceLearner],
        *,
        central: bool,
        seed: int,
        steps: int,
        generator: torch.Generator,
    ) -> None:
        """Reset the batch to training seeds and make room for ``steps`` months."""
        self.env, self.team, self.central, self.steps = env, team, central, steps
        self.seen, _ = env.reset(seed=env.scenario.training_seeds(seed, env.num_envs))
        self.device, envs = generator.device, env.num_envs
        self._generator = generator
        self._cuts = -(-steps // env.max_cycles)
        self._columns = dict(zip(ROLES, _slices([env.num_agents_of[role] for role in ROLES]), strict=True))
        self.memory = {
            role: torch.zeros((envs * env.num_agents_of[role], x.hidden), device=self.device)
            for role, x in team.items()
            if x.recurrent
        }
        self.fresh = torch.ones(envs, device=self.device)
        self.state_moments = Normaliser(env.state().shape[1] if central else 0)
        self._allocate()
        self._fused = self._fused_actors()
        self._month = Captured(self._live, self.device, generator)

    def _fused_actors(self) -> dict[str, FusedActor]:
        """Roles that act by one pass of Triton."""
        if self.device.type != "cuda":
            return {}
        try:
            from spiral_env.training.device.fused import suits
            from spiral_env.training.device.fused_act import FusedActor
        except ModuleNotFoundError:
            return {}
        return {
            role: FusedActor(x, self.batch[role], self.actions[role], self.values, self._columns[role])
            for role, x in self.team.items()
            if suits(x)
        }

    def _allocate(self) -> None:
        """All that a recorded month reads and writes."""
        env, steps, envs = self.env, self.steps, self.env.num_envs
        whole = (steps, envs, env.num_agents)
        self.rewards, self.values = (torch.zeros(whole, device=self.device) for _ in range(2))
        self.starts = torch.zeros((steps, envs), device=self.device)
        self.ends, self.truncated = (torch.zeros((steps, envs), dtype=torch.bool, device=self.device) for _ in "et")
        self._t, self._cut = (torch.zeros(n, dtype=torch.int64, device=self.device) for n in (1, envs))
        self._noted = {role: _Noted.of(x.scaled, self.seen[role], steps, self._cuts) for role, x in self.team.items()}
        self._state: _Noted | None = None
        if self.central:
            self._now = env.state().clone()
            self._state = _Noted.of(DeviceNormaliser(self.state_moments, self.device), self._now, steps, self._cuts)
        self.actions: dict[str, Tensor] = {}
        self.batch: dict[str, Batch] = {}
        for role, learner in self.team.items():
            shape = (envs, env.num_agents_of[role], env.options.num_levers(role))
            kinds = (torch.float32, torch.float32) if learner.actor.continuous else (torch.int64, torch.uint8)
            self.actions[role] = torch.zeros(shape, dtype=kinds[0], device=self.device)
            cells = (steps * envs, shape[1])
            self.batch[role] = Batch(
                x=self._noted[role].x.flatten(0, 1),
                actions=torch.zeros((cells[0], *shape[1:]), dtype=kinds[1], device=self.device),
                log_p=torch.zeros(cells, device=self.device),
                advantages=torch.zeros(cells, device=self.device),
                targets=torch.zeros(cells, device=self.device),
                memory=self.memory[role].view(envs, shape[1], -1).clone() if role in self.memory else None,
                state=None if self._state is None else self._state.x.flatten(0, 1),
                starts=self.starts,
            )

    @torch.no_grad()
    def _live(self) -> None:
        """A month, from what is seen to what is seen next."""
        self._choose()
        seen, rewards, terminated, truncated, _ = self.env.step(self.actions)
        ended = terminated | truncated
        now = torch.cat([rewards[role] for role in ROLES], 1)
        for cells, month in ((self.rewards, now), (self.ends, ended), (self.truncated, truncated)):
            cells.index_copy_(0, self._t, month.to(cells.dtype).unsqueeze(0))
        masks = [truncated & (self._cut == k) for k in range(self._cuts)]
        for role in ROLES:
            self._noted[role].keep(seen[role], masks)
        if self._state is not None:
            self._see_state()
            self._state.keep(self._now, masks)
        self._cut += truncated
        self.fresh.copy_(ended)
        self._t += 1
        self.env.reopen(ended)

    def _choose(self) -> None:
        """See, store, value and act."""
        self._see_state()
        state = None
        if self._state is not None:
            self._state.count(self._now, self._t)
            state = self._state.store(self._now, self._t)
        self.starts.index_copy_(0, self._t, self.fresh.unsqueeze(0))
        for role, learner in self.team.items():
            batch, shape, noted = self.batch[role], self.actions[role].shape, self._noted[role]
            noted.count(self.seen[role], self._t)
            if self._acted(role, state):
                continue
            x = noted.store(self.seen[role], self._t)
            memory = self.memory.get(role)
            if memory is not None:
                memory.mul_(1.0 - self.fresh.unsqueeze(1).expand(-1, shape[1]).reshape(-1, 1))
            parameters, after = learner.actor(x.flatten(0, 1), memory)
            if memory is not None and after is not None:
                memory.copy_(after)
            actions, log_p = learner.draw(parameters, learner.luck(len(parameters), self._generator))
            self._store(batch.actions, actions.view(shape))
            self._store(batch.log_p, log_p.view(shape[:2]))
            self.values[:, :, self._columns[role]].index_copy_(0, self._t, learner.judge(x, state).unsqueeze(0))
            self.actions[role].copy_(actions.view(shape))
            if learner.actor.continuous:
                self.actions[role].clamp_(0.0, 1.0)

    def _acted(self, role: str, state: Tensor | None) -> bool:
        """Whether the role could act by one pass."""
        if role not in self._fused:
            return False
        learner, seen = self.team[role], self.seen[role]
        try:
            luck = learner.luck(seen.shape[0] * seen.shape[1], self._generator)
            self._fused[role].act(seen, state, luck, self._t)
        except NoRoom:
            del self._fused[role]
            return False
        return True

    def _store(self, cells: Tensor, now: Tensor) -> None:
        """A month ``[E, ...]`` into the cells ``[T * E, ...]``."""
        cells.view(self.steps, *now.shape).index_copy_(0, self._t, now.to(cells.dtype).unsqueeze(0))

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """Live ``steps`` months; returns the mean outcomes of the rows' last episodes that ended."""
        self._t.zero_()
        for role, memory in self.memory.items():
            kept = self.batch[role].memory
            assert kept is not None
            kept.copy_(memory.view_as(kept))
        self._cut.zero_()
        for _ in range(self.steps):
            self._month()
        self._take_noted()
        return _outcomes(self.env.last_metrics(), self.ends.any(0))

    def _see_state(self) -> None:
        """What a central critic is shown from now on."""
        if self._state is not None:
            self._now.copy_(self.env.state())

    def _take_noted(self) -> None:
        """Moments of what was seen, after the last values of the rollout were asked for with the old ones."""
        self._last = {
            role: (noted.normaliser.apply(self.seen[role]), noted.normaliser.apply(noted.cut))
            for role, noted in self._noted.items()
        }
        state = self._state
        self._last_state = None
        noted = [*self._noted.values()]
        self._see_state()
        if state is not None:
            self._last_state = (state.normaliser.apply(self._now), state.normaliser.apply(state.cut))
            noted.append(state)
        moments = _on_host([y for x in noted for y in (x.mean, x.variance)])
        for k, x in enumerate(noted):
            x.normaliser.merge(moments[2 * k], moments[2 * k + 1], x.x[0].numel() // x.x.shape[-1])

    @torch.no_grad()
    def judge(self, gamma: float, gae_lambda: float) -> None:
        """Advantages, in standard deviations from their mean, and normalised value targets."""
        end_values, last_values = torch.zeros_like(self.values), torch.empty_like(self.values[0])
        at = (self.truncated.cumsum(0) - 1).clamp_(min=0).unsqueeze(-1)
        for role, learner in self.team.items():
            columns, (x, cut) = self._columns[role], self._last[role]
            state, cut_state = self._last_state or (None, None)
            last_values[:, columns] = learner.judge(x, state)
            flat = None if cut_state is None else cut_state.flatten(0, 1)
            valued = learner.judge(cut.flatten(0, 1), flat).unflatten(0, cut.shape[:2])
            there = valued.gather(0, at.expand(-1, -1, valued.shape[2]))
            end_values[:, :, columns] = torch.where(self.truncated.unsqueeze(-1), there, 0.0)
        ends = self.ends.unsqueeze(-1)
        advantages, targets = gae_tensors(self.rewards, self.values, last_values, ends, end_values, gamma, gae_lambda)
        moments = _on_host([torch.stack(_moments(targets[:, :, x])) for x in self._columns.values()])
        for (role, learner), (mean, variance) in zip(self.team.items(), moments, strict=True):
            batch, columns = self.batch[role], self._columns[role]
            learner.renew_targets(float(mean), float(variance), batch.log_p.numel())
            mine = advantages[:, :, columns].flatten(0, 1)
            variance_of, mean_of = torch.var_mean(mine, correction=0)
            torch.div(mine - mean_of, variance_of.sqrt() + 1e-8, out=batch.advantages)
            value_mean, value_std = learner.value_moments
            torch.div(targets[:, :, columns].flatten(0, 1) - value_mean, value_std, out=batch.targets)

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on, beside the batch itself."""
        out = {f"memory.{role}": x.cpu().numpy() for role, x in self.memory.items()}
        out["fresh"] = self.fresh.cpu().numpy()
        return out | {f"state.{k}": v for k, v in self.state_moments.tensors().items()}

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        for role, memory in self.memory.items():
            memory.copy_(torch.from_numpy(tensors[f"memory.{role}"]))
        self.fresh.copy_(torch.from_numpy(tensors["fresh"]))
        self.state_moments.load({k: tensors[f"state.{k}"] for k in ("count", "mean", "m2")})
        if self._state is not None:
            self._state.normaliser.refresh()


def _outcomes(measures: Mapping[str, Tensor], ended: Tensor) -> dict[str, float]:
    """Means of measures ``[E]`` over the rows that ended, if any did."""
    sums = [torch.where(ended, x, 0.0).sum() for x in measures.values()]
    *sums, count = torch.stack([*sums, ended.sum().double()]).tolist()
    return {name: x / count for name, x in zip(measures, sums, strict=True)} if count else {}


def _slices(sizes: list[int]) -> list[slice]:
    edges = [0, *itertools.accumulate(sizes)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of all numbers."""
    variance, mean = torch.var_mean(x, correction=0)
    return mean, variance


def _on_host(tensors: list[Tensor]) -> list[np.ndarray]:
    """Copies of all of them by one transfer."""
    flat = torch.cat([x.reshape(-1) for x in tensors]).cpu().numpy()
    parts = np.split(flat, np.cumsum([x.numel() for x in tensors])[:-1])
    return [part.reshape(x.shape) for part, x in zip(parts, tensors, strict=True)]
