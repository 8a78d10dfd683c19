"""Random play that is the same everywhere: actions keyed by seed and month, episodes, and their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

import spiral_env
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS
from spiral_env.simulator.engine import Engine, World

STEP, MULTIPLY = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


def keyed_levels(seed: int, month: int, agents: int) -> np.ndarray:
    """One of three levels for every lever, int64 ``[A, L]``: a hash of (seed, month, agent, lever)."""
    with np.errstate(over="ignore"):
        z = np.arange(agents * MAX_LEVERS, dtype=np.uint64) + np.uint64(seed * 1_000_003 + month * 10_007) * STEP
        for _ in range(3):
            z = (z ^ (z >> np.uint64(32))) * MULTIPLY
    return ((z >> np.uint64(33)) % np.uint64(3)).astype(np.int64).reshape(agents, MAX_LEVERS)


def keyed_efforts(seeds: Iterator[int] | range | list[int], month: int, agents: int) -> np.ndarray:
    """``keyed_levels`` as efforts ``[E, A, L]``, one row a seed."""
    return np.stack([keyed_levels(seed, month, agents) / 2.0 for seed in seeds])


def world(scenario: str = "small-v1", max_cycles: int | None = None, **params: Any) -> World:
    """A scenario's world with some parameters replaced, unchecked."""
    made = spiral_env.load_scenario(scenario).world(max_cycles=max_cycles)
    made.values.update(params)
    return made


def opened(made: World, seeds: range, num_threads: int = 1) -> Engine:
    """An engine with one episode a seed, not yet stepped."""
    engine = Engine(made, len(seeds), num_threads)
    engine.reset(np.array(seeds, dtype=np.int64))
    return engine


def played(made: World, seeds: range, months: int, num_threads: int = 1) -> Engine:
    """An engine after some months of keyed play."""
    engine = opened(made, seeds, num_threads)
    for month in range(months):
        engine.step(keyed_efforts(seeds, month, engine.num_agents))
    return engine


def joint(env: Any, seed: int, month: int) -> dict[str, np.ndarray]:
    """Keyed actions for every living agent of a default parallel environment."""
    rows = keyed_levels(seed, month, len(env.agents))
    return {agent: row[: env.action_space(agent).shape[0]] for agent, row in zip(env.agents, rows, strict=True)}


def middle(env: Any, dtype: type = np.int64) -> dict[str, np.ndarray]:
    """The middle of every lever, for a default batch: role -> ``[E, A, levers of the role]``."""
    return {role: np.ones((env.num_envs, n, NUM_LEVERS[role]), dtype) for role, n in env.num_agents_of.items()}


Month = tuple[dict[str, np.ndarray], dict[str, float], np.ndarray]
"""Observations, rewards and ``state()``."""


def lived(env: Any, seed: int, first: int = 0, count: int = 600) -> Iterator[Month]:
    """Play on from month ``first`` to the end, or for ``count`` months."""
    for month in range(first, first + count):
        if not env.agents:
            return
        observations, rewards, *_ = env.step(joint(env, seed, month))
        yield observations, rewards, env.state()


def as_bytes(month: Month) -> bytes:
    """All that a month showed."""
    observations, rewards, state = month
    return (
        b"".join(x.tobytes() for x in observations.values())
        + np.array(list(rewards.values())).tobytes()
        + state.tobytes()
    )


def months_of(env: Any, seed: int, first: int = 0, count: int = 600) -> Iterator[bytes]:
    """The months of ``lived`` as bytes."""
    return map(as_bytes, lived(env, seed, first, count))


def whole(env: Any, seed: int | None, play_seed: int = 7) -> list[Month]:
    """A whole episode from ``reset(seed)`` on; the opening, which pays nothing, is its first entry."""
    observations, _ = env.reset(seed=seed)
    return [(observations, {}, env.state()), *lived(env, play_seed)]


def episode(env: Any, seed: int | None, play_seed: int = 7) -> list[bytes]:
    """The months of ``whole`` as bytes."""
    return [as_bytes(month) for month in whole(env, seed, play_seed)]


def digest(entries: list[bytes]) -> str:
    """SHA-256 of a whole episode."""
    total = hashlib.sha256()
    for entry in entries:
        total.update(entry)
    return total.hexdigest()
