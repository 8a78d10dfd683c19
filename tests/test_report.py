"""Reports: what runs, sweeps and evaluations showed, as pages and pictures for a paper."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.evaluation.statistics import mean_interval
from spiral_env.render.replay import record
from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario
from spiral_env.training import TrainConfig, train
from spiral_env.training.reports import FORMATS, Written, gather, write_report
from spiral_env.training.reports.course import course_of
from spiral_env.training.reports.figures import as_bytes, loss_exceedance
from spiral_env.training.reports.material import Material, curve_of
from spiral_env.training.runs.folder import LOG_COLUMNS
from spiral_env.training.runs.ranges import Span
from spiral_env.training.runs.sweep import SweepConfig, sweep
from tests.command_line import refused, spiral

EPISODES = 4
TINY = TrainConfig(
    scenario="small-v1", algo="es", num_envs=4, hidden=4, layers=0, timesteps=4 * 60 * 11 * 3, env_threads=1
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two seeds of one training and a training with another learning rate."""
    folder = tmp_path_factory.mktemp("runs")
    train(TINY, folder / "plain-seed-0")
    train(replace(TINY, seed=1), folder / "plain-seed-1")
    train(replace(TINY, learning_rate=0.3), folder / "fast")
    return folder


@pytest.fixture(scope="module")
def seeds(runs: Path) -> Material:
    return gather([runs / "plain-seed-0", runs / "plain-seed-1"], EPISODES)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "teams.json"
    command = ("evaluate", "--scenario", "small-v1", "--compare", "status_quo,uniform", "--episodes", str(EPISODES))
    assert spiral(*command, "--out", str(path)).code == 0
    return path


