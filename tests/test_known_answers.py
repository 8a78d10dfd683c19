"""Worlds whose best decision is known without learning."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from spiral_env import SpiralVectorEnv
from spiral_env.core.params import pack
from spiral_env.core.state import Sum
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import load_scenario, scenario_ids

PATCHING = [("it", "edge"), ("it", "core"), ("it", "internal"), ("sme", "patching")]


def _mean_value(scenario: str, role: str, lever: str, effort: float) -> float:
    """Mean ecosystem value over paired seeds: the average firm with one lever held elsewhere."""
    env = SpiralVectorEnv(scenario, 24, autoreset_mode="disabled", action_mode="continuous")
    env.reset(seed=7)
    actions = {}
    for name in ROLES:
        efforts = np.array(STATUS_QUO[name], dtype=float)
        if name == role:
            efforts[_lever(role, lever)] = effort
        actions[name] = np.broadcast_to(efforts, (24, env.num_agents_of[name], len(efforts))).copy()
    for _ in range(env.max_cycles):
        env.step(actions)
    value = float(env.metrics()["ecosystem_value"].mean())
    env.close()
    return value


@pytest.mark.parametrize(("role", "lever"), PATCHING)
def test_without_a_threat_the_less_is_patched_the_better(role: str, lever: str) -> None:
    low, middle, high = (_mean_value("zero-threat-v1", role, lever, x) for x in (0.0, 0.5, 1.0))
    assert low > middle > high


@pytest.mark.parametrize(("role", "lever"), [("it", "edge"), ("sme", "patching")])
def test_with_a_threat_patching_something_beats_patching_nothing(role: str, lever: str) -> None:
    low, middle = (_mean_value("small-v1", role, lever, x) for x in (0.0, 0.5))
    assert middle > low


def _limited_mean(mu: float, sigma: float, cap: float) -> float:
    """E[min(cap, LogNormal(mu, sigma))], by the normal distribution of scipy."""
    z = (np.log(cap) - mu) / sigma
    return float(np.exp(mu + 0.5 * sigma**2) * norm.cdf(z - sigma) + cap * norm.sf(z))


def _closed_form(effort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Monthly spending and expected loss of the lone firm at its steady hygiene 2e/(1 + e), k$."""
    p = pack(load_scenario("gordon-loeb-v1").world().values, 1)[0]
    hygiene = 2.0 * effort / (1.0 + effort)
    revenue = np.exp(p["sme_revenue_mu"])
    loss = _limited_mean(p["sme_loss_mu"] - np.log(1000.0), p["sme_loss_sigma"], 12.0 * revenue)
    hazard = p["sme_hazard"] * p["hygiene_ratio"] ** (p["hygiene_reference"] - hygiene)
    spending = np.interp(effort, (0.0, 0.5, 1.0), p["cost_hygiene"]) * (revenue / p["sme_revenue_reference"]) ** 0.5
    return spending, hazard * loss


