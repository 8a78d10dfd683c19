"""A team as a game: measures with known answers, and what `spiral game` says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiral_env.agents import load_policy, team_of
from spiral_env.commands import app
from spiral_env.commands._errors import exit_code
from spiral_env.commands._teams import team_words
from spiral_env.commands.game import _selfish
from spiral_env.evaluation import game, game_search, run_episodes
from spiral_env.evaluation.game_measures import (
    added,
    anarchy,
    cash_flow_gini,
    coalitions,
    gini,
    harms,
    response_gaps,
    selfish_team,
    shapley,
)
from spiral_env.evaluation.game_play import Deviation, Lived, agents_of, live
from spiral_env.evaluation.game_search import ONE_SME, OWN, SEATS, Budget, best_response, cross_entropy, worst_constant
from spiral_env.policy import STATUS_QUO, Policy, StatusQuo
from spiral_env.roles import FEATURES, LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import load_scenario

WORLD = load_scenario("small-v1").model_copy(update={"num_smes": 3, "max_cycles": 6})
LITTLE = Budget(episodes=64, population=8, worlds=2, judged=6)
ENOUGH = Budget(episodes=4000, population=40, worlds=2, judged=6)


def _team(spec: str) -> dict[str, Policy]:
    return {role: load_policy(name, role) for role, name in team_of(spec).items()}


def _payoffs(**by_members: float) -> dict[frozenset[str], np.ndarray]:
    return {frozenset(name.strip("_")): np.array([value]) for name, value in by_members.items()}


def test_shapley_shares_the_glove_game_as_the_books_do() -> None:
    """One left glove, two right ones: 2/3, 1/6, 1/6 (Shapley 1953)."""
    found = shapley(_payoffs(_=0, a=0, b=0, c=0, ab=1, ac=1, bc=0, abc=1))
    assert {name: float(x[0]) for name, x in found.items()} == pytest.approx({"a": 2 / 3, "b": 1 / 6, "c": 1 / 6})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-9.0, 9.0), min_size=16, max_size=16))
def test_shapley_values_sum_up_to_what_all_add_and_are_those_of_every_order(values: list[float]) -> None:
    sets = coalitions(ROLES)
    table = {members: np.array([value]) for members, value in zip(sets, values, strict=True)}
    found = shapley(table)
    assert sum(float(x[0]) for x in found.values()) == pytest.approx(values[-1] - values[0], abs=1e-9)
    assert float(found["it"][0]) == pytest.approx(_mean_over_orders("it", table), abs=1e-9)


def _mean_over_orders(role: str, table: Mapping[frozenset[str], np.ndarray]) -> float:
    import itertools

    gains = []
    for order in itertools.permutations(ROLES):
        before = frozenset(order[: order.index(role)])
        gains.append(float(table[before | {role}][0] - table[before][0]))
    return float(np.mean(gains))


def test_a_role_that_always_adds_the_same_is_worth_that() -> None:
    worth = dict(zip(ROLES, (1.0, 2.0, -3.0, 4.0), strict=True))
    table = {members: np.array([sum(worth[role] for role in members)]) for members in coalitions(ROLES)}
    assert {role: float(x[0]) for role, x in shapley(table).items()} == pytest.approx(worth)


@pytest.mark.parametrize(
    ("amounts", "known"),
    [
        ([2.0, 2.0, 2.0], 0.0),
        ([0.0, 0.0, 0.0, 1.0], 0.75),
        ([1.0, 2.0, 3.0, 4.0], 0.25),
        ([-1.0, 1.0], 0.5),
        ([0.0], 0.0),
    ],
)
def test_gini_of_the_books(amounts: list[float], known: float) -> None:
    assert float(gini(np.array(amounts))) == pytest.approx(known)
    assert float(gini(np.array(amounts[::-1]))) == pytest.approx(known)


def test_the_price_of_anarchy_is_a_ratio_of_means() -> None:
    selfish = np.array([10.0, 20.0, 30.0])
    found = anarchy(2.0 * selfish, selfish)
    assert found.price is not None
    assert found.price == pytest.approx((2.0, 2.0, 2.0))
    assert found.kept == pytest.approx((0.5, 0.5, 0.5))
    nothing = anarchy(selfish, selfish - 20.0)
    assert (nothing.price, nothing.kept) == (None, pytest.approx((0.0, -0.65, 0.35), abs=0.4))
    assert anarchy(-selfish, selfish).kept is None


def test_the_search_ends_at_the_top_of_a_hill() -> None:
    top = np.array([[0.2, 0.9, 0.5]])

    def score(points: np.ndarray, _: np.ndarray) -> np.ndarray:
        return -np.asarray(((points - top) ** 2).sum((1, 2)))

    found = cross_entropy(
        score, np.full((1, 3), 0.5), (0.0, 1.0), lambda number: np.zeros(2), ENOUGH, np.random.default_rng(0)
    )
    assert np.abs(found - top).max() < 0.05


def test_episodes_are_those_of_an_evaluation() -> None:
    team = _team("scripted")
    table = run_episodes(WORLD, team, 4)
    lived = live(WORLD, team, table.seeds)
    for name, values in table.metrics.items():
        assert np.array_equal(values, lived.metrics[name], equal_nan=True), name
    for role in ROLES:
        mine = lived.payoffs[:, agents_of(WORLD, role)].mean(1)
        assert mine == pytest.approx(table.metrics[f"payoff_{role}"], rel=1e-9), role


def test_a_deviation_changes_those_who_deviate_alone() -> None:
    own = load_policy("scripted", "sme")
    own.reset(np.arange(4))
    seen = np.zeros((4, 3, len(FEATURES["sme"])), dtype=np.float32)
    before = np.asarray(own.act(seen))
    same = Deviation(own, "sme", np.zeros((1, 3, NUM_LEVERS["sme"])), True)
    assert np.array_equal(same.act(seen), before)
    one = Deviation(own, "sme", np.full((1, 1, NUM_LEVERS["sme"]), 0.25), False, np.eye(3, dtype=np.bool_))
    changed = (one.act(seen) != before).any(-1)
    assert changed.tolist() == np.eye(3, dtype=np.bool_)[[0, 1, 2, 0]].tolist()
    assert (one.act(seen)[1, 1] == 0.25).all()


def _hill(world: Any, team: Mapping[str, Policy], seeds: np.ndarray, **_: Any) -> Lived:
    """A month in which an agent is paid 1 less its mean squared distance from .75, and the ecosystem by all of that."""
    payoffs = np.zeros((len(seeds), 6))
    for role in ROLES:
        at = agents_of(world, role)
        seen = np.zeros((len(seeds), at.stop - at.start, len(FEATURES[role])), dtype=np.float32)
        payoffs[:, at] = 1.0 - ((np.asarray(team[role].act(seen)) - 0.75) ** 2).mean(-1)
    return Lived({"ecosystem_value": payoffs.sum(1)}, payoffs)


@pytest.mark.parametrize("seat", ["it", "sme", ONE_SME])
def test_a_best_response_climbs_where_the_payoff_is_highest(seat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game_search, "live", _hill)
    team = {role: load_policy("constant:0.25", role) for role in ROLES}
    found = best_response(WORLD, team, seat, ENOUGH)
    assert found.value > 0.99
    assert found.kind != OWN
    best = {role: load_policy("constant:0.75", role) for role in ROLES}
    assert best_response(WORLD, best, seat, LITTLE).kind == OWN
    given_by_name = best_response(WORLD, team, "it", LITTLE, {"best": best["it"]})
    assert (given_by_name.kind, given_by_name.value) == ("best", 1.0)


def test_a_best_response_reaches_the_known_answer_of_a_lone_firm() -> None:
    """Against the best of eleven constant patching efforts in the world of Gordon and Loeb, others as usual."""
    world, team = load_scenario("gordon-loeb-v1"), _team("status_quo")
    seeds = np.array(world.evaluation_seeds(0, 16), dtype=np.int64)

    def payoff(policy: Policy) -> float:
        return float(live(world, {**team, "sme": policy}, seeds).payoffs[:, agents_of(world, "sme")].mean())

    usual = np.tile(STATUS_QUO["sme"], (11, 1))
    usual[:, [lever.name for lever in LEVERS["sme"]].index("patching")] = np.linspace(0.0, 1.0, 11)
    grid = [payoff(Deviation(team["sme"], "sme", efforts[None, None], False)) for efforts in usual]
    found = best_response(world, team, "sme", Budget(episodes=800, population=16, worlds=4, judged=16))
    own = payoff(team["sme"])
    assert payoff(found.policy(16)) - own >= 0.95 * (max(grid) - own) > 0.0


def test_the_worst_constant_is_found_where_the_value_is_lowest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game_search, "live", _hill)
    found = worst_constant(WORLD, {role: StatusQuo(role) for role in ROLES}, "finance", ENOUGH)
    assert found.kind in ("constant 0", "constant at its ends")
    assert found.table is not None
    assert (found.table == 0.0).all()


def test_gaps_are_paired_and_nothing_where_no_better_policy_is_found() -> None:
    found = response_gaps(WORLD, _team("status_quo"), 5, LITTLE, {"uniform": _team("uniform")})
    assert list(found) == list(SEATS)
    for seat, x in found.items():
        assert x.gap == (0.0, 0.0, 0.0) if x.response.kind == OWN else x.gap.low <= x.gap.mean <= x.gap.high, seat
    again = response_gaps(WORLD, _team("status_quo"), 5, LITTLE, {"uniform": _team("uniform")})
    assert [x.gap for x in again.values()] == [x.gap for x in found.values()]


def test_the_average_firm_adds_nothing_to_itself() -> None:
    found = added(WORLD, _team("status_quo"), 3)
    assert {x.lost for x in found.values()} == {(0.0, 0.0, 0.0)}
    assert {x.shapley for x in found.values()} == {(0.0, 0.0, 0.0)}
    assert all(math.isnan(x.share) for x in found.values())


def test_one_role_alone_adds_all_that_its_team_adds() -> None:
    found = added(WORLD, {**_team("status_quo"), "it": load_policy("constant:0", "it")}, 3)
    assert found["it"].share == pytest.approx(1.0)
    assert found["it"].lost.mean == pytest.approx(-found["it"].shapley.mean)
    assert found["sme"].shapley.mean == pytest.approx(0.0, abs=1e-9)


def test_best_responses_end_in_a_team_and_say_how() -> None:
    team, rounds = selfish_team(WORLD, _team("status_quo"), LITTLE, 2)
    assert set(team) == set(ROLES)
    assert 1 <= len(rounds) <= 2
    assert all(role in rounds[0] for role in ROLES)
    run_episodes(WORLD, team, 2)


def test_fairness_looks_at_money_that_was_earned() -> None:
    inequality, nothing = cash_flow_gini(WORLD, _team("status_quo"), 4)
    assert 0.0 < inequality.mean < 1.0
    assert 0.0 <= nothing.mean <= 1.0


def test_a_rogue_is_held_against_the_team_on_the_same_luck() -> None:
    found = harms(WORLD, _team("constant:0"), 4, LITTLE)
    assert list(found) == list(ROLES)
    assert all(math.isfinite(x.uniform.mean) and math.isfinite(x.constant.mean) for x in found.values())


def test_teams_are_written_in_a_line() -> None:
    assert team_words("scripted") == dict.fromkeys(ROLES, "scripted")
    assert team_words("epss_first") == {**dict.fromkeys(ROLES, "status_quo"), "it": "epss_first"}
    mixed = team_words("it my file.py:Mine; sme constant:0,1")
    assert mixed == {**dict.fromkeys(ROLES, "status_quo"), "it": "my file.py:Mine", "sme": "constant:0,1"}
    for wrong, said in {"it scripted; bank scripted": "bank", "it scripted; it uniform": "once"}.items():
        with pytest.raises(ValueError, match=said):
            team_words(wrong)


def test_the_search_climbs_to_the_best_constant_team_and_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def values(world: Any, joint: np.ndarray, *_: Any) -> np.ndarray:
        return -np.abs(joint - 0.5).sum(1)

    monkeypatch.setattr(game, "_values", values)
    shares: list[float] = []
    found = game.best_constant("small-v1", random=4, corners=4, progress=shares.append)
    assert {x for efforts in found.efforts.values() for x in efforts} == {0.5}
    assert found.value == 0.0
    assert shares == sorted(shares)
    assert 0.0 < shares[0] < shares[-1] <= 1.0
    assert len(shares) > 20


def test_the_value_of_a_joint_action_is_that_of_the_team_that_plays_it() -> None:
    joint = np.stack([np.full(game.WIDTH, 0.5), np.linspace(0.0, 1.0, game.WIDTH)])
    seeds = np.array(WORLD.evaluation_seeds(0, 3), dtype=np.int64)
    efforts = {role: ",".join(map(str, joint[1, part])) for role, part in game.PARTS.items()}
    team = {role: load_policy(f"constant:{text}", role) for role, text in efforts.items()}
    found = game._values(WORLD, joint, seeds, "ecosystem_value", 1)
    assert found[1] == pytest.approx(run_episodes(WORLD, team, 3).metrics["ecosystem_value"].mean())
    assert found[0] != found[1]


def test_what_gains_nothing_over_uniform_play_has_no_share() -> None:
    tables = dict.fromkeys(("uniform", "constant", "team"), run_episodes(WORLD, _team("uniform"), 1, max_cycles=1))
    assert math.isnan(game.constant_share(tables))


def test_a_game_is_told_in_the_shape_of_an_evaluation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    efforts = {role: (1.0,) * NUM_LEVERS[role] for role in ROLES}
    monkeypatch.setattr(game, "best_constant", lambda *_, **__: game.ConstantTeam(efforts, 0.0, 1))
    world, out = tmp_path / "world.toml", tmp_path / "out.json"
    world.write_text(WORLD.to_toml())
    asked = ["--scenario", str(world), "--episodes", "3", "--budget", "16", "--rounds", "1", "--out", str(out)]
    assert exit_code(app, ["game", "it epss_first; sme constant:1", *asked]) == 0
    shown, data = capsys.readouterr().out, json.loads(out.read_text())
    assert data["command"] == "game"
    assert {"constant", "constants_tried", "constant_share", "levers", "teams", "scenario", "versions"} <= data.keys()
    assert list(data["measures"]) == ["responses", "anarchy", "roles", "fairness", "rogue"]
    assert set(data["measures"]["responses"]) == set(SEATS)
    assert list(data["measures"]["fairness"]) == ["team", "average_firm", "uniform", "scripted"]
    assert max(len(line) for line in shown.splitlines()) <= 80
    for words in ("Gap to a best response", "price of anarchy", "Shapley", "Gini", "rogue", "constant share"):
        assert words in shown


def test_selfishness_is_the_zoos_where_it_was_trained_in_this_world() -> None:
    from spiral_env.agents.zoo import read_card, zoo_names

    selfish = [x for x in map(read_card, zoo_names()) if x.reward_mode == "selfish"]
    for card in selfish:
        world = load_scenario(card.scenario)
        found = _selfish(world, None, 1.0)
        assert (found is not None and found[0].startswith("zoo:")) == (world.hash == card.scenario_hash)
    assert _selfish(WORLD, None, 1.0) is None
    named = _selfish(WORLD, "scripted", 1.0)
    assert named is not None
    assert named[0] == "scripted"


def test_parts_of_a_game_are_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--scenario", "small-v1", "--episodes", "2", "--only", "roles", "--json"]
    assert exit_code(app, ["game", "status_quo", *asked]) == 0
    assert list(json.loads(capsys.readouterr().out)["measures"]) == ["roles"]
    assert exit_code(app, ["game", "status_quo", "--only", "rules"]) == 2
    assert "only must be one of teams, responses, anarchy" in capsys.readouterr().err
