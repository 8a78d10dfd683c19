"""Held-out worlds and partners: who meets whom, what a score is there, and what is lost between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.agents.partners import POPULATIONS, background_teams
from spiral_env.evaluation import find_reference, run_episodes, splits
from spiral_env.evaluation.splits import ITSELF, KINDS, UNSEEN, Cell, Generalisation, Judge, cells_of
from spiral_env.policy import StatusQuo
from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario
from spiral_env.scenarios.references import MEASURE
from tests.command_line import refused, spiral

BACKGROUND = {"seen": [dict.fromkeys(ROLES, "status_quo")], "held_out": [dict.fromkeys(ROLES, "constant:0.25")]}
WORLD = "small-v1"


def _team(spec: str) -> dict[str, Any]:
    return {role: load_policy(spec, role) for role in ROLES}


def test_every_unseen_world_meets_every_background_team_in_every_role() -> None:
    background = {kind: background_teams(kind) for kind in KINDS}
    cells = cells_of("baseline-v1", [(role,) for role in ROLES], background)
    assert len(cells) == 4 * (1 + len(UNSEEN)) * sum(map(len, background.values()))
    assert len({cell.name for cell in cells}) == len(cells)
    assert {cell.world.id for cell in cells if cell.kind == "held_out"} == {*UNSEEN}
    assert "baseline-v1" not in UNSEEN
    alone, *unseen = cells_of("baseline-v1", [ROLES], background)
    assert {cell.partner_kind for cell in (alone, *unseen)} == {ITSELF}
    assert len(unseen) == len(UNSEEN)
    assert alone.name == "it+business+finance+sme in baseline-v1 (train seeds) with itself"


def test_some_partners_of_every_role_were_never_met_and_all_can_be_loaded() -> None:
    for role in ROLES:
        seen, held_out = ({team[role] for team in background_teams(kind)} for kind in KINDS)
        assert held_out - seen == held_out
        assert len(held_out) >= 3
        for spec in seen | held_out:
            load_policy(spec, role)
    assert all(len({len(x) for x in population.values()}) == 1 for population in POPULATIONS.values())


def test_seen_worlds_are_of_the_training_range_and_held_out_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[str, np.ndarray]] = []
    real = splits.run_episodes

    def noted(*arguments: Any, **options: Any) -> Any:
        table = real(*arguments, **options, max_cycles=2)
        played.append((options["split"], table.seeds))
        return table

    monkeypatch.setattr(splits, "run_episodes", noted)
    Judge(3, load_policy).judge(_team("scripted"), cells_of(WORLD, [("it",)], BACKGROUND, [WORLD]))
    world = load_scenario(WORLD)
    for split, (low, high) in (("train", world.train_seeds), ("held_out", world.held_out_seeds)):
        seeds = [x for name, x in played if name == split]
        # Who is judged and the average firm in its place, with two background teams.
        assert len(seeds) == 4
        assert all(((low <= x) & (x < high)).all() and np.array_equal(x, seeds[0]) for x in seeds)


def test_a_score_is_the_difference_to_the_average_firm_in_the_same_place() -> None:
    (cell,) = cells_of(WORLD, [("sme",)], {"seen": [dict.fromkeys(ROLES, "scripted")], "held_out": []}, [])
    judge = Judge(3, load_policy)
    found = judge.judge(_team("constant:1"), [cell])
    partners = {role: load_policy("scripted", role) for role in ROLES}
    better, usual = (
        run_episodes(WORLD, partners | {"sme": policy}, 3, split="train").metrics[MEASURE]
        for policy in (load_policy("constant:1", "sme"), StatusQuo("sme"))
    )
    reference, _ = find_reference(load_scenario(WORLD))
    room = 1.0 if reference is None else reference.one - reference.zero
    np.testing.assert_allclose(found.scores[0], (better - usual) / room)
    assert found.normalised == (reference is not None)
    (average,) = judge.judge(_team("status_quo"), [cell]).scores
    assert (average == 0.0).all()


def _generalisation(**scores: float) -> Generalisation:
    rng = np.random.default_rng(0)
    world = load_scenario(WORLD)
    cells = [Cell(world, *kinds.split("__")[:1], {}, kinds.split("__")[1], ("it",)) for kinds in scores]
    return Generalisation(cells, [mean + rng.normal(0.0, 0.1, 40) for mean in scores.values()], True)


def test_a_gap_is_what_is_lost_from_seen_to_held_out() -> None:
    found = _generalisation(seen__seen=1.0, seen__held_out=0.6, held_out__seen=1.0, held_out__held_out=0.5)
    gaps = found.gaps()
    assert gaps["partners"].low < 0.4 < gaps["partners"].high
    assert gaps["both"].low < 0.5 < gaps["both"].high
    assert gaps["worlds"].low < 0.0 < gaps["worlds"].high
    assert gaps["partners"].low > 0.3
    quadrants = found.quadrants()
    assert quadrants["seen worlds, held-out partners"]["mean"] == pytest.approx(0.6, abs=0.05)
    assert quadrants["seen worlds, held-out partners"]["episodes"] == 40
    # A whole team is held against itself alone, not against single roles beside others.
    whole = _generalisation(seen__seen=1.0, held_out__seen=1.0, seen__itself=3.0, held_out__itself=2.0)
    assert list(whole.gaps()) == ["worlds", "worlds, with itself"]
    assert whole.gaps()["worlds"].high < 0.2 < whole.gaps()["worlds, with itself"].low
    assert "held-out worlds, itself" in whole.quadrants()


def test_the_command_tells_quadrants_and_gaps_and_a_failed_team(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(splits, "UNSEEN", (WORLD,))
    (tmp_path / "bad.py").write_text("class Bad:\n def __init__(self, role): 1 / 0\n")
    words = ("evaluate", "--split", "held-out", "--scenario", WORLD, "--episodes", "2", "--out", "split.json")
    ended = spiral(*words, "--it", "scripted")
    assert ended.code == 0, ended
    data = json.loads((tmp_path / "split.json").read_text())
    (team,) = data["teams"].values()
    assert team["quadrants"].keys() == {
        f"{x} worlds, {y} partners" for x in ("seen", "held-out") for y in ("seen", "held-out")
    }
    assert team["gaps"].keys() == {"worlds", "partners", "both"}
    assert "team 1: it scripted\n" in ended.out
    assert all(name in ended.out for name in (*team["quadrants"], *team["gaps"]))
    assert spiral("reproduce", "split.json").out.startswith("reproduced: ")
    ended = spiral(*words, "--it", "bad.py:Bad")
    assert ended.code == 1
    assert "FAILED: policy bad.py:Bad of it failed to load: ZeroDivisionError" in ended.out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--split", "train"], "split must be None or one of held_out, got 'train'"),
        (["--split", "held-out"], "--split must judge somebody"),
        (["--split", "held-out", "--it", "scripted", "--num-smes", "3"], "--num-smes must be left out with --split"),
        (["--split", "held-out", "--it", "scripted", "--engine", "ray"], "--engine must be left out with --split"),
    ],
)
def test_what_a_split_does_not_know_is_refused(words: list[str], named: str) -> None:
    assert named in refused("evaluate", *words)
