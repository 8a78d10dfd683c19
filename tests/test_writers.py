"""One writer per field: a month is run uncompiled, and every change of the record is credited to who made it."""

from __future__ import annotations

import importlib
import types
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from episodes import keyed_levels, opened, world

from spiral_env.core import ledger
from spiral_env.core.state import FIELDS
from spiral_env.roles import business, finance, it, sme
from spiral_env.simulator import closing, month, reset
from spiral_env.stages import feedback, reinforcement, spiral
from spiral_env.stages.resource_aggregation import cybersecurity as pool_security
from spiral_env.stages.resource_aggregation import digital_commerce as pool_commerce
from spiral_env.stages.resource_aggregation import finance as pool_finance
from spiral_env.stages.risk_governance import cybersecurity as govern_security
from spiral_env.stages.risk_governance import digital_commerce as govern_commerce
from spiral_env.stages.risk_governance import finance as govern_finance
from spiral_env.stages.value_addition import cybersecurity as add_security
from spiral_env.stages.value_addition import digital_commerce as add_commerce
from spiral_env.stages.value_addition import finance as add_finance

WRITERS = {
    ledger.open_month: "ledger",
    ledger.post: "ledger",
    ledger.post_sme: "ledger",
    ledger.settle: "ledger",
    it.decide: it.WRITES,
    business.decide: business.WRITES,
    finance.release_budget: finance.WRITES,
    finance.decide: finance.WRITES,
    sme.decide: sme.WRITES,
    sme.count_members: sme.WRITES,
    pool_commerce.aggregate: pool_commerce.WRITES,
    pool_finance.aggregate: pool_finance.WRITES,
    pool_security.aggregate: pool_security.WRITES,
    reinforcement.reinforce: reinforcement.WRITES,
    govern_commerce.govern: govern_commerce.WRITES,
    govern_finance.govern: govern_finance.WRITES,
    govern_security.govern: govern_security.WRITES,
    add_commerce.add_value: add_commerce.WRITES,
    add_finance.add_value: add_finance.WRITES,
    add_security.add_value: add_security.WRITES,
    closing.close_books: closing.WRITES,
    feedback.learn: feedback.WRITES,
    feedback.aggregation_to_governance: feedback.WRITES,
    feedback.pressures: feedback.WRITES,
    feedback.governance_to_value: feedback.WRITES,
    feedback.value_to_aggregation: feedback.WRITES,
    spiral.turn: spiral.WRITES,
    reset.renew_seats: "reset",
}
DECLARED: dict[str, set[str]] = defaultdict(set)
for _field in FIELDS:
    DECLARED[_field.writer].add(_field.name)

# A copy of a switch: the writer sets it to what it was (see the last test).
CONSTANT = "capital_growth"
# Opening a seat sets a firm's fields (as state.py says), in the seats that closed and nowhere else.
PER_SEAT = {field.name for field in FIELDS if field.shape[:1] == ("N",)}
WORLDS = {
    "baseline": ("small-v1", {}),
    "crunch": ("credit-crunch-v1", {}),
    "strict": ("strict-privacy-v1", {"collapse_trust": 1.0, "collapse_trust_months": 9.0}),
    # Rare things made frequent, so that every field moves within a few months.
    "eventful": (
        "log4shell-v1",
        {
            "shock_month": 2.0,
            "arrival_rate": 2.0,
            "backlog_open": 230.0,
            "aim": 0.5,
            "sme_hazard": 0.2,
            "privacy_strictness": 8.0,
            "compliance_rate": 0.3,
            "market_stay": (0.5, 0.5),
            "default_rate": (0.1, 0.2),
            "press_rate": 0.5,
            "audit_recall": 1.0,
            "gap_limit": 0.02,
            "drawdown_limit": 0.01,
            "market_volatility": (0.2, 0.3),
            "privacy_incident": 1.0,
            "fine_share": 1.0,
            "pool_reference": 50.0,
            "cascade_probability": 0.5,
            "kev_share": 0.5,
            "security_cash": 600.0,
        },
    ),
    "climbing": (
        "zero-threat-v1",
        {
            "need_pool": 50.0,
            "need_capital": 50.0,
            "need_stock": 0.05,
            "gate_risk": 10.0,
            "gate_months": 1.0,
            "stage_months": 3.0,
            "start_value": 1.0,
            "platform_sales": 3000.0,
        },
    ),
    "broke": ("small-v1", {"platform_cash": -2000.0, "treasury_cash": -500.0, "collapse_cash": 0.0}),
}


