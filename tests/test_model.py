import numpy as np
import pytest

import spiral_env
from spiral_env.calibration import average_firm, facts
from spiral_env.core.state import FIELDS
from spiral_env.simulator.engine import Engine

SCENARIOS = spiral_env.scenario_ids()


def engine(scenario="baseline-v0", num_envs=16, months=0, order=(0, 1, 2), threads=1, seed=0):
    world = spiral_env.load_scenario(scenario).world()
    out = Engine(world, num_envs, threads)
    out.reset(np.arange(seed, seed + num_envs, dtype=np.int64))
    for month in range(months):
        efforts = np.stack(
            [np.random.default_rng((seed + e, month)).integers(0, 3, (out.num_agents, 5)) / 2 for e in range(num_envs)]
        )
        out.step(efforts, np.array(order))
    return out


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_money_is_conserved_under_random_play(scenario):
    run = engine(scenario, 4)
    rng = np.random.default_rng(1)
    for _ in range(min(24, run.world.max_cycles)):
        run.step(rng.integers(0, 3, (4, run.num_agents, 5)) / 2)
        s = run.states
        assert np.abs(s["balance"].sum(1)).max() < 1e-6
        assert np.abs(s["balance"][:, 4] - s["sme_cash"].sum(1)).max() < 1e-6
        assert np.abs(s["month_flow"].sum(2)).max() < 1e-6


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_the_order_of_the_domains_leaves_no_bit_of_difference(order):
    assert engine(months=30).states.tobytes() == engine(months=30, order=order).states.tobytes()


def test_a_row_of_a_batch_equals_the_single_environment_at_any_thread_count():
    batch = engine(num_envs=7, months=20)
    threaded = engine(num_envs=7, months=20, threads=2)
    assert batch.states.tobytes() == threaded.states.tobytes()
    for k in range(7):
        assert engine(num_envs=1, months=20, seed=k).states[0].tobytes() == batch.states[k].tobytes()


def test_exogenous_draws_do_not_move_when_agents_act_otherwise():
    a, b = engine(months=30), engine()
    for _ in range(30):
        b.step(np.zeros((16, b.num_agents, 5)))
    for name in ("market_return", "campaign", "stress", "calm_filter"):
        assert (a.states[name] == b.states[name]).all()


@pytest.mark.parametrize("switch", ["privacy_incidents", "attacks", "credit", "growth", "greenwashing"])
def test_switching_a_mechanism_off_leaves_the_draws_of_the_market_as_they_were(switch):
    scenario = spiral_env.load_scenario("baseline-v0")
    off = scenario.model_copy(update={"params": {**scenario.params, switch: 0.0}})
    run = Engine(off.world(), 16)
    run.reset(np.arange(16))
    on = engine()
    for _ in range(24):
        run.step(average_firm(16, 8))
        on.step(average_firm(16, 8))
    assert (run.states["market_return"] == on.states["market_return"]).all()
    assert (run.states["campaign"] == on.states["campaign"]).all()


def test_more_hygiene_never_raises_the_hazard_of_an_sme():
    low, high = average_firm(32, 8), average_firm(32, 8)
    high[:, 3:, 0] = 1.0
    scenario = spiral_env.load_scenario("baseline-v0")
    steady = scenario.model_copy(update={"params": {**scenario.params, "seat_turnover": 0.0}})
    a, b = Engine(steady.world(), 32), Engine(steady.world(), 32)
    a.reset(np.arange(32))
    b.reset(np.arange(32))
    for _ in range(12):
        a.step(low)
        b.step(high)
    assert (b.states["sme_hygiene"] >= a.states["sme_hygiene"]).all()


def test_every_field_has_one_writer_and_a_unit():
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))
    assert all(field.unit and field.writer for field in FIELDS)


def test_the_facts_hold_that_do_not_hang_on_rare_events():
    measured = facts(episodes=256)
    solid = [f for f in measured if f.number in {"3", "4", "5", "6", "8", "9"} or "not conserved" in f.name]
    assert len(solid) >= 14
    assert [f.name for f in solid if not f.ok] == []


def test_the_expected_loss_is_the_mean_of_drawn_losses():
    ratio = next(f for f in facts(episodes=512) if f.name.startswith("drawn"))
    assert ratio.measured.low <= 1.0 <= ratio.measured.high


def test_without_attacks_there_is_no_loss_and_deferring_is_best_for_it():
    quiet = engine("zero-threat-v0", 8)
    busy = engine("zero-threat-v0", 8)
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
