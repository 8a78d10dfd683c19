from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import spiral_env
from spiral_env.core.ledger import ACCOUNTS, Purpose
from spiral_env.render.scene import FIRM_STATES, Scene, scene
from spiral_env.stages.spiral import power_mean


@pytest.fixture(scope="module")
def month() -> tuple[Any, Any, Scene]:
    """A month of random play: record, parameters and scene."""
    env = spiral_env.parallel_env("small-v1", num_smes=12)
    env.reset(seed=3)
    for space in env.action_spaces.values():
        space.seed(3)
    for _ in range(9):
        env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    s, p = env.engine.states[0], env.engine.params[0]
    return s, p, scene(s, p)


def test_a_scene_only_reads(month: tuple[Any, Any, Scene]) -> None:
    s, p, shown = month
    before = s.tobytes(), p.tobytes()
    assert scene(s, p) == shown
    assert (s.tobytes(), p.tobytes()) == before


def test_a_scene_is_what_json_can_hold(month: tuple[Any, Any, Scene]) -> None:
    shown = month[2].as_dict()
    assert json.loads(json.dumps(shown, allow_nan=False))["spiral"]["level"] == shown["spiral"]["level"]


def test_the_flows_of_a_scene_add_up_to_the_ledger(month: tuple[Any, Any, Scene]) -> None:
    s, _, shown = month
    moved = np.zeros((len(Purpose), len(ACCOUNTS)))
    for flow in shown.flows:
        assert flow.amount > 0.0
        row = [name.lower() for name in Purpose._fields].index(flow.purpose)
        moved[row, ACCOUNTS.index(flow.payer)] -= flow.amount
        moved[row, ACCOUNTS.index(flow.payee)] += flow.amount
    assert len(shown.flows) > 10
    np.testing.assert_allclose(moved, s.month_flow, atol=1e-6)


def test_the_services_of_a_scene_hold_all_that_is_open(month: tuple[Any, Any, Scene]) -> None:
    s, _, shown = month
    assert sum(x.open for x in shown.services) == s.num_open - s.patched
    assert sum(x.known for x in shown.services) == s.tier_known.sum()
    assert [x.tier for x in shown.services] == s.service_tier[: s.num_services].tolist()
    assert sum(x.criticality for x in shown.services) == pytest.approx(1.0)
    assert len(shown.calls) == s.calls_end[s.num_services - 1]
    assert all(a < b for a, b in shown.calls)


def test_the_resources_of_a_scene_are_those_of_the_gate(month: tuple[Any, Any, Scene]) -> None:
    _, p, shown = month
    ratios = {x.name: min(x.ratio, float(p.need_clip)) for x in shown.resources}
    gate = shown.spiral.gates[0]
    assert gate.measured == pytest.approx(power_mean(*ratios.values()))
    assert gate.met == (gate.measured >= 1.0)


def test_a_gate_from_above_is_met_below_it(month: tuple[Any, Any, Scene]) -> None:
    s, p, shown = month
    risk = shown.spiral.gates[1]
    assert risk.at_most
    assert risk.met == (s.risk <= p.gate_risk)
    assert risk.share == pytest.approx(min(1.0, p.gate_risk / s.risk))


def test_the_firms_of_a_scene_are_in_one_state_each(month: tuple[Any, Any, Scene]) -> None:
    s, _, shown = month
    states = [firm.state for firm in shown.firms]
    assert len(states) == s.num_smes
    assert states.count("basic") + states.count("full") == s.num_members
    assert states.count("waiting") == ((s.sme_member == 0) & (s.sme_lag > 0)).sum()
    assert set(states) <= set(FIRM_STATES)
