"""Calibration: what is stored, what is refused, where targets come from."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spiral_env import calibration, files
from spiral_env.calibration import Fact, Solution, facts, solve, store
from spiral_env.commands.calibrate import calibrate
from spiral_env.core.params import pack
from spiral_env.scenarios import load_scenario
from spiral_env.scenarios.own import read_own
from spiral_env.scenarios.schema import starting_law

LAW = starting_law()[:5]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the scenarios that calibration writes to."""
    copy = tmp_path / "scenarios"
    shutil.copytree(calibration.FOLDER, copy)
    monkeypatch.setattr(calibration, "FOLDER", copy)
    return copy


def _named(measured: list[Fact], name: str) -> Fact:
    return next(fact for fact in measured if fact.name.startswith(name))


def test_storing_replaces_the_solved_values_alone(folder: Path) -> None:
    baseline = folder / "baseline-v1.toml"
    before = baseline.read_text()
    baseline.write_text(before.replace("start_value", "# as measured\nspill = 0.21\nstart_value") + "\n[ranges]\n")
    store(Solution({"aim": 0.25, "kappa": 0.5}, LAW))
    said = tomllib.loads(baseline.read_text())
    wanted = tomllib.loads(before)
    assert said["params"] == {**wanted["params"], "aim": 0.25, "kappa": 0.5, "spill": 0.21}
    assert "# as measured" in baseline.read_text()
    assert said.keys() == {*wanted, "ranges"}
    np.testing.assert_allclose(np.loadtxt(folder / "starting_backlog.csv", delimiter=",", skiprows=1), LAW, rtol=1e-4)
    assert list(folder.glob("*.tmp")) == []


@pytest.mark.parametrize("renames", range(4))
def test_a_write_cut_short_leaves_both_old_or_both_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    names = ("baseline-v1.toml", "starting_backlog.csv")

    def both() -> list[str]:
        return [read_own(name, folder) for name in names]

    old = both()
    rename, calls = files.os.replace, []

    def until(*paths: str) -> None:
        calls.append(paths)
        if len(calls) > renames:
            raise KeyboardInterrupt
        rename(*paths)

    monkeypatch.setattr(files.os, "replace", until)
    monkeypatch.setattr(Path, "unlink", lambda self: until())
    with pytest.raises(KeyboardInterrupt):
        store(Solution({"aim": 0.25}, LAW))
    monkeypatch.undo()
    found = both()
    assert (found == old) == (renames == 0)
    assert ("aim = 0.25\n" in found[0]) == (len(found[1].splitlines()) == len(LAW) + 1) == (renames > 0)
    monkeypatch.setattr(calibration, "FOLDER", folder)
    store(Solution({"aim": 0.25}, LAW))
    assert [(folder / name).read_text() for name in names] == both()
    assert "pending.json" not in {path.name for path in folder.iterdir()}


def test_the_stored_values_are_the_solved_ones() -> None:
    """What is rounded for the files is what the facts are measured with."""
    solution = solve("small-v1", episodes=4)
    assert all(float(f"{x:.4g}") == x for x in solution.params.values())
    assert all(float(f"{x:.5g}") == x for x in solution.law.flat)


def test_writing_is_refused_for_another_scenario_before_any_work(folder: Path) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(ValueError, match="write must be left out unless scenario is baseline-v1"):
        calibrate("large-v1", 2048, True, True)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


@pytest.mark.parametrize("aim", [0.0, 1.0])
def test_only_a_solution_that_shows_all_facts_is_stored(
    aim: float, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The facts are those of the solved values: under a wrong aim they fail, though the stored one is right."""
    before = (folder / "baseline-v1.toml").read_text()
    monkeypatch.setattr(calibration, "solve", lambda *_, **__: Solution({"aim": aim}, starting_law()))
    with pytest.raises(ValueError, match=r"facts must lie in their targets to be stored.*platform events a year"):
        calibrate("baseline-v1", 8, True, True)
    assert "platform events a year" in capsys.readouterr().out
    assert (folder / "baseline-v1.toml").read_text() == before


def test_facts_are_measured_with_the_solution() -> None:
    quiet = facts("small-v1", episodes=16, solution=Solution({"aim": 0.0, "spill": 0.0}, starting_law()))
    assert _named(quiet, "platform-borne").measured.mean == 0.0
    assert _named(facts("small-v1", episodes=16), "platform events").measured.mean > 0.0


def test_the_market_is_held_against_what_was_published_not_against_its_parameters() -> None:
    base = load_scenario("small-v1")
    moved = base.model_copy(update={"params": {**base.params, "market_mean": (0.03, -0.02)}})
    for regime in ("calm", "stress"):
        kept, off = (_named(facts(x, episodes=64), f"market mean, {regime}") for x in (base, moved))
        assert (kept.low, kept.high) == (off.low, off.high)
        assert not off.ok


def test_a_fact_is_no_interval_around_itself() -> None:
    few, many = (_named(facts("small-v1", episodes=n), "drawn") for n in (8, 32))
    assert (few.low, few.high) == (many.low, many.high) == (0.9, 1.1)


@pytest.mark.parametrize("exponent", [0.3, 1.0])
def test_the_appetite_is_solved_at_the_size_of_the_world(exponent: float) -> None:
    scenario = load_scenario("sme-boom-v1")
    world = replace(scenario.world(), values={**scenario.params, "size_exponent": exponent})
    appetite, value = calibration._start(world, calibration._Games(32, 7))
    size = float(pack(world.values, world.num_smes)[0]["size"])
    months: list[float] = []

    def watch(engine: calibration.Engine) -> None:
        s = engine.states
        months.append(float((s["cycle_loss"] + s["expected_privacy_fine"] + s["sme_expected_fine"].sum(1)).mean()))

    calibration._Games(32, 7).play(world, 6, watch)
    assert np.mean(months) / (appetite * size) == pytest.approx(0.9)
    assert value > 0.0


def test_solving_tells_how_far_it_is_and_ends_at_all() -> None:
    told: list[int] = []
    calibration.solve("small-v1", 2, progress=told.append)
    assert sum(told) == calibration.SOLVED_MONTHS
    assert len(told) > calibration.BURN_IN


def test_a_world_without_attacks_cannot_be_solved() -> None:
    with pytest.raises(ValueError, match="scenario must have attacks"):
        calibration.solve("zero-threat-v1", 2)


@pytest.mark.parametrize(
    "params", [{"arrival_rate": 0.0, "backlog_open": 0.0}, {"market_stay": (1.0, 1.0), "market_start_calm": 1.0}]
)
def test_what_a_scenario_leaves_unseen_is_no_fact(params: dict) -> None:
    scenario = load_scenario("small-v1")
    measured = facts(scenario.model_copy(update={"params": {**scenario.params, **params}}), 2)
    unseen = [fact for fact in measured if np.isnan(fact.measured.mean)]
    assert unseen
    assert not any(fact.ok for fact in unseen)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"arrival_rate": 0.0}, "scenario must have vulnerabilities for its backlog to be solved"),
        ({"start_risk": 0.0}, "start_risk must be above 0 for the appetite to be solved"),
        ({"attacks": 0.0}, "scenario must have attacks for its aim to be solved"),
    ],
)
def test_a_scenario_that_leaves_nothing_to_solve_for_is_named(params: dict, message: str) -> None:
    scenario = load_scenario("small-v1")
    with pytest.raises(ValueError, match=message):
        solve(scenario.model_copy(update={"params": {**scenario.params, **params}}), 2)
