from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarl.algorithms import (
    IddpgConfig,
    IppoConfig,
    IqlConfig,
    IsacConfig,
    MaddpgConfig,
    MappoConfig,
    MasacConfig,
    QmixConfig,
    VdnConfig,
)
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models import MlpConfig
from torchrl.envs import EnvBase, PettingZooWrapper, SerialEnv

import spiral_env
from frameworks.checks import (
    Record,
    all_distinct,
    chosen,
    episodes,
    replay,
    run_example,
    speeds,
    weights_of,
    worlds_opened,
)
from spiral_env.adapters.benchmarl import LogOutcomes, SpiralTask
from spiral_env.metrics import METRICS
from spiral_env.roles import ROLES
from spiral_env.scenarios.seeds import TRAIN_SEEDS, row_seeds

FRAMEWORK = {"title": "BenchMARL", "package": "benchmarl", "adapter": "spiral_env.adapters.benchmarl"}
NUM_ENVS, MONTHS = 4, 60
torch.set_num_threads(1)


class _Keep(Callback):
    """Keeps every batch that the experiment collects."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Any] = []

    def on_batch_collected(self, batch: Any) -> None:
        self.batches.append(batch.clone())


def _experiment(
    algorithm: Any, folder: Path, continuous: bool = False, loggers: Sequence[str] = (), **options: Any
) -> tuple[Experiment, _Keep]:
    config = ExperimentConfig.get_from_yaml()
    config.max_n_iters, config.max_n_frames, config.save_folder = 2, None, str(folder)
    config.loggers, config.create_json, config.render = list(loggers), False, False
    config.prefer_continuous_actions = continuous
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = NUM_ENVS
    config.on_policy_collected_frames_per_batch = config.off_policy_collected_frames_per_batch = NUM_ENVS * MONTHS
    config.evaluation_interval, config.evaluation_episodes = NUM_ENVS * MONTHS, 2
    config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters = 120, 2
    config.off_policy_n_optimizer_steps, config.off_policy_memory_size = 4, 1000
    kept = _Keep()
    made = Experiment(
        task=SpiralTask("small-v1", **options),
        algorithm_config=algorithm.get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        seed=3,
        config=config,
        callbacks=[kept, LogOutcomes()],
    )
    return made, kept


def _parameters(experiment: Experiment) -> dict[str, Any]:
    return {group: dict(loss.named_parameters()) for group, loss in experiment.losses.items()}


def test_the_example_trains(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_example("benchmarl", weights=lambda names: _parameters(names["experiment"]))
    record.trained(ran.before, ran.after)
    assert list(tmp_path.rglob("scalars/eval_outcome_ecosystem_value.csv"))


@pytest.mark.parametrize(
    ("algorithm", "continuous", "options"),
    [
        (MappoConfig, True, {}),
        (IppoConfig, False, {}),
        (IppoConfig, False, {"return_state": False}),
        (QmixConfig, False, {}),
        (QmixConfig, False, {"homogenize": True, "one_group": True}),
        (VdnConfig, False, {"homogenize": True, "one_group": True}),
        (IqlConfig, False, {}),
        (MaddpgConfig, True, {}),
        (IddpgConfig, True, {}),
        (MasacConfig, True, {}),
        (IsacConfig, False, {}),
    ],
    ids=lambda x: x.__name__.removesuffix("Config") if isinstance(x, type) else None,
)
def test_algorithms_train(
    algorithm: Any, continuous: bool, options: dict[str, Any], record: Record, tmp_path: Path
) -> None:
    experiment, kept = _experiment(algorithm, tmp_path, continuous, **options)
    before = weights_of(_parameters(experiment))
    experiment.run()
    record.trained(before, weights_of(_parameters(experiment)))
    assert len(kept.batches) == 2
    assert np.isfinite(experiment.mean_return)


@pytest.mark.parametrize("continuous", [False, True], ids=["discrete", "continuous"])
def test_rewards_equal_ours_in_every_ecosystem(continuous: bool, record: Record, tmp_path: Path) -> None:
    experiment, kept = _experiment(IppoConfig, tmp_path, continuous)
    experiment.run()
    months = torch.cat(kept.batches, dim=1)
    rewards = torch.cat([months["next", role, "reward"] for role in ROLES], dim=2).numpy()[..., 0]
    mode = "continuous" if continuous else "discrete"
    for e in range(NUM_ENVS):
        ended = episodes(months["next", "done"][e, :, 0])
        assert ended
        for episode, part in enumerate(ended):
            seed = row_seeds(3, NUM_ENVS, "train")[e]
            ours = replay(seed, chosen(months[e, part]), episode, action_mode=mode, split="train")
            record.same_returns(rewards[e, part], ours)


def test_training_and_evaluation_share_no_world_and_no_row_has_anothers(tmp_path: Path) -> None:
    with worlds_opened() as opened:
        experiment, _ = _experiment(IppoConfig, tmp_path, loggers=["csv"])
        experiment.run()
    all_distinct([seed for seed in opened if seed >= TRAIN_SEEDS[0]], "train", 3 * NUM_ENVS)
    all_distinct([seed for seed in opened if seed < TRAIN_SEEDS[0]], "held_out", 2 * 2)


def test_benchmarls_csv_shows_the_outcomes_of_training_and_of_evaluation(tmp_path: Path) -> None:
    experiment, kept = _experiment(IppoConfig, tmp_path, loggers=["csv"])
    experiment.run()
    files = {path.stem: path.read_text() for path in tmp_path.rglob("scalars/*.csv")}
    for name in METRICS:
        lines = files[f"collection_outcome_{name}"].split()
        assert len(lines) == 2
        assert len(files[f"eval_outcome_{name}"].split()) == 2
        ended = kept.batches[0]["next", "outcome"][kept.batches[0]["next", "done"][..., 0]]
        assert float(lines[0].split(",")[1]) == pytest.approx(
            ended[:, list(METRICS).index(name)].mean().item(), rel=1e-4
        )


def test_the_task_refuses_an_action_mode() -> None:
    with pytest.raises(ValueError, match="action_mode must be left to the algorithm, got 'discrete'"):
        SpiralTask("small-v1", action_mode="discrete")


class _PettingZooTask(SpiralTask):
    """BenchMARL's usual route from PettingZoo: wrappers, which it puts in series itself."""

    def get_env_fun(self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any) -> Any:
        mode = "continuous" if continuous_actions else "discrete"
        return lambda: SerialEnv(
            num_envs, lambda: PettingZooWrapper(spiral_env.parallel_env("small-v1", action_mode=mode))
        )


def _rollout(env: EnvBase, policy: Any, months: int) -> Any:
    @torch.no_grad()
    def route() -> int:
        env.rollout(months, policy, break_when_any_done=False)
        return months * env.batch_size.numel() * 11

    return route


def test_the_batched_task_is_five_times_faster_than_pettingzoo_wrappers(record: Record, tmp_path: Path) -> None:
    experiment, _ = _experiment(IppoConfig, tmp_path)
    makers = {"batched": SpiralTask("small-v1"), "pettingzoo": _PettingZooTask("small-v1")}
    counts = {"batched": (64, 60), "pettingzoo": (10, 20)}
    routes = {
        f"{name}, {counts[name][0]}": _rollout(
            task.get_env_fun(counts[name][0], False, 1, "cpu")(), experiment.policy, counts[name][1]
        )
        for name, task in makers.items()
    }
    rates = speeds(routes, rounds=3)
    ratio = rates["batched, 64"] / rates["pettingzoo, 10"]
    print(f"\nagent-steps/s of rollouts with IPPO's policy: {rates}, ratio {ratio:.1f}")
    record.speed(rates["batched, 64"], ratio, rates)
    assert ratio >= 5.0
