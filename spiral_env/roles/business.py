"""Business, the platform operator: maintenance window, modules, privacy technology, tenant fee, privacy budget."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, normal
from spiral_env.roles import public
from spiral_env.roles._levers import affordable, interpolate
from spiral_env.roles._tables import default, features, graded
from spiral_env.roles.public import NUM_PUBLIC

__all__ = ["FEATURES", "LEVERS", "WRITES", "decide", "epsilon_of_rho", "observe", "reward", "rho_of_epsilon"]

WRITES = "roles.business"

LEVERS = (
    graded("maintenance_window", "window_hours", f"downtime granted to IT at {default('window_price')} k$ an hour"),
    graded("modules", "cost_modules", "AI modules: isolation, channel, wider surface"),
    graded("privacy_tech", "cost_privacy", "federated learning, zero-knowledge proofs"),
    graded("tenant_fee", "tenant_fee", f"posted for next month, moved by at most {default('fee_step')} of effort"),
    graded("privacy_budget", "epsilon_month", "accuracy now against a 12-month account"),
)

FEATURES = public.PUBLIC_FEATURES + features(
    """
    cash -4 4 2,000 k$
    profit -4 4 200 k$ a month, 3-month mean
    sales_ratio 0 4 sales against the same month last year
    fee 0 1 level in force
    fee_next 0 1 level posted
    joined 0 1 share of SMEs
    left 0 1 share of SMEs
    modules 0 1 stock
    privacy 0 1 stock
    pool_need 0 4 records against need
    fraud 0 1 share (noisy)
    rho12 0 4 0.1 zCDP over 12 months
    rho_expiring 0 4 0.01 zCDP of the oldest month
    requested_window 0 1 IT's mean posture effort
    outage_hours 0 4 10 h of last month
    incidents_year 0 4 privacy incidents of the year
    premium 0 4 40 k$ (3-month mean, 20 % noise)
    remitted 0 4 100 k$
    unit_cost 0 4 k$ a tenant
    last*5 0 1 own last action, effort
    """
)


@kernel
def rho_of_epsilon(epsilon, delta):
    """ZCDP of an (epsilon, delta) release: (sqrt(ln(1/delta) + epsilon) - sqrt(ln(1/delta)))^2."""
    log = math.log(1.0 / delta)
    root = math.sqrt(log + epsilon) - math.sqrt(log)
    return root * root


@kernel
def epsilon_of_rho(rho, delta):
    """Epsilon = rho + 2 sqrt(rho ln(1/delta)) (Bun & Steinke 2016)."""
    return rho + 2.0 * math.sqrt(rho * math.log(1.0 / delta))


@kernel
def _capped_epsilon(s, p, wish):
    """The month's epsilon under the 12-month cap: never more than the account has left."""
    spent = 0.0
    for k in range(12):
        if k != s.month % 12:
            spent += s.rho_window[k]
    left = max(0.0, rho_of_epsilon(p.epsilon_cap, p.delta) - spent)
    if rho_of_epsilon(wish, p.delta) <= left:
        return wish
    return epsilon_of_rho(left, p.delta)


@kernel
def decide(s, p, action):
    """Turn five efforts into the window, investment, next month's fee and this month's epsilon."""
    s.business_action[:] = action
    calendar = (s.start_month + s.month - 1) % 12
    window = interpolate(p.window_hours, action[0]) * p.window_price * p.season[calendar] * p.size
    modules = interpolate(p.cost_modules, action[1]) * p.size * p.modularity
    privacy = interpolate(p.cost_privacy, action[2]) * p.size * p.privacy_technology
    cost = window + modules + privacy
    share = affordable(cost, s.balance[Account.PLATFORM])
    s.window_effort = action[0] * share
    s.modules_effort = action[1] * share * p.modularity
    s.privacy_effort = action[2] * share * p.privacy_technology
    s.business_cost = cost * share
    s.fee_effort = s.fee_next
    s.fee_next = min(max(action[3], s.fee_effort - p.fee_step), s.fee_effort + p.fee_step)
    s.epsilon = _capped_epsilon(s, p, interpolate(p.epsilon_month, action[4]))
    post(s, Purpose.BUSINESS_LEVERS, Account.PLATFORM, Account.WORLD, s.business_cost)


@kernel
def reward(s, p, load, realised, out):
    """Vector (security, cost, value) of the month in k$."""
    loss = s.premium + s.retained if realised else load * s.expected_breach
    fine = s.privacy_fine if realised else s.expected_privacy_fine
    out[0] = -p.loss_share[1] * loss - fine
    out[1] = -(s.business_cost + s.posture_price + s.tenant_service + p.platform_fixed * p.size)
    out[2] = s.sales_margin + s.fee_income - s.remitted


@kernel
def observe(s, p, out):
    """Write the features of ``FEATURES`` behind the public ones, which ``out`` already holds."""
    j = NUM_PUBLIC
    out[j] = s.balance[Account.PLATFORM] / (2000.0 * p.size)
    out[j + 1] = s.profit_mean / (200.0 * p.size)
    out[j + 2] = s.sales_ratio
    out[j + 3] = s.fee_effort
    out[j + 4] = s.fee_next
    out[j + 5] = s.joined / s.num_smes
    out[j + 6] = s.left / s.num_smes
    out[j + 7] = s.modules
    out[j + 8] = s.privacy
    out[j + 9] = s.pool / (p.need_pool * s.num_smes / 8.0 * s.need_scale)
    out[j + 10] = s.fraud * (1.0 + p.observation_noise[1] * normal(s.seed, s.month, Stream.OBSERVATION, 1))
    out[j + 11] = s.rho12 * 10.0
    out[j + 12] = s.rho_window[(s.month + 1) % 12] * 100.0
    out[j + 13] = (s.it_action[0] + s.it_action[1] + s.it_action[2]) / 3.0
    out[j + 14] = s.outage_hours / 10.0
    out[j + 15] = s.incidents_year
    noise = 1.0 + p.observation_noise[0] * normal(s.seed, s.month, Stream.OBSERVATION, 2)
    out[j + 16] = s.premium_mean * noise / (40.0 * p.size)
    out[j + 17] = s.remitted / (100.0 * p.size)
    out[j + 18] = s.tenant_service / max(1, s.num_members)
    for k in range(5):
        out[j + 19 + k] = s.business_action[k]
