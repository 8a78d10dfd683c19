from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import ARS, QRDQN, TQC, TRPO, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

from frameworks.checks import Record, replay, run_example, speeds, weights_of
from spiral_env.adapters.stable_baselines3 import PerAgent, SharedVecEnv, TeamVecEnv
from spiral_env.scenarios.seeds import row_seeds

FRAMEWORK = {
    "title": "sb3-contrib",
    "package": "sb3-contrib",
    "adapter": "spiral_env.adapters.stable_baselines3",
}
torch.set_num_threads(1)


def test_the_example_trains(record: Record) -> None:
    ran = run_example("sb3-contrib", weights=lambda names: names["model"].policy)
    record.trained(ran.before, ran.after)


def test_rewards_of_a_recurrent_policy_equal_ours(record: Record) -> None:
    env = SharedVecEnv("small-v1", num_envs=2)
    model = RecurrentPPO("MlpLstmPolicy", env, n_steps=8, batch_size=88, seed=11, device="cpu")
    observations, memory, actions, rewards = env.reset(), None, [], []
    starts = np.ones(env.num_envs, dtype=np.bool_)
    for _ in range(env.batch.max_cycles):
        chosen, memory = model.predict(observations, memory, starts)
        observations, paid, starts, _ = env.step(chosen)
        actions.append(chosen)
        rewards.append(paid)
    assert starts.all()
    seeds = row_seeds(11, 2, "train")
    for ecosystem, rows in ((0, slice(0, 11)), (1, slice(11, 22))):
        ours = replay(seeds[ecosystem], np.array(actions)[:, rows], split="train", homogenize=True)
        record.same_returns(np.array(rewards)[:, rows], ours)


def test_a_recurrent_policy_is_scored_by_teams() -> None:
    model = RecurrentPPO(
        "MlpLstmPolicy", SharedVecEnv("small-v1", num_envs=1), n_steps=8, batch_size=88, seed=1, device="cpu"
    )
    env = VecMonitor(TeamVecEnv("small-v1", num_envs=3, max_cycles=4))
    returns, lengths = evaluate_policy(PerAgent(model), env, 3, return_episode_rewards=True)
    assert lengths == [4, 4, 4]
    assert len(set(returns)) == 3


@pytest.mark.parametrize(
    ("algorithm", "action_mode", "months", "options"),
    [
        (RecurrentPPO, "continuous", 16, {"policy": "MlpLstmPolicy", "n_steps": 8, "batch_size": 88}),
        (TRPO, "multi_discrete", 60, {"n_steps": 30, "batch_size": 330}),
        (TRPO, "continuous", 60, {"n_steps": 30, "batch_size": 330}),
        (QRDQN, "discrete", 60, {"learning_starts": 44}),
        (TQC, "continuous", 60, {"learning_starts": 44}),
        (CrossQ, "continuous", 60, {"learning_starts": 44}),
    ],
    ids=lambda x: x.__name__ if isinstance(x, type) else None,
)
def test_algorithms_for_every_action_mode_train(
    algorithm: Any, action_mode: str, months: int, options: dict[str, Any], record: Record
) -> None:
    env = SharedVecEnv("small-v1", num_envs=2, action_mode=action_mode)
    model = algorithm(env=env, seed=1, device="cpu", **({"policy": "MlpPolicy"} | options))
    before = weights_of(model.policy)
    model.learn(months * env.num_envs)
    record.trained(before, weights_of(model.policy))


def test_random_search_trains(record: Record) -> None:
    env = SharedVecEnv("small-v1", num_envs=1, action_mode="continuous")
    model = ARS("MlpPolicy", env, n_delta=2, n_eval_episodes=11, seed=1, device="cpu")
    before = weights_of(model.policy)
    model.learn(4 * 11 * env.batch.max_cycles)
    record.trained(before, weights_of(model.policy))


def test_there_are_no_masks_to_learn_with() -> None:
    env = SharedVecEnv("small-v1", num_envs=2)
    model = MaskablePPO("MlpPolicy", env, n_steps=8, batch_size=88, seed=1, device="cpu")
    with pytest.raises(ValueError, match="does not support action masking"):
        model.learn(8 * env.num_envs)
    before = weights_of(model.policy)
    model.learn(8 * env.num_envs, use_masking=False)
    assert any(not np.array_equal(before[name], now) for name, now in weights_of(model.policy).items())


def test_the_speed_of_a_recurrent_rollout(record: Record) -> None:
    env = SharedVecEnv("small-v1", num_envs=64)
    model = RecurrentPPO("MlpLstmPolicy", env, n_steps=20, batch_size=704, device="cpu")
    _, callback = model._setup_learn(1)

    def route() -> int:
        model.collect_rollouts(env, callback, model.rollout_buffer, 20)
        return 20 * env.num_envs

    rate = speeds({"batched": route}, rounds=3)["batched"]
    print(f"\nRecurrentPPO.collect_rollouts, network included, 64 ecosystems: {rate:.0f} agent-steps/s")
    record.speed(rate)
    assert rate > 0.0
