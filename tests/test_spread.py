"""Evaluation spread over other processes: jobs are whole in themselves, results are those of the local engine."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import ROLES
from spiral_env.training import TrainConfig

ROOT = Path(__file__).resolve().parent.parent


def _elsewhere(function: Callable[[Any], Any], jobs: list[Any]) -> list[Any]:
    """Every job as another process would get it, last first; results as they would come back."""
    done = [pickle.dumps(pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(x)))) for x in reversed(jobs)]
    return [pickle.loads(x) for x in reversed(done)]


@pytest.mark.parametrize("spec", ["scripted", "uniform"])
def test_spread_episodes_are_those_played_in_turn(spec: str) -> None:
    team = {role: load_policy(spec, role) for role in ROLES}
    counted: list[int] = []
    local = run_episodes("procedural-v1", team, 7, seed=3, num_envs=3)
    spread = run_episodes("procedural-v1", team, 7, seed=3, num_envs=3, spread=_elsewhere, progress=counted.append)
    assert counted == [7]
    assert spread.seeds.tolist() == local.seeds.tolist()
    assert all(np.array_equal(spread.metrics[name], x, equal_nan=True) for name, x in local.metrics.items())
    assert all(np.array_equal(spread.lever_use[role], x) for role, x in local.lever_use.items())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["evaluate", "--engine", "spark"], "engine must be one of local, ray, got 'spark'"),
        (["train", "--out", "nowhere", "--engine", "spark"], "engine must be one of local, ray, got 'spark'"),
        (["evaluate", "--ray-address", "a:1"], "--ray-address must be left out without --engine ray, got 'a:1'"),
        (["evaluate", "--engine", "ray"], "no module ray: pip install 'spiral-env[train,rllib]'"),
        (["train", "--out", "nowhere", "--engine", "ray"], "no module ray: pip install 'spiral-env[train,rllib]'"),
    ],
)
def test_an_engine_that_is_not_there_is_one_line(words: list[str], line: str) -> None:
    program = "import sys\nsys.modules['ray'] = None\nfrom spiral_env.commands import main\nmain()"
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")
    assert not (ROOT / "nowhere").exists()


def test_a_config_of_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="engine must be one of local, ray, got 'x'"):
        TrainConfig(engine="x")
