"""stable-baselines3 with our environments: by id, with its monitors and loggers, and what its evaluation scores."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import middle
from test_worlds import world_seeds

import spiral_env
from spiral_env.metrics import HEADLINES
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from spiral_env.adapters.stable_baselines3 import INFO_KEYWORDS, OutcomeCallback, SharedVecEnv, TeamVecEnv

ID = "spiral_env/SingleRole-v0"


class Same:
    """A policy that sets every lever to one level."""

    def __init__(self, level: int = 1) -> None:
        self.level = level

    def predict(self, observation: np.ndarray, state: Any = None, **_: Any) -> tuple[np.ndarray, Any]:
        return np.full((len(observation), MAX_LEVERS), self.level), state


def _ppo(env: Any, **options: Any) -> PPO:
    return PPO("MlpPolicy", env, **{"n_steps": 6, "batch_size": 6, "n_epochs": 1, "seed": 1, "device": "cpu"} | options)


def test_an_algorithm_takes_the_id() -> None:
    model = _ppo(ID)
    model.learn(12)
    assert model.num_timesteps == 12


def test_make_vec_env_takes_the_id_and_its_rows_share_no_world() -> None:
    env = make_vec_env(ID, n_envs=4, seed=3, env_kwargs={"split": "train", "max_cycles": 2})
    env.reset()
    found = world_seeds(env)
    for _ in range(2):
        env.step(np.ones((4, NUM_LEVERS["it"]), dtype=np.int64))
    assert len(set(found + world_seeds(env))) == 8


@pytest.mark.parametrize("make", [SharedVecEnv, TeamVecEnv])
def test_the_rows_of_copies_share_no_world(make: Any) -> None:
    found = []
    for copy in range(2):
        env = make("small-v1", num_envs=16, max_cycles=2)
        env.seed(5 + copy)
        env.reset()
        for _ in range(2):
            found += world_seeds(env)
            for _ in range(2):
                env.step(np.ones((16 * 11, MAX_LEVERS), dtype=np.int64))
    assert len(set(found)) == 64


def test_training_and_evaluation_keep_to_their_worlds() -> None:
    scenario = spiral_env.load_scenario("small-v1")
    for make, (low, high) in ((SharedVecEnv, scenario.train_seeds), (TeamVecEnv, scenario.held_out_seeds)):
        env = make(num_envs=8)
        env.seed(0)
        env.reset()
        assert all(low <= own < high for own in world_seeds(env))


def test_evaluation_gives_one_number_a_team_episode() -> None:
    env = TeamVecEnv("small-v1", num_envs=3, max_cycles=4)
    env.seed(0)
    returns, lengths = evaluate_policy(Same(), env, 3, return_episode_rewards=True, warn=False)
    assert lengths == [4, 4, 4]
    plain = spiral_env.vector_env("small-v1", num_envs=3, max_cycles=4, split="held_out", autoreset_mode="disabled")
    plain.reset(seed=0)
    for _ in range(4):
        plain.step(middle(plain))
    measures = plain.metrics()
    leaders = sum(measures[f"return_{role}"] for role in ("it", "business", "finance"))
    np.testing.assert_allclose(sorted(returns), sorted((leaders + 8 * measures["return_sme"]) / 11), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Evaluation environment is not wrapped")
@pytest.mark.parametrize("wrap", [lambda env: env, VecMonitor, lambda env: VecNormalize(VecMonitor(env))])
def test_evaluation_on_rows_of_agents_is_refused_unless_every_agent_counts_alike(wrap: Any) -> None:
    env = wrap(SharedVecEnv("small-v1", num_envs=2, max_cycles=3))
    with pytest.raises(ValueError, match=r"must be a multiple of the 22 rows.* got 5; TeamVecEnv has"):
        evaluate_policy(Same(), env, 5, warn=False)
    callback = EvalCallback(env, n_eval_episodes=5, eval_freq=1)
    with pytest.raises(ValueError, match="n_eval_episodes must be a multiple"):
        _ppo(wrap(SharedVecEnv("small-v1", max_cycles=3)), batch_size=11).learn(66, callback)
    assert np.isfinite(evaluate_policy(Same(), env, 44, warn=False)).all()


def test_the_evaluation_callback_scores_teams_in_held_out_worlds(tmp_path: Path) -> None:
    env = VecMonitor(TeamVecEnv("small-v1", num_envs=4, max_cycles=3))
    callback = EvalCallback(env, n_eval_episodes=4, eval_freq=6, log_path=str(tmp_path), verbose=0)
    _ppo(VecMonitor(SharedVecEnv("small-v1", max_cycles=3)), batch_size=11).learn(66, callback)
    with np.load(tmp_path / "evaluations.npz") as stored:
        assert stored["results"].shape == (1, 4)
        assert len(set(stored["results"][0].tolist())) == 4


def test_monitors_store_a_column_for_each_outcome(tmp_path: Path) -> None:
    rows = VecMonitor(
        SharedVecEnv("small-v1", num_envs=2, max_cycles=2), str(tmp_path / "rows"), info_keywords=INFO_KEYWORDS
    )
    one = Monitor(
        gymnasium.make(ID, scenario="small-v1", max_cycles=2), str(tmp_path / "one"), info_keywords=INFO_KEYWORDS
    )
    shapes = {rows: (22, MAX_LEVERS), one: (NUM_LEVERS["it"],)}
    for env, action in ((x, np.ones(shape, dtype=np.int64)) for x, shape in shapes.items()):
        env.reset()
        for _ in range(2):
            env.step(action)
        env.close()
    for name, count in (("rows", 22), ("one", 1)):
        lines = (tmp_path / f"{name}.monitor.csv").read_text().splitlines()[1:]
        stored = list(csv.DictReader(lines))
        assert len(stored) == count
        assert all(np.isfinite(float(row[key])) for row in stored for key in INFO_KEYWORDS)


@pytest.mark.parametrize("route", ["rows of agents", "by id"])
def test_its_logger_shows_the_outcomes(route: str, tmp_path: Path) -> None:
    env = (
        SharedVecEnv("small-v1", num_envs=2, max_cycles=3)
        if route == "rows of agents"
        else gymnasium.make(ID, scenario="small-v1", max_cycles=3)
    )
    model = _ppo(env, batch_size=2)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(6 * model.n_envs, OutcomeCallback())
    model.logger.close()
    (row,) = csv.DictReader((tmp_path / "progress.csv").read_text().splitlines())
    assert all(np.isfinite(float(row[f"outcome/{name}"])) for name in HEADLINES)
    assert float(row["outcome/sme_participation"]) > 0.0
