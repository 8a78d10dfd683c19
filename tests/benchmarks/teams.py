"""Teams on the same held-out episodes, and wrappers that take something away from a policy or hold it still."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spiral_env.agents import load_policy
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.policy import Policy
from spiral_env.roles import FEATURES, LEVERS, ROLES
from spiral_env.roles.public import NUM_PUBLIC
from spiral_env.scenarios import Scenario

__all__ = [
    *("HEIGHT", "PRIVATE", "VALUE", "Averaged", "Frozen", "Held", "StageTable", "Team", "altered", "feature_means"),
    *("held", "mean_of", "play", "team", "wrapped"),
]

VALUE, HEIGHT = "ecosystem_value", "spiral_height"
PRIVATE = {role: range(NUM_PUBLIC, len(FEATURES[role])) for role in ROLES}
"""Places of the features that a role alone sees."""
Team = Mapping[str, Policy]


def team(spec: str) -> dict[str, Policy]:
    """The same policy for every role: a name, ``constant:...`` or a run's folder."""
    return {role: load_policy(spec, role) for role in ROLES}


def play(world: Scenario, players: Team, episodes: int, **options: Any) -> EpisodeTable:
    """The first held-out episodes of a world, all side by side."""
    return run_episodes(world, players, episodes, num_envs=min(episodes, 512), **options)


def altered(world: Scenario, params: Mapping[str, Any]) -> Scenario:
    """The world with some parameters replaced."""
    return world.model_copy(update={"params": {**world.params, **params}})


class _Wrapper:
    """A policy that acts as another does; what is changed is the subclass's."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.name = policy, f"{type(self).__name__} {policy.name}"

    def reset(self, keys: np.ndarray) -> None:
        """Open episodes of the other."""
        self.policy.reset(keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts of the other, ``[E, A, L]``, for what it is shown, ``[E, A, O]``."""
        return self.change(np.asarray(self.policy.act(self.show(observation))))

    def show(self, observation: np.ndarray) -> np.ndarray:
        """What the other sees."""
        return observation

    def change(self, efforts: np.ndarray) -> np.ndarray:
        """What is done in place of its efforts."""
        return efforts


class Frozen(_Wrapper):
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


class Averaged(_Wrapper):
    """Every agent of the role sees the mean of all their views."""

    def show(self, observation: np.ndarray) -> np.ndarray:
        """The mean view, once an agent."""
        mean = observation.mean(1, keepdims=True, dtype=np.float64).astype(observation.dtype)
        return np.broadcast_to(mean, observation.shape).copy()


class Held(_Wrapper):
    """Some levers stand at a fixed effort."""

    def __init__(self, policy: Policy, efforts: Mapping[int, float]) -> None:
        """``efforts``: place of a lever -> its effort."""
        super().__init__(policy)
        self.places, self.values = list(efforts), np.array(list(efforts.values()))

    def change(self, efforts: np.ndarray) -> np.ndarray:
        """The efforts with those that are held."""
        out = efforts.copy()
        out[..., self.places] = self.values
        return out


class _Seen(_Wrapper):
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


def held(players: Team, efforts: Mapping[str, Mapping[str, float]]) -> dict[str, Policy]:
    """The team with levers, role -> name -> effort, held at a constant."""
    out = dict(players)
    for role, by_name in efforts.items():
        names = [x.name for x in LEVERS[role]]
        out[role] = Held(players[role], {names.index(name): effort for name, effort in by_name.items()})
    return out


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
