"""Worlds whose best decision is known without learning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from spiral_env import SpiralVectorEnv
from spiral_env.core.params import pack
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import load_scenario

PATCHING = [("it", "edge"), ("it", "core"), ("it", "internal"), ("sme", "patching")]


def _mean_value(scenario: str, role: str, lever: str, effort: float) -> float:
    """Mean ecosystem value over paired seeds: the average firm with one lever held elsewhere."""
    env = SpiralVectorEnv(scenario, 24, autoreset_mode="disabled", action_mode="continuous")
    env.reset(seed=7)
    actions = {}
    for name in ROLES:
        efforts = np.array(STATUS_QUO[name], dtype=float)
        if name == role:
            efforts[[x.name for x in LEVERS[role]].index(lever)] = effort
        actions[name] = np.broadcast_to(efforts, (24, env.num_agents_of[name], 5)).copy()
    for _ in range(env.max_cycles):
        env.step(actions)
    value = float(env.metrics()["ecosystem_value"].mean())
    env.close()
    return value


@pytest.mark.parametrize(("role", "lever"), PATCHING)
def test_without_a_threat_the_less_is_patched_the_better(role: str, lever: str) -> None:
    low, middle, high = (_mean_value("zero-threat-v0", role, lever, x) for x in (0.0, 0.5, 1.0))
    assert low > middle > high


@pytest.mark.parametrize(("role", "lever"), [("it", "edge"), ("sme", "patching")])
def test_with_a_threat_patching_something_beats_patching_nothing(role: str, lever: str) -> None:
    low, middle = (_mean_value("baseline-v0", role, lever, x) for x in (0.0, 0.5))
    assert middle > low


def _limited_mean(mu: float, sigma: float, cap: float) -> float:
    """E[min(cap, LogNormal(mu, sigma))], by the normal distribution of scipy."""
    z = (np.log(cap) - mu) / sigma
    return float(np.exp(mu + 0.5 * sigma**2) * norm.cdf(z - sigma) + cap * norm.sf(z))


def _closed_form(effort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Monthly spending and expected loss of the lone firm at its steady hygiene 2e/(1 + 2e), k$."""
    p = pack(load_scenario("gordon-loeb-v0").world().values, 1)[0]
    hygiene = 2.0 * effort / (1.0 + 2.0 * effort)
    revenue = np.exp(p["sme_revenue_mu"])
    loss = _limited_mean(p["sme_loss_mu"] - np.log(1000.0), p["sme_loss_sigma"], 12.0 * revenue)
    hazard = p["sme_hazard"] * p["hygiene_ratio"] ** (p["hygiene_reference"] - hygiene)
    spending = np.interp(effort, (0.0, 0.5, 1.0), p["cost_hygiene"]) * (revenue / p["sme_revenue_reference"]) ** 0.5
    return spending, hazard * loss


def _measured(effort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of the simulator, after 240 months at each effort."""
    env = SpiralVectorEnv("gordon-loeb-v0", len(effort), 1, "disabled", action_mode="continuous", max_cycles=240)
    env.reset(seed=[3] * len(effort))
    actions = {role: np.tile(np.array(STATUS_QUO[role], dtype=float), (len(effort), 1, 1)) for role in ROLES}
    actions["sme"][:] = 0.0
    actions["sme"][:, 0, [x.name for x in LEVERS["sme"]].index("patching")] = effort
    for _ in range(239):
        env.step(actions)
    s = env.engine.states
    assert (s["done"] == 0).all()
    return s["sme_cost"][:, 0].copy(), s["sme_expected"][:, 0].copy()


def test_the_lone_firm_invests_as_the_closed_form_says() -> None:
    effort = np.linspace(0.0, 1.0, 41)
    spending, loss = _closed_form(effort)
    cost, expected = _measured(effort)
    np.testing.assert_allclose(cost, spending, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(expected, loss, rtol=1e-4)
    best = int((cost + expected).argmin())
    assert best == int((spending + loss).argmin())
    assert 0 < best < 40


def test_the_best_investment_is_under_37_percent_of_the_loss_without_security() -> None:
    """Gordon & Loeb 2002; for log-convex breach functions Baryshnikov 2012."""
    effort = np.linspace(0.0, 1.0, 2001)
    spending, loss = _closed_form(effort)
    assert 0.0 < spending[(spending + loss).argmin()] < loss[0] / np.e
