"""Sweeps: ranges, one study for many processes, going on after a kill, the best config as a file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from spiral_env.files import locked
from spiral_env.training import TrainConfig, load_config, train
from spiral_env.training.runs.ranges import Span, load_ranges, parse_range, start_point
from spiral_env.training.runs.run import stored_config
from spiral_env.training.runs.sweep import SweepConfig, run_trial, standing, summary, sweep
from tests.bad_inputs.sweep_files import BAD_RANGES, BAD_SWEEPS
from tests.command_line import refused, spiral

ROOT = Path(__file__).resolve().parent.parent
BASE = TrainConfig(
    scenario="small-v1", algo="es", num_envs=4, hidden=8, layers=0, timesteps=4 * 60 * 11 * 6, env_threads=1
)
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
        with pytest.raises(ValueError, match=r"ranges .*ranges.toml (cannot be used|is no usable TOML): "):
            load_ranges(file)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({}, "at least one"),
        ({"learning_rat": Span(0.1, 0.2)}, "did you mean 'learning_rate'"),
        ({"seed": [1, 2]}, "cannot name 'seed'"),
        ({"gamma": Span(0.9, 1.5)}, "gamma must be a number > 0 and <= 1, got 1.5"),
        ({"gamma": Span(0.9, 0.8)}, "low < high"),
        ({"ent_coef": Span(0.0, 0.1, log=True)}, "low > 0"),
        ({"hidden": Span(8.5, 16)}, "hidden must be an integer"),
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
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=3, episodes=4, prune=False))
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
    whole = sweep(tmp_path / "whole", SweepConfig(BASE, RANGES, trials=3, episodes=2))
    part = sweep(tmp_path / "part", SweepConfig(BASE, RANGES, trials=1, episodes=2))
    sweep(part, None, trials=3)
    drop = ("run",)
    tables = [[{k: v for k, v in r.items() if k not in drop} for r in summary(x)["trials"]] for x in (whole, part)]
    assert tables[0] == tables[1]
    with pytest.raises(ValueError, match="already holds a sweep"):
        sweep(part, SweepConfig(BASE, RANGES))
    with pytest.raises(ValueError, match="holds no sweep to resume"):
        sweep(tmp_path / "nothing", None)


def test_a_trial_that_falls_behind_is_ended_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.algorithms.es import EsTrainer

    iterate = EsTrainer.iterate

    def worse(self: EsTrainer) -> dict[str, float]:
        return iterate(self) | {"outcome/ecosystem_value": -self.config.learning_rate}

    monkeypatch.setattr(EsTrainer, "iterate", worse)
    ranges: dict[str, Any] = {"learning_rate": [0.001, 0.002, 0.003, 0.004]}
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, ranges, trials=12, episodes=1))
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
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=2, episodes=1))
    table = summary(folder)
    assert [row["state"] for row in table["trials"]] == ["fail", "fail"]
    assert table["best"] is None
    assert all("policy_loss/it became nan" in row["reason"] for row in table["trials"])


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    "failure",
    [MemoryError(), OutOfMemoryError("CUDA out of memory\n  tried to"), ZeroDivisionError("by 0"), KeyError("x")],
)
def test_a_trial_that_fails_is_a_failed_trial_and_the_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    from spiral_env.training.runs import sweep as module

    played: list[Path] = []

    def play(config: TrainConfig, run: Path, *_: Any) -> float:
        played.append(run)
        if len(played) == 1:
            raise failure
        return float(len(played))

    monkeypatch.setattr(module, "run_trial", play)
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=3, episodes=1))
    rows = {row["trial"]: row for row in summary(folder)["trials"]}
    assert [rows[k]["state"] for k in range(3)] == ["fail", "complete", "complete"]
    assert rows[0]["reason"].splitlines() == [rows[0]["reason"]]
    assert (str(failure).split("\n")[0] or "MemoryError") in rows[0]["reason"]
    assert len(played) == len(set(played)) == 3


def test_what_the_machine_cannot_do_ends_the_sweep_and_the_trial_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spiral_env.training.runs import sweep as module

    def full(*_: Any) -> float:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "run_trial", full)
        with pytest.raises(OSError, match="No space left"):
            sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=1, episodes=1))
    monkeypatch.setattr(module, "run_trial", lambda *_: 1.0)
    sweep(tmp_path / "sweep", None)
    assert [row["state"] for row in summary(tmp_path / "sweep")["trials"]] == ["complete"]


def test_values_that_do_not_go_together_fail_their_trial_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.runs import sweep as module

    monkeypatch.setattr(module, "run_trial", lambda config, *_: float(config.num_envs))
    ranges: dict[str, Any] = {"num_envs": Span(4, 10)}
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, ranges, trials=12, episodes=1))
    rows = summary(folder)["trials"]
    assert {row["state"] for row in rows} == {"complete", "fail"}
    for row in rows:
        assert (row["state"] == "fail") == bool(row["num_envs"] % 2)
        assert row["reason"] is None or row["reason"].startswith("num_envs must be even with algo es, got ")


def test_a_trial_whose_process_is_killed_at_one_place_again_and_again_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spiral_env.training.runs import sweep as module

    counts: list[int] = []

    def stop(*_: Any) -> float:
        (trial,) = module._study(folder, config).trials
        counts.append(trial.user_attrs["started"][1])
        raise KeyboardInterrupt

    folder, config = tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=1, episodes=1)
    monkeypatch.setattr(module, "run_trial", stop)
    for given in (config, None):
        with pytest.raises(KeyboardInterrupt):
            sweep(folder, given)
    # Ctrl-C does not count; what only the system's kill leaves behind does.
    assert counts == [1, 1]
    study = module._study(folder, config)
    optuna.trial.Trial(study, study.trials[0]._trial_id).set_user_attr("started", (0.0, module._STARTS))
    sweep(folder, None)
    (row,) = summary(folder)["trials"]
    assert (row["state"], row["reason"]) == ("fail", "its process was killed 5 times at the same place")


def test_trials_that_all_score_the_same_have_no_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.runs import sweep as module

    monkeypatch.setattr(module, "run_trial", lambda *_: 362.5225)
    folder = sweep(tmp_path / "sweep", SweepConfig(BASE, RANGES, trials=3, episodes=1))
    table = summary(folder)
    assert table["best"] is None
    assert table["note"] == "all 3 finished trials score 362.522: what was searched made no difference"
    assert not (folder / "best.toml").exists()


@pytest.mark.parametrize(
    "name",
    ["sw what?", "a %20 #b", "umlaut \u00fc", "semi;colon&x=y", "[eu] test", "rocket \U0001f680", os.fsdecode(b"\xff")],
    ids=ascii,
)
def test_a_study_lies_in_its_folder_whatever_that_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from spiral_env.training.runs import sweep as module

    monkeypatch.setattr(module, "run_trial", lambda *_: 1.0)
    base = replace(BASE, scenario=_small_world(tmp_path))
    folder = sweep(tmp_path / name, SweepConfig(base, RANGES, trials=1, episodes=1))
    assert (folder / "study.db").stat().st_size > 0
    assert {path.name for path in tmp_path.iterdir()} == {name, "small.toml"}
    assert len(summary(folder)["trials"]) == 1
    assert load_config(folder / "best.toml").world == base.world


def _small_world(folder: Path) -> str:
    text = 'extends = "small-v1"\nid = "small-v0"\ntitle = "x"\ndescription = "x"\nmax_cycles = 3\n'
    (folder / "small.toml").write_text(text + "train_seeds = [1000, 2000]\nheld_out_seeds = [0, 50]\n")
    return str(folder / "small.toml")


def test_a_world_with_few_held_out_seeds_can_be_searched(tmp_path: Path) -> None:
    base = replace(BASE, scenario=_small_world(tmp_path), timesteps=4 * 3 * 11)
    folder = sweep(tmp_path / "sweep", SweepConfig(base, RANGES, trials=1, episodes=50))
    assert [row["state"] for row in summary(folder)["trials"]] == ["complete"]
    with pytest.raises(ValueError, match="episodes must be at most the 50 held-out seeds of small-v0, got 51"):
        SweepConfig(base, RANGES, episodes=51)


def test_a_sweep_keeps_its_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.runs import sweep as module

    worlds: list[int] = []
    monkeypatch.setattr(module, "run_trial", lambda config, *_: float(worlds.append(config.world.max_cycles) or 1.0))
    base = replace(BASE, scenario=_small_world(tmp_path))
    folder = sweep(tmp_path / "sweep", SweepConfig(base, RANGES, trials=1, episodes=1))
    assert load_config(folder / "best.toml").world.hash == base.world.hash
    file = tmp_path / "small.toml"
    file.write_text(file.read_text().replace("max_cycles = 3", "max_cycles = 9"))
    monkeypatch.chdir("/")
    sweep(folder, None, trials=2)
    assert worlds == [3, 3]
    stored = folder / "scenario.toml"
    stored.write_text(stored.read_text().replace("max_cycles = 3", "max_cycles = 9"))
    with pytest.raises(
        ValueError, match=r"holds no sweep to resume: scenario.toml must be as the sweep began, of hash"
    ):
        sweep(folder, None)


def _locked_study(path: Path) -> None:
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    _locked_study.held = held  # type: ignore[attr-defined]


def _foreign_study(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (x)")


BAD_STUDIES: dict[str, tuple[Any, str]] = {
    "empty": (lambda path: path.write_bytes(b""), "no such table"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:30_000]), "malformed"),
    "header": (lambda path: path.write_bytes(path.read_bytes()[:50]), "malformed|not a database"),
    "noise": (lambda path: path.write_bytes(b"x" * 5000), "file is not a database"),
    "foreign": (_foreign_study, "no such table: studies"),
    "locked": (_locked_study, "database is locked"),
    "gone": (lambda path: path.unlink(), "No such file or directory"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "must be a regular file"),
    "pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "must be a regular file"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder without runs."""
    from spiral_env.training.runs import sweep as module

    folder = tmp_path_factory.mktemp("whole") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_trial", lambda *_: 1.0)
        return sweep(folder, SweepConfig(BASE, RANGES, trials=2, episodes=1))


