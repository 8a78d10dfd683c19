"""Replays: what is kept of an episode, what the books say of it, and the page that shows both."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.core.ledger import Account
from spiral_env.metrics import METRICS
from spiral_env.policy import Policy
from spiral_env.render.replay import Recording, Replay, page_of, record, told
from spiral_env.render.replay.books import HOLDERS, brought_by, lines_of, received_by
from spiral_env.render.replay.course import KINDS, SERIES, firms, incidents, series
from spiral_env.render.replay.recording import MIXES
from spiral_env.roles import ROLES
from tests.command_line import refused, spiral


def _team(spec: str, **others: str) -> dict[str, Policy]:
    return {role: load_policy(others.get(role, spec), role) for role in ROLES}


def _replay(*specs: str, scenario: str = "small-v1", seed: int = 3, **sizes: int) -> Replay:
    return record(scenario, {spec: _team(spec) for spec in specs}, seed, **sizes)


@pytest.fixture(scope="module")
def two() -> Replay:
    return _replay("uniform", "scripted")


def _data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    read: dict[str, Any] = json.loads(found[1])
    return read


def test_a_recording_is_the_rollout_of_the_same_team_and_seed(two: Replay) -> None:
    command = ("rollout", "--scenario", "small-v1", "--policy", "scripted", "--seed", "3", "--json")
    months = json.loads(spiral(*command).out)
    recorded = two.teams[1].states
    assert [x["ecosystem_value"] for x in months] == recorded["ecosystem_value"].tolist()
    assert [x["height"] for x in months] == recorded["height"].tolist()


def test_without_a_seed_the_first_held_out_world_is_played() -> None:
    assert record("small-v1", {"a": _team("uniform")}, max_cycles=2).seed == 0


@pytest.mark.parametrize("scenario", ["small-v1", "strict-privacy-v1", "greenwash-boom-v1"])
def test_the_lines_of_the_books_add_up_to_ecosystem_value(scenario: str) -> None:
    replay = _replay("uniform", "scripted", scenario=scenario, max_cycles=18)
    for team in replay.teams:
        total = sum(line.total for line in lines_of(team, replay.params))
        assert total == pytest.approx(team.metrics["ecosystem_value"], rel=1e-9)


def test_what_is_paid_inside_the_ecosystem_moves_between_holders_and_adds_nothing(two: Replay) -> None:
    lines = {line.name: line for line in lines_of(two.teams[1], two.params)}
    fee = dict(zip(HOLDERS, lines["tenant_fee"].holders, strict=True))
    assert fee["platform"] > 0.0 > fee["smes"]
    assert lines["tenant_fee"].total == pytest.approx(0.0, abs=1e-9)
    assert lines["platform_sales"].total > 0.0 > lines["fixed_cost"].total


def test_months_that_a_collapse_leaves_out_count_as_nothing() -> None:
    replay = _replay("constant:0", "uniform", scenario="baseline-v1", seed=1)
    fallen = replay.teams[0]
    assert fallen.months < replay.world.max_cycles, "choose a world in which doing nothing ends early"
    total = sum(line.total for line in lines_of(fallen, replay.params))
    assert total == pytest.approx(fallen.metrics["ecosystem_value"], rel=1e-9)
    assert incidents(fallen)[-1].kind == "collapse"


def test_roles_receive_their_payoffs(two: Replay) -> None:
    for team in two.teams:
        received = received_by(team)
        for role in ROLES[:-1]:
            assert sum(received[role]) == pytest.approx(team.metrics[f"payoff_{role}"])
        assert sum(received["sme"]) == pytest.approx(two.world.num_smes * team.metrics["payoff_sme"])


def test_what_the_roles_bring_is_the_mean_over_all_orders_of_going_over() -> None:
    mixes = np.random.default_rng(0).normal(size=MIXES)
    found = brought_by(mixes)
    orders = list(itertools.permutations(range(len(ROLES))))
    for k, role in enumerate(ROLES):
        before = [sum(1 << r for r in order[: order.index(k)]) for order in orders]
        assert found[role] == pytest.approx(np.mean([mixes[b | 1 << k] - mixes[b] for b in before]))
    assert sum(found.values()) == pytest.approx(mixes[-1] - mixes[0])


def test_a_team_that_differs_in_one_role_owes_the_difference_to_it() -> None:
    teams = {"a": _team("status_quo"), "b": _team("status_quo", finance="uniform")}
    replay = record("small-v1", teams, 3)
    brought = brought_by(replay.mixes)
    gap = replay.teams[1].metrics["ecosystem_value"] - replay.teams[0].metrics["ecosystem_value"]
    assert gap != 0.0
    assert brought == pytest.approx({"it": 0.0, "business": 0.0, "finance": gap, "sme": 0.0})


def test_each_team_plays_beside_the_other_as_it_plays_alone(two: Replay) -> None:
    for team in two.teams:
        (alone,) = _replay(team.name).teams
        assert (alone.states == team.states).all()
        assert alone.metrics == team.metrics


def test_another_seed_is_another_episode(two: Replay) -> None:
    other = _replay("uniform", seed=4)
    assert other.teams[0].metrics != two.teams[0].metrics


def test_series_and_firms_are_those_of_the_records(two: Replay) -> None:
    team = two.teams[1]
    found = series(team)
    assert found.keys() == SERIES.keys()
    assert found["platform_cash"] == team.states["balance"][:, Account.PLATFORM].tolist()
    members = [sum(int(digit, 32) & 3 >= 2 for digit in month) for month in firms(team)]
    assert members == team.states["num_members"].tolist()


def _told_incidents(team: Recording, kind: str) -> int:
    return sum(x.kind == kind for x in incidents(team))


def test_every_breach_level_and_privacy_incident_is_told_in_its_month() -> None:
    replay = _replay("constant:0.5", "uniform", scenario="log4shell-v1", seed=2)
    kinds = set()
    for team in replay.teams:
        s = team.states
        for kind, field in (("breach", "breach"), ("privacy", "privacy_incident"), ("level", "level_rose")):
            assert [x.month for x in incidents(team) if x.kind == kind] == s["month"][s[field] > 0].tolist()
        kinds |= {x.kind for x in incidents(team)}
        assert _told_incidents(team, "alert") == (s["alert"] > 0).sum()
    assert kinds <= KINDS.keys()
    assert len(kinds) >= 4


def test_the_page_holds_what_was_played(two: Replay) -> None:
    data = _data(page_of(two, "spiral replay"))
    assert [team["name"] for team in data["teams"]] == ["uniform", "scripted"]
    for shown, team in zip(data["teams"], two.teams, strict=True):
        assert len(shown["firms"]) == team.months
        assert shown["series"]["height"] == pytest.approx(team.states["height"].tolist(), rel=1e-3)
        assert shown["metrics"].keys() == METRICS.keys()
    gap = sum(sum(line["teams"][1]) - sum(line["teams"][0]) for line in data["books"]["lines"])
    wanted = two.teams[1].metrics["ecosystem_value"] - two.teams[0].metrics["ecosystem_value"]
    assert gap == pytest.approx(wanted, rel=1e-4)
    assert data["books"]["told"] == told(two)


def test_the_page_asks_for_nothing_outside_itself(two: Replay) -> None:
    page = page_of(two)
    library = next(x for x in page.split("<script>") if "Apache Software Foundation" in x)
    own = page.replace(library, "")
    assert "{{" not in own
    assert "default-src 'none'" in own
    assert re.findall(r"(?:src|href)=\"(?!data:|#)|url\(|@import|https?://(?!www\.w3\.org)", own) == []


def test_a_name_cannot_leave_its_place_on_the_page() -> None:
    name = "</script><script>alert(1)</script>"
    page = page_of(record("small-v1", {name: _team("uniform")}, max_cycles=2))
    assert "alert(1)</script>" not in page
    assert _data(page)["teams"][0]["name"] == name


@pytest.mark.slow
def test_the_longest_episode_of_the_largest_world_fits_six_megabytes() -> None:
    page = page_of(_replay("constant:0.4", "scripted", scenario="large-v1", num_smes=512, max_cycles=600))
    assert len(page.encode()) < 6e6


def test_the_command_writes_the_page_and_says_what_the_books_say(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "x.html"
    options = ("--scenario", "small-v1", "--seed", "3", "--max-cycles", "6", "-o", str(out))
    ended = spiral("replay", "--compare", "uniform,scripted", *options)
    assert ended.code == 0
    assert re.match(r"scripted makes [\d,]+ k\$ a month (more|less) than uniform", ended.out)
    data = _data(out.read_text())
    assert (data["seed"], data["months"]) == ("3", 6)
    assert data["command"] == "spiral replay --compare uniform,scripted --scenario small-v1 --seed 3 --max-cycles 6"
    assert spiral("replay", "scripted", *options).code == 0
    assert [team["name"] for team in _data(out.read_text())["teams"]] == ["scripted"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "must be given a team, or two with --compare A,B, got neither"),
        (("uniform", "--compare", "uniform,scripted"), "got both"),
        (("--compare", "uniform"), "--compare must name two teams, got 1"),
        (("--compare", "uniform,scripted,status_quo"), "--compare must name two teams, got 3"),
        (("nobody",), "policy must be uniform"),
    ],
)
def test_the_command_refuses_what_it_cannot_show(arguments: tuple[str, ...], line: str, tmp_path: Path) -> None:
    assert line in refused("replay", *arguments, "-o", str(tmp_path / "x.html"))
    assert list(tmp_path.iterdir()) == []


def test_teams_are_checked_before_anything_is_played() -> None:
    with pytest.raises(ValueError, match="teams must be one or two, got 0"):
        record("small-v1", {})
    with pytest.raises(ValueError, match="'sme' is missing"):
        record("small-v1", {"a": {role: load_policy("uniform", role) for role in ROLES[:-1]}})
