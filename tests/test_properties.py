"""Properties that hold in every world: what patching, seats, currency and switches can and cannot change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from episodes import keyed_efforts, opened, played, world
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import spiral_env
from spiral_env.core.params import PARAMETERS, PARAMS_DTYPE
from spiral_env.core.records import check_states
from spiral_env.core.state import FIELDS, METRIC_SUMS
from spiral_env.roles import FEATURES, MAX_LEVERS, business
from spiral_env.simulator.engine import Engine, flat_state
from spiral_env.stages.risk_governance import digital_commerce

SMALL = [s for s in spiral_env.scenario_ids() if spiral_env.load_scenario(s).num_smes == 8]
SWITCHES = [q.name for q in PARAMETERS if q.group == "switches"]
seeds_of = st.integers(0, 2**40)
LASTING = {"collapse_trust": 0.0, "collapse_cash": -1e7}
"""Nothing collapses, so that random play goes on to the last month."""


def branched(engine: Engine) -> Engine:
    """An engine of the same world in the same state."""
    twin = Engine(engine.world, engine.num_envs)
    twin.states[:] = engine.states
    twin.params[:] = engine.params
    return twin


# -- patching ---------------------------------------------------------------------------------------------------------


@given(seed=seeds_of, months=st.integers(0, 40), scenario=st.sampled_from(SMALL))
@settings(max_examples=25)
def test_no_posture_is_more_dangerous_in_its_month_than_deferring_everything(
    seed: int, months: int, scenario: str
) -> None:
    seeds = range(seed, seed + 8)
    deferring = played(world(scenario, 600), seeds, months)
    efforts = keyed_efforts(seeds, months, deferring.num_agents)
    idle = efforts.copy()
    idle[:, 0, :3] = 0.0
    acting = branched(deferring)
    acting.step(efforts)
    deferring.step(idle)
    a, d = acting.states, deferring.states
    assert (a["base_hazard"] <= d["base_hazard"]).all()
    assert (a["event_probability"] <= d["event_probability"] * (1.0 + 1e-12)).all()


@given(seed=seeds_of, months=st.integers(0, 40), chosen=st.lists(st.integers(0, 255), min_size=1, max_size=40))
@settings(max_examples=25)
def test_without_an_open_vulnerability_the_hazard_never_rises(seed: int, months: int, chosen: list[int]) -> None:
    seeds = range(seed, seed + 4)
    engine = played(world(max_cycles=600), seeds, months)
    # IT defers, so nothing else is patched instead of what was removed.
    efforts = keyed_efforts(seeds, months, engine.num_agents)
    efforts[:, 0, :3] = 0.0
    relieved = branched(engine)
    relieved.states["v_hazard"][:, chosen] = 0.0
    engine.step(efforts)
    relieved.step(efforts)
    for name in ("base_hazard", "event_probability", "cycle_loss", "sme_probability"):
        assert (relieved.states[name] <= engine.states[name] * (1.0 + 1e-12)).all(), name
    # Loss given an event depends on where it enters, so only the product with the hazard is monotone.
    assert (_damage(relieved) <= _damage(engine) * (1.0 + 1e-12)).all()


def _damage(engine: Engine) -> np.ndarray:
    """Expected breach loss if events were not limited to one a month."""
    chance = engine.states["event_probability"]
    hazard = -np.log1p(-chance)
    return engine.states["expected_breach"] * np.where(chance > 0.0, hazard / np.maximum(chance, 1e-300), 1.0)


@given(seed=seeds_of, months=st.integers(0, 30), raised=st.floats(0.0, 1.0))
@settings(max_examples=25)
def test_more_hygiene_effort_never_raises_any_hazard_of_the_month(seed: int, months: int, raised: float) -> None:
    seeds = range(seed, seed + 4)
    low = played(world(max_cycles=600), seeds, months)
    high = branched(low)
    efforts = keyed_efforts(seeds, months, low.num_agents)
    more = efforts.copy()
    # Only rich firms: a poor one pays for patching with what it would share, which makes IT's ranking worse.
    low.states["sme_cash"] += 1000.0
    high.states["sme_cash"] += 1000.0
    more[:, 3:, 0] = np.maximum(efforts[:, 3:, 0], raised)
    low.step(efforts)
    high.step(more)
    assert (high.states["sme_hygiene"] >= low.states["sme_hygiene"]).all()
    assert (high.states["sme_probability"] <= low.states["sme_probability"] * (1.0 + 1e-12)).all()
    assert (high.states["event_probability"] <= low.states["event_probability"] * (1.0 + 1e-12)).all()


# -- seats ------------------------------------------------------------------------------------------------------------

SEATED = [f.name for f in FIELDS if f.shape[:1] == ("N",)]
SHARED = [f.name for f in FIELDS if f.central and "N" not in f.shape]
# What is drawn seat by seat, and what follows from it within the month.
DRAWN = {"sme_event", "sme_loss", "sme_retained", "sme_quiet", "sme_shock", "sme_cash", "sme_fine", "sme_flow"}
AFTER_DRAWN = {"trust", "balance", "realised_value"}
QUIET = {
    "growth_noise": 0.0,
    "rating_noise": 0.0,
    "seat_turnover": 0.0,
    "greenwashing": 0.0,
    "privacy_incidents": 0.0,
}


def permuted(made: Any, seeds: range, months: int, order: np.ndarray, start: int = 0) -> tuple[Engine, Engine]:
    """The same episode with the firms in their own seats, and in others."""
    own = played(made, seeds, start)
    moved = branched(own)
    for name in SEATED:
        moved.states[name] = own.states[name][:, order]
    for month in range(start, start + months):
        efforts = keyed_efforts(seeds, month, own.num_agents)
        own.step(efforts)
        moved.step(np.concatenate([efforts[:, :3], efforts[:, 3:][:, order]], axis=1))
    return own, moved


def check_seats(own: Engine, moved: Engine, order: np.ndarray, left_out: set[str]) -> None:
    for name in set(SEATED) - left_out:
        assert moved.states[name] == pytest.approx(own.states[name][:, order], rel=1e-7, abs=1e-9), name
    for name in set(SHARED) - left_out:
        assert moved.states[name] == pytest.approx(own.states[name], rel=1e-7, abs=1e-7), name


@given(seed=seeds_of, order=st.permutations(range(8)))
@settings(max_examples=15)
def test_without_draws_of_single_firms_outcomes_move_with_the_firms(seed: int, order: list[int]) -> None:
    made = world(max_cycles=600, attacks=0.0, **QUIET)
    own, moved = permuted(made, range(seed, seed + 4), 24, np.array(order))
    check_seats(own, moved, np.array(order), set())
    assert moved.scalars[:, 3:] == pytest.approx(own.scalars[:, 3:][:, order], rel=1e-7, abs=1e-9)
    assert moved.scalars[:, :3] == pytest.approx(own.scalars[:, :3], rel=1e-7, abs=1e-9)


@given(seed=seeds_of, order=st.permutations(range(8)), months=st.integers(0, 30))
@settings(max_examples=15)
def test_what_a_firm_may_expect_moves_with_the_firm(seed: int, order: list[int], months: int) -> None:
    # A drawn loss can put a firm into debt, and interest on it into the operating value.
    made = world(max_cycles=600, overdraft_rate=0.0, **{**QUIET, "privacy_incidents": 1.0})
    own, moved = permuted(made, range(seed, seed + 4), 1, np.array(order), months)
    check_seats(own, moved, np.array(order), DRAWN | AFTER_DRAWN)
    assert (own.states["sme_expected"] > 0.0).all()


# -- currency ---------------------------------------------------------------------------------------------------------


def in_currency(values: dict[str, Any], rate: float) -> dict[str, Any]:
    """Every parameter in a currency of which ``rate`` make one k$, by the unit of the table."""
    out = dict(values)
    for q in PARAMETERS:
        value = np.array(values.get(q.name, q.default))
        if q.unit.startswith("ln "):
            value = value + math.log(rate) * ("$" in q.unit)
        elif q.unit.startswith("k$") and not q.unit.startswith("k$ per k$"):
            value = value * rate
        out[q.name] = tuple(value.tolist()) if value.ndim else float(value)
    return out


MONEY = {f.name for f in FIELDS if f.unit.startswith("k$")}
MONEY_SUMS = {
    "ecosystem_value",
    "present_value",
    "operating_value",
    "certainty_equivalent",
    "market_income",
    "expected_loss",
    "realised_loss",
    "security_spending",
    "payoff_it",
    "payoff_business",
    "payoff_finance",
    "payoff_sme",
}


@given(seed=seeds_of, power=st.sampled_from([-5, -1, 1, 3, 7]), scenario=st.sampled_from(SMALL))
@settings(max_examples=15)
def test_a_change_of_currency_scales_money_and_nothing_else(seed: int, power: int, scenario: str) -> None:
    # Powers of two scale without rounding: whether the last k$ still pays a patch must not hang on the last bit.
    rate = 2.0**power
    # The index of financial constraint is an estimate in dollars: it stays at its mean for age alone.
    made = world(scenario, 600, sa_size=0.0, sa_size_squared=0.0)
    other = world(scenario, 600)
    other.values.update(in_currency(made.values, rate))
    seeds = range(seed, seed + 3)
    dollars, euros = played(made, seeds, 18), played(other, seeds, 18)
    scale = np.array([rate if name in MONEY_SUMS else 1.0 for name in METRIC_SUMS])
    for field in FIELDS:
        by = scale if field.name == "sums" else rate if field.name in MONEY else 1.0
        want = dollars.states[field.name] * by
        size = 1e-9 * max(1.0, rate) * max(1.0, np.abs(want).max())
        assert euros.states[field.name] == pytest.approx(want, rel=1e-7, abs=size), field.name
    assert euros.vectors == pytest.approx(dollars.vectors * rate, rel=1e-7, abs=1e-7 * max(1.0, rate))
    assert euros.scalars == pytest.approx(dollars.scalars, rel=1e-7, abs=1e-7)


# -- switches ---------------------------------------------------------------------------------------------------------


def born(state: np.ndarray) -> dict[int, tuple[float, ...]]:
    """Key of each open vulnerability -> what was drawn at its birth."""
    names = ("v_service", "v_tier", "v_class", "v_cvss", "v_patch_month", "v_kev_month")
    rows = zip(*(state[name][: state["num_open"]].tolist() for name in names), strict=True)
    return dict(zip(state["v_uid"][: state["num_open"]].tolist(), rows, strict=True))


@pytest.mark.parametrize("switch", SWITCHES)
def test_switching_a_mechanism_off_leaves_the_draws_of_the_others_as_they_were(switch: str) -> None:
    seeds = range(6)
    # The attack surface ties the number of arrivals to modules; without it arrivals are a draw alone.
    fixed = {"surface_modules": 0.0, **LASTING}
    on, off = (
        opened(world(max_cycles=600, **fixed), seeds),
        opened(world(max_cycles=600, **fixed, **{switch: 0.0}), seeds),
    )
    for month in range(30):
        efforts = keyed_efforts(seeds, month, on.num_agents)
        on.step(efforts)
        off.step(efforts)
        for name in ("campaign", "stress", "arrivals", "volatility_index", "market_return"):
            if (switch, name) != ("market_risk", "market_return"):
                assert (on.states[name] == off.states[name]).all(), (month, name)
        for a, b in zip(on.states, off.states, strict=True):
            first, second = born(a), born(b)
            common = first.keys() & second.keys()
            assert common
            assert all(first[uid] == second[uid] for uid in common)
    assert (on.states["callee"] == off.states["callee"]).all()
    assert (on.states["calls_end"] == off.states["calls_end"]).all()
    assert (on.states["start_month"] == off.states["start_month"]).all()
    assert off.states.tobytes() != on.states.tobytes(), "the switch does nothing"


def test_exogenous_draws_do_not_move_when_agents_act_otherwise() -> None:
    seeds = range(16)
    acting, idle = played(world(**LASTING), seeds, 30), opened(world(**LASTING), seeds)
    for _ in range(30):
        idle.step(np.zeros((16, idle.num_agents, MAX_LEVERS)))
    for name in ("market_return", "campaign", "stress", "volatility_index"):
        assert (acting.states[name] == idle.states[name]).all()


# -- every parameter in its declared range ----------------------------------------------------------------------------

FUZZED = [q for q in PARAMETERS if q.name != "num_services"]


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    """Some parameters anywhere in their declared range, ends included; switches 0 or 1."""
    out: dict[str, Any] = {}
    for q in draw(st.lists(st.sampled_from(FUZZED), min_size=1, max_size=12, unique_by=lambda q: q.name)):
        count = len(q.default) if isinstance(q.default, tuple) else 1
        span = st.floats(q.low, q.high)
        one = st.sampled_from((0.0, 1.0)) if q.group == "switches" else span | st.sampled_from((q.low, q.high))
        values = tuple(draw(st.lists(one, min_size=count, max_size=count)))
        out[q.name] = values if isinstance(q.default, tuple) else values[0]
    return out


def check_sound(engine: Engine) -> None:
    """Every field in its range and finite, money conserved."""
    s = engine.states
    engine.observe()
    for role, block in engine.observations.items():
        assert np.isfinite(block).all(), role
        low, high = (np.array([getattr(f, end) for f in FEATURES[role]], dtype=np.float32) for end in ("low", "high"))
        assert (block >= low).all(), role
        assert (block <= high).all(), role
    assert np.isfinite(engine.scalars).all()
    assert np.isfinite(engine.vectors).all()
    check_states(s, engine.world.num_smes, int(engine.params[0]["num_services"]), engine.world.max_cycles)
    size = max(1.0, np.abs(s["balance"]).max(), np.abs(s["month_flow"]).max())
    assert np.abs(s["balance"].sum(1)).max() < 1e-6 * size
    assert np.abs(s["balance"][:, 4] - s["sme_cash"].sum(1)).max() < 1e-6 * size
    assert np.abs(s["month_flow"].sum(2)).max() < 1e-6 * size
    assert np.isfinite(flat_state(s, engine.world.num_smes, int(engine.params[0]["num_services"]))).all()


@given(values=parameters(), scenario=st.sampled_from(SMALL), seed=seeds_of)
@settings(max_examples=300)
def test_any_numbers_in_their_ranges_make_a_sound_world(values: dict[str, Any], scenario: str, seed: int) -> None:
    seeds = range(seed, seed + 3)
    engine = opened(world(scenario, 600, **values), seeds)
    check_sound(engine)
    for month in range(16):
        engine.step(keyed_efforts(seeds, month, engine.num_agents))
        check_sound(engine)


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("name", [q.name for q in FUZZED])
def test_each_parameter_may_stand_at_either_end_of_its_range(name: str, end: str) -> None:
    q = next(q for q in FUZZED if q.name == name)
    value = float(getattr(q, end))
    engine = opened(world(**{name: (value,) * len(q.default) if isinstance(q.default, tuple) else value}), range(2))
    for month in range(8):
        engine.step(keyed_efforts(range(2), month, engine.num_agents))
        check_sound(engine)


def test_a_spill_never_exceeds_certainty() -> None:
    # With the least modularity the platform passes on every event; the drawn event and the expected one agree.
    engine = opened(world(spill=1.0, isolation_reference=0.1, aim=10.0), range(4))
    engine.step(np.full((4, 11, MAX_LEVERS), 0.5))
    assert engine.states["sme_probability"].max() <= 1.0
    assert engine.states["sme_probability"].max() > 0.5


def test_shares_stay_shares_where_a_lever_falls_and_published_shares_add_to_more_than_one() -> None:
    falling = {"security_release": (1e4, 24.0, 1e-3), "platform_cash": 1e6, "treasury_cash": 1e6}
    sharp = {"detect_outside": 0.999, "asset_protection": 1.0, "class_share": (0.3505, 0.1505, 0.4005, 0.1005)}
    engine = opened(world(max_cycles=600, privacy_strictness=20.0, **falling, **sharp), range(4))
    for _ in range(24):
        engine.step(np.zeros((4, engine.num_agents, MAX_LEVERS)))
        s = engine.states
        assert (s["release_effort"] == 1.0).all()
        assert (s["detection"] <= 1.0).all()
        assert (s["incident_probability"] >= 0.0).all()
        assert (s["privacy_fine"] >= 0.0).all()
    assert s["detection"].max() > 0.99


# -- privacy accountant -----------------------------------------------------------------------------------------------


@given(epsilon=st.floats(1e-3, 20.0), delta=st.floats(1e-10, 1e-2))
def test_the_conversion_of_privacy_inverts_its_definition(epsilon: float, delta: float) -> None:
    log = math.log(1.0 / delta)
    solved = optimize.brentq(lambda rho: rho + 2.0 * math.sqrt(rho * log) - epsilon, 0.0, epsilon, xtol=1e-16)
    assert business.rho_of_epsilon(epsilon, delta) == pytest.approx(solved, rel=1e-6, abs=1e-12)
    assert business.epsilon_of_rho(solved, delta) == pytest.approx(epsilon, rel=1e-6)


@given(rho=st.floats(1e-6, 20.0))
def test_the_advantage_is_that_of_the_best_test_between_two_gaussians(rho: float) -> None:
    exact = 2.0 * stats.norm.cdf(math.sqrt(2.0 * rho) / 2.0) - 1.0
    assert digital_commerce.advantage(rho) == pytest.approx(exact, abs=1e-9)


@given(seed=seeds_of, cap=st.sampled_from([math.inf, 3.0]))
@settings(max_examples=10)
def test_the_account_is_the_sum_of_the_last_twelve_releases(seed: int, cap: float) -> None:
    seeds = range(seed, seed + 4)
    engine = opened(world(max_cycles=600, epsilon_cap=cap, **LASTING), seeds)
    p = engine.params[0]
    log = math.log(1.0 / p["delta"])
    charged: list[np.ndarray] = []
    for month in range(40):
        releases = 1.0 + p["release_modules"] * engine.states["modules"]
        engine.step(keyed_efforts(seeds, month, engine.num_agents))
        charged.append(releases * (np.sqrt(log + engine.states["epsilon"]) - math.sqrt(log)) ** 2)
        rho = sum(charged[-12:])
        assert engine.states["rho12"] == pytest.approx(rho, rel=1e-6, abs=1e-12)
        assert engine.states["eps12"] == pytest.approx(rho + 2.0 * np.sqrt(rho * log), rel=1e-6, abs=1e-9)
        assert (engine.states["eps12"] <= cap * (1.0 + 1e-9)).all()
    assert PARAMS_DTYPE["delta"] == np.float64