@pytest.mark.parametrize("kind", BAD_STUDIES)
def test_a_study_that_cannot_be_used_is_one_line(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from spiral_env.training.runs import study

    monkeypatch.setattr(study, "_PATIENCE", 0.1)
    folder = tmp_path / "sweep"
    shutil.copytree(whole, folder)
    harm, reason = BAD_STUDIES[kind]
    harm(folder / "study.db")
    for use in (lambda: sweep(folder, None), lambda: summary(folder)):
        with pytest.raises(ValueError, match=rf"study .*study.db cannot be used: .*({reason})") as caught:
            use()
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("option", ["--set", "--set-range"])
def test_what_is_said_twice_is_refused(tmp_path: Path, option: str) -> None:
    from spiral_env.commands.sweep import sweep as command

    words = {"--set": ("set_", "gamma=0.9"), "--set-range": ("set_range", "gamma=0.9:0.99")}
    name, text = words[option]
    with pytest.raises(ValueError, match=f"{option} gamma must be given once, got it twice"):
        command(tmp_path / "sweep", **{name: [text, text]})


def test_a_sweep_without_a_folder_takes_one_and_names_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "--trials": ["1"],
        "--episodes": ["2"],
        "--set": ["algo=es", "timesteps=1", "num_envs=4"],
        "--set-range": ["es_sigma=0.1,0.3"],
    }
    done = spiral("sweep", *(word for option, texts in values.items() for text in texts for word in (option, text)))
    best = Path("results/sweeps/baseline-v1-es-0/best.toml")
    assert done.code == 0, done.err
    assert done.out.endswith(f"next: spiral train --config {best}\n")
    assert best.exists()
    assert "--resume needs the sweep's folder" in refused("sweep", "--resume")
    assert "--out must name a folder, got ''" in refused("sweep", "--out", "", "--set-range", "gamma=0.9:0.99")


