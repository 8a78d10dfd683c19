"""Episodes in which some agents do otherwise than their policy says, each row in a way of its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spiral_env.policy import Policy, ask_policy, episode_keys, reset_policy
from spiral_env.roles import FEATURES, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["PARTS", "STAGES", "WIDTH", "Deviation", "Lived", "agents_of", "live"]

WIDTH = sum(NUM_LEVERS.values())
_ENDS = dict(zip(ROLES, itertools.accumulate(NUM_LEVERS.values()), strict=True))
PARTS = {role: slice(end - NUM_LEVERS[role], end) for role, end in _ENDS.items()}
"""Where the levers of each role stand among all."""
STAGES = ("aggregation", "governance", "value")
"""Rows of a table of efforts."""


@dataclass(frozen=True)
class Lived:
    """What the episodes of a batch showed.

    Attributes:
        metrics: outcome measure -> float64 ``[E]``.
        payoffs: security + cost + value of each agent, k$ a month as planned, float64 ``[E, 3 + N]``: IT, business,
            finance, the SMEs.
    """

    metrics: dict[str, np.ndarray]
    payoffs: np.ndarray


class Deviation:
    """A policy some of whose agents follow tables by stage: in place of its efforts, or added to them.

    Attributes:
        tables: efforts, or what is added to them, ``[R, 3, L]``; row e of a batch follows table e mod R.
    """

    def __init__(
        self, policy: Policy, role: str, tables: np.ndarray, added: bool, agents: np.ndarray | None = None
    ) -> None:
        """Around the policy of a role.

        Args:
            policy: what is deviated from.
            role: that it plays.
            tables: ``[R, 1 or 3, L]``; one row is meant for every stage.
            added: tables are added to the policy's efforts, and the sum is kept in [0, 1].
            agents: who deviates, bool ``[Q, A]``, row e as row e mod Q says; None for all.
        """
        self.policy, self.added, self.agents = policy, added, agents
        self.tables = np.broadcast_to(tables, (len(tables), len(STAGES), tables.shape[2]))
        self.name = f"deviation from {policy.name}"
        names = [x.name for x in FEATURES[role]]
        self._role, self._flags = role, [names.index(f"stage_{stage}") for stage in STAGES]

    def reset(self, keys: np.ndarray) -> None:
        """Open episodes of the policy."""
        reset_policy(self.policy, self._role, keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, L]``."""
        rows = np.arange(len(observation))
        wish = self.tables[(rows % len(self.tables))[:, None], observation[..., self._flags].argmax(-1)]
        if not self.added and self.agents is None:
            return np.asarray(wish)
        own = ask_policy(self.policy, self._role, observation)
        wish = np.clip(own + wish, 0.0, 1.0) if self.added else wish
        if self.agents is None:
            return wish
        return np.where(self.agents[rows % len(self.agents)][..., None], wish, own)


def agents_of(world: Scenario, role: str) -> slice:
    """Where the agents of a role stand among all."""
    first = ROLES.index(role)
    return slice(first, first + world.world().agents[role])


def live(
    world: Scenario, team: Mapping[str, Policy], seeds: np.ndarray, *, threads: int = 1, basis: str = "expected"
) -> Lived:
    """Whole episodes side by side, one for each of ``seeds``, which may come again.

    Policies that have a process of their own keep it: many calls follow each other.

    Args:
        world: where.
        team: role -> who plays it.
        seeds: own seeds of the worlds, int64 ``[E]``; rows of one seed have one key.
        threads: of the simulator.
        basis: losses in payoffs, "expected" or "realised".

    Raises:
        PolicyError: a policy fails.
    """
    env = SpiralVectorEnv(world, len(seeds), threads, "disabled", action_mode="continuous", reward_basis=basis)
    env.reset(seed=seeds)
    numbers = np.unique(seeds, return_inverse=True)[1]
    keys = episode_keys(range(int(numbers.max()) + 1))[numbers]
    for role in ROLES:
        reset_policy(team[role], role, keys)
    payoffs, alive = np.zeros(env.engine.vectors.shape[:2]), np.ones(len(seeds), dtype=np.bool_)
    while alive.any():
        seen = env.engine.observations
        _, _, terminated, truncated, _ = env.step({role: ask_policy(team[role], role, seen[role]) for role in ROLES})
        payoffs[alive] += env.engine.vectors[alive].sum(-1)
        alive &= ~(terminated | truncated)
    metrics = env.metrics()
    env.close()
    return Lived(metrics, payoffs / float(env.max_cycles))
