"""Episodes of a team with some fields of the state noted every month; players may be ones that see the whole state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from spiral_env.policy import Policy, ask_policy, episode_keys, reset_policy
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Privileged", "watched"]


class Privileged(Protocol):
    """Plays a role from the engine, as ``spiral_env.agents.patch_planner.Foresighted`` does for IT."""

    role: str

    def plan(self, engine: Any) -> np.ndarray:
        """Efforts ``[E, A, L]``."""
        ...

    def put_back(self, engine: Any) -> None:
        """Undo, after the month, what ``plan`` has changed."""
        ...


def watched(
    world: Scenario,
    team: Mapping[str, Policy],
    seeds: Sequence[int],
    fields: Sequence[str],
    privileged: Privileged | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Any]:
    """Play a team, one role of which may be ``privileged``.

    Returns:
        Field -> what it was after each month, float64 ``[T, E, ...]`` and 0 where an episode had ended before; outcome
        measure -> ``[E]``; the parameter record of the first episode.
    """
    count = len(seeds)
    env = SpiralVectorEnv(world, count, autoreset_mode="disabled", action_mode="continuous")
    seen, _ = env.reset(seed=list(seeds))
    for role in ROLES:
        reset_policy(team[role], role, episode_keys(range(count)))
    notes: dict[str, list[np.ndarray]] = {name: [] for name in fields}
    alive = np.ones(count, dtype=bool)
    while alive.any():
        efforts = {role: ask_policy(team[role], role, seen[role]) for role in ROLES}
        if privileged is not None:
            efforts[privileged.role] = privileged.plan(env.engine)
        seen, _, terminations, truncations, _ = env.step(efforts)
        if privileged is not None:
            privileged.put_back(env.engine)
        for name, noted in notes.items():
            value = env.engine.states[name].astype(np.float64)
            noted.append(np.where(alive.reshape(-1, *[1] * (value.ndim - 1)), value, 0.0))
        alive &= ~(terminations | truncations)
    metrics, params = env.metrics(), env.engine.params[0].copy()
    env.close()
    return {name: np.stack(x) for name, x in notes.items()}, metrics, params
