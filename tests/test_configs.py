"""Configs: what is accepted runs, what does not is refused in one line before a folder exists; recipes are configs."""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.agents.checkpoint import read_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import ROLES
from spiral_env.training import ALGOS, TrainConfig, load_config, parse_override, train
from spiral_env.training.runs import demands
from spiral_env.training.runs.config import check_names, hyperparameters

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "train").glob("*.toml"))
SMALL: dict[str, Any] = {"num_envs": 4, "num_steps": 10, "minibatches": 2, "epochs": 1, "hidden": 4, "timesteps": 1}

DRAWN: dict[str, list[Any]] = {
    "policy": ["shared", "per_role"],
    "seed": [0, 2**31, 2**63 - 1],
    "num_envs": [1, 2, 3, 4, 7, 31],
    "num_steps": [1, 2, 5],
    "minibatches": [1, 2, 3, 16],
    "epochs": [1, 2],
    "gamma": [0.001, 0.99, 1],
    "gae_lambda": [0, 0.95, 1],
    "hidden": [1, 2, 8],
    "layers": [0, 1, 2],
    "recurrent": ["", "", "", "it", "sme"],
    "continuous": [False, False, False, True],
    "reward_mode": ["mixed", "selfish", "cooperative"],
    "gradient_pieces": [1, 2, 8],
    "start_logit": [0, 2.0, 100],
    "ent_coef": [0, 100],
    "clip_coef": [0.001, 100],
    "learning_rate": [1e-12, 0.1],
    "max_grad_norm": [1e-9, 1e9],
    "es_sigma": [1e-6, 100],
    "target_kl": [0.0, 0.03],
}


def _config(values: dict[str, Any]) -> TrainConfig | str:
    """The config, or the line that refuses it."""
    try:
        return TrainConfig(**values)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("algo", ALGOS)
