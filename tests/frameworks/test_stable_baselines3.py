from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import supersuit
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize

import spiral_env
from frameworks.checks import Record, episodes, replay, run_example, speeds, weights_of
from spiral_env.adapters.stable_baselines3 import SharedVecEnv
from spiral_env.metrics import OUTCOME_KEYS
from spiral_env.roles import MAX_LEVERS
from spiral_env.scenarios.seeds import row_seeds

FRAMEWORK = {
    "title": "stable-baselines3",
    "package": "stable-baselines3",
    "adapter": "spiral_env.adapters.stable_baselines3",
}
torch.set_num_threads(1)


def _played(
    env: VecEnv, policy: Any, months: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[list[dict[str, Any]]]]:
    """Actions, rewards, ends and infos of a rollout as stable-baselines3 plays it, ``[T, rows, ...]``."""
    actions, rewards, done, infos = [], [], [], []
    observations = env.reset()
    for _ in range(months):
        chosen, _ = policy.predict(observations)
        observations, paid, ended, info = env.step(chosen)
        actions.append(chosen)
        rewards.append(paid)
        done.append(ended)
        infos.append(info)
    return np.array(actions), np.array(rewards), np.array(done), infos


def test_the_example_trains(record: Record) -> None:
    ran = run_example("stable-baselines3", weights=lambda names: names["model"].policy)
    record.trained(ran.before, ran.after)


def test_rewards_equal_ours_over_two_episodes_of_two_ecosystems(record: Record) -> None:
    env = SharedVecEnv("small-v1", num_envs=2)
    model = PPO("MlpPolicy", env, n_steps=2, batch_size=2, seed=11, device="cpu")
    months = env.batch.max_cycles
    actions, rewards, done, _ = _played(env, model, 2 * months)
    agents = env.num_envs // 2
    seeds = row_seeds(11, 2, "train")
    for ecosystem in range(2):
        rows = slice(ecosystem * agents, (ecosystem + 1) * agents)
        ended = episodes(done[:, rows.start])
        assert len(ended) >= 2
        for episode, part in enumerate(ended):
            ours = replay(seeds[ecosystem], actions[part, rows], episode, split="train", homogenize=True)
            record.same_returns(rewards[part, rows], ours)


@pytest.mark.parametrize(
    ("algorithm", "action_mode", "options"),
    [
        (A2C, "multi_discrete", {"n_steps": 8}),
        (PPO, "continuous", {"n_steps": 8, "batch_size": 88}),
        (DQN, "discrete", {"learning_starts": 44}),
        (SAC, "continuous", {"learning_starts": 44}),
        (TD3, "continuous", {"learning_starts": 44}),
        (DDPG, "continuous", {"learning_starts": 44}),
    ],
    ids=lambda x: x.__name__ if isinstance(x, type) else None,
)
def test_algorithms_for_every_action_mode_train(
    algorithm: Any, action_mode: str, options: dict[str, Any], record: Record
) -> None:
    env = SharedVecEnv("small-v1", num_envs=4, action_mode=action_mode)
    model = algorithm("MlpPolicy", env, seed=1, device="cpu", **options)
    before = weights_of(model.policy)
    model.learn(60 * env.num_envs)
    record.trained(before, weights_of(model.policy))


