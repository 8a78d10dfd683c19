"""IT, the security team: a posture per tier of services, scanners, threat intelligence (paper section 2.2)."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, normal
from spiral_env.roles import _tables, public
from spiral_env.roles._levers import affordable, category, interpolate
from spiral_env.roles._tables import features

__all__ = ["FEATURES", "LEVERS", "WRITES", "decide", "observe", "reward"]

WRITES = "roles.it"
_POSTURES = ("defer", "batch", "now")

LEVERS = (
    *(
        _tables.category(tier, _POSTURES, "posture", "posture_cost", f"patches of the {tier} tier")
        for tier in ("edge", "core", "internal")
    ),
    _tables.graded("scanning", "cost_scanning", "hybrid SAST-DAST-SCA-IAST tool set"),
    _tables.graded("threat_intel", "cost_intel", "shared threat intelligence"),
)

FEATURES = public.PUBLIC_FEATURES + features(
    """
    known_edge 0 4 10 open known vulnerabilities
    exposure_edge 0 4 sum of known EPSS x exposure
    worst_edge 0 1 largest known EPSS
    kev_edge 0 4 known-exploited entries
    known_core 0 4 10 open known vulnerabilities
    exposure_core 0 4 sum of known EPSS x exposure
    worst_core 0 1 largest known EPSS
    kev_core 0 4 known-exploited entries
    known_internal 0 4 10 open known vulnerabilities
    exposure_internal 0 4 sum of known EPSS x exposure
    worst_internal 0 1 largest known EPSS
    kev_internal 0 4 known-exploited entries
    unpatchable 0 1 share of known without a patch
    maturity_sast 0 1 stock
    maturity_dast 0 1 stock
    maturity_sca 0 1 stock
    maturity_iast 0 1 stock
    hours 0 4 100 h of last month
    release 0 4 24 k$ of last month
    security_cash -4 4 100 k$
    failure_share 0 1 of last month's patches
    false_hours 0 4 10 h
    isolated 0 4 10 vulnerabilities
    intel 0 1 stock
    posture_months_edge 0 4 6 months in now
    posture_months_core 0 4 6 months in now
    posture_months_internal 0 4 6 months in now
    premium 0 4 40 k$ (3-month mean, 20 % noise)
    last*5 0 1 own last action, effort
    """
)


@kernel
def _choose_postures(s, p, action, money):
    """Postures that the money can pay, edge before core before internal; returns their fixed cost in k$."""
    cost = 0.0
    effort = 0.0
    for tier in range(3):
        mode = category(action[tier])
        while mode > 0 and cost + p.posture_cost[mode] * p.size > money:
            mode -= 1
        cost += p.posture_cost[mode] * p.size
        effort += p.posture_effort[mode] / 3.0
        s.posture[tier] = mode
    s.tier_effort = max(p.effort_floor, effort)
    return cost


@kernel
def _fatigue(s, p):
    """Threat to a tier in ``now``: 1 - relief fatigue^(months already there); the months fade one by one outside."""
    for tier in range(3):
        if s.posture[tier] == 2:
            s.posture_factor[tier] = 1.0 - p.posture_relief * p.posture_fatigue ** s.posture_months[tier]
            s.posture_months[tier] += 1.0
        else:
            s.posture_factor[tier] = 1.0
            s.posture_months[tier] = max(0.0, s.posture_months[tier] - 1.0)
        s.posture_mean[tier] += (s.posture_factor[tier] - s.posture_mean[tier]) / 12.0


@kernel
def decide(s, p, action):
    """Turn five efforts into postures, scanning and intelligence, paid from the security account."""
    s.it_action[:] = action
    money = max(0.0, s.balance[Account.SECURITY])
    fixed = _choose_postures(s, p, action, money)
    _fatigue(s, p)
    wish = (interpolate(p.cost_scanning, action[3]) + interpolate(p.cost_intel, action[4])) * p.size
    share = affordable(wish, money - fixed)
    s.scanning_effort = action[3] * share
    s.intel_effort = action[4] * share
    s.it_cost = fixed + wish * share
    post(s, Purpose.SECURITY_SPENDING, Account.SECURITY, Account.WORLD, s.it_cost)


@kernel
def reward(s, p, load, realised, out):
    """Vector (security, cost, value) of the month in k$: IT owns its share of the breach loss and is charged back."""
    loss = s.premium + s.retained if realised else load * s.expected_breach
    out[0] = -p.loss_share[0] * loss
    out[1] = -p.charge_back * (s.it_cost + s.patching_cost + s.posture_price)
    out[2] = 0.0


@kernel
def observe(s, p, out):
    """Write the features of ``FEATURES``."""
    j = public.observe(s, p, out)
    for tier in range(3):
        out[j] = s.tier_known[tier] / 10.0
        out[j + 1] = s.tier_exposure[tier]
        out[j + 2] = s.tier_worst[tier]
        out[j + 3] = s.tier_kev[tier]
        j += 4
    out[j] = s.unpatchable
    for tool in range(4):
        out[j + 1 + tool] = s.scanners[tool]
    out[j + 5] = s.hours / (100.0 * p.num_services / 12.0)
    out[j + 6] = s.release / (24.0 * p.size)
    out[j + 7] = s.balance[Account.SECURITY] / (100.0 * p.size)
    out[j + 8] = s.failed / max(1, s.patched + s.failed)
    out[j + 9] = s.false_findings * p.false_hours / 10.0
    out[j + 10] = s.isolated / 10.0
    out[j + 11] = s.intel
    for tier in range(3):
        out[j + 12 + tier] = s.posture_months[tier] / 6.0
    noise = 1.0 + p.observation_noise[0] * normal(s.seed, s.month, Stream.OBSERVATION, 0)
    out[j + 15] = s.premium_mean * noise / (40.0 * p.size)
    for k in range(5):
        out[j + 16 + k] = s.it_action[k]
