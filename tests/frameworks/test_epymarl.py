from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from pymarlzooplus.envs import REGISTRY

import spiral_env
from frameworks.checks import Record, replay, run_example, speeds, weights_of
from spiral_env.roles import MAX_LEVERS
from spiral_env.tuple_env import TupleEnv

FRAMEWORK = {"title": "EPyMARL (PyMARLzoo+)", "package": "pymarlzooplus", "adapter": "spiral_env.tuple_env"}
KEY = "spiral-plain-rware-v0"


def _wrapper(seed: int) -> Any:
    """EPyMARL's own wrapper of the Tuple view."""
    if KEY not in gymnasium.registry:
        gymnasium.register(KEY, entry_point="spiral_env.tuple_env:TupleEnv", disable_env_checker=True)
    return REGISTRY["gymma"](key=KEY, time_limit=60, seed=seed)


def _saved(folder: Path) -> list[dict[str, np.ndarray]]:
    """The weights of each saved step, oldest first."""
    steps = sorted(folder.glob("results/**/models/*"), key=lambda path: int(path.name))
    parts = ("agent", "critic")
    return [weights_of({part: torch.load(step / f"{part}.th") for part in parts}) for step in steps]


def test_the_example_trains(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_example("epymarl")
    saved = _saved(tmp_path)
    record.trained(saved[0], saved[-1])


def test_its_wrapper_is_paid_what_our_environment_pays(record: Record) -> None:
    env = _wrapper(seed=5)
    assert (env.get_env_info()["n_agents"], env.get_total_actions()) == (11, 3**MAX_LEVERS)
    env.reset()
    generator = np.random.default_rng(0)
    acted, paid, ended = [], [], False
    while not ended:
        acted.append(generator.integers(0, 3**MAX_LEVERS, size=11))
        reward, ended, _ = env.step(acted[-1])
        paid.append([reward])
    ours = replay(5, acted, action_mode="discrete", homogenize=True)
    record.same_returns(paid, [[sum(month.tolist())] for month in ours])


def test_its_parallel_environments_share_no_world_and_keep_to_their_split() -> None:
    """EPyMARL seeds them one apart."""
    scenario = spiral_env.load_scenario("small-v1")
    worlds = []
    for seed in range(1, 9):
        env = TupleEnv("small-v1", split="train", max_cycles=2)
        env.seed(seed)
        for _ in range(2):
            env.reset()
            worlds.append(int(env.inner.engine.states["seed"][0]))
    assert len(set(worlds)) == 16
    assert all(scenario.train_seeds[0] <= own < scenario.train_seeds[1] for own in worlds)


def test_speed(record: Record) -> None:
    env = _wrapper(seed=0)

    def play() -> int:
        env.reset()
        months, ended = 0, False
        while not ended:
            env.get_state(), env.get_avail_actions(), env.get_obs()
            _, ended, _ = env.step(env.sample_actions())
            months += 1
        return months * 11

    record.speed(speeds({"epymarl": play})["epymarl"])
