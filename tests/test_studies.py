"""The comparisons of studies [5] and [6] measure what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spiral_env.agents.forecaster import RETURN_SCALE, history, inputs, load_forecaster, train_forecaster
from spiral_env.agents.portfolio import LstmPortfolio, mean_variance_weights
from spiral_env.evaluation import run_episodes
from spiral_env.files import as_json_text
from spiral_env.policy import Policy, StatusQuo
from spiral_env.roles import FEATURES, ROLES
from spiral_env.scenarios import load_scenario
from tests.benchmarks.markets import forecasts, sharpe, true_excess
from tests.benchmarks.studies import PARTS, Studies, conclude
from tests.benchmarks.watched import watched

AVERAGE: dict[str, Policy] = {role: StatusQuo(role) for role in ROLES}


def test_what_is_watched_is_the_episode_that_is_evaluated() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 5})
    seen, metrics, _ = watched(world, AVERAGE, world.evaluation_seeds(0, 3), ("ecosystem_value", "patching_cost"))
    played = run_episodes(world, AVERAGE, 3).metrics
    np.testing.assert_array_equal(metrics["ecosystem_value"], played["ecosystem_value"])
    np.testing.assert_allclose(seen["ecosystem_value"].mean(0), played["ecosystem_value"], rtol=1e-12)
    assert seen["patching_cost"].shape == (5, 3)


def test_weights_are_the_textbooks_where_nothing_binds() -> None:
    covariance = np.outer([1.0, 0.8, 1.2, 0.9], [1.0, 0.8, 1.2, 0.9]) * 0.04**2 + 0.05**2 * np.eye(4)
    excess = np.array([[0.003, 0.002, 0.003, 0.002], [0.0, 0.0, 0.0, 0.0]])
    found = mean_variance_weights(excess, covariance, 4.0, np.zeros((2, 4)), 0.0)
    np.testing.assert_allclose(found[0], np.linalg.solve(4.0 * covariance, excess[0]), atol=2e-3)
    np.testing.assert_allclose(found[1], 0.0, atol=2e-3)


def test_weights_are_kept_where_trading_costs_more_than_it_brings() -> None:
    held = np.array([[0.2, 0.2, 0.2, 0.2]])
    covariance = 0.05**2 * np.eye(4)
    excess = held * 4.0 * 0.05**2 + 0.0005
    assert mean_variance_weights(excess, covariance, 4.0, held, 0.002).tolist() == held.tolist()
    assert mean_variance_weights(excess, covariance, 4.0, held, 0.0).min() > 0.2


def test_weights_never_borrow_nor_sell_short() -> None:
    excess = np.array([[0.05, -0.05, 0.04, 0.03]])
    found = mean_variance_weights(excess, 0.05**2 * np.eye(4), 4.0, np.zeros((1, 4)), 0.0015)
    assert found.min() >= 0.0
    assert found[0, 1] == 0.0
    assert found.sum() <= 1.001


def test_the_sharpe_ratio_is_a_years_mean_over_its_deviation() -> None:
    excess = np.array([[0.01, 0.03], [0.02, np.nan]])
    assert sharpe(excess) == pytest.approx(np.sqrt(12.0) * 0.02 / np.std([0.01, 0.02, 0.03]))


def test_the_shipped_forecaster_beats_the_mean_of_its_training_in_held_out_worlds() -> None:
    world = load_scenario("small-v1")
    seen, returns = history(world, world.evaluation_seeds(0, 200))
    told = load_forecaster()(torch.from_numpy(inputs(seen).swapaxes(1, 2).reshape(-1, seen.shape[1], 4)).double())[0]
    target = (returns / RETURN_SCALE).swapaxes(1, 2).reshape(told.shape)
    mean = history(world, world.training_seeds(0, 200))[1].mean() / RETURN_SCALE
    assert np.mean((told.detach().numpy() - target) ** 2) < np.mean((mean - target) ** 2)


def test_training_a_forecaster_follows_from_its_seed() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 12})
    (one, errors), (same, _), (other, _) = (train_forecaster(world, 24, 2, seed) for seed in (0, 0, 1))
    assert len(errors) == 2
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert one.covariance.diagonal().min() > 0.0


def test_a_forecaster_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"^forecaster .* cannot be read"):
        load_forecaster(tmp_path / "x.safetensors")


def test_the_portfolio_remembers_its_episode_and_forgets_it_at_a_reset() -> None:
    policy = LstmPortfolio("finance")
    shape = (3, 2, 1, len(FEATURES["finance"]))
    months = np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)
    first = [policy.forecast(x) for x in months]
    assert not np.array_equal(policy.forecast(months[0]), first[0])
    policy.reset(np.zeros(2))
    np.testing.assert_array_equal(policy.forecast(months[0]), first[0])


def test_portfolios_do_not_depend_on_how_many_play_side_by_side() -> None:
    team = AVERAGE | {"finance": LstmPortfolio("finance")}
    whole, parts = (run_episodes("small-v1", team, 4, num_envs=n, max_cycles=4).metrics for n in (4, 1))
    np.testing.assert_array_equal(whole["ecosystem_value"], parts["ecosystem_value"])


@pytest.mark.slow
def test_no_forecast_beats_the_true_expected_return() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 24})
    rows = forecasts(world, 40, fitted=32)
    best = rows["true expected own return"]["with the own part"].mean
    for name in ("LSTM", "linear regression", "signal"):
        assert rows[name]["with the own part"].mean < best
    assert rows["skill of the model, mean"]["with the own part"] < best


def test_the_true_expected_return_is_the_mean_of_what_comes() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 12})
    fields = ("asset_return", "asset_alpha", "stress", "month")
    seen, _, p = watched(world, AVERAGE, world.evaluation_seeds(0, 400), fields)
    flat = {
        "stress": seen["stress"][:-1].astype(int).reshape(-1),
        "asset_alpha": seen["asset_alpha"][:-1].reshape(-1, 4),
    }
    told = true_excess(flat, p) + float(p["cash_rate"])
    came = seen["asset_return"][1:].reshape(-1, 4)
    error = (came - told).mean(0)
    assert (np.abs(error) < 4.0 * (came - told).std(0) / np.sqrt(len(told))).all()


@pytest.mark.slow
def test_every_part_of_the_studies_gives_a_table(tmp_path: Path) -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 3})
    studies = Studies(world, 3, 2, tmp_path, 3_000)
    stored = {}
    for name in ("patching", "portfolio"):
        figures = PARTS[name].measure(studies)
        stored[name] = {"figures": json.loads(as_json_text(figures))}
        head, rows = PARTS[name].rows(figures)
        assert all(len(row) == len(head) for row in rows)
        assert {row[0] for row in rows} == figures["rows"].keys()
    sentences, text = conclude(stored)
    assert len(sentences) == 2
    assert f"LSTM {figures['rows']['LSTM']['Sharpe ratio'].mean:.2f}, equal weight" in text
