"""Teams on the same held-out episodes, and wrappers that take something away from a policy or hold it still."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from spiral_env.evaluation import EpisodeTable
from spiral_env.policy import Policy
from spiral_env.questions.teams import Team, Wrapper, play
from spiral_env.roles import FEATURES, ROLES
from spiral_env.roles.public import NUM_PUBLIC
from spiral_env.scenarios import Scenario

__all__ = ["PRIVATE", "Averaged", "Frozen", "StageTable", "feature_means", "mean_of", "wrapped"]

PRIVATE = {role: range(NUM_PUBLIC, len(FEATURES[role])) for role in ROLES}
"""Places of the features that a role alone sees."""


class Frozen(Wrapper):
    """Sees some features at a fixed value, whatever happens."""

    def __init__(self, policy: Policy, values: Mapping[int, float]) -> None:
        """``values``: place of a feature -> what is seen in its stead."""
        super().__init__(policy)
        self.places, self.values = list(values), np.array(list(values.values()), dtype=np.float32)

    def show(self, observation: np.ndarray) -> np.ndarray:
        """The view with the fixed values."""
        seen = observation.copy()
        seen[..., self.places] = self.values
        return seen


class Averaged(Wrapper):
    """Every agent of the role sees the mean of all their views."""

    def show(self, observation: np.ndarray) -> np.ndarray:
        """The mean view, once an agent."""
        mean = observation.mean(1, keepdims=True, dtype=np.float64).astype(observation.dtype)
        return np.broadcast_to(mean, observation.shape).copy()


class _Seen(Wrapper):
    """Adds up what the other policy is shown."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.total, self.count = np.zeros(0), 0

    def show(self, observation: np.ndarray) -> np.ndarray:
        """The view as it is."""
        sums = observation.sum((0, 1), dtype=np.float64)
        self.total = sums if not self.count else self.total + sums
        self.count += observation.shape[0] * observation.shape[1]
        return observation


class StageTable:
    """One row of efforts for each stage that is seen; a table of one row is a constant."""

    name = "stage table"

    def __init__(self, role: str, rows: np.ndarray) -> None:
        """``rows``: efforts ``[3, L]`` or ``[1, L]``."""
        self._rows = np.broadcast_to(rows, (3, rows.shape[1]))
        names = [x.name for x in FEATURES[role]]
        self._flags = [names.index(f"stage_{stage}") for stage in ("aggregation", "governance", "value")]

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The row of the stage."""
        return self._rows[observation[..., self._flags].argmax(-1)]


def wrapped(players: Team, roles: Mapping[str, Callable[[Policy], Policy]]) -> dict[str, Policy]:
    """The team with some roles' policies wrapped."""
    return {role: roles[role](policy) if role in roles else policy for role, policy in players.items()}


def feature_means(world: Scenario, players: Team, episodes: int) -> dict[str, np.ndarray]:
    """Role -> mean of each feature ``[O]`` over an evaluation of the team."""
    watched = {role: _Seen(policy) for role, policy in players.items()}
    play(world, watched, episodes)
    return {role: x.total / x.count for role, x in watched.items()}


def mean_of(tables: list[EpisodeTable]) -> EpisodeTable:
    """Each episode's measures averaged over the teams that played it."""
    metrics = {name: np.mean([x.metrics[name] for x in tables], axis=0) for name in tables[0].metrics}
    use = {role: np.mean([x.lever_use[role] for x in tables], axis=0) for role in ROLES}
    return replace(tables[0], metrics=metrics, lever_use=use)
