from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from momaland.test.api_test import api_test
from momaland.utils.env import MOAECEnv, MOParallelEnv
from momaland.utils.parallel_wrappers import CentraliseAgent, LinearizeReward, NormalizeReward

import spiral_env
from frameworks.checks import Record, run_example, speeds
from spiral_env.adapters.momaland import mo_env, mo_parallel_env

FRAMEWORK = {"title": "MOMAland", "package": "momaland", "adapter": "spiral_env.adapters.momaland"}


def _actions(env: Any, month: int) -> dict[str, np.ndarray]:
    return {
        agent: (np.arange(env.action_space(agent).shape[0]) + month + k) % 3
        for k, agent in enumerate(env.possible_agents)
    }


def test_the_example_trains(record: Record) -> None:
    ran = run_example("momaland", weights=lambda names: names["policy"])
    record.trained(ran.before, ran.after)


def test_its_wrapper_weighs_the_vectors_that_our_environment_pays(record: Record) -> None:
    ours = spiral_env.parallel_env("small-v1", split="train")
    own = {agent: np.array([0.2, 0.3, 0.5]) + k for k, agent in enumerate(ours.possible_agents)}
    env = LinearizeReward(mo_parallel_env("small-v1"), own)
    env.reset(seed=5)
    ours.reset(seed=5)
    theirs, expected = [], []
    for month in range(30):
        _, rewards, *_ = env.step(_actions(ours, month))
        ours.step(_actions(ours, month))
        vectors = {agent: x.astype(np.float32) for agent, x in ours.reward_vectors().items()}
        assert all((env.unwrapped.reward_vectors()[agent] == ours.reward_vectors()[agent]).all() for agent in own)
        theirs.append([rewards[agent] for agent in own])
        expected.append([np.dot(vectors[agent], own[agent]) for agent in own])
    record.same_returns(theirs, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["multi_discrete", "discrete", "continuous"])
def test_momaland_accepts_the_turn_based_and_the_parallel_environment(mode: str) -> None:
    assert isinstance(mo_env().unwrapped, MOParallelEnv)
    assert isinstance(mo_env().env, MOAECEnv)
    api_test(mo_env(action_mode=mode), 150)
    env = mo_parallel_env("small-v1", action_mode=mode)
    env.reset(seed=0)
    _, rewards, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    for agent, reward in rewards.items():
        assert env.reward_space(agent) is env.reward_space(agent)
        assert env.reward_space(agent).contains(reward)


def test_episodes_are_of_their_split_and_their_last_infos_hold_outcomes() -> None:
    scenario = spiral_env.load_scenario("small-v1")
    for split, (low, high) in (("train", scenario.train_seeds), ("held_out", scenario.held_out_seeds)):
        worlds = []
        for seed in range(16):
            env = mo_parallel_env("small-v1", split=split, max_cycles=2)
            for chosen in (seed, None):
                env.reset(seed=chosen)
                worlds.append(int(env.engine.states["seed"][0]))
        assert len(set(worlds)) == 32
        assert all(low <= own < high for own in worlds)
    assert mo_parallel_env("small-v1").split == "train"
    for month in range(2):
        *_, infos = env.step(_actions(env, month))
    assert infos["it_0"]["outcome_ecosystem_value"] == env.metrics()["ecosystem_value"]


def test_a_reward_space_has_the_three_objectives() -> None:
    env = mo_parallel_env("small-v1", num_smes=2)
    assert {agent: env.reward_space(agent).shape for agent in env.possible_agents} == dict.fromkeys(
        ["it_0", "business_0", "finance_0", "sme_0", "sme_1"], (3,)
    )


def test_the_parallel_wrappers_work() -> None:
    env: Any = mo_parallel_env("small-v1", action_mode="discrete", homogenize=True)
    for agent in env.possible_agents:
        for objective in range(3):
            env = NormalizeReward(env, agent, objective)
    env.reset(seed=1)
    _, rewards, *_ = env.step(dict.fromkeys(env.agents, 121))
    assert all(np.isfinite(x).all() for x in rewards.values())
    plain = mo_parallel_env("small-v1", action_mode="discrete", homogenize=True)
    central = CentraliseAgent(plain)
    seen, _ = central.reset(seed=1)
    assert seen.shape == central.observation_space.shape
    _, together, *_ = central.step([121] * 11)
    np.testing.assert_allclose(together, sum(plain.reward_vectors().values()), rtol=1e-5)


def test_speed(record: Record) -> None:
    env = LinearizeReward(
        mo_parallel_env("small-v1", homogenize=True),
        dict.fromkeys(mo_parallel_env("small-v1").possible_agents, np.ones(3)),
    )
    names = run_example("momaland", weights=lambda names: names["policy"]).names

    def play() -> int:
        observations, _ = env.reset()
        months = 0
        while env.agents:
            seen = torch.tensor(np.stack([*observations.values()]))
            with torch.no_grad():
                choice = torch.distributions.Categorical(logits=names["policy"](seen).unflatten(-1, (-1, 3)))
            observations, *_ = env.step(dict(zip(env.agents, choice.sample().numpy(), strict=True)))
            months += 1
        return months * 11

    record.speed(speeds({"momaland": play})["momaland"])
