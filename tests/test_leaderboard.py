"""The leaderboard: reproduced digit by digit, gone on with, and no entry costs another its score."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import NAMED, load_policy, team_of
from spiral_env.agents.zoo import zoo_names
from spiral_env.commands.leaderboard import _entries, _planned
from spiral_env.evaluation import leaderboard as played
from spiral_env.evaluation.aggregates import (
    mean_of_strata,
    pooled_iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from spiral_env.evaluation.leaderboard import HELD_OUT, Board, Settings, boards_of, play_boards, read_settings
from spiral_env.evaluation.leaderboard_statistics import bootstrapped, improvement, mean, middle
from spiral_env.evaluation.leaderboard_table import _number, ranked, share_of_bound
from spiral_env.policy import Policy
from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario
from tests.command_line import Ended, refused, spiral

WORLD = load_scenario("small-v1").model_copy(update={"id": "tiny-v0", "num_smes": 2, "max_cycles": 3})
OTHER = WORLD.model_copy(update={"id": "other-v0", "params": {**WORLD.params, "spill": 0.3}})
BROKEN = '''
class Raises:
    """Fails in its second month."""

    name = "raises"

    def __init__(self, role):
        self.month = 0

    def reset(self, keys):
        self.month = 0

    def act(self, observation):
        raise RuntimeError("out of ideas")
'''


def _team(spec: str) -> dict[str, Policy]:
    return {role: load_policy(name, role) for role, name in team_of(spec).items()}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Settings of two worlds of three months and a held-out board of one of them."""
    for world in (WORLD, OTHER):
        (tmp_path / f"{world.id}.toml").write_text(world.to_toml())
    settings = tmp_path / "settings.toml"
    worlds = json.dumps([str(tmp_path / "tiny-v0.toml"), str(tmp_path / "other-v0.toml")])
    unseen = json.dumps([str(tmp_path / "other-v0.toml")])
    settings.write_text(
        f"scenarios = {worlds}\nepisodes = 4\nunseen = {unseen}\ncell_episodes = 2\n"
        '[entries]\nstatus_quo = "status_quo"\nmixed = "it epss_first; sme constant:1"\nuniform = "uniform"\n'
    )
    return settings


def _board(settings: Path, *more: str) -> Ended:
    where = settings.parent
    return spiral(
        *("leaderboard", "--settings", str(settings), "--out", str(where / "out"), "--cells", str(where / "cells")),
        *more,
    )


def _stored(settings: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((settings.parent / "out" / "leaderboard.json").read_text())
    return stored


def test_a_small_leaderboard_comes_out_again_and_a_changed_digit_is_found(small: Path) -> None:
    ended = _board(small)
    assert ended.code == 0, ended
    folder = small.parent / "out"
    assert sorted(x.name for x in folder.iterdir()) == ["leaderboard.json", "leaderboard.md", "leaderboard.png"]
    stored, page = _stored(small), (folder / "leaderboard.md").read_text()
    assert [x["name"] for x in stored["tables"]] == ["tiny-v0", "other-v0", HELD_OUT]
    for table in stored["tables"]:
        assert [row["rank"] for row in table["rows"]] == [1, 2, 3]
        values = [row["iqm"]["mean"] for row in table["rows"]]
        assert values == sorted(values, reverse=True)
        assert all(f"| {' | '.join(row['printed'])} |" in page for row in table["rows"])
    again = spiral("leaderboard", "--check", str(folder / "leaderboard.json"))
    assert (again.code, again.out.splitlines()[0]) == (0, "reproduced: 72 printed cells are equal")
    row = stored["tables"][0]["rows"][1]
    row["printed"][2] += "1"
    (folder / "leaderboard.json").write_text(json.dumps(stored))
    again = spiral("leaderboard", "--check", str(folder / "leaderboard.json"))
    assert again.code == 1
    assert again.out.splitlines()[0] == "NOT reproduced: 1 of 72 printed cells differ"
    assert f"tiny-v0, {row['entry']}, IQM" in again.out


def test_a_failed_entry_is_a_row_with_its_line_and_changes_nobodys_score(small: Path) -> None:
    assert _board(small).code == 0
    before = _stored(small)
    (small.parent / "mine.py").write_text(BROKEN)
    ended = _board(small, "--entry", f"broken=it {small.parent}/mine.py:Raises", "--entry", "nobody=nowhere.py:Nobody")
    assert ended.code == 1
    after = _stored(small)
    for one, other in zip(before["tables"], after["tables"], strict=True):
        failed = {row["entry"]: row["failed"] for row in other["rows"] if "failed" in row}
        assert "RuntimeError: out of ideas (mine.py, line 14)" in failed["broken"]
        assert "nowhere.py cannot be read" in failed["nobody"]
        assert [row for row in other["rows"] if "failed" not in row] == one["rows"]
    assert "broken FAILED: policy" in ended.out
    assert "| broken | failed: policy" in (small.parent / "out" / "leaderboard.md").read_text()


def test_what_was_played_is_not_played_again(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _board(small).code == 0
    before = _stored(small)["tables"]

    def never(job: Any) -> Any:
        raise AssertionError(job.entry)

    monkeypatch.setattr(played, "_played", never)
    assert _board(small).code == 0
    assert _stored(small)["tables"] == before
    with pytest.raises(AssertionError, match="status_quo"):
        _board(small, "--fresh")


def test_a_leaderboard_that_was_ended_goes_on(tmp_path: Path) -> None:
    (board,) = boards_of(Settings((), 2, ("small-v1",), 2), [dict.fromkeys(ROLES, "constant:1")], load_policy)
    teams = {name: _team(name) for name in ("status_quo", "uniform", "scripted", "constant:0", "constant:1")}
    handed: list[str] = []

    def ends_in_the_second_wave(function: Callable[[Any], Any], jobs: list[Any]) -> list[Any]:
        handed.extend(job.entry for job in jobs)
        if len(handed) > 4:
            raise KeyboardInterrupt
        # As to another process.
        return [pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(job))) for job in jobs]

    with pytest.raises(KeyboardInterrupt):
        play_boards([board], teams, tmp_path, spread=ends_in_the_second_wave)
    assert handed == list(teams)
    handed.clear()
    found = play_boards([board], teams, tmp_path, spread=ends_in_the_second_wave)[HELD_OUT]
    assert handed == ["constant:1"]
    assert set(found) == set(teams)
    alone = play_boards([board], {"uniform": teams["uniform"]}, tmp_path / "other")[HELD_OUT]
    assert alone["uniform"] == found["uniform"]


