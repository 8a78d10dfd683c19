"""Business, the platform operator: window, modules, privacy, fee, privacy budget, verification and pay of data."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, normal
from spiral_env.roles import it, public
from spiral_env.roles._levers import affordable, interpolate
from spiral_env.roles._tables import default, features, graded, own_action, places, scales
from spiral_env.roles.public import NOISE, copy, remember

__all__ = ["FEATURES", "LEVERS", "WRITES", "decide", "epsilon_of_rho", "observe", "reward", "rho_of_epsilon"]

WRITES = "roles.business"

LEVERS = (
    graded("maintenance_window", "window_hours", f"downtime granted to IT at {default('window_price')} k$ an hour"),
    graded("modules", "cost_modules", "AI modules: isolation, channel, wider surface"),
    graded("privacy_tech", "cost_privacy", "federated learning, zero-knowledge proofs"),
    graded("tenant_fee", "tenant_fee", f"posted for next month, moved by at most {default('fee_step')} of effort"),
    graded("privacy_budget", "epsilon_month", "accuracy of a release now against a 12-month account"),
    graded("verification", "cost_verification", "checks of contributions: fewer bad ones, some good ones rejected"),
    graded("payout", "payout_record", "paid to members for every record that is accepted"),
)

FEATURES = (
    public.PUBLIC_FEATURES
    + features(
        """
        cash -4 4 2000 k$
        profit -4 4 200 k$ a month, 3-month mean
        sales_ratio 0 4 1 sales against the same month last year
        fee 0 1 1 level in force
        fee_next 0 1 1 level posted
        joined 0 1 1 share of SMEs
        left 0 1 1 share of SMEs
        modules 0 1 1 stock
        privacy 0 1 1 stock
        pool_need 0 4 1 records held against need
        fraud 0 1 1 share (noisy)
        rho12 0 4 0.1 zCDP over 12 months
        rho_expiring 0 4 0.01 zCDP of the oldest month
        requested_window 0 1 1 IT's mean posture effort
        outage_hours 0 4 10 h of last month
        incidents_year 0 4 1 privacy incidents of the year
        premium 0 4 40 k$ (3-month mean, 20 % noise)
        remitted 0 4 100 k$
        unit_cost 0 4 1 k$ a tenant
        payouts 0 4 10 k$
        lesson 0 1 1 what exposure and privacy incidents have taught
        proof 0 1 1 what the last turn has proved
        scope 0 4 2 x the market of the start
        """
    )
    + own_action(LEVERS)
)
LEVER, FEATURE, SCALE = places(LEVERS), places(FEATURES), scales(FEATURES)


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
    """The epsilon of a release under the 12-month cap: the month's releases take no more than the account has left."""
    spent = 0.0
    for k in range(12):
        if k != s.month % 12:
            spent += s.rho_window[k]
    left = max(0.0, rho_of_epsilon(p.epsilon_cap, p.delta) - spent) / s.releases
    if rho_of_epsilon(wish, p.delta) <= left:
        return wish
    return epsilon_of_rho(left, p.delta)


@kernel
def decide(s, p, action):
    """Turn the efforts into the window, investment, checks, pay, next month's fee and this month's epsilon."""
    copy(action, s.business_action)
    calendar = (s.start_month + s.month - 1) % 12
    window = (
        interpolate(p.window_hours, action[LEVER.maintenance_window]) * p.window_price * p.season[calendar] * p.size
    )
    modules = interpolate(p.cost_modules, action[LEVER.modules]) * p.size * p.modularity
    privacy = interpolate(p.cost_privacy, action[LEVER.privacy_tech]) * p.size * p.privacy_technology
    verification = interpolate(p.cost_verification, action[LEVER.verification]) * p.size
    cost = window + modules + privacy + verification
    share = affordable(cost, s.balance[Account.PLATFORM])
    s.window_effort = action[LEVER.maintenance_window] * share
    s.modules_effort = action[LEVER.modules] * share * p.modularity
    s.privacy_effort = action[LEVER.privacy_tech] * share * p.privacy_technology
    s.verification_effort = action[LEVER.verification] * share
    solvent = 1.0 if s.balance[Account.PLATFORM] >= 0.0 else 0.0
    s.payout_rate = interpolate(p.payout_record, action[LEVER.payout]) * solvent
    s.business_asked = cost
    s.business_cost = cost * share
    s.fee_effort = s.fee_next
    s.fee_next = min(max(action[LEVER.tenant_fee], s.fee_effort - p.fee_step), s.fee_effort + p.fee_step)
    s.releases = 1.0 + p.release_modules * s.modules
    s.epsilon = _capped_epsilon(s, p, interpolate(p.epsilon_month, action[LEVER.privacy_budget]))
    post(s, Purpose.BUSINESS_LEVERS, Account.PLATFORM, Account.WORLD, s.business_cost)


@kernel
def reward(s, p, load, realised, out):
    """Vector (security, cost, value) of the month in k$."""
    loss = s.premium + s.retained if realised else load * s.expected_breach
    fine = s.privacy_fine if realised else s.expected_privacy_fine
    out[0] = -p.loss_share[1] * loss - fine
    out[1] = -(s.business_cost + s.posture_price + s.tenant_service + p.platform_fixed * p.size)
    out[2] = s.sales_margin + s.fee_income - s.payouts - s.remitted


@kernel
def observe(s, p, out):
    """Write the features of ``FEATURES`` behind the public ones, which ``out`` already holds."""
    out[FEATURE.cash] = s.balance[Account.PLATFORM] / (SCALE.cash * p.size)
    out[FEATURE.profit] = s.profit_mean / (SCALE.profit * p.size)
    out[FEATURE.sales_ratio] = s.sales_ratio
    out[FEATURE.fee] = s.fee_effort
    out[FEATURE.fee_next] = s.fee_next
    out[FEATURE.joined] = s.joined / s.num_smes
    out[FEATURE.left] = s.left / s.num_smes
    out[FEATURE.modules] = s.modules
    out[FEATURE.privacy] = s.privacy
    out[FEATURE.pool_need] = (s.pool + s.pool_bad) / (p.need_pool * s.num_smes / 8.0 * s.need_scale)
    noise = 1.0 + p.observation_noise[1] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.fraud)
    out[FEATURE.fraud] = s.fraud * noise
    out[FEATURE.rho12] = s.rho12 * (1.0 / SCALE.rho12)
    out[FEATURE.rho_expiring] = s.rho_window[(s.month + 1) % 12] * (1.0 / SCALE.rho_expiring)
    out[FEATURE.requested_window] = it.mean_posture_effort(s)
    out[FEATURE.outage_hours] = s.outage_hours / SCALE.outage_hours
    out[FEATURE.incidents_year] = s.incidents_year
    noise = 1.0 + p.observation_noise[0] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.business_premium)
    out[FEATURE.premium] = s.premium_mean * noise / (SCALE.premium * p.size)
    out[FEATURE.remitted] = s.remitted / (SCALE.remitted * p.size)
    out[FEATURE.unit_cost] = s.tenant_service / max(1, s.num_members)
    out[FEATURE.payouts] = s.payouts / (SCALE.payouts * p.size)
    out[FEATURE.lesson] = s.lesson_privacy
    out[FEATURE.proof] = s.proof
    out[FEATURE.scope] = s.scope / SCALE.scope
    remember(s.business_action, out)