def test_a_row_that_ends_says_how_and_with_what() -> None:
    env = SharedVecEnv("small-v1", num_envs=2, max_cycles=5)
    model = PPO("MlpPolicy", env, n_steps=2, batch_size=2, seed=3, device="cpu")
    actions, _, _, infos = _played(env, model, 5)
    assert infos[3] == [{} for _ in range(env.num_envs)]
    ours = spiral_env.parallel_env("small-v1", homogenize=True, max_cycles=5, split="train")
    ours.reset(seed=row_seeds(3, 2, "train")[1])
    for month in actions[:, env.num_envs // 2 :]:
        observations, *_ = ours.step(dict(zip(ours.possible_agents, month, strict=True)))
    for agent, info in zip(ours.possible_agents, infos[4][env.num_envs // 2 :], strict=True):
        np.testing.assert_array_equal(info["terminal_observation"], observations[agent])
        assert info["TimeLimit.truncated"]
        assert {name: info[key] for name, key in OUTCOME_KEYS.items()} == ours.metrics()


def test_the_same_seed_gives_the_same_episodes_and_another_seed_others() -> None:
    first, again, other = (SharedVecEnv("small-v1", num_envs=2) for _ in range(3))
    for env, seed in ((first, 5), (again, 5), (other, 6)):
        assert env.seed(seed) == [seed] * 11 + [row_seeds(seed, 2, "train")[1]] * 11
    opened = [env.reset() for env in (first, again, other)]
    np.testing.assert_array_equal(opened[0], opened[1])
    assert not np.array_equal(opened[0], opened[2])
    assert not np.array_equal(opened[0][11:], opened[2][:11])


def test_attributes_and_methods_answer_for_the_row() -> None:
    env = SharedVecEnv("small-v1", num_envs=2)
    env.seed(1)
    env.reset()
    env.step(np.zeros((env.num_envs, MAX_LEVERS), dtype=np.int64))
    assert env.get_attr("agent", [0, 12]) == ["it_0", "business_0"]
    assert env.get_attr("role", 21) == ["sme"]
    assert env.get_attr("max_cycles") == [env.batch.max_cycles] * 22
    states = env.env_method("state", indices=[0, 10, 11])
    np.testing.assert_array_equal(states[0], states[1])
    assert not np.array_equal(states[1], states[2])
    assert not env.has_attr("no_such_attribute")
    with pytest.raises(ValueError, match="indices must be None or all 22 rows"):
        env.set_attr("copy", True, 0)


def test_vec_normalize_wraps_it() -> None:
    env = VecNormalize(SharedVecEnv("small-v1", num_envs=2, max_cycles=4))
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=88, seed=1, device="cpu")
    model.learn(8 * env.num_envs)
    assert env.obs_rms.count > 100


def _supersuit(num_envs: int) -> VecEnv:
    """PettingZoo's own way to stable-baselines3."""
    env = spiral_env.parallel_env("small-v1", homogenize=True)
    return supersuit.concat_vec_envs_v1(
        supersuit.pettingzoo_env_to_vec_env_v1(env), num_envs, num_cpus=1, base_class="stable_baselines3"
    )


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_environments_made_by_id_share_no_world(vec_env_cls: type[VecEnv]) -> None:
    name, kwargs = "spiral_env:spiral_env/SingleRole-v0", {"split": "train", "max_cycles": 2}
    env = make_vec_env(name, 3, seed=4, env_kwargs=kwargs, vec_env_cls=vec_env_cls)
    openings = [*env.reset(), *env.reset()]
    env.close()
    assert len({opening.tobytes() for opening in openings}) == 6


def test_supersuits_copies_share_no_world() -> None:
    openings = [*_supersuit(4).reset().reshape(4, -1), *_supersuit(4).reset().reshape(4, -1)]
    assert len({opening.tobytes() for opening in openings}) == 8


def _stepping(env: VecEnv, months: int) -> Any:
    rng = np.random.default_rng(0)
    actions = [rng.integers(0, 3, (env.num_envs, MAX_LEVERS)) for _ in range(8)]
    env.reset()

    def route() -> int:
        for month in range(months):
            env.step(actions[month % 8])
        return months * env.num_envs

    return route


def _collecting(env: VecEnv, months: int) -> Any:
    model = PPO("MlpPolicy", env, n_steps=months, batch_size=env.num_envs, device="cpu")
    _, callback = model._setup_learn(1)

    def route() -> int:
        model.collect_rollouts(env, callback, model.rollout_buffer, months)
        return months * env.num_envs

    return route


def test_the_batched_rows_are_five_times_faster_than_supersuit(record: Record) -> None:
    # Eight is what PettingZoo's tutorial takes.
    makers = {
        "batched, 256": lambda: SharedVecEnv("small-v1", num_envs=256),
        "batched, 64": lambda: SharedVecEnv("small-v1", num_envs=64),
        "supersuit, 64": lambda: _supersuit(64),
        "supersuit, 8": lambda: _supersuit(8),
    }
    stepped = speeds({name: _stepping(make(), 30) for name, make in makers.items()})
    rolled = speeds({name: _collecting(make(), 30) for name, make in makers.items()})
    print(f"\nagent-steps/s of VecEnv.step: {stepped}\nof PPO.collect_rollouts, network included: {rolled}")
    routes = {f"VecEnv.step: {name}": rate for name, rate in stepped.items()}
    routes |= {f"PPO.collect_rollouts: {name}": rate for name, rate in rolled.items()}
    record.speed(rolled["batched, 256"], rolled["batched, 256"] / rolled["supersuit, 8"], routes)
    assert stepped["batched, 64"] >= 5.0 * stepped["supersuit, 64"]
    assert rolled["batched, 64"] > rolled["supersuit, 64"]
