"""Epochs of minibatch gradient steps on a rollout, in parallel over fixed pieces: same bits on any machine load."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spiral_env.roles import ROLES
from train.learner import Learner, clip_gradients
from train.losses import policy_loss, value_loss
from train.rollout import Rollout

__all__ = ["Updater"]


@dataclass
class _Batch:
    """One role's rollout as tensors ``[T, E, A, ...]``."""

    x: Tensor
    actions: Tensor
    log_p: Tensor
    advantages: Tensor
    targets: Tensor
    memory: Tensor | None


@dataclass(frozen=True)
class Rule:
    """What a gradient step obeys."""

    epochs: int
    minibatches: int
    pieces: int
    clip_coef: float
    ent_coef: float
    vf_coef: float
    max_grad_norm: float
    target_kl: float


class Updater:
    """Gradient steps of all roles; a minibatch is a set of (month, ecosystem) cells with all their agents.

    The minibatch is cut in ``pieces`` parts, each part's gradient is taken in a thread of its own, and the parts are
    added in order: the result does not depend on how many threads there are.
    """

    def __init__(self, team: dict[str, Learner], rule: Rule, rng: np.random.Generator) -> None:
        """One Adam per role."""
        self.team, self.rule, self.rng = team, rule, rng
        self.parameters = {role: x.parameters() for role, x in team.items()}
        self.optimisers = {
            role: torch.optim.Adam(p, lr=0.0, eps=1e-5, foreach=True) for role, p in self.parameters.items()
        }
        self.pool = ThreadPoolExecutor(rule.pieces)
        self.sequences = any(x.recurrent for x in team.values())

    def step(self, rollout: Rollout, learning_rate: float) -> dict[str, float]:
        """All epochs on a judged rollout; returns the losses, mean over minibatches, ``<loss>/<role>``."""
        batches = {role: self._batch(role, rollout) for role in ROLES}
        device = next(iter(self.team.values())).device
        state = None if rollout.state is None else torch.from_numpy(rollout.state).to(device)
        starts = torch.from_numpy(rollout.starts.astype(np.float32)).to(device)
        for optimiser in self.optimisers.values():
            optimiser.param_groups[0]["lr"] = learning_rate
        sums: dict[str, list[float]] = {}
        moving = dict.fromkeys(ROLES, True)
        for _ in range(self.rule.epochs):
            kl = self._epoch(batches, state, starts, rollout.starts.shape, moving, sums)
            if self.rule.target_kl > 0.0:
                moving = {role: moving[role] and kl[role] <= 1.5 * self.rule.target_kl for role in ROLES}
        return {name: float(np.mean(values)) for name, values in sums.items()}

    def _batch(self, role: str, rollout: Rollout) -> _Batch:
        r, learner = rollout.roles[role], self.team[role]
        advantages = ((r.advantages - r.advantages.mean()) / (r.advantages.std() + 1e-8)).astype(np.float32)
        return _Batch(
            x=learner.tensor(r.x),
            actions=learner.tensor(r.actions),
            log_p=learner.tensor(r.log_p),
            advantages=learner.tensor(advantages),
            targets=learner.tensor(learner.rescale(r.targets)),
            memory=None if r.memory is None else learner.tensor(r.memory),
        )

    def _epoch(self, batches, state, starts, shape, moving, sums):  # type: ignore[no-untyped-def]
        kl: dict[str, list[float]] = {role: [] for role in ROLES}
        for cells in self._minibatches(*shape):
            parts = [x for x in np.array_split(cells, self.rule.pieces, axis=-1) if x.size]
            scale = {role: 1.0 / (cells.size * batches[role].x.shape[2]) for role in ROLES}
            jobs = [self.pool.submit(self._piece, batches, state, starts, x, scale, moving) for x in parts]
            pieces = [job.result() for job in jobs]
            for role in ROLES:
                gradients = pieces[0][role][0]
                for other in pieces[1:]:
                    torch._foreach_add_(gradients, other[role][0])
                values = np.sum([piece[role][1] for piece in pieces], axis=0)
                norm = self._apply(role, gradients)
                kl[role].append(values[3])
                for name, value in zip(
                    ("policy_loss", "value_loss", "entropy", "kl", "gradient_norm"), (*values, norm), strict=True
                ):
                    sums.setdefault(f"{name}/{role}", []).append(float(value))
        return {role: float(np.mean(x)) for role, x in kl.items()}

    def _minibatches(self, steps: int, envs: int) -> list[np.ndarray]:
        """Cells as flat indices ``[n]``, or whole ecosystems ``[T, n]`` where a memory must be unrolled."""
        if self.sequences:
            columns = np.array_split(self.rng.permutation(envs), min(self.rule.minibatches, envs))
            return [np.arange(steps)[:, None] * envs + c[None] for c in columns]
        return np.array_split(self.rng.permutation(steps * envs), self.rule.minibatches)

    def _piece(self, batches, state, starts, cells, scale, moving):  # type: ignore[no-untyped-def]
        """Gradients and sums of losses of a part of a minibatch, per role."""
        out = {}
        index = torch.from_numpy(np.ascontiguousarray(cells))
        for role in ROLES:
            loss, values = self._loss(role, batches[role], state, starts, index, scale[role], moving[role])
            gradients = torch.autograd.grad(loss, self.parameters[role], allow_unused=True)
            filled = [
                torch.zeros_like(p) if g is None else g for g, p in zip(gradients, self.parameters[role], strict=True)
            ]
            out[role] = (filled, values)
        return out

    def _loss(self, role, batch, state, starts, index, scale, moving):  # type: ignore[no-untyped-def]
        learner, rule = self.team[role], self.rule
        flat = index.reshape(-1).to(learner.device)
        x = batch.x.flatten(0, 1)[flat]
        agents = x.shape[1]
        rows = flat.numel() * agents
        actions = batch.actions.flatten(0, 1)[flat].reshape(rows, -1)
        if learner.recurrent:
            parameters = self._unroll(learner, batch, x, starts, index)
        else:
            parameters, _ = learner.actor(x.reshape(rows, -1))
        log_p, entropy = learner.terms(parameters, actions)
        take = [part.flatten(0, 1)[flat].reshape(rows) for part in (batch.log_p, batch.advantages, batch.targets)]
        policy, kl = policy_loss(log_p, take[0], take[1], rule.clip_coef)
        values = learner.critic(x, None if state is None else state.flatten(0, 1)[flat])
        value = value_loss(values.reshape(-1), take[2])
        bonus = entropy.sum()
        actor = (policy - rule.ent_coef * bonus) * (scale if moving else 0.0)
        total = actor + rule.vf_coef * scale * value
        return total, np.array([x.item() for x in (policy, value, bonus, kl)]) * scale

    def _unroll(self, learner, batch, x, starts, index):  # type: ignore[no-untyped-def]
        steps, envs = index.shape
        agents = x.shape[1]
        columns = (index[0] % starts.shape[1]).to(learner.device)
        sequence = x.reshape(steps, envs * agents, -1)
        clear = starts[:, columns].repeat_interleave(agents, dim=1)
        memory = batch.memory[columns].reshape(envs * agents, -1)
        return learner.actor.unroll(sequence, memory, clear).flatten(0, 1)

    def _apply(self, role: str, gradients: list[Tensor]) -> float:
        norm = clip_gradients(gradients, self.rule.max_grad_norm)
        for parameter, gradient in zip(self.parameters[role], gradients, strict=True):
            parameter.grad = gradient
        self.optimisers[role].step()
        return norm

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown()
