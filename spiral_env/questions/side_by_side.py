"""Many worlds in one batch: the same team on the same episodes of each, with the books it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spiral_env.policy import ask_policy, episode_keys, reset_policy
from spiral_env.questions.teams import Team
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.simulator.engine import Engine
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Played", "play_worlds"]

_ROWS = 1024
"""Episodes in a batch: some 40 kB each."""


@dataclass(frozen=True)
class Played:
    """What a team showed in ``W`` worlds, ``E`` episodes each; episode ``e`` is the same luck in all of them.

    Attributes:
        metrics: outcome measure -> float64 ``[W, E]``.
        flows: what each account received for each purpose, k$ a month as planned, ``[W, E, purposes, accounts]``.
        payoffs: (security, cost, value) of each agent, k$ a month as planned, ``[W, E, 3 + N, 3]``.
        sizes: annual revenue of each SME at the opening, k$, ``[W, E, N]``.
    """

    metrics: dict[str, np.ndarray]
    flows: np.ndarray
    payoffs: np.ndarray
    sizes: np.ndarray


def play_worlds(
    worlds: Sequence[Scenario],
    players: Team,
    episodes: int,
    seed: int = 0,
    *,
    progress: Callable[[int], None] | None = None,
) -> Played:
    """The team on the scenario's held-out episodes from the ``seed``-th on, in every world.

    Worlds may differ in their parameters alone. What comes out is, bit for bit, what ``run_episodes`` gives of each.

    Args:
        worlds: at least one.
        players: role -> who plays it.
        episodes: of each world.
        seed: which of the held-out seeds is the first.
        progress: told how many more episodes have been played.

    Raises:
        ValueError: worlds differ in size, length or seeds, or as in ``run_episodes``.
    """
    shapes = {_shape(x) for x in worlds}
    if len(shapes) != 1:
        raise ValueError(f"worlds must be of one size, length and seeds, got {len(shapes)} kinds")
    at_once = max(1, _ROWS // episodes)
    parts = []
    for start in range(0, len(worlds), at_once):
        part = worlds[start : start + at_once]
        parts.append(_played(part, players, episodes, seed))
        if progress is not None:
            progress(len(part) * episodes)
    return Played(
        {name: np.concatenate([x.metrics[name] for x in parts]) for name in parts[0].metrics},
        *(np.concatenate([getattr(x, name) for x in parts]) for name in ("flows", "payoffs", "sizes")),
    )


def _shape(world: Scenario) -> tuple[object, ...]:
    return world.num_smes, world.max_cycles, world.held_out_seeds, world.value("num_services")


def _played(worlds: Sequence[Scenario], players: Team, episodes: int, seed: int) -> Played:
    """One batch, row by row a world after the other."""
    seeds = np.array(worlds[0].evaluation_seeds(seed, episodes), dtype=np.int64)
    rows = len(worlds) * episodes
    env = SpiralVectorEnv(worlds[0], rows, autoreset_mode="disabled", action_mode="continuous")
    env.reset(seed=np.tile(seeds, len(worlds)))
    _open(env.engine, worlds, seeds)
    keys = np.tile(episode_keys(range(episodes)), len(worlds))
    for role in ROLES:
        reset_policy(players[role], role, keys)
    states, live = env.engine.states, env.num_agents_of["sme"]
    sizes = 12.0 * states["sme_revenue"][:, :live]
    flows, payoffs = np.zeros_like(states["month_flow"]), np.zeros_like(env.engine.vectors)
    seen = env.engine.observations
    alive = np.ones(rows, dtype=np.bool_)
    while alive.any():
        efforts = {role: ask_policy(players[role], role, seen[role]) for role in ROLES}
        seen, _, terminated, truncated, _ = env.step(efforts)
        flows[alive] += states["month_flow"][alive]
        payoffs[alive] += env.engine.vectors[alive]
        alive &= ~(terminated | truncated)
    shape = (len(worlds), episodes)
    metrics = {name: x.reshape(shape) for name, x in env.metrics().items()}
    env.close()
    planned = float(env.max_cycles)
    return Played(metrics, *(x.reshape(*shape, *x.shape[1:]) for x in (flows / planned, payoffs / planned, sizes)))


def _open(engine: Engine, worlds: Sequence[Scenario], seeds: np.ndarray) -> None:
    """Put the opening of each world into its rows of a batch that is open."""
    for k, world in enumerate(worlds[1:], 1):
        own = Engine(world.world(), len(seeds))
        own.reset(seeds)
        at = slice(k * len(seeds), (k + 1) * len(seeds))
        for records, opened in ((engine.states, own.states), (engine.params, own.params)):
            records[at].view(np.int64)[:] = opened.view(np.int64)
        own.close()
    engine.observe()