def test_a_cell_is_of_its_world_its_policies_its_episodes_and_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    team = _team("status_quo")
    key = played._key(Board("b", WORLD, 2), team)
    assert key == played._key(Board("b", WORLD, 2), _team("status_quo"))
    others = {
        played._key(Board("b", WORLD, 3), team),
        played._key(Board("b", OTHER, 2), team),
        played._key(Board("b", WORLD, 2), {**team, "sme": load_policy("uniform", "sme")}),
    }
    monkeypatch.setattr(played, "_code", lambda: "another")
    others.add(played._key(Board("b", WORLD, 2), team))
    assert len(others) == 4
    assert key not in others

    class FromAModule:
        name, digest = "module:Class", ""

    assert played._key(Board("b", WORLD, 2), {**team, "it": FromAModule()}) == ""  # type: ignore[dict-item]


def test_statistics_of_one_world_are_those_of_an_evaluation() -> None:
    rng = np.random.default_rng(3)
    x, y = [rng.normal(size=9)], [rng.normal(0.5, size=9)]
    groups = [(0, 0)]
    assert bootstrapped(middle, x, groups=groups) == pytest.approx(stratified_bootstrap(pooled_iqm, x))
    assert bootstrapped(mean, x, groups=groups) == pytest.approx(stratified_bootstrap(mean_of_strata, x))
    wanted = stratified_bootstrap(probability_of_improvement, x, y)
    assert bootstrapped(improvement, x, y, groups=groups) == pytest.approx(wanted)
    several = [rng.normal(size=n) for n in (4, 7)]
    assert bootstrapped(mean, several, groups=[(0, 0)] * 2) == pytest.approx(
        stratified_bootstrap(mean_of_strata, several)
    )


def test_boards_weigh_the_same_and_so_do_their_parts() -> None:
    strata = [np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.array([3.0, 3.0])]
    groups = [(0, 0), (1, 0), (1, 0), (1, 1)]
    for statistic in (middle, mean):
        assert float(statistic(strata, groups)) == pytest.approx((0.0 + (1.0 + 3.0) / 2.0) / 2.0)
    assert float(improvement(strata, [x * 0.0 for x in strata], groups)) == pytest.approx((0.5 + 1.0) / 2.0)


def test_the_held_out_board_is_the_same_for_every_entry() -> None:
    partners = [{role: "constant:1" for role in ROLES}]
    settings = Settings((), 2, ("small-v1",), 2)
    (board,) = boards_of(settings, partners, load_policy)
    assert board.name == HELD_OUT
    assert [cell.focal for cell in board.cells] == [*((role,) for role in ROLES), ROLES]
    assert board.parts == [0, 1, 2, 3, 4]
    assert board.size == 10
    other = boards_of(settings, [{role: "constant:0" for role in ROLES}], load_policy)[0]
    assert other.described["hash"] != board.described["hash"]