@pytest.fixture(scope="module")
def written(seeds: Material, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_report(seeds, tmp_path_factory.mktemp("written"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not drawn, which takes the time."""
    monkeypatch.setattr("spiral_env.training.reports.figures.as_bytes", lambda figure, kind: kind.encode())


def _text(written: Written, name: str = "report.md") -> str:
    (path,) = (x for x in written.files if x.name == name)
    return path.read_text()


def _team(spec: str) -> dict[str, Any]:
    return {role: load_policy(spec, role) for role in ROLES}


def _rows(markdown: str, heading: str) -> dict[str, list[str]]:
    """First table below a heading, by the first cell."""
    lines = markdown.split(f"## {heading}")[1].splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("|"))
    table = [line for line in lines[first : first + 100] if line.startswith("|")]
    cells = [[x.strip() for x in line.strip("|").split("|")] for line in table]
    return {row[0]: row[1:] for row in cells}


def test_runs_that_differ_in_their_seed_alone_are_one(runs: Path, seeds: Material) -> None:
    assert list(seeds.groups)[3:] == ["plain"]
    both = [str(runs / f"plain-seed-{k}") for k in (0, 1)]
    assert seeds.groups["plain"] == both
    (curve,) = seeds.curves
    assert curve.measures["ecosystem_value"].shape[0] == 2
    together = gather([runs], EPISODES)
    assert list(together.groups)[3:] == ["fast", "plain"]


def test_intervals_of_several_seeds_are_over_the_means_of_the_runs(seeds: Material, written: Written) -> None:
    row = _rows(_text(written), "Outcomes")["ecosystem value, k$ a month"]
    world = load_scenario("small-v1")
    values = [run_episodes(world, _team(x), EPISODES).metrics["ecosystem_value"] for x in seeds.groups["plain"]]
    want = mean_interval(np.array([x.mean() for x in values]))
    mean, low, high = (float(x.replace(",", "")) for x in re.findall(r"-?[\d.,]+\d|\d", row[3]))
    assert (mean, low, high) == pytest.approx(want, rel=5e-3)


@pytest.mark.usefixtures("undrawn")
def test_that_no_seed_collapsed_does_not_make_it_certain(seeds: Material, tmp_path: Path) -> None:
    teams = {name: dict(team) for name, team in seeds.result["teams"].items()}
    for team in teams.values():
        team["metrics"] = {**team["metrics"], "collapse": {"episodes": [0.0] * EPISODES}}
    material = replace(seeds, result={**seeds.result, "teams": teams})
    cells = _rows(_text(write_report(material, tmp_path)), "Outcomes")["collapse, 0 or 1"]
    tops = [float(cell.rpartition(", ")[2].removesuffix(r"\]")) for cell in cells]
    assert min(tops) > 0.1
    assert tops[3] < tops[0], "two seeds are twice the episodes"


def test_a_curve_over_seeds_is_read_off_at_the_same_steps(tmp_path: Path) -> None:
    for name, end in (("a", 100), ("b", 46)):
        (tmp_path / name).mkdir()
        rows = [
            {
                "iteration": k + 1,
                "agent_steps": int(x),
                "seconds": 1,
                "ecosystem_value": 2 * int(x) + (name == "b"),
                "spiral_height": 0,
            }
            for k, x in enumerate(np.linspace(10, end, 7))
        ]
        lines = [",".join(LOG_COLUMNS), *(",".join(str(row.get(x, "")) for x in LOG_COLUMNS) for row in rows)]
        (tmp_path / name / "progress.csv").write_text("\n".join(lines) + "\n")
    curve = curve_of("both", [tmp_path / "a", tmp_path / "b"])
    assert curve is not None
    assert (curve.steps[0], curve.steps[-1]) == (10.0, 46.0)
    assert curve.measures["ecosystem_value"] == pytest.approx(np.stack([2 * curve.steps, 2 * curve.steps + 1]))


def test_a_course_is_that_of_the_recorded_episodes() -> None:
    world = load_scenario("small-v1")
    course = course_of(world, _team("uniform"), 3, seed=5)
    first = world.evaluation_seeds(5, 3)
    recordings = [record(world, {"a": _team("uniform")}, seed).teams[0] for seed in first]
    months = min(x.months for x in recordings)
    for role in ROLES:
        want = np.mean([x.efforts[role][:months].mean(1) for x in recordings], axis=0).T
        assert course.levers[role][:, :months] == pytest.approx(want)
    lost = []
    for x in recordings:
        monthly = x.states["breach_loss"] + x.states["sme_loss"][:, : world.num_smes].sum(1)
        lost += monthly[: len(monthly) // 12 * 12].reshape(-1, 12).sum(1).tolist()
    assert sorted(course.losses) == pytest.approx(sorted(lost))
    assert max(lost) > 0.0


def test_pages_and_pictures_are_written(written: Written) -> None:
    names = {"outcomes", "learning_curve", "loss_exceedance", "lever_use", "lever_course"}
    (folder,) = {path.parent for path in written.files}
    assert {path.name for path in written.files} == {"report.html", "report.md", *(f"{name}.svg" for name in names)}
    assert all((folder / f"{name}.svg").read_bytes().startswith(b"<?xml") for name in names)
    assert set(re.findall(r"\]\(([^)]*)\)", (folder / "report.md").read_text())) == {f"{name}.svg" for name in names}
    page = (folder / "report.html").read_text()
    images = re.findall(r'<img alt="([^"]*)" src="(.{26})', page)
    assert len(images) == len(names)
    assert all(len(words) > 60 and source == "data:image/svg+xml;base64," for words, source in images)
    assert "default-src 'none'" in page


def test_the_same_numbers_give_the_same_picture(seeds: Material) -> None:
    starts = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    assert set(starts) == set(FORMATS)
    losses = {name: course.losses for name, course in seeds.courses.items()}
    for kind, start in starts.items():
        one, other = (as_bytes(loss_exceedance(losses, "of a year", "Risk"), kind) for _ in range(2))
        assert one == other
        assert one.startswith(start)


def test_pictures_tell_their_units(written: Written) -> None:
    told = {
        "learning_curve": ("agent-steps lived, millions", "ecosystem value, k$ a month", "spiral height, levels"),
        "loss_exceedance": ("loss x by breaches, k$ (of a year lived)", "share that loses more than x"),
        "lever_course": ("month", "effort, mean over episodes and agents"),
        "lever_use": ("share of decisions",),
        "outcomes": ("ecosystem value, k$ a month", "spiral height, levels"),
    }
    for name, labels in told.items():
        drawn = _text(written, f"{name}.svg")
        assert [label for label in labels if label not in drawn] == []


@pytest.mark.usefixtures("undrawn")
def test_a_result_is_told_as_it_was_stored(result: Path, tmp_path: Path) -> None:
    markdown = _text(write_report(gather([result], EPISODES), tmp_path))
    stored = json.loads(result.read_text())["teams"]
    row = _rows(markdown, "Outcomes")["spiral height, levels"]
    for cell, name in zip(row, stored, strict=True):
        found = stored[name]["metrics"]["spiral_height"]
        assert float(cell.split()[0]) == pytest.approx(found["mean"], rel=5e-3)
        assert float(cell.split("[")[1].split(",")[0]) == pytest.approx(found["interval95"][0], rel=5e-3)
    assert "| team | mean | interquartile mean | P(better than average firm) |" in markdown
    assert {"lever_use_1.svg", "lever_course_2.svg"} <= {x.name for x in tmp_path.iterdir()}


def test_the_code_of_a_stranger_is_not_run(result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("raise SystemExit('run')\nclass Mine: pass\n")
    data = json.loads(result.read_text())
    for about in data["teams"]["uniform"]["policies"].values():
        about["spec"] = "mine.py:Mine"
    Path("strange.json").write_text(json.dumps(data))
    material = gather([Path("strange.json")], EPISODES)
    assert list(material.courses) == ["status_quo"]
    assert "uniform: its months are left out" in material.notes[0]


@pytest.mark.usefixtures("undrawn")
def test_a_team_that_failed_is_told_and_the_others_shown(result: Path, tmp_path: Path) -> None:
    data = json.loads(result.read_text())
    data["teams"]["uniform"] = {"policies": {}, "failed": "policy x of it failed in act()"}
    path = tmp_path / "failed.json"
    path.write_text(json.dumps(data))
    text = _text(write_report(gather([path], EPISODES), tmp_path / "out"))
    assert "uniform failed: policy x of it failed in act()" in text
    assert _rows(text, "Outcomes")["measure"] == ["average firm"]


@pytest.mark.usefixtures("undrawn")
def test_a_world_that_has_changed_is_not_played(result: Path, tmp_path: Path) -> None:
    data = json.loads(result.read_text())
    data["scenario"]["hash"] = "0" * 16
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data))
    material = gather([path], EPISODES)
    assert material.courses == {}
    assert "the world of the result is not one of this version" in material.notes[-1]
    assert "mean of an episode" in _text(write_report(material, tmp_path / "out"))


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_is_reported_with_its_best_trial(tmp_path: Path) -> None:
    folder = tmp_path / "search"
    ranges: dict[str, Any] = {"learning_rate": Span(1e-2, 1e-1, log=True)}
    sweep(folder, SweepConfig(base=TINY, ranges=ranges, trials=2, episodes=2))
    material = gather([folder], EPISODES)
    assert sorted(curve.faint for curve in material.curves) == [False, True]
    text = _text(write_report(material, tmp_path / "out"))
    assert "learning\\_rate" in text.split("## Search")[1]
    assert (tmp_path / "out" / "search.svg").exists()


@pytest.mark.usefixtures("undrawn")
def test_the_command_writes_into_the_run_unless_told(runs: Path, result: Path, tmp_path: Path) -> None:
    done = spiral("report", str(result), "--episodes", "2", "--format", "pdf")
    assert done.code == 0, done.err
    assert re.match(r"[\w ]+ makes the most: [\d,]+ k\$ a month \[", done.out)
    assert (result.parent / "teams-report" / "outcomes.pdf").exists()
    done = spiral("report", str(runs / "fast"), "--episodes", "2", "--json", "-o", str(tmp_path / "there"))
    files = json.loads(done.out)["files"]
    assert str(tmp_path / "there" / "report.html") in files
    assert all(Path(path).exists() for path in files)


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data["teams"]["uniform"]["metrics"].pop("ecosystem_value"),
        lambda data: data["teams"]["uniform"]["metrics"]["trust"].pop("episodes"),
        lambda data: data["teams"]["uniform"]["metrics"]["trust"]["episodes"].pop(),
        lambda data: data["teams"]["uniform"]["lever_use"]["it"].pop("edge"),
        lambda data: data["teams"]["uniform"].update(lever_use=3),
        lambda data: data.update(seeds=[]),
        lambda data: data.update(scenario="small-v1"),
    ],
)
def test_a_damaged_result_is_one_line(harm: Callable[[Any], object], result: Path, tmp_path: Path) -> None:
    data = json.loads(result.read_text())
    harm(data)
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(data))
    assert "must hold measures and lever use of this version" in refused("report", str(path), "--episodes", "2")


def test_what_cannot_be_reported_is_one_line(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"format": "other"}')
    assert "must be of spiral evaluate --out" in refused("report", str(tmp_path / "other.json"))
    assert "report must be given a run, a folder of runs" in refused("report", str(tmp_path))
    assert "format must be one of svg, pdf, png" in refused("report", str(runs), "--format", "gif")
    elsewhere = train(replace(TINY, scenario="patching-dilemma-v1"), tmp_path / "elsewhere")
    assert "runs must be of one world" in refused("report", str(runs / "fast"), str(elsewhere))
