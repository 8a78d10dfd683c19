"""RLlib: the example, the batched runner against the plain environment, and against RLlib's own runner."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray import tune
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

import spiral_env
from frameworks.checks import Record, all_distinct, replay, run_example, speeds, worlds_opened
from spiral_env.adapters.rllib import OUTCOME, SpiralBatch, SpiralEnvRunner, role_of
from spiral_env.metrics import HEADLINES
from spiral_env.roles import ROLES
from spiral_env.scenarios.seeds import row_seeds

FRAMEWORK = {"title": "RLlib", "package": "ray", "adapter": "spiral_env.adapters.rllib"}
SEED = 5
STARTS = row_seeds(SEED, 3, "train")
AGENTS = spiral_env.parallel_env("small-v1").possible_agents


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False, log_to_driver=False)
    register_env("spiral", lambda _: ParallelPettingZooEnv(spiral_env.parallel_env("small-v1")))
    yield
    ray.shutdown()


def _config(**options: Any) -> PPOConfig:
    return PPOConfig().multi_agent(policies=set(ROLES), policy_mapping_fn=role_of).debugging(seed=SEED)


def _batched(num_envs: int, months: int = 30, **options: Any) -> PPOConfig:
    config = _config().environment(SpiralBatch, env_config={"scenario": "small-v1", **options})
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


def _done(episode: Any) -> list[tuple[Any, ...]]:
    """Of each month the action of every agent; roles may differ in their numbers of levers."""
    return list(zip(*(episode.agent_episodes[agent].get_actions() for agent in AGENTS), strict=True))


def _seen(episode: Any, agent: str) -> np.ndarray:
    return np.array(episode.agent_episodes[agent].get_observations())


def test_the_example_trains(record: Record) -> None:
    def weights(names: dict[str, Any]) -> Any:
        learner = names["algorithm"].learner_group._learner
        return {role: learner.module[role].unwrapped() for role in ROLES}

    ran = run_example("rllib", weights)
    record.trained(ran.before, ran.after)
    held_out = ran.names["result"]["evaluation"]["env_runners"]
    assert held_out["num_episodes"] == 8
    assert held_out[OUTCOME]["ecosystem_value"] > 0.0


def test_whole_episodes_pay_what_the_plain_environment_pays(record: Record, cluster: None) -> None:
    episodes = _runner(_batched(3)).sample(num_episodes=3, explore=True)
    assert [episode.is_done for episode in episodes] == [True] * 3
    for row, episode in enumerate(episodes):
        record.same_returns(_paid(episode), replay(STARTS[row], _done(episode), split="train"))


def test_the_plain_environment_works_in_rllibs_own_runner(cluster: None) -> None:
    (episode,) = _stock(1).sample(num_episodes=1, explore=True)
    np.testing.assert_array_equal(_paid(episode).astype(np.float32), replay(SEED, _done(episode)).astype(np.float32))


def test_cut_episodes_go_on_and_end_with_what_was_seen_last(cluster: None) -> None:
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
        env = spiral_env.parallel_env("small-v1", max_cycles=20, split="train")
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


def _small(config: PPOConfig, months: int) -> PPOConfig:
    """Learns once from what the rows live in ``months``."""
    rows = config.num_envs_per_env_runner * max(1, config.num_env_runners)
    return config.training(train_batch_size_per_learner=rows * months, minibatch_size=rows * months, num_epochs=1)


def test_an_evaluation_reports_the_episodes_asked_for_all_of_held_out_worlds(cluster: None) -> None:
    config = _small(_batched(8, months=5, max_cycles=10), 5)
    config.evaluation(evaluation_interval=1, evaluation_duration=2, evaluation_duration_unit="episodes")
    with worlds_opened() as opened:
        algorithm = config.build_algo()
        training = algorithm.env_runner.env.batch.engine
        results = [algorithm.train()["evaluation"]["env_runners"] for _ in range(2)]
        learned_in = set(training.states["seed"].tolist())
        judged_in = algorithm.eval_env_runner.env.batch.engine.states["seed"].tolist()
        algorithm.stop()
    for result in results:
        assert (result["num_episodes"], result["num_env_steps_sampled"]) == (2, 20)
        assert result["episode_len_mean"] == 10
        assert np.isfinite(result[OUTCOME]["spiral_height"])
    all_distinct(judged_in, "held_out", 8)
    all_distinct(sorted(learned_in), "train", 8)
    assert len([seed for seed in opened if seed in judged_in]) == 2 * 8, "both evaluations in the same worlds"


def test_an_evaluation_tells_only_of_itself(cluster: None) -> None:
    config = _batched(4, max_cycles=10).evaluation(evaluation_interval=1, evaluation_duration=3)
    config.debugging(seed=None)
    algorithm = _small(config, 30).build_algo()
    kept: list[Any] = []
    algorithm.eval_env_runner._callbacks[0].on_sample_end = lambda samples, **_: kept.extend(samples)  # type: ignore[method-assign]
    for _ in range(2):
        kept.clear()
        result = algorithm.evaluate()["env_runners"]
        means = np.mean([_paid(episode).sum() for episode in kept])
        assert result["episode_return_mean"] == pytest.approx(means, rel=1e-5)
        told = [episode.agent_episodes["it_0"].get_infos(-1)["outcome_ecosystem_value"] for episode in kept]
        assert result[OUTCOME]["ecosystem_value"] == pytest.approx(np.mean(told), rel=1e-5)
    algorithm.stop()


def test_no_two_rows_of_any_runner_share_a_world(cluster: None) -> None:
    with worlds_opened() as opened:
        for worker in (1, 2, 3):
            config = _batched(4, months=7, max_cycles=5)
            config.num_env_runners = 3
            runner = config.env_runner_cls(config=config, worker_index=worker)
            for _ in range(3):
                runner.sample(random_actions=True)
            runner.sample(num_episodes=5, random_actions=True)
            runner.sample(num_episodes=3, random_actions=True)
            runner.stop()
    all_distinct(opened, "train", 3 * 4 * 7)


class _Heard(RLlibCallback):
    """Notes every call of an episode's callbacks, and what an episode was worth by RLlib's usual way."""

    calls: list[tuple[str, int, str, int]] = []

    def _note(self, name: str, episode: Any, env_index: int, **given: Any) -> None:
        assert isinstance(given["env"], SpiralBatch)
        assert given["env_runner"].module is given["rl_module"]
        self.calls.append((name, env_index, episode.id_, len(episode)))

    def on_episode_created(self, *, episode: Any, env_index: int, **given: Any) -> None:
        self._note("created", episode, env_index, **given)
        episode.custom_data["steps"] = 0

    def on_episode_start(self, *, episode: Any, env_index: int, **given: Any) -> None:
        self._note("start", episode, env_index, **given)
        assert episode.get_observations(-1).keys() == set(AGENTS)

    def on_episode_step(self, *, episode: Any, env_index: int, **given: Any) -> None:
        self._note("step", episode, env_index, **given)
        episode.custom_data["steps"] += 1
        assert np.isfinite(list(episode.get_rewards(-1).values())).all()

    def on_episode_end(self, *, episode: Any, prev_episode_chunks: Any, env_index: int, **given: Any) -> None:
        self._note("end", episode, env_index, **given)
        assert episode.is_done
        assert episode.custom_data["steps"] == sum(len(x) for x in [*prev_episode_chunks, episode])
        info = episode.get_infos(-1)["finance_0"]
        given["metrics_logger"].log_value("height", info["outcome_spiral_height"], reduce="mean", window=100)


def test_the_callbacks_of_an_episode_are_called_as_rllib_calls_them(cluster: None) -> None:
    _Heard.calls.clear()
    by_function: list[int] = []
    note = lambda *, env_index, **_: by_function.append(env_index)  # noqa: E731
    config = _batched(2, months=3, max_cycles=4).callbacks(_Heard, on_episode_end=note)
    runner = _runner(config)
    samples = [runner.sample() for _ in range(3)]
    rows = [[call for call in _Heard.calls if call[1] == row] for row in range(2)]
    for calls in rows:
        assert [name for name, *_ in calls] == [
            *["created", "start", *["step"] * 4, "end"] * 2,
            "created",
            "start",
            "step",
        ]
        assert [length for name, *_, length in calls if name == "step"] == [1, 2, 3, 1, 1, 2, 1, 2, 1]
        assert len({name for _, _, name, _ in calls}) == 3
    assert by_function == [0, 1, 0, 1]
    heights = [e.agent_episodes["it_0"].get_infos(-1)["outcome_spiral_height"] for x in samples for e in x if e.is_done]
    assert len(heights) == 4
    assert runner.get_metrics()["height"].peek() == pytest.approx(np.mean(heights))


def test_only_episodes_that_count_are_told_of(cluster: None) -> None:
    _Heard.calls.clear()
    runner = _runner(_batched(4, max_cycles=3).callbacks(_Heard))
    assert len(runner.sample(num_episodes=6)) == 6
    assert [name for name, *_ in _Heard.calls].count("end") == 6
    assert [name for name, *_ in _Heard.calls].count("start") == 6


def test_the_callback_of_a_new_environment_is_called(cluster: None) -> None:
    seen: list[Any] = []
    note = lambda *, env, env_context, **_: seen.append((type(env), dict(env_context)))  # noqa: E731
    _runner(_batched(1).callbacks(on_environment_created=note))
    assert seen == [(SpiralBatch, {"scenario": "small-v1"})]


def test_outcomes_reach_the_csv_that_tune_writes(cluster: None, tmp_path: Path) -> None:
    config = _small(_batched(4, months=10, max_cycles=10), 10)
    run = tune.RunConfig(storage_path=str(tmp_path), stop={"training_iteration": 1}, verbose=0)
    (result,) = tune.Tuner("PPO", param_space=config, run_config=run).fit()
    with (Path(result.path) / "progress.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    for name in HEADLINES:
        assert np.isfinite(float(row[f"env_runners/{OUTCOME}/{name}"]))


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
