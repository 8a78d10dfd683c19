"""IT, the security team: a posture per tier of services, scanners, threat intelligence (paper section 2.2)."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, normal
from spiral_env.core.state import LABELS
from spiral_env.roles import _tables, public
from spiral_env.roles._levers import affordable, affords, category, interpolate
from spiral_env.roles._tables import features, own_action, per, places, scales
from spiral_env.roles.public import NOISE, TIERS, copy, remember

__all__ = ["FEATURES", "LEVERS", "WRITES", "decide", "mean_posture_effort", "observe", "reward"]

WRITES = "roles.it"
_POSTURES = ("defer", "batch", "now")

LEVERS = (
    *(_tables.category(tier, _POSTURES, "posture", "posture_cost", f"patches of the {tier} tier") for tier in TIERS),
    _tables.graded("scanning", "cost_scanning", "hybrid SAST-DAST-SCA-IAST tool set"),
    _tables.graded("threat_intel", "cost_intel", "shared threat intelligence"),
    _tables.graded(
        "triage", "triage_threat", "what is patched first: by CVSS, by EPSS, by EPSS and revenue at risk", average=0.1
    ),
)

FEATURES = (
    public.PUBLIC_FEATURES
    + per(
        TIERS,
        """
        known 0 4 10 open known vulnerabilities
        exposure 0 4 1 sum of known EPSS x exposure
        worst 0 1 1 largest known EPSS
        kev 0 4 1 known-exploited entries
        """,
    )
    + features("unpatchable 0 1 1 share of known without a patch")
    + per(LABELS["tools"], "maturity 0 1 1 stock")
    + features(
        """
        hours 0 4 100 h of last month
        release 0 4 24 k$ of last month
        security_cash -4 4 100 k$
        failure_share 0 1 1 of last month's patches
        false_hours 0 4 10 h
        isolated 0 4 10 vulnerabilities
        intel 0 1 1 stock
        lesson 0 1 1 what findings and incidents have taught
        """
    )
    + per(TIERS, "posture_months 0 4 6 months in now")
    + features("premium 0 4 40 k$ (3-month mean, 20 % noise)")
    + own_action(LEVERS)
)
LEVER, FEATURE, SCALE = places(LEVERS), places(FEATURES), scales(FEATURES)
_POSTURE = tuple(getattr(LEVER, tier) for tier in TIERS)


@kernel
def _raise_posture(s, p, tier, mode, cost, money):
    """Set a tier's posture if the money pays for it; returns what all postures cost then, in k$."""
    raised = cost + (p.posture_cost[mode] - p.posture_cost[s.posture[tier]]) * p.size
    if not affords(money, raised):
        return cost
    s.posture[tier] = mode
    return raised


@kernel
def _choose_postures(s, p, action, money):
    """The best postures the money can pay: first ``batch`` wherever more than ``defer`` is asked, then ``now``.

    Returns their fixed cost in k$. Edge comes before core before internal.
    """
    cost = 0.0
    for tier in range(3):
        s.posture[tier] = 0
        cost += p.posture_cost[0] * p.size
    for mode in range(1, 3):
        for tier in range(3):
            if category(action[_POSTURE[tier]]) >= mode:
                cost = _raise_posture(s, p, tier, mode, cost, money)
    effort = 0.0
    for tier in range(3):
        effort += p.posture_effort[s.posture[tier]] / 3.0
    s.tier_effort = max(p.effort_floor, effort)
    return cost


@kernel
def _asked_postures(p, action):
    """Fixed cost in k$ of the postures that were asked for."""
    cost = 0.0
    for tier in range(3):
        cost += p.posture_cost[category(action[_POSTURE[tier]])] * p.size
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


@kernel
def decide(s, p, action):
    """Turn the efforts into postures, scanning and intelligence, paid from the security account."""
    copy(action, s.it_action)
    money = max(0.0, s.balance[Account.SECURITY])
    fixed = _choose_postures(s, p, action, p.posture_part * money)
    _fatigue(s, p)
    wish = (
        interpolate(p.cost_scanning, action[LEVER.scanning]) + interpolate(p.cost_intel, action[LEVER.threat_intel])
    ) * p.size
    share = affordable(wish, p.tools_part * (money - fixed))
    s.triage = action[LEVER.triage]
    s.scanning_effort = action[LEVER.scanning] * share
    s.intel_effort = action[LEVER.threat_intel] * share
    s.it_asked = _asked_postures(p, action) + wish
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
def mean_posture_effort(s):
    """Mean of last month's efforts for the postures of the tiers."""
    return (s.it_action[_POSTURE[0]] + s.it_action[_POSTURE[1]] + s.it_action[_POSTURE[2]]) / 3.0


@kernel
def observe(s, p, out):
    """Write the features of ``FEATURES``."""
    public.observe(s, p, out)
    for tier in range(3):
        out[FEATURE.known[tier]] = s.tier_known[tier] / SCALE.known
        out[FEATURE.exposure[tier]] = s.tier_exposure[tier]
        out[FEATURE.worst[tier]] = s.tier_worst[tier]
        out[FEATURE.kev[tier]] = s.tier_kev[tier]
        out[FEATURE.posture_months[tier]] = s.posture_months[tier] / SCALE.posture_months
    out[FEATURE.unpatchable] = s.unpatchable
    for tool in range(4):
        out[FEATURE.maturity[tool]] = s.scanners[tool]
    out[FEATURE.hours] = s.hours / (SCALE.hours * p.num_services / 12.0)
    out[FEATURE.release] = s.release / (SCALE.release * p.size)
    out[FEATURE.security_cash] = s.balance[Account.SECURITY] / (SCALE.security_cash * p.size)
    out[FEATURE.failure_share] = s.failed / max(1, s.patched + s.failed)
    out[FEATURE.false_hours] = s.false_findings * p.false_hours / SCALE.false_hours
    out[FEATURE.isolated] = s.isolated / SCALE.isolated
    out[FEATURE.intel] = s.intel
    out[FEATURE.lesson] = s.lesson_security
    noise = 1.0 + p.observation_noise[0] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.it_premium)
    out[FEATURE.premium] = s.premium_mean * noise / (SCALE.premium * p.size)
    remember(s.it_action, out)
