"""What each mechanism of the second edition does, one sentence each, in worlds where nothing else moves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from episodes import keyed_efforts, opened, world

from spiral_env.core.ledger import Account, Purpose
from spiral_env.roles import LEVERS, MAX_LEVERS
from spiral_env.roles._levers import affords
from spiral_env.simulator.engine import Engine
from spiral_env.stages import spiral
from spiral_env.stages.resource_aggregation.cybersecurity import PATCHED
from spiral_env.stages.resource_aggregation.digital_commerce import pool_auc
from spiral_env.stages.risk_governance._attack import meet
from spiral_env.stages.risk_governance._patching import priority
from spiral_env.stages.risk_governance.finance import constraint
from spiral_env.stages.stock import stock
from spiral_env.stages.value_addition import digital_commerce

SEEDS = range(16)
EDGES = ("edge_aggregation_governance", "edge_governance_value", "edge_value_aggregation")
GAINS = ("gain_security", "gain_privacy", "gain_finance", "gain_modules")
PRESSURES = ("surface", "privacy_exposure", "need_scale", "need_stock")
# A ladder so low that the average month climbs it.
LADDER = {"need_pool": 50.0, "need_capital": 50.0, "need_stock": 0.05, "gate_risk": 10.0, "gate_trust": 0.0}
CLIMBING = {**LADDER, "gate_months": 1.0, "stage_months": 1.0, "start_value": 1.0, "attacks": 0.0}
BUILDING = {name: 1.0 for name in ("business__modules", "it__scanning", "sme__data_sharing", "finance__green_lending")}


def efforts(made: Engine, **chosen: float | np.ndarray) -> np.ndarray:
    """Efforts ``[E, A, L]``: nothing but membership, and what is named ``role__lever`` (a number, or one a row)."""
    out = np.zeros((made.num_envs, made.num_agents, MAX_LEVERS))
    for name, effort in {"sme__module_tier": 0.5, **chosen}.items():
        role, lever = name.split("__")
        place = [x.name for x in LEVERS[role]].index(lever)
        agents = slice(3, None) if role == "sme" else ("it", "business", "finance").index(role)
        out[:, agents, place] = effort if role != "sme" else np.reshape(effort, (-1, 1))
    return out


def lived(params: dict[str, Any] | None = None, months: int = 1, seeds: range = SEEDS, **chosen: Any) -> Engine:
    """Some months of ``efforts`` in a small world with some parameters replaced."""
    engine = opened(world(max_cycles=600, **(params or {})), seeds)
    for _ in range(months):
        engine.step(efforts(engine, **chosen))
    return engine


# -- stocks and edges -------------------------------------------------------------------------------------------------


def test_effort_builds_a_stock_and_keeps_what_was_built() -> None:
    p = opened(world(stock_gain=0.1, stock_decay=0.05), range(1)).params[0]
    assert stock.py_func(p, 0.4, 0.0, 3.0) == pytest.approx(0.4 * 0.95)
    assert stock.py_func(p, 0.4, 1.0, 3.0) == pytest.approx(0.4 + 0.3 * 0.6)
    assert stock.py_func(p, 0.4, 0.5, 3.0) == pytest.approx(0.4 + 0.15 * 0.6 - 0.01)
    assert stock.py_func(p, 1.0, 1.0, 3.0) == 1.0


@pytest.mark.parametrize("edge", EDGES)
def test_without_an_edge_the_pressures_stay_as_they_are(edge: str) -> None:
    # Nobody buys a tool and partners bring no records, so no response can act on a pressure.
    on, off = (lived({edge: switch, "partner_records": 0.0}, 12, sme__data_sharing=1.0) for switch in (1.0, 0.0))
    for name in (*PRESSURES, "lesson_security", "lesson_privacy"):
        assert (on.states[name] == off.states[name]).all(), name
    assert (on.states["privacy_exposure"] > 0.0).all()


def test_without_the_edge_to_governance_nothing_is_learned_from_lessons() -> None:
    on, off = (lived({EDGES[0]: switch}, 6) for switch in (1.0, 0.0))
    for name in GAINS[:3]:
        assert (off.states[name] == off.params["gain_base"]).all()
        assert (on.states[name] > on.params["gain_base"]).all()
    assert (on.states["gain_modules"] == off.states["gain_modules"]).all()


def test_without_the_edge_to_value_trust_only_falls_and_partners_only_leave() -> None:
    engine = opened(world(max_cycles=600, edge_governance_value=0.0), SEEDS)
    free = opened(world(max_cycles=600), SEEDS)
    rose = np.zeros(2)
    for month in range(24):
        before = engine.states.copy(), free.states.copy()
        engine.step(keyed_efforts(SEEDS, month, engine.num_agents))
        free.step(keyed_efforts(SEEDS, month, free.num_agents))
        for k, name in enumerate(("trust", "partners")):
            assert (engine.states[name] <= before[0][name]).all()
            rose[k] += (free.states[name] > before[1][name]).sum()
    assert (rose > 0).all()


def test_without_the_edge_to_aggregation_a_turn_brings_needs_and_threat_but_neither_market_nor_money() -> None:
    on, off = (lived({**CLIMBING, EDGES[2]: switch}, 12, **BUILDING) for switch in (1.0, 0.0))
    for engine in (on, off):
        s, p = engine.states, engine.params
        assert (s["level"] > 0).all()
        assert s["need_scale"] == pytest.approx(p["need_growth"] ** s["level"])
    assert (on.states["scope"] > 1.0).all()
    assert (off.states["scope"] == 1.0).all()
    assert (off.states["gain_modules"] == off.params["gain_base"]).all()


def test_outside_capital_comes_in_the_month_a_level_is_reached_and_in_no_other() -> None:
    engine = opened(world(max_cycles=600, **CLIMBING), SEEDS)
    seen = set()
    for _ in range(12):
        engine.step(efforts(engine, **BUILDING))
        got = engine.states["month_flow"][:, Purpose.OUTSIDE_CAPITAL, Account.TREASURY]
        assert ((got > 0.0) == (engine.states["level_rose"] == 1)).all()
        seen |= set(engine.states["level_rose"].tolist())
    assert seen == {0, 1}


def test_investors_bring_deposits_with_the_partners_and_take_them_away_with_them() -> None:
    engine = lived({"start_partners": 1.0, "partners_churn": 0.0}, 3)
    assert (engine.states["deposits"] > 0.0).all()
    engine.states["partners"] = 0.0
    before = engine.states["deposits"].copy()
    engine.step(efforts(engine))
    flow = engine.states["month_flow"][:, Purpose.DEPOSIT]
    assert (engine.states["deposits"] < before).all()
    assert flow[:, Account.TREASURY] == pytest.approx(engine.states["deposits"] - before)
    assert flow.sum(1) == pytest.approx(0.0, abs=1e-9)


def test_partners_ask_for_privacy_technology() -> None:
    start = {"partners_privacy": 1.0, "start_partners": 0.3, "partners_churn": 0.0}
    bare, protected = (lived({**start, "start_stock": stocks}).states["partners"] for stocks in (0.0, 1.0))
    assert bare == pytest.approx(0.3)
    assert (protected > 0.3).all()


def test_strict_rules_earn_trust_while_they_are_kept() -> None:
    quiet = {"privacy_incidents": 0.0}
    trust = {
        (strict, kept): lived({**quiet, "privacy_strictness": strict, "kept_epsilon": kept}).states["trust"]
        for strict in (1.0, 2.0)
        for kept in (0.0, 1e3)
    }
    assert (trust[2.0, 1e3] > trust[1.0, 1e3]).all()
    assert trust[2.0, 0.0] == pytest.approx(trust[1.0, 0.0])


# -- the spiral -------------------------------------------------------------------------------------------------------


def test_the_appetite_for_risk_follows_who_takes_part() -> None:
    engine = opened(world(appetite=50.0, appetite_members=0.4), range(1))
    s, p = engine.states[0], engine.params[0]
    shares = []
    for members in (8, 4, 0):
        s.num_members = members
        shares.append(spiral.appetite.py_func(s, p) / (50.0 * p.size))
    assert shares == pytest.approx([1.0, 0.8, 0.6])


def test_governance_is_passed_only_with_trust() -> None:
    engine = opened(world(gate_risk=10.0, gate_months=1.0, stage_months=1.0, gate_trust=0.6), range(8))
    engine.states["stage"] = 1
    engine.states["trust"] = np.repeat([0.9, 0.3], 4)
    engine.step(efforts(engine))
    assert engine.states["stage"].tolist() == [2] * 4 + [1] * 4
    assert (engine.states["risk"] <= 10.0).all()


# -- the pool and privacy ---------------------------------------------------------------------------------------------


def test_bad_records_and_noise_blur_the_model_and_secure_aggregation_clears_it() -> None:
    p = opened(world(), range(1)).params[0]
    auc = lambda epsilon=0.5, bad=0.0, features=1.0, secure=1.0: pool_auc.py_func(  # noqa: E731
        p, 3000.0, epsilon, bad, features, secure
    )
    assert auc(bad=0.4) < auc(bad=0.2) < auc()
    assert auc(features=2.0) < auc()
    assert auc(epsilon=0.25) < auc() < auc(secure=0.5)
    assert auc(secure=0.5) == auc(epsilon=1.0), "half the noise is twice the epsilon"
    assert auc(bad=1.0) >= 0.5


def test_curation_keeps_bad_records_out_of_the_pool() -> None:
    raw, curated = (lived(sme__data_sharing=1.0, sme__curation=effort) for effort in (0.0, 1.0))
    assert (curated.states["sme_curation"][:, :8] == 1.0).all()
    assert (curated.states["fraud"] < raw.states["fraud"]).all()
    assert (curated.states["auc_pool"] > raw.states["auc_pool"]).all()


def test_contributions_are_paid_for_only_where_they_are_accepted() -> None:
    # All that is given is bad, and with full technology verification finds all of it.
    bad = {"fraud_base": 0.5, "start_stock": 1.0, "verify_recall": 1.0, "asset_protection": 0.0, "start_partners": 0.0}
    bad["seat_turnover"] = 0.0
    lax, strict = (
        lived(bad, sme__data_sharing=1.0, business__payout=1.0, business__verification=effort) for effort in (0.0, 1.0)
    )
    assert (lax.states["pool_bad"] > 0.0).all()
    given = lax.states["sme_records_base"] * lax.states["sme_share"]
    assert lax.states["sme_payout"] == pytest.approx(given * lax.params["payout_record"][:, 2:])
    for name in ("pool_bad", "payouts"):
        assert strict.states[name] == pytest.approx(0.0, abs=1e-9), name


def test_verification_wrongly_rejects_good_records_unless_privacy_technology_proves_them() -> None:
    honest = {"fraud_base": 0.0, "verify_false": 0.25}
    for technology, accepted in ((0.0, 0.75), (1.0, 1.0)):
        stocks = {**honest, "start_stock": technology}
        unchecked, checked = (
            lived(stocks, sme__data_sharing=1.0, business__verification=effort).states["pool"] for effort in (0.0, 1.0)
        )
        assert checked == pytest.approx(accepted * unchecked)


def test_each_release_is_charged_to_the_account_and_modules_release_more() -> None:
    modest, modular = (lived({"start_stock": stocks, "release_modules": 2.0}) for stocks in (0.0, 1.0))
    charge = [engine.states["rho_window"][:, 1] for engine in (modest, modular)]
    assert charge[1] == pytest.approx(3.0 * charge[0])


# -- finance ----------------------------------------------------------------------------------------------------------


def test_a_firm_is_the_more_constrained_the_smaller_younger_and_shorter_of_cash_it_is() -> None:
    p = opened(world(constraint_cash=0.2), range(1)).params[0]
    usual = constraint.py_func(p, 100.0, 60, 200.0)
    assert constraint.py_func(p, 30.0, 60, 60.0) > usual
    assert constraint.py_func(p, 100.0, 6, 200.0) > usual
    assert constraint.py_func(p, 100.0, 60, 0.0) == pytest.approx(usual + 0.2)
    assert constraint.py_func(p, 100.0, 60, 1e9) == usual


def test_the_constraint_of_a_firm_follows_its_cash() -> None:
    engine = opened(world(seat_turnover=0.0), SEEDS)
    engine.states["sme_cash"][:, 0] = 0.0
    engine.states["sme_cash"][:, 1] = 1e6
    before = engine.states["sme_constraint"].copy()
    engine.step(efforts(engine))
    poor, rich = (engine.states["sme_constraint"][:, i] - before[:, i] for i in range(2))
    assert (poor >= 0.0).all()
    assert (rich <= 0.0).all()
    # Those that size and age alone constrain all they can stay there.
    assert (poor > 0.0).sum() > 4
    assert (rich < 0.0).sum() > 4


def test_green_loans_to_greenwashers_earn_nothing() -> None:
    engine = opened(world(audit_false=0.0, seat_turnover=0.0), range(8))
    s = engine.states
    s["sme_loan"][:, :8] = 100.0
    s["sme_claim"][:, :8] = 0.9
    s["sme_esg"][:, :8] = np.repeat([0.9, 0.1], 4)[:, None]
    engine.step(efforts(engine, finance__esg_verification=1.0))
    assert s["sme_green"][:, :8].any(1).all()
    assert (s["green_income"][:4] > 0.0).all()
    assert (s["green_income"][4:] == 0.0).all()


def test_a_green_label_is_worth_what_is_true_of_it() -> None:
    engine = opened(world(), range(1))
    s = engine.states[0]
    s.sme_green[:8] = [1, 1, 1, 1, 0, 0, 0, 0]
    s.sme_esg[:8] = [0.9, 0.6, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1]
    assert digital_commerce._label.py_func(s) == pytest.approx(0.5)
    s.sme_esg[:4] = 0.9
    assert digital_commerce._label.py_func(s) == pytest.approx(1.0)


def test_weights_of_the_assets_never_exceed_the_book() -> None:
    for effort, weight in ((1.0, 0.25), (0.5, 0.25), (0.125, 0.125), (0.0, 0.0)):
        engine = lived(**{f"finance__asset_{k}": effort for k in range(1, 5)})
        assert engine.states["asset_weight"] == pytest.approx(weight)
        assert engine.states["weight"] == pytest.approx(4.0 * weight)
    alone = lived(finance__asset_3=1.0)
    assert alone.states["asset_weight"][0].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert alone.states["weight_change"] == pytest.approx(1.0)


@pytest.mark.parametrize("forecasting", [0.0, 1.0])
def test_a_signal_correlates_with_the_next_return_as_the_skill_says(forecasting: float) -> None:
    sharp = {"skill_ceiling": 0.3, "alpha_sd": 0.02, "forecasting": forecasting, "arrow_data_finance": 0.0}
    engine = opened(world(max_cycles=600, **sharp), range(256))
    signals, own, skill = [], [], []
    for _ in range(20):
        signals.append(engine.states["asset_signal"].copy())
        skill.append(engine.states["skill"].copy())
        engine.step(efforts(engine))
        p, s = engine.params[0], engine.states
        market = p["asset_beta"] * (s["market_return"][:, None] - p["cash_rate"])
        own.append(s["asset_return"] - p["cash_rate"] - market)
    seen = np.corrcoef(np.ravel(signals[1:]), np.ravel(own[1:]))[0, 1]
    # Returns of an asset are its own noise and what wanders unseen in their mean.
    expected = np.mean(skill[1:]) * p["asset_sd"] / np.hypot(p["asset_sd"], p["alpha_sd"])
    assert seen == pytest.approx(expected, abs=4.0 / np.sqrt(np.size(own[1:])))
    assert (np.mean(skill[1:]) > 0.05) == (forecasting == 1.0)


# -- security ---------------------------------------------------------------------------------------------------------


def test_a_score_weighs_severity_then_likelihood_then_revenue_at_risk() -> None:
    assert priority.py_func(0.0, 1.0, 7.5, 0.2, 0.9) == 0.75
    assert priority.py_func(1.0, 0.0, 7.5, 0.2, 0.9) == 0.2
    assert priority.py_func(1.0, 1.0, 7.5, 0.2, 0.9) == 0.9
    assert priority.py_func(0.5, 0.5, 7.5, 0.2, 0.9) == pytest.approx(0.5 * 0.75 + 0.5 * 0.55)


def test_triage_patches_first_what_it_ranks_by() -> None:
    means = {name: [] for name in ("v_cvss", "v_rank", "v_value")}
    for triage in (0.0, 0.5, 1.0):
        postures = {f"it__{tier}": 0.5 for tier in ("edge", "core", "internal")}
        departments = {"finance__security_budget": 0.5, "business__maintenance_window": 0.5}
        # Few hours and a long list; what is known of likelihood is all there is to know.
        scarce = {"capacity_hours": 60.0, "triage_public": 1.0, "backlog_open": 120.0, "security_cash": 600.0}
        s = lived(scarce, 1, range(64), **postures, **departments, it__triage=triage).states
        done = s["v_fate"] == PATCHED
        done &= np.arange(done.shape[1]) < s["num_open"][:, None]
        assert done.sum() > 64
        for name, means_of in means.items():
            means_of.append(s[name][done].mean())
    for k, name in enumerate(means):
        assert np.argmax(means[name]) == k, means


def test_building_modules_takes_hours_from_patching() -> None:
    postures = {f"it__{tier}": 0.5 for tier in ("edge", "core", "internal")}
    departments = {"finance__security_budget": 1.0, "business__maintenance_window": 0.5, "business__modules": 1.0}
    free, busy = (lived({"integration_hours": hours}, **postures, **departments).states for hours in (0.0, 1e3))
    assert free["patched"].sum() > 0
    assert busy["patched"].sum() == 0


def test_the_threat_that_counts_for_the_gate_is_what_postures_left_of_it() -> None:
    engine = opened(world(), range(1))
    s, p = engine.states[0], engine.params[0]
    s.campaign, s.posture_factor[1] = 1, 0.4
    for _ in range(120):
        meet.py_func(s, p)
    assert s.threat_met / s.threat_seen == pytest.approx([1.0, 0.4, 1.0], rel=1e-3)


# -- members ----------------------------------------------------------------------------------------------------------


def _sold(engine: Engine, members: int, modules: float = 0.0) -> tuple[float, float]:
    """Channel sales of a member and of a firm outside, beside so many members."""
    s, p = engine.states[0], engine.params[0]
    s.num_members, s.modules, s.trust = members, modules, 0.5
    s.sme_member[0], s.sme_member[1] = 1, 0
    s.sme_green[:2] = 0
    s.sme_revenue[:2] = 100.0
    channel = digital_commerce._channel.py_func
    return channel(s, p, 0, 1.0, 1.0), channel(s, p, 1, 1.0, 1.0)


def test_tenants_disturb_each_other_where_modules_do_not_keep_them_apart() -> None:
    engine = opened(world(interference=0.3), range(1))
    crowded, alone = (_sold(engine, members, 0.5)[0] for members in (8, 0))
    assert crowded == pytest.approx(alone * (1.0 - 0.3 * 0.5))
    crowded, alone = (_sold(engine, members, 1.0)[0] for members in (8, 0))
    assert crowded == alone


def test_a_firm_outside_sells_a_little_through_other_markets_whatever_the_platform_does() -> None:
    engine = opened(world(outside_share=0.03), range(1))
    assert [_sold(engine, *case)[1] for case in ((8, 0.0), (0, 1.0))] == [pytest.approx(3.0)] * 2


def test_a_subsidy_refunds_the_fee_and_the_costs_of_taking_part() -> None:
    chosen = {"sme__data_sharing": 1.0, "sme__curation": 1.0}
    full, half = (lived({"subsidy_tools": share}, **chosen).states for share in (0.0, 0.5))
    assert (full["sme_fee"][:, :8] > 0.0).all()
    assert half["sme_cost"][:, :8] == pytest.approx(0.5 * full["sme_cost"][:, :8])
    assert half["sme_asked"][:, :8] == pytest.approx(full["sme_asked"][:, :8])
    refund = half["month_flow"][:, Purpose.SUBSIDY, Account.SMES]
    assert refund == pytest.approx(half["sme_cost"][:, :8].sum(1))


def test_what_is_equal_but_for_rounding_pays_a_price() -> None:
    assert affords(0.3, 0.1 + 0.2), "0.1 + 0.2 is the float above 0.3"
    assert affords(0.4, 0.3)
    assert not affords(0.3 - 1e-8, 0.3)
