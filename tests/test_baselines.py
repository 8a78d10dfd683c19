"""Baseline agents do what their source says, from what their role may see, and are found by their names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import NAMED, load_policy, team_of
from spiral_env.agents.gordon_loeb import GordonLoeb, optimal_investment
from spiral_env.agents.patch_planner import SETS, Foresighted, Items, Setting, solve
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.policy import STATUS_QUO, ask_policy, episode_keys, reset_policy
from spiral_env.roles import FEATURES, LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.stages.resource_aggregation.cybersecurity import rank_of_threat
from spiral_env.vector_env import SpiralVectorEnv

ONE_ROLE = [(name, roles[0]) for name, (_, roles) in NAMED.items() if len(roles) == 1]


def _play(name: str, world: Any = "small-v1", episodes: int = 12, **options: Any) -> EpisodeTable:
    team = {role: load_policy(spec, role) for role, spec in team_of(name).items()}
    return run_episodes(world, team, episodes, **options)


def _world(name: str = "small-v1", **params: float) -> Scenario:
    world = load_scenario(name)
    return world.model_copy(update={"params": {**world.params, **params}})


def _seen(role: str, rows: int = 1, **features: Any) -> np.ndarray:
    """An observation of zeros but for some features, in the units of the table."""
    out = np.zeros((rows, 1, len(FEATURES[role])), dtype=np.float32)
    for k, x in enumerate(FEATURES[role]):
        if x.name in features:
            out[:, 0, k] = np.asarray(features[x.name]) / x.scale
    return out


def _lever(role: str, name: str) -> int:
    return [x.name for x in LEVERS[role]].index(name)


@pytest.mark.parametrize("name", NAMED)
def test_a_name_gives_a_team_that_plays(name: str) -> None:
    team = {role: load_policy(spec, role) for role, spec in team_of(name).items()}
    assert {policy.name for policy in team.values()} <= {name, "status_quo"}
    env = SpiralVectorEnv("small-v1", 2, action_mode="continuous")
    seen, _ = env.reset(seed=1)
    for role, policy in team.items():
        reset_policy(policy, role, episode_keys(range(2)))
    for _ in range(2):
        seen, *_ = env.step({role: ask_policy(policy, role, seen[role]) for role, policy in team.items()})
    env.close()


@pytest.mark.parametrize(("name", "role"), ONE_ROLE)
def test_a_policy_of_one_role_refuses_the_others_in_one_line(name: str, role: str) -> None:
    other = next(x for x in ROLES if x != role)
    with pytest.raises(ValueError, match=f"^policy {name} plays {role}, not {other}$"):
        load_policy(name, other)


def test_rankings_change_what_is_patched_first_and_nothing_else() -> None:
    seen = _seen("it", worst_edge=0.9)
    usual = np.array(STATUS_QUO["it"])
    for name, triage in {"cvss_first": 0.0, "epss_first": 0.5, "hybrid_risk": 1.0}.items():
        efforts = load_policy(name, "it").act(seen)[0, 0]
        assert efforts[_lever("it", "triage")] == triage
        np.testing.assert_array_equal(efforts[:-1], usual[:-1])


def test_kev_first_goes_to_now_where_an_entry_is_open() -> None:
    efforts = load_policy("kev_first", "it").act(_seen("it", kev_core=1.0))[0, 0]
    assert efforts[:3].tolist() == [0.5, 1.0, 0.5]


def test_where_epss_is_public_knowledge_ranking_by_it_cuts_losses_further() -> None:
    """With ``triage_public`` at 1 the score is EPSS alone; by default it is mixed with CVSS."""
    worlds = (_world(), _world(triage_public=1.0))
    names = ("cvss_first", "epss_first")
    mixed, pure = ({x: _play(x, world, 24).metrics["expected_loss"].mean() for x in names} for world in worlds)
    assert mixed["cvss_first"] == pure["cvss_first"]
    assert pure["epss_first"] < mixed["epss_first"] < mixed["cvss_first"]


def test_the_gordon_loeb_rule_spends_where_the_last_k_saves_one_and_never_37_percent() -> None:
    loss = np.linspace(0.0, 500.0, 101)
    best = optimal_investment(loss, 0.1)
    grid = np.linspace(0.0, 200.0, 20_001)
    total = loss[:, None] / (0.1 * grid + 1.0) + grid
    np.testing.assert_allclose(best, grid[total.argmin(1)], atol=0.01)
    assert (best <= loss / np.e).all()
    assert best[-1] > 0.0 == best[0]


def test_business_by_gordon_and_loeb_spends_more_where_the_premium_is_higher() -> None:
    policy = GordonLoeb("business")
    efforts = policy.act(_seen("business", 3, premium=[0.0, 20.0, 40.0]))[:, 0]
    window = efforts[:, _lever("business", "maintenance_window")]
    assert window[0] == 0.0 < window[1] < window[2]
    np.testing.assert_array_equal(window, efforts[:, _lever("business", "privacy_tech")])


def test_an_sme_joins_where_the_platform_pays_and_leaves_where_the_fee_eats_it() -> None:
    see = {"size": 0.0, "months_left": 0.8, "trust": 0.9, "tenant_share": 1.0, "own_auc": 0.7, "pool_auc": 0.7}
    tier = [load_policy("marginal_sme", "sme").act(_seen("sme", fee_next=fee, **see))[0, 0, 1] for fee in (0.5, 20.0)]
    assert tier == [0.5, 0.0]


def test_an_sme_shares_nothing_with_a_pool_that_is_worse_than_its_own_model() -> None:
    see = {"size": 2.0, "months_left": 1.0, "own_auc": 0.7}
    share = [
        load_policy("marginal_sme", "sme").act(_seen("sme", pool_auc=auc, **see))[0, 0, _lever("sme", "data_sharing")]
        for auc in (0.5, 0.79)
    ]
    assert share == [0.0, 1.0]


def _setting(**values: Any) -> Setting:
    usual = {"cash": 100.0, "tools": 0.0, "size": 1.0, "release": 0.5, "window": 0.5, "services": 12.0, "sales": 0.0}
    usual |= {"lost_hours": 0.0, "months_in_now": np.zeros(3), "tier_loss": np.zeros(3), "months": 12.0}
    return Setting(**{**usual, **values})


def test_the_integer_program_is_the_best_of_all_plans() -> None:
    """Against every plan of six items, one by one."""
    p = load_scenario("small-v1").world().base()[0]
    rng = np.random.default_rng(3)
    tier, month = rng.integers(0, 3, 6), rng.uniform(0.0, 1.2, 6)
    items = Items(tier, np.ones(6), month, month)
    setting = _setting(cash=30.0, tier_loss=np.array([1.0, 0.5, 0.0]))
    plan = solve(p, items, setting, postures=(1, 1, 1))
    room = 30.0 - 3 * p["posture_cost"][1]
    gain = (1.0 - p["patch_failure"][1]) * month * 11.0 - p["patch_cost"][1]
    best = -np.inf
    for picks in np.ndindex(*[2] * 6):
        if np.sum(picks) * p["patch_cost"][1] <= room:
            best = max(best, float(np.sum(gain * picks)))
    assert p["patch_hours"][1] * 6 < 60.0, "hours do not bind here"
    assert plan.patched.sum() >= 1
    # The late share of the month is the same for all, and small.
    assert float((gain * plan.patched).sum()) == pytest.approx(best, rel=0.02)


def test_the_integer_program_keeps_to_hours_and_defers_where_nothing_is_at_stake() -> None:
    p = load_scenario("small-v1").world().base()[0]
    many = Items(np.zeros(60, dtype=int), np.ones(60), np.full(60, 5.0), np.full(60, 5.0))
    plan = solve(p, many, _setting(cash=1000.0))
    assert plan.postures[0] > 0
    assert 0 < plan.patched.sum() * p["patch_hours"][1] <= p["capacity_hours"]
    nothing = solve(p, Items(np.zeros(3, dtype=int), np.ones(3), np.zeros(3), np.zeros(3)), _setting())
    assert nothing.postures.tolist() == [0, 0, 0] == SETS[0].tolist()
    assert nothing.patched.sum() == 0


def test_the_planner_with_the_whole_state_lands_what_it_chose_and_leaves_no_trace() -> None:
    env = SpiralVectorEnv("small-v1", 3, autoreset_mode="disabled", action_mode="continuous")
    env.reset(seed=5)
    planner, landed = Foresighted(postures=(1, 1, 1)), 0
    efforts = {role: np.tile(np.array(STATUS_QUO[role]), (3, n, 1)) for role, n in env.num_agents_of.items()}
    for _ in range(3):
        s = env.engine.states
        opens = [slice(0, int(n)) for n in s["num_open"]]
        before = [
            dict(zip(s["v_uid"][e][x].tolist(), s["v_cvss"][e][x].tolist(), strict=True)) for e, x in enumerate(opens)
        ]
        values = [s["v_value"][e][x].copy() for e, x in enumerate(opens)]
        efforts["it"] = planner.plan(env.engine)
        uids = [s["v_uid"][e][x] for e, x in enumerate(opens)]
        chosen, left = (
            [
                set(
                    uids[e][
                        (s["v_value"][e][x] == kept * values[e]) & (s["v_cvss"][e][x] == 10.0 * s["v_value"][e][x])
                    ].tolist()
                )
                for e, x in enumerate(opens)
            ]
            for kept in (1.0, 0.1)
        )
        env.step(efforts)
        planner.put_back(env.engine)
        for e in range(3):
            live = slice(0, int(s["num_open"][e]))
            tried = set(s["v_uid"][e][live][np.isin(s["v_fate"][e][live], (1, 2))].tolist())
            assert left[e]
            landed += len(tried & chosen[e])
            assert not tried & left[e] or chosen[e] <= tried, "what it did not choose has to wait"
            for uid, cvss in zip(s["v_uid"][e][live], s["v_cvss"][e][live], strict=True):
                assert before[e].get(int(uid), cvss) == cvss
            threat = s["v_epss"][e][live] * s["service_value"][e][s["v_service"][e][live]]
            assert s["v_value"][e][live].tolist() == [rank_of_threat(x) for x in threat]
    env.close()
    assert landed > 0


def test_baseline_names_are_plain_and_their_sources_are_told() -> None:
    for name, (place, _) in NAMED.items():
        assert re.fullmatch(r"[a-z_]+", name)
        assert load_policy(name, NAMED[name][1][0]).name == name, place
