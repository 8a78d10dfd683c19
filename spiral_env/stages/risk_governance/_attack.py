"""Threat, exposure and breach: what stays open is attacked, in expectation and in a draw."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, lognormal, uniform

__all__ = ["attack_platform", "campaign", "expose", "limited_mean", "reach", "sme_hazard"]


@kernel
def campaign(s, p):
    """Campaign on one tier: onset .10, end .33 a month; its sign is an alert that names a tier."""
    draw = uniform(s.seed, s.month, Stream.CAMPAIGN, 0)
    if s.campaign >= 0:
        if draw < p.campaign_end:
            s.campaign = -1
    elif draw < p.campaign_onset:
        s.campaign = int(uniform(s.seed, s.month, Stream.CAMPAIGN, 1) * 3.0)
    s.alert = 1 if s.campaign >= 0 else 0
    s.alert_tier = s.campaign
    if s.campaign >= 0 and uniform(s.seed, s.month, Stream.ALERT, 0) >= p.alert_truth + p.alert_intel * s.intel:
        other = 1 + int(uniform(s.seed, s.month, Stream.ALERT, 1) * 2.0)
        s.alert_tier = (s.campaign + other) % 3


@kernel
def _tally_known(s, j, tier, exposure):
    s.tier_known[tier] += 1.0
    s.tier_exposure[tier] += s.v_epss[j] * exposure
    s.tier_worst[tier] = max(s.tier_worst[tier], s.v_epss[j])
    s.tier_kev[tier] += s.v_kev[j]


@kernel
def expose(s, p):
    """Hazard each service shows this month, and what IT knows at its end.

    Landed in ``now``: exposed for the late share. Landed in ``batch``: exposed all month, and the late share
    of the next. Isolated: half.
    """
    for k in range(s.num_services):
        s.base_hazard[k] = s.carry_hazard[k] + s.tail[k] * p.exposure[s.service_tier[k]]
        s.carry_hazard[k] = 0.0
    s.tier_known[:] = 0.0
    s.tier_exposure[:] = 0.0
    s.tier_worst[:] = 0.0
    s.tier_kev[:] = 0.0
    s.open_at[:] = 0.0
    known = 0
    without = 0
    for j in range(s.num_open):
        service = s.v_service[j]
        tier = s.service_tier[service]
        exposure = p.exposure[tier]
        hazard = s.v_hazard[j] * exposure
        if s.v_fixed[j] == s.month:
            if s.posture[tier] == 2:
                s.base_hazard[service] += hazard * s.delay
            else:
                s.base_hazard[service] += hazard
                s.carry_hazard[service] += hazard * s.delay
            continue
        s.base_hazard[service] += hazard * (p.isolation_relief if s.v_fixed[j] == -3 else 1.0)
        age = s.month - s.v_birth[j]
        if s.v_birth[j] > 0 and (age == 0 or age == 2 or age == 11):
            s.open_at[0 if age == 0 else 1 if age == 2 else 2] += 1.0
        if s.v_known[j] == 1:
            known += 1
            without += 1 if s.v_patch_month[j] > s.month else 0
            _tally_known(s, j, tier, exposure)
    s.unpatchable = without / max(1, known)


@kernel
def reach(s, p, entry, spread, chance):
    """Criticality reached from an entry service: noisy-or along calls at .5 (1 - .8 m) each."""
    q = p.call_reach * (1.0 - p.module_isolation * spread)
    total = 0.0
    for k in range(s.num_services):
        chance[k] = 1.0 if k == entry else 0.0
    for k in range(entry, s.num_services):
        if chance[k] == 0.0:
            continue
        total += s.criticality[k] * chance[k]
        for b in range(k + 1, s.num_services):
            if s.calls[k, b] == 1:
                chance[b] = 1.0 - (1.0 - chance[b]) * (1.0 - q * chance[k])
    return total


@kernel
def limited_mean(mu, sigma, cap):
    """E[min(cap, LogNormal(mu, sigma))]; ``mu`` and ``cap`` in the same unit."""
    if cap <= 0.0:
        return 0.0
    z = (math.log(cap) - mu) / sigma
    below = 0.5 * math.erfc(-(z - sigma) / math.sqrt(2.0))
    above = 0.5 * math.erfc(z / math.sqrt(2.0))
    return math.exp(mu + 0.5 * sigma * sigma) * below + cap * above


@kernel
def sme_hazard(s, p, i):
    """Own hazard: .48 % x 6^(.45 - hygiene) x intelligence x threat of the level."""
    base = p.sme_hazard * p.hygiene_ratio ** (p.hygiene_reference - s.sme_hygiene[i])
    return p.attacks * min(1.0, base * s.intel_factor * p.threat_growth**s.level)


@kernel
def _isolation(s, p):
    """(1 - .8 m)/.6: what modularity leaves of a spread between tenants and platform."""
    return (1.0 - p.module_isolation * s.modules) / p.isolation_reference


@kernel
def _member_hazard(s, p):
    """Hazard of the platform through compromised members, spread over the edge services."""
    total = 0.0
    for i in range(s.num_smes):
        if s.sme_member[i] > 0:
            total += sme_hazard(s, p, i)
    return total * p.member_entry * p.sme_scale * _isolation(s, p)


@kernel
def attack_platform(s, p, chance):
    """At most one event a month: probability 1 - exp(-H), entry in proportion to hazard, severity by reach."""
    common = p.attacks * p.aim * p.threat_growth**s.level * s.intel_factor
    members = _member_hazard(s, p)
    edges = 0
    for k in range(s.num_services):
        edges += 1 if s.service_tier[k] == 0 else 0
    now, cycle = 0.0, 0.0
    loss_now, loss_cycle = 0.0, 0.0
    for k in range(s.num_services):
        tier = s.service_tier[k]
        theta = p.threat_campaign if s.campaign == tier else p.threat_quiet
        entry = members / edges if tier == 0 else 0.0
        hazard = common * s.base_hazard[k] * theta * s.posture_factor[tier] + entry
        mean = common * s.base_hazard[k] * p.threat_mean * s.posture_mean[tier] + entry
        severity = reach(s, p, k, s.modules, chance) / s.mean_reach
        now += hazard
        cycle += mean
        loss_now += hazard * severity
        loss_cycle += mean * severity
    s.event_probability = 1.0 - math.exp(-now)
    s.expected_breach = p.breach_mean * s.event_probability * loss_now / max(now, 1e-300)
    platform_cycle = p.breach_mean * (1.0 - math.exp(-cycle)) * loss_cycle / max(cycle, 1e-300)
    _draw_breach(s, p, common, members / edges, now, chance)
    return platform_cycle, 1.0 - math.exp(-cycle)


@kernel
def _draw_breach(s, p, common, member_entry, total, chance):
    """Draw the event that ``expected_breach`` is the mean of."""
    s.breach = 0
    s.breach_loss = 0.0
    if uniform(s.seed, s.month, Stream.PLATFORM_EVENT, 0) >= s.event_probability:
        return
    s.breach = 1
    point = uniform(s.seed, s.month, Stream.PLATFORM_ENTRY, 0) * total
    entry = s.num_services - 1
    for k in range(s.num_services):
        tier = s.service_tier[k]
        theta = p.threat_campaign if s.campaign == tier else p.threat_quiet
        point -= common * s.base_hazard[k] * theta * s.posture_factor[tier] + (member_entry if tier == 0 else 0.0)
        if point < 0.0:
            entry = k
            break
    mu = p.breach_mu - math.log(1000.0)
    size = lognormal(s.seed, s.month, Stream.PLATFORM_SEVERITY, 0, mu, p.breach_sigma)
    s.breach_loss = min(p.breach_cap, size) * reach(s, p, entry, s.modules, chance) / s.mean_reach