def test_a_random_config_runs_or_is_refused_before_a_folder_is_made(algo: str, tmp_path: Path) -> None:
    rng = random.Random(f"{algo} 5")
    drawn = [{name: rng.choice(choices) for name, choices in DRAWN.items()} for _ in range(14)]
    configs = [_config({"algo": algo, "timesteps": 1, "env_threads": 1} | values) for values in drawn]
    refused = [x for x in configs if isinstance(x, str)]
    assert 3 <= len(refused) < len(configs)
    assert not any("\n" in line for line in refused)
    for number, config in enumerate(configs):
        if isinstance(config, TrainConfig):
            folder = train(config, tmp_path / str(number))
            assert (folder / "policy.safetensors").exists(), drawn[number]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": 0}, "layers must be >= 1 with algo ippo, got 0"),
        ({"algo": "mappo", "layers": 0}, "layers must be >= 1 with algo mappo"),
        ({"num_envs": 1, "num_steps": 10}, "minibatches must be at most num_envs x num_steps = 10"),
        ({"algo": "sb3-ppo", "num_envs": 1, "num_steps": 10}, "minibatches must be at most"),
        ({"recurrent": "sme", "num_envs": 3}, "minibatches must be at most num_envs 3 where roles have a memory"),
        ({"recurrent": "it,it"}, "recurrent must name roles of it, business, finance, sme once each"),
        ({"recurrent": "it,"}, "recurrent must name roles"),
        ({"algo": "es", "num_envs": 3}, "num_envs must be even with algo es, got 3"),
        ({"engine": "ray", "device": "cuda", "num_envs": 4}, "device must be cpu with engine ray"),
        ({"algo": "es", "recurrent": "it"}, "recurrent must stay off with algo es"),
        ({"ray_address": "auto"}, "ray_address must be left out with algo ippo"),
        ({"engine": "ray", "algo": "es"}, "algo must be ippo with engine ray"),
        ({"engine": "ray", "runners": 3}, "num_envs must be a multiple of runners 3"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load_config(None, values)


def test_a_memory_and_an_odd_number_of_ecosystems_go_together(tmp_path: Path) -> None:
    """Fewer ecosystems in a minibatch than pieces of its gradient."""
    values = SMALL | {"recurrent": "sme", "num_envs": 3, "minibatches": 2, "gradient_pieces": 2}
    assert train(load_config(None, values), tmp_path / "run")


COUNTS = [x for x in hyperparameters() if x.kind is int]


@pytest.mark.parametrize("known", COUNTS, ids=lambda x: x.name)
def test_counts_are_bounded_and_whole(known: Any) -> None:
    for value in (int(known.high) + 1, known.low - 1, 10**100):
        with pytest.raises(ValueError, match=f"{known.name} must be an integer from"):
            load_config(None, {known.name: value})
    for wrong in (2.0, True, "2", None, [2], float("nan"), np.float64(2.0), np.bool_(True)):
        with pytest.raises(TypeError, match=f"{known.name} must be an integer from"):
            load_config(None, {known.name: wrong})


@pytest.mark.parametrize("known", [x for x in hyperparameters() if x.kind is float], ids=lambda x: x.name)
def test_numbers_are_finite_and_in_their_range(known: Any) -> None:
    for value in (float("nan"), float("inf"), -float("inf"), -1, 10**400, known.high * 2):
        with pytest.raises(ValueError, match=f"{known.name} must be a number"):
            load_config(None, {known.name: value})
    for wrong in (True, "0.5", None, [0.5], 1j):
        with pytest.raises(TypeError, match=f"{known.name} must be a number"):
            load_config(None, {known.name: wrong})


def test_numbers_of_numpy_become_plain() -> None:
    config = load_config(None, {"num_envs": np.int64(6), "gamma": np.float32(0.5), "anneal": np.bool_(False)})
    assert [type(x) for x in (config.num_envs, config.gamma, config.anneal)] == [int, float, bool]


@pytest.mark.parametrize("name", ["x" * 10**6, "learning_rat\n", 7])
def test_an_unknown_name_is_one_short_line(name: Any) -> None:
    with pytest.raises(ValueError, match="config has no") as caught:
        check_names([name] * 1000, "config")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x = " + b"[" * 100_000, "is no usable TOML"),
        (b"seed = 1\nseed = 2\n", "is no usable TOML"),
        (b"seed = \xff\n", "is no usable TOML"),
        (b"[params]\nseed = 1\n", "config has no 'params'"),
        (b"seed = 99999999999999999999\n", "seed must be an integer from"),
    ],
)
def test_a_config_file_of_any_bytes_is_one_line(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        load_config(tmp_path / "config.toml")
    assert "\n" not in str(caught.value)


def test_a_config_file_may_begin_with_a_mark_of_the_byte_order(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbfseed = 3\n")
    assert load_config(tmp_path / "config.toml").seed == 3


def test_an_override_of_several_lines_is_a_text() -> None:
    assert parse_override("seed=1\nx=2") == ("seed", "1\nx=2")


def test_a_run_that_the_memory_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**22}
    monkeypatch.setattr(demands.os, "sysconf", sizes.__getitem__)
    with pytest.raises(ValueError, match=r"need at least .* GiB of memory, there are 16\.0"):
        train(load_config(None, {"num_envs": 1_000_000, "num_steps": 1000}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_recipe_is_a_whole_config_of_its_name() -> None:
    assert len(RECIPES) >= len(ALGOS)
    for path in RECIPES:
        config = load_config(path)
        assert path.stem == f"{config.scenario}-{config.algo}"
        assert {"scenario", "algo", "seed", "timesteps", "learning_rate"} <= tomllib.loads(path.read_text()).keys()


def test_make_and_the_benchmarks_train_by_recipes_that_are_there() -> None:
    names = {path.name for path in RECIPES}
    for user in ("Makefile", "tests/benchmarks/game.py", "train/README.md"):
        used = set(re.findall(r"baseline-v1-[\w-]+\.toml", (ROOT / user).read_text()))
        assert used, user
        assert used <= names


def test_the_trained_team_plays_and_its_card_names_its_world() -> None:
    folder = ROOT / "agents" / "baseline-v1-es"
    _, header = read_policy(folder)
    assert f"`{header['scenario_hash']}`" in (folder / "README.md").read_text()
    teams = [{role: load_policy(spec, role) for role in ROLES} for spec in ("status_quo", str(folder))]
    average, trained = (run_episodes(header["scenario"], team, 100).metrics["ecosystem_value"] for team in teams)
    assert trained.mean() > average.mean()
