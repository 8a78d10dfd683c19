"""What a policy misses where the best decision is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spiral_env.agents import NetworkPolicy, load_policy
from spiral_env.agents.known_answers import ANSWERS, BestHygiene, regret
from spiral_env.agents.marginal_sme import MarginalSme
from spiral_env.scenarios import load_scenario, scenario_ids
from tests.benchmarks.alone import trained_answer
from tests.test_known_answers import _closed_form, _two_firms

KNOWN = [x for x in scenario_ids() if load_scenario(x).known_answer]


def test_regret_is_known_of_every_world_with_an_answer_and_of_no_other() -> None:
    assert {load_scenario(x).known_answer for x in KNOWN} == ANSWERS.keys()
    assert regret("small-v1", load_policy("status_quo", "sme"), 2) is None


@pytest.mark.parametrize("scenario", KNOWN)
def test_the_known_best_has_no_regret_and_nobody_goes_below(scenario: str) -> None:
    world = load_scenario(scenario)
    answer = ANSWERS[world.known_answer]
    best = regret(world, answer.best(world), 3)
    assert best is not None
    assert best.share == 1.0
    assert best.missed.mean == 0.0
    for name in ("status_quo", "uniform", "constant:1"):
        found = regret(world, load_policy(name, answer.role), 3)
        assert found is not None
        assert found.missed.mean > 0.0
        assert found.share < 1.0
        assert "regret" in found.line()


def test_the_best_path_of_one_firm_is_no_worse_than_the_best_constant_of_the_closed_form() -> None:
    world = load_scenario("gordon-loeb-v1")
    effort = np.linspace(0.0, 1.0, 21)
    spending, loss = _closed_form(effort)
    constant = float(effort[(spending + loss).argmin()])
    found = regret(world, load_policy(f"constant:{constant}", "sme"), 12)
    assert found is not None
    assert found.missed.mean >= 0.0
    assert found.share > 0.85


def test_two_firms_lose_what_the_closed_form_says() -> None:
    world = load_scenario("patching-dilemma-v1")
    best = BestHygiene(world)
    effort = np.array([[0.5, 1.0]])
    hygiene, modules, total = np.zeros((1, 2)), float(best._p["start_stock"]), np.zeros((1, 2))
    for _ in range(12):
        modules, hygiene = float(best.moved(modules, 0.5)), best.moved(hygiene, effort)
        total += best.losses(hygiene, modules) + best.spending(effort)
    np.testing.assert_allclose(total, _two_firms(effort), rtol=1e-12)


def test_marginal_benefit_with_the_prices_of_the_world_is_near_the_best_investment() -> None:
    found = regret("gordon-loeb-v1", MarginalSme("sme", "gordon-loeb-v1"), 12)
    assert found is not None
    assert found.share > 0.97


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "timesteps"),
    [("gordon-loeb-v1", 1_500_000), ("patching-dilemma-v1", 1_000_000), ("one-month-pool-v1", 50_000)],
)
def test_trained_policies_come_within_a_twentieth_of_the_best(scenario: str, timesteps: int, tmp_path: Path) -> None:
    world = load_scenario(scenario)
    run = trained_answer(world, tmp_path, timesteps)
    found = regret(world, NetworkPolicy(run, ANSWERS[world.known_answer].role), 30)
    assert found is not None
    assert found.share >= 0.95
