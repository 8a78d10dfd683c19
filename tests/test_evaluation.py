"""Evaluation: intervals with known answers, tables of 80 columns, one shape of JSON, teams by any name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from spiral_env.agents import load_policy
from spiral_env.commands import _progress, app
from spiral_env.commands._errors import exit_code
from spiral_env.commands.evaluate import team_specs
from spiral_env.evaluation import compare, mean_interval, notes, run_episodes
from spiral_env.evaluation.report import as_result, as_text, measure_interval
from spiral_env.evaluation.statistics import bounded_interval, paired_difference, wilson_interval
from spiral_env.metrics import METRICS, bounds
from spiral_env.policy import StatusQuo
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios import load_scenario
from spiral_env.text import one_line
from tests.test_checkpoint import _write

SHORT = ["--max-cycles", "4", "--episodes", "3"]


def _team(spec: str) -> dict[str, Any]:
    return {role: load_policy(spec, role) for role in ROLES}


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = exit_code(app, ["evaluate", *words])
    out, err = capsys.readouterr()
    return code, out, err


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = _told(capsys, *words, *SHORT, "--json")
    assert code == 0, err
    return json.loads(out)


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code, out, err = _told(capsys, *words)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    return line


def test_students_interval_is_that_of_the_books() -> None:
    x = np.array([1.0, 2.0, 4.0, 9.0])
    low, high = stats.t.interval(0.95, 3, loc=x.mean(), scale=stats.sem(x))
    assert mean_interval(x) == pytest.approx((4.0, low, high))
    assert paired_difference(x, x[::-1]) == pytest.approx(
        (0.0, *stats.t.interval(0.95, 3, scale=stats.sem(x - x[::-1])))
    )


def test_an_interval_ends_where_the_measure_does() -> None:
    x = np.array([0.9, 0.5, 0.67])
    assert mean_interval(x).high > 1.0
    mean, low, high = bounded_interval(x, 0.0, 1.0)
    assert (mean, low, high) == (mean_interval(x).mean, mean_interval(x).low, 1.0)
    assert bounded_interval(x, -9.0, 9.0) == mean_interval(x)
    assert bounded_interval(x[:1], 0.0, 1.0)[1:] == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("ones", "of", "low", "high"), [(0, 10, 0.0, 0.27753), (5, 10, 0.23659, 0.76341), (1, 100, 0.00177, 0.05449)]
)
def test_wilsons_interval_is_that_of_the_books(ones: int, of: int, low: float, high: float) -> None:
    x = np.arange(of) < ones
    assert wilson_interval(x) == pytest.approx((ones / of, low, high), abs=1e-5)
    with_library = stats.binomtest(ones, of).proportion_ci(0.95, "wilson")
    assert wilson_interval(x)[1:] == pytest.approx((with_library.low, with_library.high), abs=1e-6)
    assert wilson_interval(x[:1])[1:] == (-math.inf, math.inf)


@pytest.mark.parametrize("name", METRICS)
def test_no_interval_leaves_what_its_measure_can_be(name: str) -> None:
    low, high = bounds(name)
    rng = np.random.default_rng(0)
    start, end = max(low, -5.0), min(high, 5.0)
    for size in (2, 3, 30):
        values = start + (end - start) * (rng.random(size) < 0.5)
        found = measure_interval(name, values)
        assert low <= found.low <= found.mean <= found.high <= high


@pytest.mark.parametrize("world", ["zero-threat-v1", "procedural-v1", "log4shell-v1"])
def test_every_measure_lies_in_its_bounds(world: str) -> None:
    for spec in ("uniform", "constant:0", "constant:1"):
        for name, values in run_episodes(world, _team(spec), 8).metrics.items():
            low, high = bounds(name)
            assert ((values >= low) & (values <= high)).all(), name


def test_the_table_has_80_columns_and_says_everything() -> None:
    long = "constant:0.33333333333333333333333333333333"
    teams = {x: _team(x) for x in ("status_quo", "uniform", "scripted", long, *(f"constant:0.{k}" for k in range(8)))}
    for scenario, options in (("small-v1", {}), ("small-v1", {"num_smes": 200, "max_cycles": 2})):
        found = compare(scenario, teams, 2, **options)
        text = as_text(found, everything=True)
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        assert all(spec in text for spec in teams)
        assert all(name in text for name in METRICS)
        value = paired_difference(
            found.tables["uniform"].metrics["sme_participation"],
            found.tables["status_quo"].metrics["sme_participation"],
        )
        assert f"{value.mean:+.2f}" in text


def test_one_team_has_no_difference_and_one_episode_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _told(capsys, "--compare", "scripted", "--max-cycles", "3", "--episodes", "1")
    assert code == 0
    assert "difference" not in out
    assert not [line for line in out.splitlines()[3:] if "[" in line]


def test_json_and_the_file_are_one_and_hold_every_episode(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    data = _json(capsys, "--compare", "status_quo,uniform", "--seed", "5", "--out", str(out))
    assert json.loads(out.read_text()) == data
    assert (data["format"], data["version"], data["command"]) == ("spiral_env-evaluation", 2, "evaluate")
    assert data["seeds"] == [5, 6, 7]
    world = load_scenario("baseline-v1").model_copy(update={"max_cycles": 4})
    (tmp_path / "world.toml").write_text(data["scenario"]["toml"])
    assert load_scenario(str(tmp_path / "world.toml")) == world
    assert (data["scenario"]["id"], data["scenario"]["hash"]) == ("baseline-v1", world.hash)
    assert data["versions"]["numpy"] == np.__version__
    played = run_episodes("baseline-v1", _team("uniform"), 3, 5, max_cycles=4)
    usual = run_episodes("baseline-v1", _team("status_quo"), 3, 5, max_cycles=4)
    for name, x in data["teams"]["uniform"]["metrics"].items():
        assert x["episodes"] == played.metrics[name].tolist()
        gap = paired_difference(played.metrics[name], usual.metrics[name])
        assert x["difference"] == {"mean": gap.mean, "interval95": [gap.low, gap.high]}
    assert "difference" not in data["teams"]["status_quo"]["metrics"]["trust"]
    assert data["teams"]["uniform"]["policies"]["it"] == {"spec": "uniform", "hash": None}
    assert data["options"]["seed"] == 5
    # Episodes of a measure stand on one line.
    assert len(out.read_text().splitlines()) < 1500


def test_a_file_is_named_with_its_hash(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = _write(tmp_path / "run")
    policies = _json(capsys, "--it", str(run))["teams"]["mix"]["policies"]
    assert len(policies["it"]["hash"]) == 16
    assert policies["sme"] == {"spec": "status_quo", "hash": None}


def test_a_mix_stands_beside_the_average_firm(capsys: pytest.CaptureFixture[str]) -> None:
    data = _json(capsys, "--it", "scripted", "--sme", "uniform")
    assert list(data["teams"]) == ["status_quo", "mix"]
    specs = {role: x["spec"] for role, x in data["teams"]["mix"]["policies"].items()}
    assert specs == {"it": "scripted", "business": "status_quo", "finance": "status_quo", "sme": "uniform"}
    _, out, _ = _told(capsys, "--it", "scripted", "--sme", "uniform", *SHORT)
    assert "team 2, mix: it scripted, sme uniform; others the average firm" in out


def test_options_change_what_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    usual = _json(capsys, "--compare", "uniform")["teams"]["uniform"]["metrics"]
    for option, name in (
        (["--reward-mode", "cooperative"], "return_it"),
        (["--reward-basis", "realised"], "return_it"),
        (["--num-smes", "3"], "ecosystem_value"),
        (["--seed", "9"], "ecosystem_value"),
    ):
        changed = _json(capsys, "--compare", "uniform", *option)["teams"]["uniform"]["metrics"]
        assert changed[name]["episodes"] != usual[name]["episodes"], option
    assert "num_smes must be in" in _refused(capsys, "--num-smes", "9999")
    assert "reward_mode must be one of" in _refused(capsys, "--reward-mode", "greedy")
    assert "reward_basis must be one of" in _refused(capsys, "--reward-basis", "paid")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--compare", "scripted", "--it", "uniform"], "--it must be left out with --compare"),
        (["--compare", ","], "--compare must name at least one team, got ','"),
        (["--compare", ""], "--compare must name at least one team, got ''"),
        (["--compare", " , ,"], "--compare must name at least one team"),
        (["--compare", "uniform,uniform"], "--compare must name a team once, got 'uniform' twice"),
        (["--compare", "uniform", "--compare", "uniform"], "got 'uniform' twice"),
        (["--compare", "uniform,nobody"], "got 'nobody'"),
        (["--compare", "x" * 100_000], "policy must be"),
        (["--it", ""], "policy must be"),
        (["--it", "constant:1,2,3"], f"constant policy of it must be {NUM_LEVERS['it']} numbers in [0, 1]"),
        (["--it", "constant:nan,0,0,0,0"], f"constant policy of it must be {NUM_LEVERS['it']} numbers in [0, 1]"),
        (["--it", f"constant:{'9' * 100_000}"], f"constant policy of it must be {NUM_LEVERS['it']} numbers in [0, 1]"),
        (["--episodes", "4000000000"], "episodes must be in [1, 1000000], got 4000000000"),
        (["--episodes", "0"], "--episodes"),
        (["--seed", "4294967295"], "seed must be in"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = _refused(capsys, *words)
    assert named in line
    assert len(line) < 500


def test_teams_are_told_apart_whatever_their_names_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = ["my run", "a,b", "what?", "50%20", "#1", "[lr=3e-4] test", "it's", 'say "x"', "two, three", "c:d"]
    for name in odd:
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "own.py").write_text("")
    runs = [f"runs/{name}" for name in odd]
    assert [team_specs([run]) for run in runs] == [[run] for run in runs]
    assert team_specs(runs) == runs
    assert team_specs([",".join(runs)]) == runs
    assert team_specs([" ".join(["uniform", *runs])]) == ["uniform", *runs]
    constant = "constant:0.5,.5,0.5,0.5,1"
    for between in (" ", ",", ", ", " , "):
        assert team_specs([between.join(["uniform", constant, "own.py:Mine", "status_quo"])]) == [
            "uniform", constant, "own.py:Mine", "status_quo"
        ]  # fmt: skip
    assert team_specs(["'no such run', \"nor, this\""]) == ["no such run", "nor, this"]
    assert team_specs(["uniform,scripted", "runs/a,b"]) == ["uniform", "scripted", "runs/a,b"]
    with pytest.raises(ValueError, match=r"once, got 'runs/what\?/' twice"):
        team_specs(["runs/what?", "runs/what?/"])


def test_a_policy_that_has_not_moved_says_so(tmp_path: Path) -> None:
    from spiral_env.agents.checkpoint import write_policy
    from spiral_env.policy import STATUS_QUO
    from spiral_env.roles import FEATURES

    tensors: dict[str, np.ndarray] = {}
    for role in ROLES:
        width = len(FEATURES[role])
        levers = NUM_LEVERS[role]
        bias = np.zeros((levers, 3), dtype=np.float32)
        bias[np.arange(levers), np.rint(np.array(STATUS_QUO[role]) * 2).astype(int)] = 2.0
        part = {"mean": np.zeros(width), "std": np.ones(width), "head.weight": np.zeros((3 * levers, width))}
        tensors |= {f"{role}.{name}": x for name, x in {**part, "head.bias": bias.ravel()}.items()}
    write_policy(tmp_path / "run", tensors, {"networks": "per_role", "layers": 0})
    run = str(tmp_path / "run")
    teams = {"status_quo": _team("status_quo"), run: _team(run), "uniform": _team("uniform")}
    (first,) = notes(compare("small-v1", teams, 2, max_cycles=3))
    # Where the average firm's effort is no level, as IT's .1, training starts from the nearest.
    assert first == (
        f"team 2 ({one_line(run, 60)}) did in every episode what the average firm does, as near as its levels come: "
        "the greedy policy has not moved from its start"
    )
    twice = {"scripted": _team("scripted"), "uniform": _team("uniform"), "again": _team("scripted")}
    assert notes(compare("small-v1", twice, 2, max_cycles=3)) == ["teams 1 and 3 are the same in every episode"]
    half = {role: load_policy(run if role in ("business", "sme") else "uniform", role) for role in ROLES}
    (line,) = notes(compare("small-v1", {"half": half}, 2, max_cycles=3))
    assert line.startswith("team 1 (half): business and sme did in every episode what the average firm does")
    middle = {role: load_policy("constant:0.5", role) for role in ROLES}
    assert notes(compare("small-v1", {"middle": middle}, 2, max_cycles=3)) == []
    assert notes(compare("small-v1", {"status_quo": _team("status_quo"), "scripted": _team("scripted")}, 2)) == []


def test_one_decision_is_enough_to_have_moved() -> None:
    class Once(StatusQuo):
        month = 0

        def act(self, observation: np.ndarray) -> np.ndarray:
            efforts = super().act(observation)
            efforts[0, 0, 0] = 0.5 + 1e-3 * (self.month == 2)
            self.month += 1
            return efforts

    table = run_episodes("small-v1", _team("status_quo") | {"it": Once("it")}, 2, max_cycles=4)
    assert table.average_firm == {"it": False, "business": True, "finance": True, "sme": True}


def test_a_policy_of_another_world_says_so(tmp_path: Path) -> None:
    world = load_scenario("small-v1")
    for name, home in (("here", world.hash), ("there", "0" * 16)):
        folder = _write(tmp_path / name)
        header = json.loads((folder / "policy.json").read_text())
        (folder / "policy.json").write_text(json.dumps(header | {"scenario": f"{name}-v0", "scenario_hash": home}))
    teams = {name: _team(str(tmp_path / name)) for name in ("here", "there")}
    found = compare(world, {"here": teams["here"]}, 2)
    assert notes(found) == []
    found = compare(world, {"status_quo": _team("status_quo"), "there": teams["there"]}, 2, max_cycles=3)
    (line,) = notes(found)
    assert "there was trained in another world, there-v0 (0000000000000000), than small-v1" in line
    assert line in " ".join(as_text(found).split())
    assert as_result(found, "evaluate", {})["notes"] == [line]


def test_the_regret_to_a_known_answer_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--scenario",
        "zero-threat-v1",
        "--compare",
        "status_quo,constant:0",
        "--episodes",
        "3",
        "--max-cycles",
        "4",
    )
    code, out, _ = _told(capsys, *words)
    assert code == 0
    assert "known answer: nothing attacks, so nothing should be spent; k$ a month of it that moves edge, core" in out
    first, second = (line.split() for line in out.splitlines()[-2:])
    assert float(first[3]) > 0.0
    assert (second[0], second[1], second[3], second[-1]) == ("2", "0", "0", "1.000")
    data = _json(capsys, *words[:4])
    assert data["known_answer"]["constant:0"]["regret"] == 0.0
    assert "known_answer" not in _json(capsys, "--compare", "uniform")


def test_progress_is_told_while_teams_play(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "FIRST_LINE", 0.0)
    monkeypatch.setattr(_progress, "NEXT_LINE", 0.0)
    code, out, err = _told(capsys, "--compare", "status_quo,uniform", *SHORT, "--json")
    assert code == 0
    assert json.loads(out)["notes"] == []
    assert err.splitlines()[-1] == "evaluate: 100 %, 6 of 6 episodes"


def test_there_is_no_comparison_of_nothing() -> None:
    with pytest.raises(ValueError, match="teams must hold at least one team"):
        compare("small-v1", {}, 2)
