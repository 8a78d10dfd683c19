"""Teams by name, worlds with some parameters replaced, and policies some of whose levers are held still."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_env.agents import load_policy
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.policy import Policy
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import Scenario

__all__ = ["HEIGHT", "VALUE", "Held", "Team", "Wrapper", "altered", "held", "play", "team"]

VALUE, HEIGHT = "ecosystem_value", "spiral_height"
Team = Mapping[str, Policy]


def team(spec: str) -> dict[str, Policy]:
    """The same policy for every role: a name, ``constant:...`` or a run's folder."""
    return {role: load_policy(spec, role) for role in ROLES}


def play(world: Scenario, players: Team, episodes: int, **options: Any) -> EpisodeTable:
    """The first held-out episodes of a world, all side by side."""
    return run_episodes(world, players, episodes, num_envs=min(episodes, 512), **options)


def altered(world: Scenario, params: Mapping[str, Any]) -> Scenario:
    """The world with some parameters replaced, drawn no more where it drew them.

    Raises:
        ValueError: there is no such parameter, or its value is not allowed.
    """
    ranges = {name: pair for name, pair in world.ranges.items() if name not in params}
    return world.model_copy(update={"params": {**world.params, **params}, "ranges": ranges})


class Wrapper:
    """A policy that acts as another does; what is changed is the subclass's."""

    def __init__(self, policy: Policy) -> None:
        """Around a policy."""
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


class Held(Wrapper):
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


def held(players: Team, efforts: Mapping[str, Mapping[str, float]]) -> dict[str, Policy]:
    """The team with levers, role -> name -> effort, held at a constant."""
    out = dict(players)
    for role, by_name in efforts.items():
        names = [x.name for x in LEVERS[role]]
        out[role] = Held(players[role], {names.index(name): effort for name, effort in by_name.items()})
    return out
