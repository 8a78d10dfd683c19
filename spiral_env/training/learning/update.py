"""Epochs of minibatch gradient steps on a rollout, in parallel over fixed pieces: same bits on any machine load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spiral_env.roles import ROLES
from spiral_env.threads import Threads
from spiral_env.training.learning.by_hand import ByHand
from spiral_env.training.learning.flat import clip_
from spiral_env.training.learning.gradients import Batch, ByAutograd, Gradient, Weights
from spiral_env.training.learning.learner import Learner
from spiral_env.training.learning.rollout import Rollout

__all__ = ["LOSSES", "Rule", "Updater"]

LOSSES = ("policy_loss", "value_loss", "entropy", "kl", "gradient_norm")


@dataclass(frozen=True)
class Rule:
    """What a gradient step obeys."""

    epochs: int
    minibatches: int
    pieces: int
    max_grad_norm: float
    target_kl: float


class Updater:
    """Gradient steps of all roles; a minibatch is a set of (month, ecosystem) cells with all their agents.

    A role with many agents has its minibatches cut in ``pieces``. Every piece has a thread, and a gradient, of its
    own; the pieces of a role are added in order: the result does not depend on how fast the threads are.
    """

    def __init__(self, team: dict[str, Learner], rule: Rule, weights: Weights, rng: np.random.Generator) -> None:
        """Share the work out by the rows of each piece."""
        self.team, self.rule, self.rng = team, rule, rng
        self.sequences = any(x.recurrent for x in team.values())
        self.threads = Threads(rule.pieces)
        self._weights = weights
        self._pieces: dict[str, list[Gradient]] = {}
        self._shares: list[list[tuple[str, int]]] = []

    def _share_out(self, agents: dict[str, int]) -> None:
        """Heaviest piece first, each to the thread with the least to do."""
        total, count = sum(agents.values()), self.rule.pieces
        parts = {role: count if n * count > total else 1 for role, n in agents.items()}
        self._pieces = {role: [self._gradient(role) for _ in range(n)] for role, n in parts.items()}
        rows = [(agents[role] / n, role, k) for role, n in parts.items() for k in range(n)]
        loads = [0.0] * count
        self._shares = [[] for _ in range(count)]
        for weight, role, k in sorted(rows, key=lambda x: -x[0]):
            lightest = int(np.argmin(loads))
            loads[lightest] += weight
            self._shares[lightest].append((role, k))

    def _gradient(self, role: str) -> Gradient:
        return (ByHand if self.team[role].by_hand else ByAutograd)(self.team[role], self._weights)

    def step(self, rollout: Rollout, learning_rate: float) -> dict[str, float]:
        """All epochs on a judged rollout; returns the losses, mean over minibatches, ``<loss>/<role>``."""
        if not self._pieces:
            self._share_out({role: rollout.roles[role].x.shape[2] for role in ROLES})
        batches = {role: self._batch(role, rollout) for role in ROLES}
        sums: dict[str, list[np.ndarray]] = {role: [] for role in ROLES}
        moving = dict.fromkeys(ROLES, True)
        for _ in range(self.rule.epochs):
            before = len(sums[ROLES[0]])
            for cells in self._minibatches(*rollout.starts.shape):
                for role, values in self._minibatch(batches, cells, moving, learning_rate).items():
                    sums[role].append(values)
            if self.rule.target_kl > 0.0:
                kl = {role: np.mean([x[3] for x in sums[role][before:]]) for role in ROLES}
                moving = {role: moving[role] and bool(kl[role] <= 1.5 * self.rule.target_kl) for role in ROLES}
        means = {role: np.mean(values, axis=0) for role, values in sums.items()}
        return {f"{name}/{role}": float(means[role][k]) for k, name in enumerate(LOSSES) for role in ROLES}

    def _batch(self, role: str, rollout: Rollout) -> Batch:
        r, learner = rollout.roles[role], self.team[role]
        advantages = ((r.advantages - r.advantages.mean()) / (r.advantages.std() + 1e-8)).astype(np.float32)
        arrays = (r.x, r.actions, r.log_p, advantages, learner.rescale(r.targets))
        x, actions, log_p, advantages_, targets = (learner.tensor(y.reshape(-1, *y.shape[2:])) for y in arrays)
        memory = None if r.memory is None else learner.tensor(r.memory)
        state = None if rollout.state is None else learner.tensor(rollout.state.reshape(-1, rollout.state.shape[2]))
        starts = learner.tensor(rollout.starts.astype(np.float32))
        return Batch(x, actions, log_p, advantages_, targets, memory, state, starts)

    def _minibatches(self, steps: int, envs: int) -> list[np.ndarray]:
        """Cells as flat indices ``[n]``, or whole ecosystems ``[T, n]`` where a memory must be unrolled."""
        if self.sequences:
            columns = np.array_split(self.rng.permutation(envs), self.rule.minibatches)
            return [np.arange(steps)[:, None] * envs + c[None] for c in columns]
        return np.array_split(self.rng.permutation(steps * envs), self.rule.minibatches)

    def _minibatch(
        self, batches: dict[str, Batch], cells: np.ndarray, moving: dict[str, bool], learning_rate: float
    ) -> dict[str, np.ndarray]:
        """One gradient step of every role; returns its losses and the gradient's norm."""
        cuts = {role: np.array_split(cells, len(x), axis=-1) for role, x in self._pieces.items()}

        def work(share: list[tuple[str, int]]) -> list[np.ndarray]:
            out = []
            for role, k in share:
                batch, piece = batches[role], self._pieces[role][k]
                scale = 1.0 / (cells.size * batch.x.shape[1])
                if cuts[role][k].size:
                    out.append(piece.take(batch, cuts[role][k], scale, moving[role]))
                else:
                    # Fewer cells, or whole ecosystems, than pieces.
                    piece.out.zero_()
                    out.append(np.zeros(len(LOSSES) - 1))
            return out

        results = self.threads.each(work, [(share,) for share in self._shares])
        named = {
            piece: x
            for share, xs in zip(self._shares, results, strict=True)
            for piece, x in zip(share, xs, strict=True)
        }
        out = {}
        for role, pieces in self._pieces.items():
            gradient = pieces[0].out
            for other in pieces[1:]:
                gradient.add_(other.out)
            values = np.sum([named[role, k] for k in range(len(pieces))], axis=0)
            norm = clip_(gradient, self.rule.max_grad_norm)
            self.team[role].step(gradient, learning_rate, moving=moving[role])
            out[role] = np.append(values, norm)
        return out

    def close(self) -> None:
        """End the threads."""
        self.threads.close()
