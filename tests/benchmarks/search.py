"""The best team that needs nothing but the stage, or not even that: tables of efforts found by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spiral_env.agents.planner import PARTS, WIDTH
from spiral_env.policy import STATUS_QUO, Policy
from spiral_env.questions.teams import VALUE, Team, play
from spiral_env.roles import FEATURES, MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv
from tests.benchmarks.teams import StageTable

__all__ = ["Found", "best_table", "by_stage", "score"]

_STAGES = ("aggregation", "governance", "value")
_POPULATION, _ELITES, _WORLDS = 64, 10, 8
_SPREAD, _LEAST, _PACE = 0.35, 0.04, 0.7
_FINAL_WORLDS = 96


@dataclass(frozen=True)
class Found:
    """A table of efforts.

    Attributes:
        rows: ``[stages or 1, all levers]``.
        value: its mean ecosystem value in the worlds of the search.
        episodes: played to find it.
    """

    rows: np.ndarray
    value: float
    episodes: int

    def team(self) -> dict[str, Policy]:
        """A policy for each role."""
        return {role: StageTable(role, self.rows[:, part]) for role, part in PARTS.items()}

    def efforts(self) -> dict[str, list[list[float]]]:
        """Role -> rows of efforts, rounded."""
        return {role: np.round(self.rows[:, part], 3).tolist() for role, part in PARTS.items()}


def score(world: Scenario, tables: np.ndarray, seeds: list[int], threads: int = 1) -> np.ndarray:
    """Mean ecosystem value ``[P]`` of tables ``[P, S, levers]`` in the worlds of ``seeds``, the same for all."""
    count = len(tables) * len(seeds)
    env = SpiralVectorEnv(world, count, threads, "disabled", action_mode="continuous")
    env.reset(seed=seeds * len(tables))
    of_row = np.repeat(np.broadcast_to(tables, (len(tables), 3, WIDTH)), len(seeds), axis=0)
    efforts = np.zeros((count, env.num_agents, MAX_LEVERS))
    rows = np.arange(count)
    for _ in range(env.max_cycles):
        chosen = of_row[rows, env.engine.states["stage"].astype(np.int64)]
        for k, role in enumerate(ROLES):
            last = k + 1 if k < len(ROLES) - 1 else None
            efforts[:, k:last, : NUM_LEVERS[role]] = chosen[:, None, PARTS[role]]
        env.engine.step(efforts, observe=False)
    value = env.metrics()[VALUE].reshape(len(tables), len(seeds)).mean(1)
    env.close()
    return np.asarray(value)


def best_table(
    world: Scenario, stages: int, starts: Mapping[str, np.ndarray], budget: int, seed: int = 0, threads: int = 1
) -> Found:
    """Search tables of one row (``stages`` 1: a constant) or of one a stage (3) from several starts.

    Args:
        world: whose training seeds are played.
        stages: 1 or 3.
        starts: name -> table ``[3, levers]`` where a search begins.
        budget: episodes, shared evenly by the starts.
        seed: of draws and worlds.
        threads: of the simulator.
    """
    rng = np.random.default_rng([seed, stages])
    finals = []
    generations = max(2, budget // len(starts) // (_POPULATION * _WORLDS))
    for start in starts.values():
        mean = start if stages == 3 else start.mean(0, keepdims=True)
        finals += _climbed(world, mean, generations, rng, threads)
    candidates = np.stack(finals)
    values = score(world, candidates, world.training_seeds(seed + 1_000_000, _FINAL_WORLDS), threads)
    episodes = len(starts) * generations * _POPULATION * _WORLDS + values.size * _FINAL_WORLDS
    best = int(values.argmax())
    return Found(candidates[best], float(values[best]), episodes)


def _climbed(
    world: Scenario, mean: np.ndarray, generations: int, rng: np.random.Generator, threads: int
) -> list[np.ndarray]:
    """What a search ends with: its mean, the mean at the three efforts of the default space, and the start so."""
    start, spread = mean.copy(), np.full(mean.shape, _SPREAD)
    for _ in range(generations):
        draws = rng.standard_normal((_POPULATION, *mean.shape))
        tables = np.clip(mean + spread * draws, 0.0, 1.0)
        tables[0] = mean
        seeds = world.training_seeds(int(rng.integers(2**31)), _WORLDS)
        elites = tables[np.argsort(-score(world, tables, seeds, threads))[:_ELITES]]
        mean = _PACE * elites.mean(0) + (1.0 - _PACE) * mean
        spread = np.maximum(_LEAST, _PACE * elites.std(0) + (1.0 - _PACE) * spread)
    return [mean, np.round(2.0 * mean) / 2.0, np.round(2.0 * start) / 2.0]


class _Watched:
    """Notes the mean efforts of a policy in each stage it sees."""

    def __init__(self, policy: Policy, role: str) -> None:
        names = [x.name for x in FEATURES[role]]
        self.policy, self.name = policy, policy.name
        self._flags = [names.index(f"stage_{stage}") for stage in _STAGES]
        self.total, self.count = np.zeros((3, NUM_LEVERS[role])), np.zeros(3)

    def reset(self, keys: np.ndarray) -> None:
        self.policy.reset(keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        efforts = np.asarray(self.policy.act(observation))
        stage = observation[..., self._flags].argmax(-1)
        for k in range(3):
            self.total[k] += efforts[stage == k].sum(0)
            self.count[k] += (stage == k).sum()
        return efforts


def by_stage(world: Scenario, players: Team, episodes: int) -> np.ndarray:
    """Mean efforts of a team in each stage ``[3, levers]``, the average firm's in one never seen: a search's start."""
    watched = {role: _Watched(policy, role) for role, policy in players.items()}
    play(world, watched, episodes)
    usual = np.concatenate([np.array(STATUS_QUO[role]) for role in ROLES])
    out = np.tile(usual, (3, 1))
    for role, x in watched.items():
        seen = x.count > 0
        out[seen, PARTS[role]] = x.total[seen] / x.count[seen, None]
    return out
