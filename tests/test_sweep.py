"""Sweeps: ranges, one study for many processes, going on after a kill, the best config as a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spiral_env.training import TrainConfig, load_config
from spiral_env.training.runs.ranges import Span, load_ranges, parse_range, start_point
from spiral_env.training.runs.run import stored_config
from spiral_env.training.runs.sweep import SweepConfig, run_trial, summary, sweep

ROOT = Path(__file__).resolve().parent.parent
BASE = TrainConfig(algo="es", num_envs=4, hidden=8, layers=0, timesteps=4 * 60 * 11 * 6, env_threads=1)
RANGES: dict[str, Any] = {"learning_rate": Span(1e-3, 1e-1, log=True), "es_sigma": [0.05, 0.1]}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("gamma=0.9:0.99", ("gamma", Span(0.9, 0.99))),
        ("learning_rate=1e-4:1e-2:log", ("learning_rate", Span(1e-4, 1e-2, log=True))),
        ("hidden=32,64", ("hidden", [32, 64])),
        ("reward_mode=mixed,selfish", ("reward_mode", ["mixed", "selfish"])),
        ("anneal=true,false", ("anneal", [True, False])),
    ],
)
def test_a_range_is_read_from_a_word(text: str, want: Any) -> None:
    assert parse_range(text) == want


@pytest.mark.parametrize("text", ["gamma", "gamma=0.9", "gamma=0.9:0.99:lin", "gamma=a:b", "gamma=0.9:0.99:log:log"])
def test_a_word_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--set-range must be name=low:high"):
        parse_range(text)


def test_ranges_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ranges.toml"
    file.write_text("hidden = [32, 64]\nlearning_rate = { low = 1e-4, high = 1e-2, log = true }\n")
    assert load_ranges(file) == {"hidden": [32, 64], "learning_rate": Span(1e-4, 1e-2, log=True)}
    for text in ("hidden = 3", "hidden = []", "hidden = { low = 1 }", "hidden = {"):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"ranges .* cannot be read"):
            load_ranges(file)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({}, "at least one"),
        ({"learning_rat": Span(0.1, 0.2)}, "did you mean 'learning_rate'"),
        ({"seed": [1, 2]}, "cannot name 'seed'"),
        ({"gamma": Span(0.9, 1.5)}, "gamma must be in"),
        ({"gamma": Span(0.9, 0.8)}, "low < high"),
        ({"ent_coef": Span(0.0, 0.1, log=True)}, "low > 0"),
        ({"hidden": Span(8.5, 16)}, "hidden must be of type int"),
        ({"algo": ["ippo", "es"]}, "ranges cannot name 'algo'"),
        ({"reward_mode": ["mixed", "kind"]}, "reward_mode must be one of"),
        ({"reward_mode": Span(1, 2)}, "list of choices"),
    ],
)
def test_ranges_that_cannot_be_searched_are_refused(ranges: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        SweepConfig(BASE, ranges)


def test_the_first_trial_is_the_base_where_it_lies_in_range() -> None:
    assert start_point(BASE, {"gamma": Span(0.9, 0.999), "hidden": [32, 64]}) == {"gamma": BASE.gamma}


def test_a_sweep_stores_every_run_and_a_best_config_that_trains(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=3, episodes=4, prune=False), quiet=True)
    table = summary(folder)
    assert [row["state"] for row in table["trials"]] == ["complete"] * 3
    values = [row["ecosystem_value"] for row in table["trials"]]
    assert values == sorted(values, reverse=True)
    for row in table["trials"]:
        run = stored_config(Path(row["run"]))
        assert (run.learning_rate, run.es_sigma) == (row["learning_rate"], row["es_sigma"])
        assert run_trial(run, Path(row["run"]), 4) == row["ecosystem_value"]
    best = load_config(folder / "best.toml")
    assert best.learning_rate == table["trials"][0]["learning_rate"]
    assert {row["trial"]: row for row in table["trials"]}[0]["learning_rate"] == BASE.learning_rate


def test_a_sweep_goes_on_and_proposes_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    whole = sweep(tmp_path / "whole", SweepConfig(BASE, RANGES, trials=3, episodes=2), quiet=True)
    part = sweep(tmp_path / "part", SweepConfig(BASE, RANGES, trials=1, episodes=2), quiet=True)
    sweep(part, None, trials=3, quiet=True)
    drop = ("run",)
    tables = [[{k: v for k, v in r.items() if k not in drop} for r in summary(x)["trials"]] for x in (whole, part)]
    assert tables[0] == tables[1]
    with pytest.raises(ValueError, match="already holds a sweep"):
        sweep(part, SweepConfig(BASE, RANGES), quiet=True)
    with pytest.raises(ValueError, match="holds no sweep to resume"):
        sweep(tmp_path / "nothing", None, quiet=True)


def test_a_trial_that_falls_behind_is_ended_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.algorithms.es import EsTrainer

    iterate = EsTrainer.iterate

    def worse(self: EsTrainer) -> dict[str, float]:
        return iterate(self) | {"outcome/ecosystem_value": -self.config.learning_rate}

    monkeypatch.setattr(EsTrainer, "iterate", worse)
    ranges: dict[str, Any] = {"learning_rate": [0.001, 0.002, 0.003, 0.004]}
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, ranges, trials=12, episodes=1), quiet=True)
    rows = summary(folder)["trials"]
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    for row in pruned:
        assert row["ecosystem_value"] is None
        assert 2 <= row["last_rung"] < 10
        assert (Path(row["run"]) / "policy.safetensors").exists()


def test_a_run_whose_loss_is_no_number_is_a_failed_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.algorithms.es import EsTrainer

    monkeypatch.setattr(EsTrainer, "iterate", lambda self: {"policy_loss/it": float("nan")})
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=2, episodes=1), quiet=True)
    table = summary(folder)
    assert [row["state"] for row in table["trials"]] == ["fail", "fail"]
    assert table["best"] is None


def _command(out: Path, *arguments: str) -> list[str]:
    base = [f"--set={k}={v}" for k, v in (("algo", "es"), ("num_envs", 4), ("hidden", 8), ("layers", 0))]
    base += [f"--set=timesteps={4 * 60 * 11 * 20}", "--set=checkpoint_seconds=0.001", "--set-range=es_sigma=0.05:0.2"]
    ours = [] if "--resume" in arguments else base
    return [sys.executable, "-m", "spiral_env", "sweep", "--out", str(out), "--json", *ours, *arguments]


def test_workers_share_a_study_and_each_trial_is_played_once(tmp_path: Path) -> None:
    command = _command(tmp_path / "sweep", "--workers", "2", "--trials", "4", "--episodes", "2", "--no-prune")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["trials"]
    assert sorted(row["trial"] for row in rows) == [0, 1, 2, 3]
    assert {row["state"] for row in rows} == {"complete"}
    assert len({row["es_sigma"] for row in rows}) == 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_sweep_that_is_ended_goes_on_with_its_runs(number: signal.Signals, code: int, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    process = subprocess.Popen(
        _command(out, "--trials", "2", "--episodes", "2"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    run, end = out / "trials" / "000", time.monotonic() + 120.0
    while not (run / "policy.json").exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    if number == signal.SIGINT:
        assert errors.decode().strip().endswith(f"go on with: spiral sweep --out {out} --resume")
    assert [row["state"] for row in summary(out)["trials"]] == ["running"]
    done = subprocess.run(_command(out, "--resume"), cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["trials"]
    assert sorted(row["trial"] for row in rows) == [0, 1]
    assert {row["state"] for row in rows} == {"complete"}
    alone = run_trial(stored_config(run), tmp_path / "alone", 2)
    assert alone == next(row["ecosystem_value"] for row in rows if row["trial"] == 0)
