from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pufferlib.emulation
import pufferlib.pytorch
import pufferlib.vector
import pytest
import torch

import spiral_env
from frameworks.checks import Ran, Record, replay, run_example, speeds
from spiral_env.adapters.pufferlib import BatchedPufferEnv
from spiral_env.roles import MAX_LEVERS

FRAMEWORK = {"title": "PufferLib", "package": "pufferlib-core", "adapter": "spiral_env.adapters.pufferlib"}
AGENTS = 11


@pytest.fixture(scope="module")
def ran() -> Ran:
    return run_example("pufferlib", weights=lambda names: names["policy"])


def _emulated(num_envs: int, **options: Any) -> Any:
    kwargs = {"env_creator": spiral_env.parallel_env, "env_kwargs": {"homogenize": True, **options}}
    return pufferlib.vector.make(
        pufferlib.emulation.PettingZooPufferEnv, env_kwargs=kwargs, backend="Serial", num_envs=num_envs
    )


def _play(env: Any, policy: Any, months: int, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Actions ``[rows, L]`` and rewards ``[rows]``, month by month."""
    observations, _ = env.reset(seed=seed)
    acted, paid = [], []
    for _ in range(months):
        with torch.no_grad():
            actions, *_ = pufferlib.pytorch.sample_logits(policy(torch.tensor(observations))[0])
        observations, rewards, *_ = env.step(actions.numpy())
        acted.append(actions.numpy())
        paid.append(rewards.copy())
    return acted, paid


def test_the_example_trains(record: Record, ran: Ran) -> None:
    record.trained(ran.before, ran.after)


def test_a_row_is_paid_what_our_environment_pays(record: Record, ran: Ran) -> None:
    env = BatchedPufferEnv("small-v1", num_envs=3, split=None)
    acted, paid = _play(env, ran.names["policy"], 30, seed=5)
    own = slice(2 * AGENTS, 3 * AGENTS)
    record.same_returns([x[own] for x in paid], replay(7, [x[own] for x in acted], homogenize=True))


@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize("backend", ["Serial", "Multiprocessing"])
def test_copies_share_no_world(backend: str, split: str) -> None:
    """Two copies of 16 rows, seeded one apart by PufferLib."""
    kwargs = {"num_envs": 16, "split": split}
    env = pufferlib.vector.make(BatchedPufferEnv, env_kwargs=kwargs, backend=backend, num_envs=2)
    observations, _ = env.reset(seed=1)
    openings = observations.reshape(32, -1)
    env.close()
    assert len({opening.tobytes() for opening in openings}) == 32


def test_the_emulation_shares_no_world() -> None:
    observations, _ = _emulated(32, split="train").reset(seed=1)
    assert len({opening.tobytes() for opening in observations.reshape(32, -1)}) == 32


def test_the_batch_is_pufferlibs_own_emulation() -> None:
    ours = pufferlib.vector.make(BatchedPufferEnv, env_kwargs={"num_envs": 3, "max_cycles": 4, "split": None})
    theirs = _emulated(3, max_cycles=4)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.single_action_space == theirs.single_action_space
    np.testing.assert_array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    generator = np.random.default_rng(0)
    ended = []
    for _ in range(11):
        actions = generator.integers(0, 3, size=(3 * AGENTS, MAX_LEVERS), dtype=np.int32)
        mine, other = ours.step(actions), theirs.step(actions)
        for a, b in zip(mine[:4], other[:4], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        ended.append(len(mine[4]))
    assert ended == [0, 0, 0, 3, 0, 0, 0, 0, 3, 0, 0]


def test_speed(record: Record, ran: Ran) -> None:
    batched, emulated = BatchedPufferEnv("small-v1", num_envs=16), _emulated(16)

    def route(env: Any) -> Callable[[], int]:
        return lambda: len(_play(env, ran.names["policy"], 20)[0]) * 16 * AGENTS

    rates = speeds({"batched": route(batched), "pettingzoo": route(emulated)})
    record.speed(rates["batched"], rates["batched"] / rates["pettingzoo"], rates)
