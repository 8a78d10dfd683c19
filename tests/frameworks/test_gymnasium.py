from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from frameworks.checks import Ran, Record, replay, run_example, speeds
from spiral_env.policy import STATUS_QUO

FRAMEWORK = {"title": "Gymnasium", "package": "gymnasium", "adapter": "spiral_env.single_role_vector_env"}
ID = "spiral_env/SingleRole-v0"


def _play(envs: Any, policy: Any, months: int, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Actions ``[T, E, L]`` of the policy and the rewards ``[T, E]``."""
    observations, _ = envs.reset(seed=seed)
    acted, paid = [], []
    for _ in range(months):
        with torch.no_grad():
            logits = policy(torch.tensor(observations)).view(len(observations), -1, 3)
        acted.append(torch.distributions.Categorical(logits=logits).sample().numpy())
        observations, rewards, *_ = envs.step(acted[-1])
        paid.append(rewards)
    return np.array(acted), np.array(paid)


def _ran() -> Ran:
    return run_example("gymnasium", weights=lambda names: names["policy"])


def test_the_example_trains_and_a_row_is_paid_what_our_environment_pays(record: Record) -> None:
    ran = _ran()
    record.trained(ran.before, ran.after)
    envs = gymnasium.make_vec(ID, scenario="small-v1", num_envs=3, vectorization_mode="vector_entry_point")
    acted, paid = _play(envs, ran.names["policy"], 30, seed=5)
    others = [STATUS_QUO[role] for role in ("business", "finance", *["sme"] * 8)]
    joint = [[month[1] / 2.0, *others] for month in acted]
    record.same_returns(paid[:, 1:2], replay(6, joint, action_mode="continuous")[:, :1])


def test_gymnasiums_statistics_of_episodes_are_right() -> None:
    envs = RecordEpisodeStatistics(gymnasium.make_vec(ID, scenario="small-v1", num_envs=2, max_cycles=4))
    envs.reset(seed=0)
    sums = np.zeros(2)
    for _ in range(4):
        _, rewards, _, truncations, infos = envs.step(np.ones(envs.action_space.shape, dtype=np.int64))
        sums += rewards
    assert truncations.all()
    np.testing.assert_allclose(infos["episode"]["r"], sums)
    assert (infos["episode"]["l"] == 4).all()


@pytest.mark.parametrize("mode", ["sync", "async", "vector_entry_point"])
@pytest.mark.parametrize("split", [None, "train", "held_out"])
def test_no_two_rows_or_episodes_share_a_world(mode: str, split: str | None) -> None:
    envs = gymnasium.make_vec(ID, scenario="small-v1", num_envs=8, vectorization_mode=mode, split=split, max_cycles=2)
    openings = [*envs.reset(seed=4)[0].copy(), *envs.reset()[0].copy()]
    envs.close()
    assert len({opening.tobytes() for opening in openings}) == 16


def test_speed(record: Record) -> None:
    policy = _ran().names["policy"]
    batched = gymnasium.make_vec(ID, scenario="small-v1", num_envs=64, vectorization_mode="vector_entry_point")
    usual = gymnasium.make_vec(ID, scenario="small-v1", num_envs=64, vectorization_mode="sync")

    def route(envs: Any) -> Callable[[], int]:
        return lambda: _play(envs, policy, 30)[1].size

    rates = speeds({"batched": route(batched), "pettingzoo": route(usual)})
    record.speed(rates["batched"], rates["batched"] / rates["pettingzoo"], rates)
