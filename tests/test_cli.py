"""The command line: results on stdout, progress on stderr, a mistake is one line and exit code 2."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from spiral_env import __version__
from spiral_env.commands import app
from spiral_env.core.params import PARAMETERS
from spiral_env.roles import LEVERS
from spiral_env.scenarios import load_scenario, scenario_ids
from spiral_env.scenarios.meanings import MEANINGS
from spiral_env.training import TrainConfig, load_config
from tests.benchmarks.bench import PARTS
from tests.command_line import Ended, refused, spiral

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--set", "num_envs=3", "--set", "num_steps=60", "--set", "hidden=8", "--set", "minibatches=4"]


def _without(absent: str, *arguments: str) -> Ended:
    """``spiral arguments`` in a process of its own, in which the module ``absent`` cannot be imported."""
    program = f"import sys\nsys.modules[{absent!r}] = None\nfrom spiral_env.commands import main\nmain()"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run with one network a role."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = spiral(
        "train", "--algo", "sb3-ppo", "--set", "policy=per_role", "--timesteps", "1", "--out", str(folder), *TINY
    )
    assert done.code == 0, done.err
    assert done.out.startswith(f"run stored in {folder}")
    return folder


def test_a_run_is_trained_evaluated_plotted_and_refused_twice(run: Path) -> None:
    assert "already holds a run" in refused("train", "--algo", "sb3-ppo", "--out", str(run), *TINY)
    done = spiral("evaluate", "--it", str(run), "--sme", "scripted", "--episodes", "2", "--json")
    team = json.loads(done.out)["teams"]["mix"]
    assert {role: x["spec"] for role, x in team["policies"].items()} == {
        "it": str(run), "business": "status_quo", "finance": "status_quo", "sme": "scripted"
    }  # fmt: skip
    drawn = json.loads(spiral("plot", str(run), "--json").out)["files"]
    assert [Path(x).name for x in drawn] == ["learning_curve.png", "lever_use.png"]
    assert all(Path(x).read_bytes().startswith(b"\x89PNG") for x in drawn)


def test_a_run_is_resumed_only_as_it_was(run: Path, tmp_path: Path) -> None:
    done = spiral("train", "--out", str(run), "--resume", "--json")
    assert json.loads(done.out)["run"] == str(run)
    assert "gamma must stay 0.99" in refused("train", "--out", str(run), "--resume", "--set", "gamma=0.5")
    assert "holds no run to resume" in refused("train", "--out", str(tmp_path / "none"), "--resume")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_rollout_is_written_month_by_month(suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"months{suffix}"
    rows = json.loads(spiral("rollout", "--out", str(out), "--seed", "3", "--json").out)
    assert [row["month"] for row in rows] == list(range(1, len(rows) + 1))
    if suffix == ".csv":
        with out.open(newline="") as file:
            stored = [float(row["ecosystem_value"]) for row in csv.DictReader(file)]
    else:
        import pyarrow.parquet as pq

        stored = pq.read_table(out)["ecosystem_value"].to_pylist()
    assert stored == [row["ecosystem_value"] for row in rows]
    assert list(tmp_path.iterdir()) == [out]


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spiral_env", "scenarios", "list", "--json"], cwd=ROOT, capture_output=True, check=True
    )
    assert "small-v1" in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("rollout", "--scenario", "baseline-v9"), "'baseline-v9'"),
        (("evaluate", "--compare", "nobody"), "'nobody'"),
        (("evaluate", "--it", "constant:2,0,0,0,0"), "constant policy of it"),
        (("rollout", "--out", "months.txt"), "out must end in .csv or .parquet"),
        (("train", "--out", "RUN", "--set", "gama=1"), "did you mean 'gamma'"),
        (("train", "--out", "RUN", "--set", "gamma=high"), "gamma must be a number"),
        (("train", "--out", "RUN", "--set", "num_envs=0"), "num_envs must be an integer from 1"),
        (("train", "--out", "RUN", "--set", "gamma"), "--set must be name=value"),
        (("train", "--out", "RUN", "--scenario", "nope"), "scenario must be"),
        (("train", "--out", "RUN", "--device", "tpu"), "device must be"),
        (("train", "--out", "RUN", "--config", "no.toml"), "config no.toml cannot be read"),
        (("plot", "RUN"), "run must be the folder of a trained run"),
        (("plot", "."), "run must be the folder of a trained run, got ."),
        (("info", "--role", "auditor"), "role must be one of"),
        (("sweep", "--out", "RUN", "--resume", "--episodes", "5"), "--episodes must be left out with --resume"),
        (("sweep", "--out", "RUN", "--set-range", "algo=ippo,es"), "ranges cannot name 'algo'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(arguments: tuple[str, ...], named: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert named in refused(*(str(run) if x == "RUN" else x for x in arguments))
    assert not run.exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[params]\nneed_capitol = 3.0", "need_capital"),
        ("[params]\nneed_capital = -3.0", "params.need_capital must be in"),
        ("colour = 3", "colour"),
        ("ranges = 3", "ranges must be a table, got 3"),
        ("params = 5", "params must be a table, got 5"),
        ('[ranges]\nspill = ["a", 1]', ".spill must be a number"),
        ("[ranges]\nattacks = [0, 1]", "ranges.attacks cannot be drawn"),
        ("[params]\nclass_share = [1, 1, 1, 1]", "params.class_share must add to 1 within 0.002, got 4"),
        ("train_seeds = [0, 10]", "must not overlap"),
    ],
)
def test_a_scenario_file_with_a_fault_is_one_line(text: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text(f'extends = "small-v1"\n{text}\n')
    assert named in refused("scenarios", "validate", str(file))


def test_one_episode_has_no_interval_and_json_no_infinity() -> None:
    told = json.loads(spiral("evaluate", "--compare", "uniform", "--episodes", "1", "--json").out)
    assert told["teams"]["uniform"]["metrics"]["trust"]["interval95"] == [None, None]


def test_a_role_is_explained() -> None:
    told = json.loads(spiral("info", "--role", "it", "--json").out)
    assert [x["name"] for x in told["levers"]] == [x.name for x in LEVERS["it"]]
    assert {"name", "unit", "low", "high"} <= told["observation"][0].keys()
    assert "levers of it" in spiral("info", "--role", "it").out


def test_hyperparameters_are_listed_with_all_that_is_said_of_them() -> None:
    told = json.loads(spiral("info", "--hyperparameters", "--json").out)
    assert list(told) == [x.name for x in fields(TrainConfig)]
    assert told["num_envs"]["default_of"] == {"es": 128}
    lines = spiral("info", "--hyperparameters").out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(told)
    assert all(x["meaning"] in line and x["allowed"] in line for x, line in zip(told.values(), lines[2:], strict=True))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--role", "it", "--state"), "--state must be left out with --role"),
        (("--state", "--hyperparameters"), "--hyperparameters must be left out with --state"),
        (("--scenario", "large-v1"), "--scenario must be left out without --state"),
    ],
)
def test_one_thing_is_told_at_a_time(arguments: tuple[str, ...], named: str) -> None:
    assert named in refused("info", *arguments)


def test_every_parameter_can_be_found_by_name_in_a_pipe() -> None:
    lines = spiral("scenarios", "show", "log4shell-v1").out.splitlines()
    found = {line.split()[0]: line for line in lines[2 : lines.index("")]}
    assert list(found) == [q.name for q in PARAMETERS]
    own = {name for name, line in found.items() if " scenario " in line}
    assert own >= {"shock_month"}
    assert " default " in found["season"]
    assert all(MEANINGS[name] in line for name, line in found.items())


def test_on_a_terminal_each_value_stands_beside_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spiral_env.commands._output._width", lambda: 80)
    lines = spiral("scenarios", "show", "log4shell-v1").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["name", "value"]
    assert [line.split()[0] for line in lines[2 : 2 + len(PARAMETERS)]] == [q.name for q in PARAMETERS]


def test_every_parameter_has_a_meaning_of_its_own() -> None:
    assert MEANINGS.keys() ^ {q.name for q in PARAMETERS} == set(), "spiral_env/scenarios/meanings.py"
    assert all(text and text[-1] != "." for text in MEANINGS.values())


def test_scenarios_are_listed_with_what_they_are_about() -> None:
    lines = spiral("scenarios", "list").out.splitlines()
    for name in scenario_ids():
        (line,) = (x for x in lines if x.startswith(f"{name} "))
        assert line.endswith(" ".join(load_scenario(name).description.split()))


def test_bench_names_its_parts_and_is_a_checkouts_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = " ".join(spiral("bench", "--help").out.split())
    *most, last = PARTS
    assert f"{', '.join(most)} or {last}" in told
    monkeypatch.setattr(sys.modules["spiral_env.commands.bench"], "_CHECKOUT", tmp_path)
    assert "bench needs a checkout of the project" in refused("bench")


def _all_commands() -> list[tuple[str, Any]]:
    groups = {"": get_command(app)}
    found = []
    while groups:
        prefix, group = groups.popitem()
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                groups[f"{prefix}{name} "] = command
            else:
                found.append((prefix + name, command))
    return found


@pytest.mark.parametrize(("name", "command"), _all_commands(), ids=[name for name, _ in _all_commands()])
def test_help_shows_every_word_that_is_declared(name: str, command: Any) -> None:
    """Nothing vanishes as markup, nothing is clipped; every option says what it is for."""
    shown = "".join(spiral(*name.split(), "--help").out.split())
    assert "".join(command.help.split()) in shown
    for option in command.params:
        if option.name != "help":
            assert option.help, f"{name} {option.name} has no help"
            assert "".join(option.help.split()) in shown


def test_defaults_in_the_help_of_train_are_those_in_force() -> None:
    plain, evolution = load_config(None, {}), load_config(None, {"algo": "es"})
    shown = " ".join(spiral("train", "--help").out.split())
    for name in ("scenario", "algo", "seed", "max_seconds", "device", "policy", "reward_mode"):
        value = getattr(plain, name)
        assert f"({value:g})." in shown if isinstance(value, float) else f"({value})." in shown
    assert f"({plain.timesteps // 10**6} million; es: {evolution.timesteps // 10**6})." in shown


@pytest.mark.parametrize("arguments", ["", "scenarios"])
def test_a_group_alone_shows_its_help(arguments: str) -> None:
    ended = spiral(*arguments.split())
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == spiral(*arguments.split(), "--help").out
    assert "..." not in ended.out.replace("[ARGS]...", "").replace("--it ... --sme ...", "")


def test_the_version_is_told() -> None:
    assert spiral("--version") == (0, f"spiral_env {__version__}\n", "")


@pytest.mark.parametrize("title", ["[/eu] town", "[red]town[/red]", "[lr=3e-4] test"])
def test_names_are_shown_as_they_are_written(title: str, tmp_path: Path) -> None:
    world = tmp_path / f"{title.replace('/', '')}.toml"
    world.write_text(f'extends = "small-v1"\ntitle = "{title}"\nid = "town-v0"\n')
    assert spiral("scenarios", "show", str(world)).out.splitlines()[0] == f"town-v0: {title}"


def test_a_traceback_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRAL_ENV_TRACEBACK", "1")
    with pytest.raises(ValueError, match="role must be one of"):
        spiral("info", "--role", "auditor")


def test_a_fault_of_ours_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spiral_env.commands.info._role_info", lambda *_: [][0])
    with pytest.raises(IndexError):
        spiral("info", "--role", "it")


def test_a_broken_checkpoint_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_bytes(b"\x80\x04\x95")
    assert f"checkpoint {tmp_path / 'policy.json'} is no usable JSON" in refused("evaluate", "--sme", str(tmp_path))


@pytest.mark.parametrize(
    ("absent", "arguments"),
    [
        ("torch", ("train", "--out", "RUN")),
        ("stable_baselines3", ("train", "--out", "RUN", "--algo", "sb3-ppo")),
        ("pyarrow", ("rollout", "--out", "RUN.parquet")),
    ],
)
def test_a_missing_extra_is_named(absent: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    ended = _without(absent, *(x.replace("RUN", run) for x in arguments))
    line = ended.err.splitlines()[-1]
    assert ended.code == 2
    assert line.startswith("error: ")
    assert absent in line
    assert "pip install 'spiral-env[train]'" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--out", "BELOW"),
        ("rollout", "--out", "BELOW.csv"),
        ("evaluate", "--episodes", "1", "--out", "BELOW.json"),
    ],
)
def test_an_output_below_a_file_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in refused(*(x.replace("BELOW", str(file / "x")) for x in arguments))
    assert file.read_text() == ""
