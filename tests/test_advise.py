"""Patch advice: what is mended first, beside CVSS-first."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused, spiral

from spiral_env.agents import load_policy, team_of
from spiral_env.agents.first_months import HELD_MONTHS, Held, plan_first_months
from spiral_env.evaluation.advice import MEASURES, Advice, advise
from spiral_env.evaluation.advice_report import IT_IS_NOT, as_markdown
from spiral_env.policy import Policy
from spiral_env.roles import LEVERS
from spiral_env.scenarios import Scenario

SEVERE = {"name": "severe", "service": "shop", "class": "code", "cvss": 10.0, "epss": 1e-6, "patch": True}
LIKELY = {"name": "likely", "service": "shop", "class": "code", "cvss": 5.0, "epss": 0.9, "patch": True}
UNFIXED = {"name": "unfixed", "service": "shop", "class": "code", "cvss": 9.9, "epss": 0.95, "patch": False}
ONE_PATCH = {
    **{"detection": 0.0, "arrival_rate": 0.0, "false_cells": 0.0, "integration_hours": 0.0, "patch_rate": 0.01},
    **{"patch_failure": [0.0, 0.0, 0.0], "capacity_hours": 200.0, "triage_public": 1.0},
}


def own(*backlog: dict[str, Any], **params: Any) -> Scenario:
    """A world of one service in which a month's hours are enough for one patch."""
    services = [{"name": "shop", "tier": "edge"}]
    told = {"id": "own-v1", "title": "Own", "num_smes": 2, "services": services, "backlog": backlog}
    return Scenario(**told, params={**ONE_PATCH, **params})


def team(spec: str = "hybrid_risk") -> dict[str, Policy]:
    return {role: load_policy(name, role) for role, name in team_of(spec).items()}


def advised(world: Scenario, spec: str = "hybrid_risk", **options: Any) -> Advice:
    return advise(world, lambda: team(spec), **{"episodes": 3, "months": 3, **options})


def test_the_likely_comes_first_by_the_hybrid_rule_and_the_severe_by_cvss() -> None:
    found = advised(own(SEVERE, LIKELY))
    assert [found.scenario.backlog[k].name for k in found.order] == ["likely", "severe"]
    assert [found.scenario.backlog[k].name for k in found.order_by_cvss] == ["severe", "likely"]
    assert (found.share(found.own) == [0.0, 1.0]).all()
    assert (found.share(found.by_cvss) == [1.0, 0.0]).all()
    own_loss, other, difference = found.compared("loss")
    assert own_loss.mean < other.mean
    assert difference.high < 0.0


def test_both_ways_mend_as_much_for_as_much() -> None:
    found = advised(own(SEVERE, LIKELY))
    for measure in ("hours_first", "cost_first", "patched_first"):
        own_mean, other, _ = found.compared(measure)
        assert own_mean.mean == other.mean > 0.0


def test_what_has_no_fix_is_not_advised_to_be_patched() -> None:
    found = advised(own(UNFIXED, SEVERE))
    assert found.share(found.own).tolist() == [0.0, 1.0]
    assert found.order == [1, 0]


def test_known_exploited_findings_left_open_are_counted() -> None:
    found = advised(own({**SEVERE, "kev": True}, {**LIKELY, "kev": True}))
    assert found.compared("exploited_open")[0].mean == 1.0


def test_deferring_mends_nothing() -> None:
    found = advised(own(SEVERE, LIKELY), "constant:0")
    assert found.own.landed.max() == 0
    assert found.posture_shares(found.own)[:, 0].tolist() == [1.0, 1.0, 1.0]


def test_the_seed_chooses_the_episodes_and_the_same_seed_the_same_advice() -> None:
    unscored = [{key: x for key, x in SEVERE.items() if key != "epss"} | {"name": f"f{k}"} for k in range(6)]
    world = own(*unscored, arrival_rate=0.8)
    first, again, other = (advised(world, seed=seed) for seed in (0, 0, 9))
    assert all((first.own.totals[x] == again.own.totals[x]).all() for x in MEASURES)
    assert (first.own.landed == again.own.landed).all()
    assert not (first.own.totals["loss"] == other.own.totals["loss"]).all()


def test_a_held_plan_ends_and_the_base_goes_on() -> None:
    base = load_policy("status_quo", "it")
    held = Held(base, np.array([0.0, 1.0, 0.0, 1.0]))
    held.reset(np.arange(2))
    seen = np.zeros((2, 1, 100), dtype=np.float32)
    places = [k for k, x in enumerate(LEVERS["it"]) if x.name in ("edge", "core", "internal", "triage")]
    for month in range(HELD_MONTHS + 1):
        row = held.act(seen)[1, 0]
        assert row[places].tolist() == (
            [0.0, 1.0, 0.0, 1.0] if month < HELD_MONTHS else base.act(seen)[1, 0][places].tolist()
        )


@pytest.mark.parametrize(("batch", "mended"), [(0.5, True), (400.0, False)])
def test_the_planner_pays_for_a_posture_where_mending_is_worth_it(batch: float, mended: bool) -> None:
    prices = {"posture_cost": [0.0, batch, 800.0], "security_cash": 900.0, "posture_part": 1.0, "aim": 0.05}
    plan = plan_first_months(own(LIKELY, **prices), lambda: team("status_quo"), months=6)
    assert (plan[0] > 0.0) == mended
    assert plan[:3].max() < 1.0


def test_the_command_tells_postures_findings_and_what_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "own-v1.toml"
    path.write_text(own(SEVERE, LIKELY).to_toml())
    out = tmp_path / "advice.csv"
    told = spiral("advise", str(path), "--policy", "hybrid_risk", "--episodes", "3", "--months", "2", "--out", str(out))
    assert told.code == 0, told.err
    assert "postures this month under hybrid_risk" in told.out
    assert IT_IS_NOT in told.out
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(x["place"], x["name"], x["month_1"], x["place_by_cvss"]) for x in rows] == [
        ("1", "likely", "1.0", "2"),
        ("2", "severe", "0.0", "1"),
    ]
    assert "policy must be uniform" in refused("advise", str(path), "--policy", "nobody")
    short = ("--episodes", "2", "--months", "1", "--json")
    data = json.loads(spiral("advise", str(path), "--policy", "planner", *short).out)
    assert data["policy"] == "planner"
    assert set(data["measures"]) == set(MEASURES)
    assert data["not"] == IT_IS_NOT


def test_a_page_shows_names_of_strangers_as_they_are() -> None:
    found = advised(own({**LIKELY, "name": "[x](http://a) <b> a|b"}), months=1)
    page = as_markdown(found, "hybrid_risk", 5)
    assert "\\[x\\](http://a) \\<b\\> a\\|b" in page


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("small-v1",), "scenario small-v1 must name a backlog to be advised on: spiral import makes one"),
        (("nowhere-v1",), "scenario must be a .toml file or one of"),
        (("small-v1", "--out", "x.txt"), "out must end in .csv or .md, got x.txt"),
    ],
)
def test_what_cannot_be_advised_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    assert line in refused("advise", *arguments)