def test_the_overall_table_is_of_normalised_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.evaluation import leaderboard_table, scoring
    from spiral_env.scenarios.references import Reference

    def reference(world: Any) -> tuple[Reference, str]:
        return Reference(world.id, world.hash, "ecosystem_value", 2, 0.0, 10.0, "nobody", "", 0.0, {}), ""

    teams = {name: _team(name) for name in ("status_quo", "constant:1")}
    boards = [Board("tiny", WORLD, 2), Board("other", OTHER, 2)]
    monkeypatch.setattr(played, "find_reference", reference)
    monkeypatch.setattr(leaderboard_table, "find_reference", reference)
    assert scoring.find_reference(WORLD)[0] is None
    whole, *single = ranked(boards, play_boards(boards, teams, tmp_path), {"gone": "is not there"})
    assert [x["name"] for x in (whole, *single)] == ["overall", "tiny", "other"]
    of_board: Mapping[str, list[float]] = {
        row["entry"]: [x["iqm"]["mean"] for t in single for x in t["rows"] if x["entry"] == row["entry"]]
        for row in whole["rows"][:2]
    }
    for row in whole["rows"][:2]:
        assert row["iqm"]["mean"] == pytest.approx(np.mean(of_board[row["entry"]]))
    assert whole["rows"][2]["failed"] == "is not there"
    value = single[0]["rows"][0]
    assert value["mean"]["mean"] == pytest.approx(value["value"] / 10.0)


def test_the_packages_own_settings_hold_all_baselines_and_the_zoo() -> None:
    settings = read_settings()
    for name in (*settings.scenarios, *settings.unseen):
        load_scenario(name)
    assert {*NAMED, *(f"zoo:{name}" for name in zoo_names())} <= set(_entries(settings, []))
    assert _entries(settings, ["mine=it a.py:A"])["mine"] == "it a.py:A"


def test_settings_are_checked(tmp_path: Path) -> None:
    wrong = {
        "scenarios = []\nepisodes = 1": "episodes",
        "scenarios = 3\nepisodes = 2": "scenarios",
        "months = 2": "months",
        "": "scenarios",
    }
    for text, said in wrong.items():
        file = tmp_path / "settings.toml"
        file.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_settings(file)
    assert "--entry must have a name of its own, got 'scripted'" in refused(
        "leaderboard", "--entry", "scripted=uniform"
    )


def test_what_is_no_leaderboard_is_not_played_again(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for text in (
        '{"format": "spiral_env-leaderboard"}',
        '{"tables": 3}',
        "{}",
        '{"tables": [{"rows": [3], "name": "a"}]}',
    ):
        file.write_text(text)
        assert "must be what spiral leaderboard wrote" in refused("leaderboard", "--check", str(file))


def test_digits_are_few_and_nothing_is_below_zero_that_is_zero() -> None:
    assert [_number(x, 2) for x in (-0.001, 0.126, -1.0)] == ["0.00", "0.13", "-1.00"]
    assert [_number(x, 0) for x in (-0.3, 1234.5)] == ["0", "1,234"]


def test_the_best_known_team_is_held_against_a_planner_on_its_episodes(tmp_path: Path) -> None:
    values = {"low": [1.0, 1.0, 1.0], "best": [2.0, 4.0, 90.0]}
    found = share_of_bound(values, [4.0, 8.0])
    assert (found["best"], found["episodes"], found["value"], found["planned"]) == ("best", 2, 3.0, 6.0)
    assert found["share"]["mean"] == pytest.approx(0.5)
    file = tmp_path / "game.json"
    plans = {f"{name}, the true future": {"planned": x} for name, x in (("low", [3.0, 4.0]), ("high", [4.0, 8.0]))}
    plans["high, resampled futures"] = {"planned": [9.0, 9.0]}
    part = {"about": {"world": "w h"}, "figures": {"rows": {}, "values": plans}}
    file.write_text(json.dumps({"planner": part}))
    assert _planned(file) == {"world": "w h", "values": [4.0, 8.0]}
    file.write_text(json.dumps({"levers": {}}))
    with pytest.raises(ValueError, match="must hold the part planner"):
        _planned(file)


def test_the_interval_of_an_improvement_holds_it_in_cells_of_few() -> None:
    rng = np.random.default_rng(3)
    than = [rng.normal(size=5) for _ in range(60)]
    better = [x + 1e-6 for x in than]
    found = bootstrapped(improvement, better, than, groups=[(0, 0)] * 60)
    assert found.low < found.mean < found.high
