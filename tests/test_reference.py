"""The compiled month equals the slow one of ``reference.py``: every row of the state, flow, reward and observation."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from episodes import keyed_levels, world
from reference import MODES, Ecosystem, Tables, starting_law
from reference_parts.decisions import TIERS, category

import spiral_env
from spiral_env.core.ledger import PURPOSE_CLASS, Class, Purpose
from spiral_env.core.params import PARAMETERS
from spiral_env.roles import FEATURES, LEVERS, MAX_LEVERS
from spiral_env.simulator.engine import Engine, World, central_fields

HERE = Path(__file__).resolve().parent
LAW = Path(spiral_env.__file__).parent / "scenarios" / "starting_backlog.csv"
BASES = (False, True)
TABLES = Tables({role: [x.name for x in levers] for role, levers in LEVERS.items()}, dict(FEATURES))
SEEDS = (0, 1)
AT_OPENING = ("start_month", "criticality", "service_tier", "mean_reach", "service_value")
AT_SEAT = ("sme_start_revenue", "sme_records_base", "sme_entry")


class Harsh(NamedTuple):
    """A world that is made to show what is rare."""

    params: dict[str, Any]
    shows: set[str]


HARSH = {
    "attacked": Harsh(
        {"aim": 0.06, "sme_hazard": 0.05, "spill": 0.9, "drawdown_limit": 0.02, "crowding_noise": 0.3},
        {"breach", "spill", "own event", "drawdown", "failure", "isolation", "shock"},
    ),
    "cascading": Harsh(
        {"cascade_probability": 0.9, "patch_failure": (0.0, 0.3, 0.5), "security_release": (60.0, 90.0, 120.0)},
        {"cascade", "failure", "isolation"},
    ),
    "overflowing": Harsh({"arrival_rate": 2.0, "capacity_hours": 60.0}, {"overflow"}),
    "flooded": Harsh(
        {"arrival_rate": 2.0, "surface_modules": 3.0, "start_stock": 1.0, "shock_month": 1.0, "shock_count": 200.0},
        {"overflow", "turned away"},
    ),
    "otherwise": Harsh(
        {"fee_step": 0.2, "compliance_part": 0.9, "closure_clip": (0.1, 8.0), "users_reference": 0.4}
        | {"intel_sharing": 0.8, "trust_openness": 0.3, "drawdown_limit": 0.02, "start_risk": 0.4}
        | {"compliance_rate": 0.5, "observation_noise": (0.5, 0.1, 0.3, 0.2)},
        {"drawdown", "compliance fine", "closure"},
    ),
    "few services": Harsh({"num_services": 5.0, "posture_cost": (0.0, 0.5, 1.0)}, {"failure", "isolation"}),
    "many services": Harsh({"num_services": 20.0, "arrival_rate": 2.0}, {"failure"}),
    "climbing": Harsh(
        {"need_pool": 50.0, "need_capital": 20.0, "need_stock": 0.05, "gate_risk": 30.0, "start_value": 40.0}
        | {"trust_gain": 0.2, "trust_neutral": 9.0, "alert_false": 0.4, "payout_record": (0.0, 0.1, 0.9)},
        {"level rise", "false alarm", "payout", "deposit"},
    ),
    "falling back": Harsh(
        {"need_pool": 50.0, "need_capital": 20.0, "need_stock": 0.05, "gate_risk": 90.0, "fallback_risk": 0.01}
        | {"start_value": 90000.0, "trust_gain": 0.2, "trust_neutral": 9.0},
        {"fallback"},
    ),
    "distrusted": Harsh(
        {"trust_gain": 0.0, "press_rate": 0.5, "trust_press": 0.1, "gate_risk": 90.0, "start_partners": 0.9}
        | {"need_pool": 50.0, "need_capital": 20.0, "need_stock": 0.05},
        {"press", "collapse of trust", "distrust at the gate", "withdrawal"},
    ),
    "careless": Harsh(
        {"fraud_base": 0.9, "esg_high": 0.3, "green_threshold": (0.0, 0.1, 0.9), "loan_limit": 0.5},
        {"poison", "green money lost", "posture lowered"},
    ),
    "insolvent": Harsh(
        {"platform_cash": -500.0, "treasury_cash": -900.0, "platform_fixed": 400.0, "insurance": 0.0},
        {"collapse of cash", "overdraft", "payout refused"},
    ),
    "policed": Harsh(
        {"compliance_rate": 0.5, "subsidy_tools": 0.5, "tax_break_esg": 0.5, "verification_norm": 0.3}
        | {"adaptive_rules": 0.5, "privacy_strictness": 3.0, "default_rate": (0.05, 0.1), "epsilon_cap": 1.0},
        {"compliance fine", "subsidy", "finding", "default", "closure"},
    ),
    "leaking": Harsh(
        {"privacy_incident": 1.0, "records_mean": 400.0, "trust_privacy": 0.01, "fine_share": 0.5}
        | {"privacy_strictness": 3.0},
        {"privacy incident", "privacy fine", "incident without a fine"},
    ),
    "unpaid": Harsh(
        {"security_release": (1.0, 2.0, 4.0), "security_cash": 5.0, "sme_revenue_mu": 1.0},
        {"posture denied"},
    ),
    "switched off": Harsh(
        {q.name: 0.0 for q in PARAMETERS if q.group == "switches" and q.name not in ("insurance", "attacks")},
        set(),
    ),
}

Play = Callable[[int, int], np.ndarray]


def three_levels(seed: int) -> Play:
    return lambda month, agents: keyed_levels(seed, month, agents) / 2.0


def continuous(month: int, agents: int) -> np.ndarray:
    return np.random.default_rng(month).random((agents, MAX_LEVERS))


def alike(made: World) -> World:
    """The world with a backlog of three kinds, all known and patchable: their order is a matter of age."""
    known, patch = made.law[:, 4] == 1.0, made.law[:, 5] == 1.0
    return replace(made, law=made.law[known & patch][:3])


@cache
def law() -> list[dict[str, float]]:
    return starting_law(LAW)


def slow(made: World, seed: int) -> Ecosystem:
    whole = law()
    rows = whole if len(made.law) == len(whole) else [dict(zip(whole[0], x, strict=True)) for x in made.law.tolist()]
    return Ecosystem(made.values, made.ranges, rows, made.num_smes, made.max_cycles, seed, TABLES)


def engines(made: World, seed: int) -> dict[tuple[str, bool], Engine]:
    """The compiled world once for every reward mode and basis, opened with the same seed."""
    out = {(mode, realised): Engine(made, 1, 1, mode, realised) for mode in MODES for realised in BASES}
    for engine in out.values():
        engine.reset(np.array([seed], dtype=np.int64))
    return out


def assert_near(got: Any, wanted: Any, what: str, tolerance: float = 1e-9) -> None:
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    assert got.shape == wanted.shape, what
    near = np.abs(got - wanted) <= tolerance + tolerance * np.abs(wanted)
    assert near.all(), f"{what}: compiled {got[~near][:4]}, reference {wanted[~near][:4]} at {np.argwhere(~near)[:4]}"


def assert_same_backlog(state: Any, reference: Ecosystem, when: str) -> None:
    """The same open vulnerabilities, in whatever order."""
    fates = ("open", "patched", "failed", "isolated")
    places = {int(uid): j for j, uid in enumerate(state["v_uid"][: state["num_open"]])}
    assert places.keys() == {v.uid for v in reference.vulnerabilities}, when
    for v in reference.vulnerabilities:
        j = places[v.uid]
        got = [state[f"v_{name}"][j] for name in ("service", "class", "patch_month", "kev_month", "known", "kev")]
        wanted = [v.service, v.kind, v.patch_month, v.exploited_month, v.known, v.exploited]
        assert [*got, fates[state["v_fate"][j]]] == [*wanted, v.fate], f"{when}: vulnerability {v.uid}"
        assert abs(state["v_epss"][j] - v.epss) < 1e-12, f"{when}: vulnerability {v.uid}"


def assert_same(engine: Engine, reference: Ecosystem, when: str) -> None:
    """Central rows, statement, backlog and observations."""
    state = engine.states[0]
    for name, cut in central_fields(reference.num_smes, reference.services.count):
        assert_near(state[name][cut] if cut else state[name], reference.field(name), f"{when}: {name}")
    for name, flow in zip(Purpose._fields, state["month_flow"], strict=True):
        assert_near(flow, reference.statement(name.lower()), f"{when}: {name}")
    assert_same_backlog(state, reference, when)
    for role, agents in reference.observations().items():
        assert_near(engine.observations[role][0], [list(x) for x in agents], f"{when}: observation {role}", 1e-5)
    for name in ("month", "done", "collapsed"):
        assert state[name] == getattr(reference, name), f"{when}: {name}"


def rare(w: Ecosystem) -> dict[str, bool]:
    """What is rare, and whether it has happened this month."""

    def asked(role: str, lever: str) -> float:
        return dict(zip(w.levers[role], getattr(w, f"{role}_action"), strict=True))[lever]

    postures = [(category(asked("it", tier)), got) for tier, got in zip(TIERS, w.posture, strict=True)]
    what = {
        "breach": w.breach,
        "own event": any(firm.event == 1 for firm in w.firms),
        "spill": any(firm.event == 2 for firm in w.firms),
        "shock": any(firm.shock for firm in w.firms),
        "default": any(firm.closing == 1 for firm in w.firms),
        "closure": any(firm.closing == 2 for firm in w.firms),
        "finding": w.findings,
        "press": w.exposed,
        "drawdown": w.drawdown_event,
        "privacy incident": w.privacy_incident,
        "privacy fine": w.privacy_fine,
        "incident without a fine": w.privacy_incident and not w.privacy_fine,
        "poison": w.p.poison * w.fraud**2 >= 1.0,
        "payout": w.payouts,
        "payout refused": not w.payout_rate and asked("business", "payout"),
        "posture denied": any(wish > 0 and not got for wish, got in postures),
        "posture lowered": any(wish > got > 0 for wish, got in postures),
        "false alarm": w.alert and w.campaign < 0,
        "green money lost": not w.green_book and any(firm.loan and firm.green for firm in w.firms),
        "deposit": w.statement("deposit")[0] < 0.0,
        "withdrawal": w.statement("deposit")[0] > 0.0,
        "distrust at the gate": w.stage == 1 and w.risk <= w.p.gate_risk and w.trust < w.trust_needed,
        "compliance fine": any(firm.fine for firm in w.firms),
        "failure": w.failed,
        "cascade": w.cascaded,
        "isolation": w.isolated,
        "overflow": w.overflowed,
        "turned away": w.turned_away,
        "level rise": w.level_rose,
        "fallback": w.fallbacks,
        "overdraft": w.statement("overdraft")[0] > 0.0,
        "subsidy": w.statement("subsidy")[0] < 0.0,
        "collapse of trust": w.collapsed and w.trust_count >= w.p.collapse_trust_months,
        "collapse of cash": w.collapsed and w.cash_count >= w.p.collapse_cash_months,
    }
    return {name: bool(value) for name, value in what.items()}


def assert_same_opening(engine: Engine, reference: Ecosystem) -> None:
    """Firms, services, calls, and all that is compared in a month."""
    for name in AT_OPENING + AT_SEAT:
        live = engine.states[0][name]
        wanted = np.asarray(reference.field(name), dtype=float)
        assert_near(live[: len(wanted)] if wanted.ndim else live, wanted, f"opening: {name}")
    ends = engine.states[0]["calls_end"][: reference.services.count]
    calls = np.split(engine.states[0]["callee"][: ends[-1]], ends[:-1])
    assert [list(called) for called in calls] == reference.services.calls
    assert_same(engine, reference, "opening")


def compare(made: World, seed: int, play: Play) -> Counter[str]:
    """Play both month by month; they must agree in everything. Returns how often what is rare has happened."""
    compiled, reference = engines(made, seed), slow(made, seed)
    first = compiled["mixed", False]
    assert_same_opening(first, reference)
    seen: Counter[str] = Counter()
    while not reference.done:
        efforts = play(reference.month, 3 + made.num_smes)
        reference.step(efforts.tolist())
        seen.update(name for name, happened in rare(reference).items() if happened)
        for (mode, realised), engine in compiled.items():
            engine.step(efforts[None])
            vectors, scalars = reference.rewards(mode, realised)
            when = f"month {reference.month}"
            assert_near(engine.vectors[0], vectors, f"{when}: vectors {mode} {realised}")
            assert_near(engine.scalars[0], scalars, f"{when}: scalars {mode} {realised}")
        assert_same(first, reference, when)
    return seen


@pytest.mark.parametrize("scenario", spiral_env.scenario_ids())
def test_whole_episodes_equal_the_reference(scenario: str) -> None:
    made = world(scenario)
    for seed in SEEDS:
        compare(made, seed, three_levels(seed))


# More than twelve services are another compiled size.
SIZES = [pytest.param(name, marks=pytest.mark.slow) if name == "many services" else name for name in HARSH]


@pytest.mark.parametrize("name", SIZES)
def test_what_is_rare_equals_the_reference(name: str) -> None:
    made = world("small-v1", **HARSH[name].params)
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        seen += compare(made, seed, three_levels(seed))
    assert HARSH[name].shows <= seen.keys(), f"never happened: {HARSH[name].shows - seen.keys()}"


@pytest.mark.parametrize(
    "params",
    [
        {"arrival_rate": 0.1, "security_cash": 900.0, "security_release": (90.0, 90.0, 90.0)},
        {"arrival_rate": 2.0, "capacity_hours": 60.0, "patch_failure": (0.0, 0.3, 0.3)},
    ],
    ids=["queue", "tail"],
)
def test_equals_are_taken_in_the_order_of_their_age(params: dict[str, Any]) -> None:
    made = alike(world("small-v1", backlog_open=150.0, **params))
    for seed in SEEDS:
        compare(made, seed, three_levels(seed))


def test_many_openings_equal_the_reference() -> None:
    made = world("procedural-v1")
    for seed in range(100):
        engine = Engine(made, 1)
        engine.reset(np.array([seed], dtype=np.int64))
        assert_same_opening(engine, slow(made, seed))


def test_continuous_efforts_equal_the_reference() -> None:
    made = world("small-v1")
    compare(made, 5, continuous)


def test_the_worlds_that_are_compared_show_everything_rare() -> None:
    assert set().union(*(harsh.shows for harsh in HARSH.values())) == rare(slow(world("small-v1"), 0)).keys()


def test_the_reference_has_its_own_ledger_with_the_same_purposes() -> None:
    from reference_parts.books import CAPITAL, LOSS, OPERATING

    for kind, purposes in ((Class.OPERATING, OPERATING), (Class.CAPITAL, CAPITAL), (Class.LOSS, LOSS)):
        assert {name.lower() for name, k in zip(Purpose._fields, PURPOSE_CLASS, strict=True) if k == kind} == set(
            purposes
        )


def test_the_reference_imports_no_part_of_the_compiled_model() -> None:
    files = [HERE / "reference.py", *sorted((HERE / "reference_parts").glob("*.py"))]
    assert len(files) > 5
    allowed = {"spiral_env.core.params", "spiral_env.core.rng"}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("spiral_env") or name in allowed, f"{file.name} imports {name}"
                assert name.split(".")[0] not in ("numpy", "numba"), f"{file.name} imports {name}"
