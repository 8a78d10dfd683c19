"""A run that is killed (SIGKILL, in a process of its own) and resumed ends in the bytes of an uninterrupted one."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spiral_env.training import load_config, train

ROOT = Path(__file__).resolve().parent.parent
ROLLOUTS = 6
OPTIONS = {"num_envs": 8, "num_steps": 20, "minibatches": 4, "epochs": 2, "hidden": 16, "env_threads": 1}
OPTIONS |= {"scenario": "small-v1"}

PROGRAM = """
import os, signal, sys
from pathlib import Path
from spiral_env import files
from spiral_env.training import load_config, train
from spiral_env.training.algorithms.es import EsTrainer
from spiral_env.training.algorithms.ppo import Trainer
from spiral_env.training.algorithms.sb3 import Sb3Trainer

def killing(function, call):
    calls = []
    def wrapped(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped

folder, where, call, options = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), eval(sys.argv[4])
if where == "store":
    files.os.replace = killing(os.replace, call)
else:
    for kind in (Trainer, EsTrainer, Sb3Trainer):
        kind.iterate = killing(kind.iterate, call)
train(load_config(None, options), folder)
"""


@pytest.mark.parametrize(
    ("algo", "where", "call"),
    [
        ("ippo", "learning", 4),
        ("mappo", "learning", 4),
        ("es", "learning", 4),
        ("sb3-ppo", "learning", 4),
        # Renames: config, log, then three a store: state, tensors of the policy, its header.
        ("ippo", "store", 6),
        ("ippo", "store", 7),
        ("ippo", "store", 8),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bytes(algo: str, where: str, call: int, tmp_path: Path) -> None:
    steps = 60 if algo == "es" else OPTIONS["num_steps"]
    options = OPTIONS | {"algo": algo, "timesteps": ROLLOUTS * OPTIONS["num_envs"] * steps * 11}
    options |= {"checkpoint_seconds": 1e-6}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "killed"), where, str(call), repr(options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with (tmp_path / "killed" / "progress.csv").open(newline="") as file:
        assert 0 < len(list(csv.DictReader(file))) < ROLLOUTS
    config = load_config(None, options)
    whole = train(config, tmp_path / "whole")
    resumed = train(config, tmp_path / "killed", resume=True)
    assert (resumed / "policy.safetensors").read_bytes() == (whole / "policy.safetensors").read_bytes()
