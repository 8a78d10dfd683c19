"""Episodes kept month by month: one team, or two and every mix of their roles, on the same seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.metrics import METRICS
from spiral_env.policy import Policy, ask_policy, check_policy, check_role, episode_keys, reset_policy
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["MIXES", "Recording", "Replay", "play", "record"]

MIXES = 2 ** len(ROLES)
"""Ways to fill the roles from two teams: bit k of a mix is set where the second team plays the k-th role."""


@dataclass(frozen=True)
class Recording:
    """One episode of one team; M months lived, A agents.

    Attributes:
        name: of the team.
        states: records after each month ``[M]``.
        efforts: role -> float64 ``[M, agents of the role, levers]``.
        vectors: reward vectors (security, cost, value) in k$, float64 ``[M, A, 3]``, agents in their order.
        metrics: outcome measures at the end.
    """

    name: str
    states: np.ndarray
    efforts: dict[str, np.ndarray]
    vectors: np.ndarray
    metrics: dict[str, float]

    @property
    def months(self) -> int:
        """Months lived."""
        return len(self.states)


@dataclass(frozen=True)
class Replay:
    """Teams on the same seed.

    Attributes:
        world: the scenario, in the size that was played.
        seed: the world's own.
        params: the parameter record in force.
        teams: one recording, or two.
        mixes: with two teams, ecosystem value in k$ a month for every mix of their roles ``[MIXES]``; else empty.
    """

    world: Scenario
    seed: int
    params: Any
    teams: tuple[Recording, ...]
    mixes: np.ndarray


def record(
    scenario: str | Path | Scenario,
    teams: Mapping[str, Mapping[str, Policy]],
    seed: int | None = None,
    *,
    num_smes: int | None = None,
    max_cycles: int | None = None,
) -> Replay:
    """Play one team or two on a seed, as ``spiral rollout`` does, and keep every month.

    With two teams each of the 16 mixes of their roles is played as well: the same world, the same luck.

    Args:
        scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
        teams: name -> role -> who plays it.
        seed: the world's own; None for the first of the scenario's held-out seeds.
        num_smes: SMEs; None for the scenario's.
        max_cycles: months the episode lasts at most; None for the scenario's.

    Raises:
        TypeError: what should play a role is no policy.
        ValueError: there is no team or more than two, a role has no policy, or a size is not allowed.
    """
    if len(teams) not in (1, 2):
        raise ValueError(f"teams must be one or two, got {len(teams)}")
    for team in teams.values():
        for role in ROLES:
            if role not in team:
                raise ValueError(f"policies must name every role, {role!r} is missing")
            check_policy(check_role(role), team[role])
    world = load_scenario(scenario)
    own = world.evaluation_seeds(0, 1)[0] if seed is None else seed
    rows = MIXES if len(teams) == 2 else 1
    env = SpiralVectorEnv(
        *(world, rows),
        autoreset_mode="disabled",
        action_mode="continuous",
        num_smes=num_smes,
        max_cycles=max_cycles,
    )
    shown = [0, rows - 1][: len(teams)]
    kept: dict[int, list[_Month]] = {row: [] for row in shown}

    def keep(efforts: dict[str, np.ndarray], alive: np.ndarray) -> None:
        for row in shown:
            if alive[row]:
                chosen = {role: efforts[role][row].copy() for role in ROLES}
                kept[row].append((env.engine.states[row : row + 1].copy(), chosen, env.engine.vectors[row].copy()))

    play(env, list(teams.values()), [own] * rows, keep)
    measures = env.metrics()
    found = tuple(
        Recording(name, *_stacked(kept[row]), {measure: float(measures[measure][row]) for measure in METRICS})
        for row, name in zip(shown, teams, strict=True)
    )
    params, value = env.engine.params[0].copy(), measures["ecosystem_value"].copy()
    env.close()
    played = world.model_copy(update={"num_smes": env.world.num_smes, "max_cycles": env.max_cycles})
    return Replay(played, own, params, found, value if rows > 1 else value[:0])


_Month = tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]
"""State record ``[1]``, efforts and reward vectors of a month."""


def play(
    env: SpiralVectorEnv,
    teams: Sequence[Mapping[str, Policy]],
    seeds: Sequence[int],
    look: Callable[[dict[str, np.ndarray], np.ndarray], None],
) -> None:
    """Whole episodes side by side, a row a seed; with two teams row k is mix k of their roles.

    Args:
        env: with a row a seed, which take efforts and rest at their end.
        teams: one, or two.
        seeds: of the worlds; they are the keys of policies' draws, too.
        look: called after each month with its efforts (role -> ``[E, A, L]``) and the rows that lived it, bool ``[E]``.
    """
    observations, _ = env.reset(seed=list(seeds))
    for team in teams:
        for role in ROLES:
            reset_policy(team[role], role, episode_keys(seeds))
    alive = np.ones(env.num_envs, dtype=np.bool_)
    while alive.any():
        efforts = {role: _mixed(teams, role, observations[role]) for role in ROLES}
        observations, _, terminations, truncations, _ = env.step(efforts)
        look(efforts, alive)
        alive &= ~(terminations | truncations)


def _mixed(teams: Sequence[Mapping[str, Policy]], role: str, observation: np.ndarray) -> np.ndarray:
    """Efforts ``[E, A, L]``: row k's are those of the team that plays ``role`` in mix k."""
    asked = [ask_policy(team[role], role, observation) for team in teams]
    second = np.arange(len(observation)) >> ROLES.index(role) & 1
    return np.where(second[:, None, None] == 1, asked[-1], asked[0])


def _stacked(months: list[_Month]) -> _Month:
    states, efforts, vectors = zip(*months, strict=True)
    return np.concatenate(states), {role: np.stack([x[role] for x in efforts]) for role in ROLES}, np.stack(vectors)