def test_a_sweep_says_how_far_it_is(whole: Path) -> None:
    assert standing(whole) == (2.0, 2, "trial 1 complete ecosystem_value 1.0")


def test_a_sweep_takes_no_folder_of_a_run_and_a_run_none_of_a_sweep(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="already holds a sweep"):
        train(BASE, whole)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a run"):
        sweep(tmp_path, SweepConfig(BASE, RANGES, trials=1))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_study_of_someone_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds a study.db but no sweep"):
        sweep(tmp_path, SweepConfig(BASE, RANGES))
    assert (tmp_path / "study.db").read_bytes() == b""


def test_a_sweep_that_someone_holds_says_who_rather_than_wait_for_ever(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spiral_env.training.runs import sweep as module

    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    with locked(whole / "lock"), pytest.raises(ValueError, match=f"is in use by process {os.getpid()} on "):
        sweep(whole, None, trials=9)


@pytest.mark.parametrize("name", BAD_SWEEPS)
def test_a_stored_sweep_that_cannot_be_used_is_one_line(whole: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "sweep"
    shutil.copytree(whole, folder)
    BAD_SWEEPS[name](folder / "sweep.json")
    with pytest.raises(ValueError, match="holds no sweep to resume: ") as caught:
        sweep(folder, None)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", BAD_RANGES)
def test_ranges_that_cannot_be_used_are_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "ranges.toml"
    BAD_RANGES[name](file)
    with pytest.raises((TypeError, ValueError)) as caught:
        SweepConfig(BASE, load_ranges(file))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def _command(out: Path, *arguments: str) -> list[str]:
    base = [
        f"--set={k}={v}"
        for k, v in (("scenario", "small-v1"), ("algo", "es"), ("num_envs", 4), ("hidden", 8), ("layers", 0))
    ]
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


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = path.read_text().rsplit(")", 1)[1].split()
            if int(words[1]) == pid and words[0] != "Z":
                found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_with_their_killed_parent_and_the_sweep_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = _command(out, "--workers", "2", "--trials", "2", "--episodes", "2", "--set", "max_seconds=100")
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120.0
    while not list(out.glob("trials/*/policy.json")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    workers = _children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    end = time.monotonic() + 10.0
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    sweep(out, None)
    assert {row["state"] for row in summary(out)["trials"]} == {"complete"}