def _measured(effort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of the simulator, after 240 months at each effort."""
    env = SpiralVectorEnv("gordon-loeb-v1", len(effort), 1, "disabled", action_mode="continuous", max_cycles=240)
    env.reset(seed=[3] * len(effort))
    actions = {role: np.tile(np.array(STATUS_QUO[role], dtype=float), (len(effort), 1, 1)) for role in ROLES}
    actions["sme"][:] = 0.0
    actions["sme"][:, 0, _lever("sme", "patching")] = effort
    for _ in range(239):
        env.step(actions)
    s = env.engine.states
    assert (s["done"] == 0).all()
    return s["sme_cost"][:, 0].copy(), s["sme_expected"][:, 0].copy()


def _play(scenario: str, actions: dict[str, np.ndarray], seed: int, months: int) -> tuple[np.ndarray, SpiralVectorEnv]:
    """Vectors (security, cost, value) of every agent, summed over months: one row a joint action, one seed for all."""
    rows = len(next(iter(actions.values())))
    env = SpiralVectorEnv(scenario, rows, autoreset_mode="disabled", action_mode="continuous", reward_mode="selfish")
    env.reset(seed=[seed] * rows)
    total = np.zeros_like(env.engine.vectors)
    for _ in range(months):
        env.step(actions)
        total += env.engine.vectors
    return total, env


def _idle(rows: int, num_smes: int) -> dict[str, np.ndarray]:
    """No effort by any institution; SMEs in the basic tier do nothing else."""
    actions = {role: np.zeros((rows, num_smes if role == "sme" else 1, NUM_LEVERS[role])) for role in ROLES}
    actions["sme"][:, :, _lever("sme", "module_tier")] = 0.5
    return actions


def _lever(role: str, name: str) -> int:
    return [x.name for x in LEVERS[role]].index(name)


def _zero_threat() -> None:
    """IT's reward is what it spends, less than nothing for all but the actions that spend nothing; triage is free."""
    grid = np.array(list(itertools.product((0.0, 0.5, 1.0), repeat=NUM_LEVERS["it"])))
    actions = _idle(len(grid), 8)
    actions["finance"][:] = 0.5
    actions["it"][:, 0] = grid
    total, _ = _play("zero-threat-v1", actions, 4, 12)
    reward = total[:, 0].sum(1)
    spends = np.delete(grid, _lever("it", "triage"), axis=1).any(1)
    assert (reward[~spends] == 0.0).all()
    assert (reward[spends] < 0.0).all()


def _one_month_pool() -> None:
    """The pool's curve lies under the own one for all that can be shared in a month: only the cost is left."""
    p = pack(load_scenario("one-month-pool-v1").world().values, 8)[0]
    records = p["records_mean"]
    own = 0.5 + p["own_auc_ceiling"] / np.sqrt(1.0 + p["own_auc_sampling"] / (records / (1.0 - p["records_retained"])))
    most = 8 * records + p["partner_records"] * p["start_partners"]
    epsilon = p["epsilon_month"][2]
    noise = p["auc_noise"] / (most * epsilon) ** 2
    assert 0.5 + p["auc_ceiling"] / np.sqrt(1.0 + p["auc_sampling"] / most + noise) < own
    grid = np.array(list(itertools.product((0.0, 0.5, 1.0), repeat=8)))
    actions = _idle(len(grid), 8)
    actions["business"][:, 0, _lever("business", "privacy_budget")] = 1.0
    actions["sme"][:, :, _lever("sme", "data_sharing")] = grid
    total, env = _play("one-month-pool-v1", actions, 2, 1)
    revenue = env.engine.states["sme_start_revenue"][0, :8]
    cost = np.interp(grid, (0.0, 0.5, 1.0), p["cost_sharing"]) * np.sqrt(revenue / p["sme_revenue_reference"])
    reward = total[:, 3:].sum(2)
    np.testing.assert_allclose(reward, reward[0] - cost, rtol=1e-12)
    assert grid[reward.sum(1).argmax()].tolist() == [0.0] * 8


def _moved(p: np.void, stock: np.ndarray, effort: np.ndarray | float) -> np.ndarray:
    """A stock after a month of effort, without lessons or proofs."""
    return stock + p["stock_gain"] * effort * (1.0 - stock) - p["stock_decay"] * stock * (1.0 - effort)


def _two_firms(effort: np.ndarray) -> np.ndarray:
    """Expected loss and patching cost of both firms ``[R, 2]`` over a year at constant efforts ``[R, 2]``, k$."""
    p = pack(load_scenario("patching-dilemma-v1").world().values, 2)[0]
    revenue = np.exp(p["sme_revenue_mu"])
    loss = _limited_mean(p["sme_loss_mu"] - np.log(1000.0), p["sme_loss_sigma"], 12.0 * revenue)
    spending = np.interp(effort, (0.0, 0.5, 1.0), p["cost_hygiene"]) * (revenue / p["sme_revenue_reference"]) ** 0.5
    hygiene, modules, total = np.zeros_like(effort), p["start_stock"], np.zeros_like(effort)
    for _ in range(12):
        modules = _moved(p, modules, 0.5)
        hygiene = _moved(p, hygiene, effort)
        own = p["sme_hazard"] * p["hygiene_ratio"] ** (p["hygiene_reference"] - hygiene)
        spread = (1.0 - p["module_isolation"] * modules) / p["isolation_reference"]
        platform = 1.0 - np.exp(-own.sum(1, keepdims=True) * p["member_entry"] * p["sme_scale"] * spread)
        chance = 1.0 - (1.0 - own) * (1.0 - platform * min(1.0, p["spill"] * spread))
        total += chance * loss + spending
    return total


def _patching_dilemma() -> None:
    """The same payoffs from the simulator: the middle level is the only equilibrium, the highest best for both."""
    levels = np.linspace(0.0, 1.0, 21)
    grid = np.array(list(itertools.product(levels, repeat=2)))
    actions = _idle(len(grid), 2)
    actions["business"][:, 0, _lever("business", "modules")] = 0.5
    actions["sme"][:, :, _lever("sme", "patching")] = grid
    total, env = _play("patching-dilemma-v1", actions, 5, 12)
    assert env.engine.states["sums"][:, Sum.SME_EVENTS].max() == 0.0, "a drawn loss would tie the firms' hands"
    lost = -total[:, 3:, :2].sum(2)
    known = _two_firms(grid)
    np.testing.assert_allclose(lost - lost[0], known - known[0], rtol=1e-9, atol=1e-9)
    mine, known_mine = (x.reshape(21, 21) for x in (total[:, 3].sum(1), -known[:, 0]))
    both, known_both = (x.reshape(21, 21) for x in (total[:, 3:].sum((1, 2)), -known.sum(1)))
    assert both.argmax() == known_both.argmax()
    assert np.abs(mine.argmax(0) - known_mine.argmax(0)).max() <= 1, "safety also earns a little trust"
    assert (mine.argmax(0) < both.max(1).argmax()).all(), "alone, whatever the other does, less is patched"
    assert (mine[::10, ::10].argmax(0) == 1).all(), "of three levels the middle is the best reply to each"
    assert np.unravel_index(both[::10, ::10].argmax(), (3, 3)) == (2, 2)


def _gordon_loeb() -> None:
    """The optimum over constant efforts is that of the closed form."""
    effort = np.linspace(0.0, 1.0, 41)
    spending, loss = _closed_form(effort)
    cost, expected = _measured(effort)
    np.testing.assert_allclose(cost, spending, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(expected, loss, rtol=1e-4)
    best = int((cost + expected).argmin())
    assert best == int((spending + loss).argmin())
    assert 0 < best < 40


ANSWERS = {
    "zero_threat": _zero_threat,
    "one_month_pool": _one_month_pool,
    "patching_dilemma": _patching_dilemma,
    "gordon_loeb": _gordon_loeb,
}


@pytest.mark.parametrize("scenario", [s for s in scenario_ids() if load_scenario(s).known_answer])
def test_the_best_joint_action_is_the_known_one(scenario: str) -> None:
    ANSWERS[load_scenario(scenario).known_answer]()


def test_every_known_answer_is_a_scenario() -> None:
    assert {load_scenario(s).known_answer for s in scenario_ids()} - {""} == ANSWERS.keys()


def test_the_best_investment_is_under_37_percent_of_the_loss_without_security() -> None:
    """Gordon & Loeb 2002; for log-convex breach functions Baryshnikov 2012."""
    effort = np.linspace(0.0, 1.0, 2001)
    spending, loss = _closed_form(effort)
    assert 0.0 < spending[(spending + loss).argmin()] < loss[0] / np.e
