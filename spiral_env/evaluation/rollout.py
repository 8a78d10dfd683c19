"""Episodes of given policies on given seeds; the result does not depend on how many run side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.checks import check_count, shown
from spiral_env.policy import (
    NEAREST_LEVELS,
    STATUS_QUO,
    Policy,
    ask_policy,
    check_policy,
    check_role,
    close_policy,
    episode_keys,
    reset_policy,
    verify_policy,
)
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.schema import MAX_EPISODES
from spiral_env.scenarios.seeds import check_split
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["FIXED", "MAX_EPISODES", "EpisodeTable", "run_episodes"]

FIXED = {"average_firm": STATUS_QUO, "nearest_levels": NEAREST_LEVELS}
"""Efforts that a policy may have kept to in every decision: role -> an effort for each lever."""


@dataclass
class EpisodeTable:
    """What the episodes of one team showed.

    Attributes:
        metrics: outcome measure -> float64 ``[episodes]``.
        returns: role -> sum of the scalar reward ``[episodes]``, SMEs averaged.
        lever_use: role -> share of decisions by thirds ``[L, 3]``.
        seeds: int64 ``[episodes]``.
        names: role -> name of its policy.
        average_firm: role -> whether every decision was the average firm's.
        nearest_levels: role -> whether every decision was the level nearest to the average firm's.
    """

    metrics: dict[str, np.ndarray]
    returns: dict[str, np.ndarray]
    lever_use: dict[str, np.ndarray]
    seeds: np.ndarray
    names: dict[str, str] = field(default_factory=dict)
    average_firm: dict[str, bool] = field(default_factory=dict)
    nearest_levels: dict[str, bool] = field(default_factory=dict)


def run_episodes(
    scenario: str | Path | Scenario,
    policies: Mapping[str, Policy],
    episodes: int,
    seed: int = 0,
    *,
    num_envs: int = 64,
    reward_mode: str = "mixed",
    reward_basis: str = "expected",
    num_smes: int | None = None,
    max_cycles: int | None = None,
    progress: Callable[[int], None] | None = None,
    spread: Callable[[Callable[[Any], Any], list[Any]], list[Any]] | None = None,
    device: str | None = None,
    split: str = "held_out",
    verified: bool = True,
) -> EpisodeTable:
    """Play ``episodes`` episodes with one policy per role, on the scenario's held-out seeds from the ``seed``-th on.

    A policy's keys follow from the position of an episode in the evaluation alone, not from its seed.

    Args:
        scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
        policies: role -> who plays it.
        episodes: how many.
        seed: which of the held-out seeds is the first.
        num_envs: episodes that are played side by side; the result is the same with any number; a GPU wants thousands.
        reward_mode: "mixed", "selfish" or "cooperative".
        reward_basis: "expected" or "realised".
        num_smes: SMEs; None for the scenario's.
        max_cycles: months an episode lasts at most; None for the scenario's.
        progress: told how many more episodes have been played.
        spread: ``spread(function, jobs)`` plays parts elsewhere, as ``spiral_env.training.cluster.fan_out`` does on a
            Ray cluster, with the same result.
        device: where worlds and trained networks are; None for this machine's processor and NumPy, "cuda" or "cuda:1"
            for a GPU. Draws are the same; exponentials, logarithms and products may round otherwise.
        split: "held_out", or "train" for worlds such as a training run with that ``seed`` starts in.
        verified: ask policies in processes of their own again whether they keep to the rules.

    Raises:
        ImportError: a package that the device needs is missing.
        TypeError: what should play a role is no policy.
        PolicyError: a policy fails.
        ValueError: ``episodes`` or ``num_envs`` is out of range, a role has no policy, there is no such device, or
            ``spread`` is given with one.
    """
    world = load_scenario(scenario)
    episodes = check_count("episodes", episodes, 1, MAX_EPISODES)
    num_envs = check_count("num_envs", num_envs, 1, MAX_EPISODES)
    if device is not None and spread is not None:
        raise ValueError(f"device must be left out where episodes are spread, got {shown(device)}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function or None, got {shown(progress)}")
    names = {role: str(policy.name) for role, policy in _whole_team(policies).items()}
    if check_split(split) == "train":
        seeds = np.array(world.training_seeds(seed, episodes), dtype=np.int64)
    else:
        seeds = np.array(world.evaluation_seeds(seed, episodes), dtype=np.int64)
    episodes = len(seeds)
    options = {"reward_mode": reward_mode, "reward_basis": reward_basis, "num_smes": num_smes, "max_cycles": max_cycles}
    keys = episode_keys(range(episodes))
    cuts = [slice(start, start + num_envs) for start in range(0, episodes, num_envs)]
    chunks = [
        _Chunk(world, policies, seeds[cut], keys[cut], options, device, verified and cut.start == 0) for cut in cuts
    ]
    played = _in_turn(chunks, progress) if spread is None else spread(_run_chunk, chunks)
    if spread is not None and progress is not None:
        progress(episodes)
    use = {role: np.sum([x.use[role] for x in played], axis=0) for role in ROLES}
    metrics = {name: np.concatenate([x.metrics[name] for x in played]) for name in played[0].metrics}
    return EpisodeTable(
        metrics=metrics,
        returns={role: metrics[f"return_{role}"] for role in ROLES},
        lever_use={role: counts / np.maximum(counts.sum(1, keepdims=True), 1.0) for role, counts in use.items()},
        seeds=seeds,
        names=names,
        average_firm={role: all(x.always["average_firm"][role] for x in played) for role in ROLES},
        nearest_levels={role: all(x.always["nearest_levels"][role] for x in played) for role in ROLES},
    )


def _whole_team(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """A policy for each role, in their order."""
    if not isinstance(policies, Mapping):
        raise TypeError(f"policies must be a dictionary from role to policy, got {shown(policies)}")
    missing = [role for role in ROLES if role not in policies]
    if missing:
        raise ValueError(f"policies must name every role, {missing[0]!r} is missing")
    for role, policy in policies.items():
        check_policy(check_role(role), policy)
    return {role: policies[role] for role in ROLES}


@dataclass(frozen=True)
class _Chunk:
    """Episodes that are played side by side; all that another process needs to play them."""

    world: Scenario
    policies: Mapping[str, Policy]
    seeds: np.ndarray
    keys: np.ndarray
    options: dict[str, Any]
    device: str | None
    verified: bool


@dataclass(frozen=True)
class _Played:
    """Outcome measures ``[episodes]``; role -> decisions by thirds ``[L, 3]``; of ``FIXED``, role -> if all were."""

    metrics: dict[str, np.ndarray]
    use: dict[str, np.ndarray]
    always: dict[str, dict[str, bool]]


def _in_turn(chunks: list[_Chunk], progress: Callable[[int], None] | None) -> list[_Played]:
    played = []
    for chunk in chunks:
        played.append(_run_chunk(chunk))
        if progress is not None:
            progress(len(chunk.seeds))
    return played


def _run_chunk(chunk: _Chunk) -> _Played:
    """Play the episodes of a chunk to their end; of the first chunk, its policies are verified."""
    try:
        played = _play_on_device(chunk) if chunk.device is not None else _play(chunk)
        for role in ROLES if chunk.verified else ():
            verify_policy(chunk.policies[role], role)
        return played
    finally:
        for policy in chunk.policies.values():
            close_policy(policy)


def _play_on_device(chunk: _Chunk) -> _Played:
    from spiral_env.evaluation.on_device import play

    return _Played(*play(chunk.world, chunk.policies, chunk.seeds, chunk.keys, chunk.options, str(chunk.device)))


def _play(chunk: _Chunk) -> _Played:
    env = SpiralVectorEnv(
        chunk.world, len(chunk.seeds), autoreset_mode="disabled", action_mode="continuous", **chunk.options
    )
    use = {role: np.zeros((NUM_LEVERS[role], 3)) for role in ROLES}
    always = {kind: dict.fromkeys(ROLES, True) for kind in FIXED}
    observations, _ = env.reset(seed=chunk.seeds)
    for role in ROLES:
        reset_policy(chunk.policies[role], role, chunk.keys)
    alive = np.ones(len(chunk.seeds), dtype=np.bool_)
    while alive.any():
        efforts = {role: ask_policy(chunk.policies[role], role, observations[role]) for role in ROLES}
        for role in ROLES:
            chosen = efforts[role][alive]
            for kind, fixed in FIXED.items():
                always[kind][role] = always[kind][role] and bool((chosen == fixed[role]).all())
            thirds = np.minimum((chosen * 3.0).astype(np.int64), 2)
            for k in range(3):
                use[role][:, k] += (thirds == k).sum((0, 1))
        observations, _, terminations, truncations, _ = env.step(efforts)
        alive &= ~(terminations | truncations)
    out = env.metrics()
    env.close()
    return _Played(out, use, always)
