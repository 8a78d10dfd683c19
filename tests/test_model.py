import numpy as np
import pytest

import spiral_env
from spiral_env.calibration import average_firm, facts
from spiral_env.metrics import outcome
from spiral_env.roles import MAX_LEVERS, finance
from spiral_env.simulator.engine import Engine

SCENARIOS = spiral_env.scenario_ids()


def engine(scenario="small-v1", num_envs=16, months=0, order=(0, 1, 2), threads=1, seed=0):
    world = spiral_env.load_scenario(scenario).world()
    out = Engine(world, num_envs, threads)
    out.reset(np.arange(seed, seed + num_envs, dtype=np.int64))
    for month in range(months):
        efforts = np.stack(
            [
                np.random.default_rng((seed + e, month)).integers(0, 3, (out.num_agents, MAX_LEVERS)) / 2
                for e in range(num_envs)
            ]
        )
        out.step(efforts, np.array(order))
    return out


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_money_is_conserved_under_random_play(scenario):
    run = engine(scenario, 4)
    rng = np.random.default_rng(1)
    for _ in range(min(24, run.world.max_cycles)):
        run.step(rng.integers(0, 3, (4, run.num_agents, MAX_LEVERS)) / 2)
        s = run.states
        assert np.abs(s["balance"].sum(1)).max() < 1e-6
        assert np.abs(s["balance"][:, 4] - s["sme_cash"].sum(1)).max() < 1e-6
        assert np.abs(s["month_flow"].sum(2)).max() < 1e-6


def test_the_facts_hold_that_do_not_hang_on_rare_events():
    measured = facts(episodes=256)
    solid = [f for f in measured if f.number in {"3", "4", "5", "6", "8", "9"} or "not conserved" in f.name]
    assert len(solid) >= 14
    assert [f.name for f in solid if not f.ok] == [], "spiral calibrate --write solves anew"


def test_the_expected_loss_is_the_mean_of_drawn_losses():
    ratio = next(f for f in facts(episodes=512) if f.name.startswith("drawn"))
    assert ratio.measured.low <= 1.0 <= ratio.measured.high


def test_portfolio_and_arrivals_are_measured_as_they_happened():
    run = engine(num_envs=4)
    efforts = average_firm(4, 8)
    efforts[:, 2, finance.LEVER.asset_1] = 1.0
    seen = {name: np.zeros(4) for name in ("certainty_equivalent", "market_income", "arrivals")}
    for _ in range(6):
        run.step(efforts)
        for name, total in seen.items():
            total += run.states[name]
    measured = outcome(run.states, run.params)
    for name, months in (("certainty_equivalent", 60), ("market_income", 60), ("arrivals", 6)):
        assert (seen[name] != 0.0).all()
        np.testing.assert_allclose(measured[name], seen[name] / months, rtol=1e-12)


def test_without_attacks_there_is_no_loss_and_deferring_is_best_for_it():
    quiet = engine("zero-threat-v1", 8)
    busy = engine("zero-threat-v1", 8)
    idle = average_firm(8, 8)
    idle[:, 0] = 0.0
    rewards = np.zeros(2)
    for _ in range(24):
        quiet.step(idle)
        busy.step(average_firm(8, 8))
        rewards += quiet.vectors[:, 0].sum(), busy.vectors[:, 0].sum()
    assert quiet.states["sums"][:, 6].max() == 0.0
    assert rewards[0] == 0.0
    assert rewards[1] < 0.0
