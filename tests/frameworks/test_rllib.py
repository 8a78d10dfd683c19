"""RLlib: the example, the batched runner against the plain environment, and against RLlib's own runner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

import spiral_env
from frameworks.checks import Record, replay, run_example, speeds
from spiral_env.adapters.rllib import OUTCOME, SpiralBatch, SpiralEnvRunner, role_of
from spiral_env.roles import ROLES

FRAMEWORK = {"title": "RLlib", "package": "ray", "adapter": "spiral_env.adapters.rllib"}
SEED = 5
STARTS = spiral_env.load_scenario("baseline-v0").training_seeds(SEED, 3)
AGENTS = spiral_env.parallel_env().possible_agents


@pytest.fixture
def cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False, log_to_driver=False)
    register_env("spiral", lambda _: ParallelPettingZooEnv(spiral_env.parallel_env("baseline-v0")))
    yield
    ray.shutdown()


def _config(**options: Any) -> PPOConfig:
    return PPOConfig().multi_agent(policies=set(ROLES), policy_mapping_fn=role_of).debugging(seed=SEED)


def _batched(num_envs: int, months: int = 30, **options: Any) -> PPOConfig:
    config = _config().environment(SpiralBatch, env_config={"scenario": "baseline-v0", **options})
    return config.env_runners(
        env_runner_cls=SpiralEnvRunner,
        num_env_runners=0,
        num_envs_per_env_runner=num_envs,
        rollout_fragment_length=months,
    )


def _runner(config: PPOConfig) -> Any:
    return config.env_runner_cls(config=config, worker_index=0)


def _stock(num_envs: int, months: int = 30) -> Any:
    config = (
        _config()
        .environment("spiral")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=num_envs, rollout_fragment_length=months)
    )
    return MultiAgentEnvRunner(config=config, worker_index=0)


def _paid(episode: Any) -> np.ndarray:
    return np.array([episode.agent_episodes[agent].get_rewards() for agent in AGENTS]).T


def _done(episode: Any) -> np.ndarray:
    """Actions ``[T, A, 5]``."""
    return np.array([episode.agent_episodes[agent].get_actions() for agent in AGENTS]).swapaxes(0, 1)


def _seen(episode: Any, agent: str) -> np.ndarray:
    return np.array(episode.agent_episodes[agent].get_observations())


def test_the_example_trains(record: Record) -> None:
    def weights(names: dict[str, Any]) -> Any:
        learner = names["algorithm"].learner_group._learner
        return {role: learner.module[role].unwrapped() for role in ROLES}

    ran = run_example("rllib", weights)
    record.trained(ran.before, ran.after)


def test_whole_episodes_pay_what_the_plain_environment_pays(record: Record, cluster: None) -> None:
    episodes = _runner(_batched(3)).sample(num_episodes=3, explore=True)
    assert [episode.is_done for episode in episodes] == [True] * 3
    for row, episode in enumerate(episodes):
        record.same_returns(_paid(episode), replay(STARTS[row], _done(episode)))


def test_the_plain_environment_works_in_rllibs_own_runner(cluster: None) -> None:
    (episode,) = _stock(1).sample(num_episodes=1, explore=True)
    np.testing.assert_array_equal(_paid(episode).astype(np.float32), replay(SEED, _done(episode)).astype(np.float32))


def test_cut_episodes_go_on_and_end_with_what_was_seen_last(cluster: None) -> None:
    env = spiral_env.parallel_env()
    whole: list[list[Any]] = [[], []]
    runner = _runner(_batched(2, months=7, max_cycles=20))
    chunks = [chunk for _ in range(7) for chunk in runner.sample()]
    ids = {chunk.id_ for chunk in chunks}
    assert len(ids) == 6
    first = [name for name in dict.fromkeys(chunk.id_ for chunk in chunks) if name][:2]
    for row, name in enumerate(first):
        whole[row] = [chunk for chunk in chunks if chunk.id_ == name]
        assert [chunk.env_t_started for chunk in whole[row]] == [0, 7, 14]
        assert [(chunk.is_truncated, len(chunk)) for chunk in whole[row]] == [(False, 7), (False, 7), (True, 6)]
        env = spiral_env.parallel_env(max_cycles=20)
        seen, _ = env.reset(seed=STARTS[row])
        for chunk in whole[row]:
            for t, month in enumerate(_done(chunk)):
                np.testing.assert_array_equal(_seen(chunk, "sme_3")[t], seen["sme_3"])
                seen, *_ = env.step(dict(zip(AGENTS, month, strict=True)))
            np.testing.assert_array_equal(_seen(chunk, "sme_3")[-1], seen["sme_3"])
            np.testing.assert_array_equal(_seen(chunk, "it_0")[-1], seen["it_0"])


def test_log_probabilities_are_those_of_the_module(cluster: None) -> None:
    runner = _runner(_batched(2))
    (episode, *_) = runner.sample(num_timesteps=20, explore=True)
    import torch

    part = episode.agent_episodes["finance_0"]
    module = runner.module["finance"]
    out = module.forward_exploration({Columns.OBS: torch.from_numpy(_seen(episode, "finance_0")[:-1])})
    chances = module.get_exploration_action_dist_cls().from_logits(out[Columns.ACTION_DIST_INPUTS])
    want = chances.logp(torch.from_numpy(np.array(part.get_actions())))
    np.testing.assert_allclose(part.get_extra_model_outputs(Columns.ACTION_LOGP), want.detach(), rtol=1e-5)


def test_metrics_count_months_agents_and_episodes(cluster: None) -> None:
    runner = _runner(_batched(4, months=20, max_cycles=20))
    episodes = runner.sample()
    metrics = runner.get_metrics()

    def value(*path: str) -> float:
        found: Any = metrics
        for name in path:
            found = found[name]
        return float(found.peek() if hasattr(found, "peek") else found)

    assert value("num_env_steps_sampled") == 80
    assert value("num_agent_steps_sampled", "sme_0") == 80
    assert value("num_module_steps_sampled", "sme") == 80 * 8
    assert value("num_episodes") == 4
    assert value("episode_return_mean") == pytest.approx(np.mean([_paid(e).sum() for e in episodes]), rel=1e-5)
    assert value(OUTCOME, "ecosystem_value") > 0.0


@pytest.mark.parametrize("mode", ["multi_discrete", "discrete", "continuous"])
@pytest.mark.parametrize("how", [{"explore": True}, {"explore": False}, {"random_actions": True}])
def test_every_action_mode_plays_in_every_way(mode: str, how: dict[str, bool], cluster: None) -> None:
    episodes = _runner(_batched(2, action_mode=mode)).sample(num_timesteps=10, **how)
    assert sum(len(episode) for episode in episodes) == 10
    assert all(np.isfinite(_paid(episode)).all() for episode in episodes)


def test_one_policy_for_all_roles_learns_from_homogenised_spaces(cluster: None) -> None:
    config = _batched(4, months=10, homogenize=True).multi_agent(
        policies={"all"}, policy_mapping_fn=lambda *_, **__: "all"
    )
    algorithm = config.training(train_batch_size_per_learner=40, minibatch_size=40, num_epochs=1).build_algo()
    result = algorithm.train()
    assert np.isfinite(result["learners"]["all"]["policy_loss"])
    algorithm.stop()


def test_what_would_be_passed_over_is_refused(cluster: None) -> None:
    connected = _batched(1).env_runners(env_to_module_connector=lambda *_, **__: FlattenObservations(multi_agent=True))
    with pytest.raises(ValueError, match="env_to_module_connector must be left out"):
        _runner(connected)
    with pytest.raises(ValueError, match="modules must have no memory"):
        _runner(_batched(1).rl_module(model_config={"use_lstm": True, "max_seq_len": 5}))
    with pytest.raises(ValueError, match="at most one of"):
        _runner(_batched(1)).sample(num_timesteps=1, num_episodes=1)


def test_the_batched_runner_is_five_times_as_fast(record: Record, cluster: None) -> None:
    runners = {"batched, 64": _runner(_batched(64)), "pettingzoo, 64": _stock(64), "pettingzoo, 1": _stock(1)}

    def work(runner: Any) -> int:
        return sum(episode.agent_steps() for episode in runner.sample(explore=True))

    rates = speeds({name: lambda runner=runner: work(runner) for name, runner in runners.items()}, rounds=3)  # type: ignore[misc]
    print(rates)
    slower = max(rates["pettingzoo, 64"], rates["pettingzoo, 1"])
    record.speed(rates["batched, 64"], over_pettingzoo_route=rates["batched, 64"] / slower, routes=rates)
    assert rates["batched, 64"] >= 5.0 * slower
