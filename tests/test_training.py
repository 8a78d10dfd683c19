"""Training: one config, runs that go on bit for bit, runs that fail in one line and keep what was good."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from spiral_env.evaluation import run_episodes
from spiral_env.roles import FEATURES, NUM_LEVERS, ROLES
from spiral_env.simulator.engine import Engine
from spiral_env.training import TrainConfig, hyperparameters, load_config, parse_override, train
from spiral_env.training.runs.config import ALGOS

ROOT = Path(__file__).resolve().parent.parent
TINY = TrainConfig(
    scenario="small-v1",
    algo="sb3-ppo",
    num_envs=3,
    num_steps=35,
    minibatches=5,
    epochs=2,
    timesteps=4 * 3 * 35 * 11,
    hidden=8,
)
POLICIES = ("shared", "per_role")


def _stop_after(monkeypatch: pytest.MonkeyPatch, rollouts: int) -> None:
    """Press Ctrl-C in the middle of the given rollout."""
    from spiral_env.training.algorithms.sb3 import Sb3Trainer

    original = Sb3Trainer.iterate

    def iterate(self: Sb3Trainer) -> dict[str, float]:
        if self.iteration == rollouts - 1:
            signal.raise_signal(signal.SIGINT)
        return original(self)

    monkeypatch.setattr(Sb3Trainer, "iterate", iterate)


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "progress.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("algo", ALGOS)
def test_training_keeps_to_training_seeds(algo: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[int] = []
    reset = Engine.reset

    def noted(engine: Engine, seeds: Any, mask: Any = None) -> None:
        opened.extend(seeds if mask is None else seeds[mask])
        reset(engine, seeds, mask)

    monkeypatch.setattr(Engine, "reset", noted)
    values = {"scenario": "procedural-v1", "algo": algo, "seed": 1_500_000, "num_envs": 4, "num_steps": 40}
    train(load_config(None, values | {"timesteps": 4 * 130 * 35, "minibatches": 2, "hidden": 8}), tmp_path)
    assert len(set(opened)) >= 4
    assert all(0 <= seed < 1_000_000 for seed in opened)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_stopped_and_resumed_ends_in_the_same_bits(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, policy=policy)
    whole = train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        _stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "cut")
    assert len(_rows(tmp_path / "cut")) == 2
    np.random.seed(99)  # noqa: NPY002
    cut = train(config, tmp_path / "cut", resume=True)
    for name in ("state.safetensors", "policy.safetensors"):
        first, second = load_file(whole / name), load_file(cut / name)
        assert first.keys() == second.keys()
        assert all(first[key].tobytes() == second[key].tobytes() for key in first)
    assert [row["agent_steps"] for row in _rows(whole)] == [row["agent_steps"] for row in _rows(cut)]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_seed_decides_the_weights(policy: str, tmp_path: Path) -> None:
    config = replace(TINY, policy=policy, timesteps=1)
    runs = [train(replace(config, seed=s), tmp_path / str(k)) for k, s in enumerate((4, 4, 5))]
    weights = [load_file(run / "policy.safetensors") for run in runs]
    heads = [name for name in weights[0] if name.endswith("head.weight")]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not any(np.array_equal(weights[0][name], weights[2][name]) for name in heads)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_trained_checkpoint_plays_the_actions_of_the_networks_mode(policy: str, tmp_path: Path) -> None:
    import torch

    from spiral_env.agents import load_policy
    from spiral_env.training.algorithms.sb3 import Sb3Trainer

    trainer = Sb3Trainer(replace(TINY, policy=policy))
    trainer.iterate()
    from spiral_env.agents.checkpoint import write_policy

    tensors, header = trainer.policy()
    write_policy(tmp_path, tensors, header)
    for name, group in trainer.groups.items():
        with torch.no_grad():
            modes = group.model.policy.get_distribution(group.tensor(group.rows(trainer.seen))).mode().numpy()
        for role, want in trainer._by_role(group, modes).items():
            played = load_policy(str(tmp_path), role).act(trainer.seen[role][..., : len(FEATURES[role])])
            assert np.array_equal(played * 2.0, want[..., : NUM_LEVERS[role]]), (name, role)
    trainer.close()


def test_a_truncated_episode_is_valued_beyond_its_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    from spiral_env.training.algorithms.sb3 import Sb3Trainer, _Group

    constant = 1000.0
    monkeypatch.setattr(_Group, "values", lambda self, rows: torch.full((len(rows), 1), constant))
    monkeypatch.setattr(_Group, "scaled", lambda self, rewards, done, gamma: np.zeros(len(rewards), np.float32))
    lasting = "[params]\ncollapse_trust = 0.0\ncollapse_cash = -1e7\n"
    (tmp_path / "lasting.toml").write_text(f'extends = "small-v1"\nid = "lasting-v1"\ntitle = "Lasting"\n{lasting}')
    scenario = str(tmp_path / "lasting.toml")
    trainer = Sb3Trainer(replace(TINY, scenario=scenario, num_steps=61, minibatches=1))
    trainer._collect()
    rewards = trainer.groups["shared"].model.rollout_buffer.rewards
    assert np.allclose(rewards[59], constant * TINY.gamma)
    assert not rewards[:59].any()
    assert not rewards[60].any()
    trainer.close()


def test_no_minibatch_is_cut() -> None:
    from spiral_env.training.algorithms.sb3 import _batch_size

    assert [_batch_size(*x) for x in ((1155, 231), (60, 59), (13, 5), (12, 1))] == [231, 30, 13, 12]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from spiral_env.training.algorithms.sb3 import Sb3Trainer

    original = Sb3Trainer._learn

    def poisoned(self: Sb3Trainer, name: str, group: Any) -> dict[str, float]:
        if self.iteration == 1:
            with torch.no_grad():
                next(iter(group.model.policy.parameters())).fill_(math.nan)
        return original(self, name, group)

    monkeypatch.setattr(Sb3Trainer, "_learn", poisoned)
    with pytest.raises(ValueError, match="became nan: stopped, the last good state is kept") as caught:
        train(replace(TINY, policy=policy), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert all(np.isfinite(x).all() for x in load_file(tmp_path / "run" / "policy.safetensors").values())
    assert len(_rows(tmp_path / "run")) == 1


def test_a_killed_run_leaves_a_folder_that_can_be_used_and_resumed(tmp_path: Path) -> None:
    from spiral_env.agents import load_policy

    run = tmp_path / "run"
    command = [sys.executable, "-m", "spiral_env", "train", "--algo", "sb3-ppo", "--out", str(run)]
    command += ["--scenario", "small-v1"]
    command += ["--timesteps", "100000000", "--set", "num_envs=3", "--set", "num_steps=35", "--set", "hidden=8"]
    command += ["--set", "checkpoint_seconds=0.001"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120.0
    while not (run / "policy.json").exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.5)
    process.kill()
    process.wait()
    before = len(_rows(run))
    assert run_episodes("small-v1", {r: load_policy(str(run), r) for r in ROLES}, 1).seeds.tolist() == [0]
    stored = TrainConfig(**json.loads((run / "config.json").read_text())["config"])
    train(replace(stored, max_seconds=0.2), run, resume=True)
    assert int(_rows(run)[-1]["iteration"]) >= before
    assert not list(run.glob("*.tmp"))


def test_a_run_is_neither_overwritten_nor_resumed_with_another_config(tmp_path: Path) -> None:
    run = train(replace(TINY, timesteps=1), tmp_path / "run")
    with pytest.raises(ValueError, match="already holds a run"):
        train(TINY, run)
    with pytest.raises(ValueError, match=r"learning_rate must stay 0\.0015 to resume"):
        train(replace(TINY, timesteps=1, learning_rate=0.5), run, resume=True)
    with pytest.raises(ValueError, match="holds no run to resume"):
        train(TINY, tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x04junk", b"\xff" * 64])
def test_a_broken_state_is_one_line(data: bytes, tmp_path: Path) -> None:
    run = train(replace(TINY, timesteps=1), tmp_path / "run")
    (run / "state.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"state of run .* cannot be read") as caught:
        train(replace(TINY, timesteps=1), run, resume=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("recurrent", "it"), ("continuous", True)])
def test_sb3_refuses_what_it_cannot_do(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} must stay off with algo sb3-ppo"):
        train(replace(TINY, **{name: value}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_config_comes_from_defaults_then_file_then_overrides(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("learning_rate = 0.25\nnum_envs = 7\n")
    config = load_config(file, {"num_envs": 9})
    assert (config.learning_rate, config.num_envs, config.epochs) == (0.25, 9, TrainConfig().epochs)


@pytest.mark.parametrize(
    ("text", "want"),
    [("gamma=0.9", ("gamma", 0.9)), ("algo=mappo", ("algo", "mappo")), ("anneal=false", ("anneal", False))],
)
def test_an_override_is_read_as_toml_or_as_text(text: str, want: tuple[str, Any]) -> None:
    assert parse_override(text) == want


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 0.1}, "did you mean 'learning_rate'"),
        ({"num_envs": "many"}, "num_envs must be an integer from 1 to 1,000,000, got 'many'"),
        ({"num_envs": True}, "num_envs must be an integer"),
        ({"num_envs": 0}, "num_envs must be an integer from 1"),
        ({"gamma": 1.5}, "gamma must be a number > 0 and <= 1"),
        ({"learning_rate": math.nan}, "learning_rate must be a number > 0"),
        ({"max_seconds": math.inf}, "max_seconds must be a number > 0"),
        ({"algo": "dqn"}, "algo must be one of"),
        ({"policy": "both"}, "policy must be one of shared, per_role"),
        ({"scenario": "nope"}, "scenario must be a .toml file or one of"),
        ({"device": "tpu"}, "device must be cpu, cuda or"),
        ({"reward_mode": "kind"}, "reward_mode must be one of mixed"),
        ({"recurrent": "it,cook"}, "recurrent must name roles"),
    ],
)
def test_a_config_that_is_wrong_names_the_value_and_what_is_allowed(values: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        load_config(None, values)


@pytest.mark.parametrize("text", ["learning_rate = ", "\x00"])
def test_a_config_file_that_is_not_toml_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"config .* is no usable TOML"):
        load_config(file)


def test_every_hyperparameter_is_explained_and_bounded() -> None:
    for known in hyperparameters():
        assert known.meaning, known.name
        assert known.kind not in (int, float) or known.low < known.high < math.inf, known.name


def test_the_stored_config_is_the_config_of_the_run(tmp_path: Path) -> None:
    run = train(replace(TINY, timesteps=1), tmp_path / "run")
    stored = json.loads((run / "config.json").read_text())
    assert TrainConfig(**stored["config"]) == replace(TINY, timesteps=1)
    assert {"numpy", "numba", "torch"} <= stored["versions"].keys()


def test_a_disk_that_is_full_keeps_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env import files

    original, calls = os.replace, []

    def full(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) > 6:
            raise OSError(28, "No space left on device", str(target))
        original(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        train(replace(TINY, checkpoint_seconds=1e-9), tmp_path / "run")
    monkeypatch.undo()
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert train(replace(TINY, checkpoint_seconds=1e-9), tmp_path / "run", resume=True)