class Watch:
    """Runs kernels uncompiled and credits each change of the record to the innermost writer running."""

    def __init__(self, states: np.ndarray) -> None:
        self.states = states
        self.before = states.copy()
        self.stack = ["simulator.month"]
        self.changed: dict[str, set[str]] = defaultdict(set)
        self._plain: dict[Any, Any] = {}

    def credit(self) -> None:
        """Give what changed since the last call to the writer on top."""
        if self.states.tobytes() == self.before.tobytes():
            return
        for field in FIELDS:
            if self.states[field.name].tobytes() != self.before[field.name].tobytes():
                self.changed[self.stack[-1]].add(field.name)
        self.before[:] = self.states

    def plain(self, kernel: Any) -> Any:
        """The Python function behind a kernel, calling Python functions alone; writers are watched."""
        if kernel not in self._plain:
            source = kernel.py_func
            scope: dict[str, Any] = {}
            function = types.FunctionType(source.__code__, scope, source.__name__, source.__defaults__)
            self._plain[kernel] = self._watched(function, WRITERS[kernel]) if kernel in WRITERS else function
            scope.update((name, self._uncompiled(value)) for name, value in source.__globals__.items())
        return self._plain[kernel]

    def _uncompiled(self, value: Any) -> Any:
        if hasattr(value, "py_func"):
            return self.plain(value)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("spiral_env"):
            return types.SimpleNamespace(**{k: self._uncompiled(v) for k, v in vars(value).items()})
        return value

    def _watched(self, function: Any, writer: str) -> Any:
        def run(*arguments: Any) -> Any:
            self.credit()
            self.stack.append(writer)
            result = function(*arguments)
            self.credit()
            self.stack.pop()
            return result

        return run


@pytest.fixture(scope="module")
def watched() -> dict[str, dict[str, set[str]]]:
    """World -> writer -> fields it changed in 14 months of random play."""
    return {name: _live(*WORLDS[name]) for name in WORLDS}


def _live(scenario: str, params: dict[str, Any], months: int = 14) -> dict[str, set[str]]:
    engine = opened(world(scenario, 14, **params), range(5, 6))
    watch = Watch(engine.states)
    advance, rewards = watch.plain(month.advance), watch.plain(month.rewards)
    scratch = watch.plain(month.workspace)(engine.states[0])
    with np.errstate(all="ignore"):
        for k in range(months):
            efforts = keyed_levels(11, k, engine.num_agents) / 2.0
            advance(engine.states[0], engine.params[0], efforts, np.arange(3), scratch)
            rewards(engine.states[0], engine.params[0], 0, False, engine.vectors[0], engine.scalars[0])
    watch.credit()
    return watch.changed


@pytest.mark.parametrize("name", WORLDS)
def test_a_writer_changes_no_field_but_its_own(watched: Any, name: str) -> None:
    own = {**DECLARED, "reset": DECLARED["reset"] | PER_SEAT}
    strayed = {w: fields - own[w] for w, fields in watched[name].items()}
    assert {w: sorted(fields) for w, fields in strayed.items() if fields} == {}


def test_every_field_is_changed_by_its_writer(watched: Any) -> None:
    seen = {(w, f) for changed in watched.values() for w, fields in changed.items() for f in fields}
    moving = [f for f in FIELDS if f.writer != "reset" and f.name != CONSTANT]
    assert [f"{f.writer}: {f.name}" for f in moving if (f.writer, f.name) not in seen] == []


def test_the_table_of_fields_names_only_writers_that_run() -> None:
    assert set(DECLARED) == set(WRITERS.values()) | {"simulator.month"}
    for kernel, writer in WRITERS.items():
        if writer not in {"ledger", "reset"}:
            module = kernel.py_func.__module__
            assert module.removeprefix("spiral_env.").removeprefix("stages.") == writer
            assert writer == importlib.import_module(module).WRITES


def test_every_field_has_a_name_of_its_own_and_a_unit() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))
    assert all(field.unit for field in FIELDS)


def test_observing_writes_nothing() -> None:
    engine = opened(world(), range(3))
    before = engine.states.tobytes(), engine.params.tobytes()
    engine.observe()
    assert (engine.states.tobytes(), engine.params.tobytes()) == before


def test_a_new_firm_changes_its_own_seat_alone() -> None:
    engine = opened(world(), range(1))
    watch = Watch(engine.states)
    state = engine.states[0]
    state.sme_closing[2] = 2
    before = engine.states.copy()
    with np.errstate(over="ignore"):
        state.month = 5
        watch.plain(reset.renew_seats)(state, engine.params[0])
    rows = {f: engine.states[f][0] != before[f][0] for f in PER_SEAT}
    moved = {f: set(np.flatnonzero(x.reshape(len(x), -1).any(1))) for f, x in rows.items()}
    assert set().union(*moved.values()) == {2}
    assert moved["sme_revenue"] == moved["sme_entry"] == {2}


def test_the_arrow_of_capital_is_set_from_its_switch() -> None:
    engine = opened(world(), range(1))
    watch = Watch(engine.states)
    engine.states[CONSTANT] = -1.0
    watch.plain(reinforcement.reinforce)(engine.states[0], engine.params[0])
    assert engine.states[CONSTANT][0] == 1.0
    assert CONSTANT in watch.changed[reinforcement.WRITES]
