"""Plans over snapshots: with the true draws an upper bound, with resampled ones made without knowing the future."""

from __future__ import annotations

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.agents.planner import WIDTH, Planning, _Batch, _plan, planned
from spiral_env.evaluation import run_episodes
from spiral_env.policy import Policy
from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario


def _team(name: str = "status_quo") -> dict[str, Policy]:
    return {role: load_policy(name, role) for role in ROLES}


def test_plans_in_the_true_future_never_end_below_the_team_that_they_better() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 6})
    before, after = planned(world, _team(), 3, Planning(horizon=4, stride=2, plans=6, rounds=2))
    np.testing.assert_array_equal(before, run_episodes(world, _team(), 3).metrics["ecosystem_value"])
    assert (after >= before).all()
    assert (after > before).any()


def test_plans_in_resampled_futures_better_the_team_too() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 12})
    planning = Planning(horizon=12, stride=6, plans=24, rounds=3, futures=4)
    before, after = planned(world, _team(), 8, planning)
    assert after.mean() > before.mean()


@pytest.mark.parametrize(("futures", "knows"), [(0, True), (2, False)])
def test_an_honest_plan_does_not_depend_on_what_will_be_drawn(futures: int, knows: bool) -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 8})
    planning = Planning(horizon=8, plans=12, rounds=2, futures=futures)
    plans = []
    for future in (11, 12):
        real = _Batch(world, _team(), np.array([4, 4]))
        real.env.engine.states["seed"] = future
        copies = _Batch(world, _team(), np.full(2 * planning.plans * max(1, futures), 4))
        best = np.full((2, WIDTH), np.nan)
        plans.append(_plan(real, copies, best, np.zeros(2), 8, planning, np.random.default_rng(1))[0])
    assert np.array_equal(*plans, equal_nan=True) is not knows
