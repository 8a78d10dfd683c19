"""``spiral train``: what is said before, while and after, and what a run that is cut or finished says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spiral_env.simulator.engine import Engine
from spiral_env.training import load_config, train
from spiral_env.training.runs.moved import moved_words
from tests.command_line import refused, spiral

TINY = ["--set", "num_envs=2", "--set", "num_steps=10", "--set", "minibatches=2", "--set", "hidden=4"]
SMALL = ["--scenario", "small-v1", *TINY]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "[red] run"
    done = spiral("train", "--out", str(folder), "--timesteps", "300", *SMALL)
    assert done.code == 0, done.err
    assert f"training ippo on small-v1 in {folder}" in done.err
    assert "1 rollout of 220 agent-steps: 220 in all, at most 480 s" in done.err
    assert "300 were asked for; the nearest whole rollout ends the run" in done.err
    assert done.out.startswith(f"run stored in {folder} (220 agent-steps")
    assert "greedy policy, 4 held-out episodes: always the average firm; train longer" in done.out
    assert f"next:\n  spiral evaluate --scenario small-v1 --compare status_quo --compare '{folder}'\n" in done.out
    assert f"spiral plot '{folder}'" in done.out
    assert "  policy.safetensors  the policy, with policy.json" in done.out
    assert "11 agents, mixed rewards, seed 0; Ctrl-C stops, and keeps what is learned" in done.err
    return folder


@pytest.mark.parametrize(
    ("share", "shown"), [(1.0, " 100 %"), (0.997, " 99.7 %"), (0.0005, " 0.05 %"), (0.0, "train longer")]
)
def test_how_far_a_policy_has_moved_is_one_plain_line(share: float, shown: str) -> None:
    words = moved_words(share, 50)
    assert shown in words
    assert len(words) <= 80


def test_a_finished_run_says_so_and_does_nothing(run: Path) -> None:
    done = spiral("train", "--out", str(run), "--resume")
    assert "the run was finished before, nothing was done" in done.out
    assert "training" not in done.err
    assert len(list((run / "tensorboard").iterdir())) == 1


def test_a_run_that_time_cuts_names_the_command_that_goes_on(tmp_path: Path) -> None:
    done = spiral("train", "--out", str(tmp_path / "run"), "--max-seconds", "1e-6", *TINY)
    assert "the run was stopped after 1e-06 s\n" in done.out
    assert f"next:\n  spiral train --out {tmp_path / 'run'} --resume\n" in done.out
    done = spiral("train", "--out", str(tmp_path / "run"), "--resume", "--max-seconds", "1e-6", "--json")
    assert json.loads(done.out)["finished"] is False
    assert done.err == ""


def test_a_run_without_a_folder_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = spiral("train", "--timesteps", "1", "--seed", "7", *TINY)
    assert done.out.startswith("run stored in results/runs/baseline-v1-ippo-7 ")
    assert (tmp_path / "results/runs/baseline-v1-ippo-7/policy.json").exists()
    assert "--resume needs the run's folder" in refused("train", "--resume")


def test_a_hyperparameter_is_said_once(tmp_path: Path) -> None:
    line = refused("train", "--out", str(tmp_path / "run"), "--seed", "1", "--set", "seed=2")
    assert "seed must be given once" in line
    assert "--out must name a folder" in refused("train", "--out", "")


def test_the_simulator_is_compiled_before_the_clock_of_a_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    reset = Engine.reset

    def noted(engine: Engine, *arguments: Any) -> None:
        opened.append(len(engine.states))
        reset(engine, *arguments)

    monkeypatch.setattr(Engine, "reset", noted)
    values = {"num_envs": 3, "num_steps": 10, "minibatches": 2, "hidden": 4, "max_seconds": 1e-6}
    train(load_config(None, values), tmp_path / "run")
    assert opened[0] == 1


def test_drawing_pictures_leaves_the_backend_of_the_process_alone() -> None:
    import matplotlib

    before = matplotlib.rcParams._get_backend_or_none()  # type: ignore[attr-defined]
    from spiral_env.training.runs import plot

    assert plot.Pictures
    assert matplotlib.rcParams._get_backend_or_none() == before  # type: ignore[attr-defined]
