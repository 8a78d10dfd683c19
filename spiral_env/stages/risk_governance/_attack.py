"""Threat, exposure and breach: what stays open is attacked, in expectation and in a draw."""

from __future__ import annotations

import math

from spiral_env.core import params as parameters
from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, lognormal, uniform
from spiral_env.stages.resource_aggregation.cybersecurity import BIRTH_SHIFT, ISOLATED, PATCHED

__all__ = ["attack_platform", "campaign", "expose", "limited_mean", "meet", "reach", "sme_hazards", "spill"]


_FINE = 1_073_741_824.0
limited_mean = kernel(parameters.limited_mean)


@kernel
def campaign(s, p):
    """Campaign on one tier, begun and ended by chance and seen by nobody; alerts may be false or name another tier."""
    draw = uniform(s.seed, s.month, Stream.CAMPAIGN, 0)
    if s.campaign >= 0:
        if draw < p.campaign_end:
            s.campaign = -1
    elif draw < p.campaign_onset:
        s.campaign = int(uniform(s.seed, s.month, Stream.CAMPAIGN, 1) * 3.0)
    sign = uniform(s.seed, s.month, Stream.ALERT, 0)
    which = uniform(s.seed, s.month, Stream.ALERT, 1)
    s.alert_tier = s.campaign
    if s.campaign >= 0 and sign >= p.alert_truth + p.alert_intel * s.intel:
        s.alert_tier = (s.campaign + 1 + int(which * 2.0)) % 3
    elif s.campaign < 0 and sign < p.alert_false:
        s.alert_tier = int(which * 3.0)
    s.alert = 1 if s.alert_tier >= 0 else 0


@kernel
def threat(s, p, tier):
    """Threat to a tier this month: high under a campaign."""
    return p.threat_campaign if s.campaign == tier else p.threat_quiet


@kernel
def meet(s, p):
    """Yearly means of the threat to each tier and of what its posture left of it: how well alerts were answered."""
    for tier in range(3):
        theta = threat(s, p, tier)
        s.threat_seen[tier] += (theta - s.threat_seen[tier]) / 12.0
        s.threat_met[tier] += (theta * s.posture_factor[tier] - s.threat_met[tier]) / 12.0


@kernel
def _expose_patched(s, j):
    """What landed in ``now`` is exposed for the late share; in ``batch`` all month, and late into the next."""
    service = s.v_service[j]
    hazard = s.v_hazard[j]
    if s.posture[s.v_tier[j]] == 2:
        s.base_hazard[service] += hazard * s.delay
    else:
        s.base_hazard[service] += hazard
        s.carry_hazard[service] += hazard * s.delay


@kernel
def _hazards(s, p):
    """Hazard each service shows this month; isolated items count half."""
    for k in range(s.num_services):
        s.base_hazard[k] = s.carry_hazard[k] + s.tail[k]
        s.carry_hazard[k] = 0.0
    for j in range(s.num_open):
        if s.v_fate[j] == PATCHED:
            _expose_patched(s, j)
        else:
            relief = p.isolation_relief if s.v_fate[j] == ISOLATED else 1.0
            s.base_hazard[s.v_service[j]] += s.v_hazard[j] * relief
    for k in range(s.num_services):
        s.base_hazard[k] *= p.exposure[s.service_tier[k]]


@kernel
def _tally_known(s, p):
    """What IT knows of each tier and is still open; EPSS is summed in units of 2^-30. Returns how many are known."""
    edges, cores, inners = 0, 0, 0
    edge_listed, core_listed, inner_listed = 0, 0, 0
    edge_threat, core_threat, inner_threat = 0, 0, 0
    edge_worst, core_worst, inner_worst = 0, 0, 0
    for j in range(s.num_open):
        known = int(s.v_known[j] == 1) & int(s.v_fate[j] != PATCHED)
        threat = int(s.v_epss[j] * _FINE)
        listed = int(s.v_kev[j] == 1)
        edge = known & int(s.v_tier[j] == 0)
        core = known & int(s.v_tier[j] == 1)
        inner = known & int(s.v_tier[j] == 2)
        edges, cores, inners = edges + edge, cores + core, inners + inner
        edge_listed, core_listed = edge_listed + (edge & listed), core_listed + (core & listed)
        inner_listed += inner & listed
        edge_threat, core_threat = edge_threat + edge * threat, core_threat + core * threat
        inner_threat += inner * threat
        edge_worst, core_worst = max(edge_worst, edge * threat), max(core_worst, core * threat)
        inner_worst = max(inner_worst, inner * threat)
    _store_tier(s, p, 0, edges, edge_listed, edge_threat, edge_worst)
    _store_tier(s, p, 1, cores, core_listed, core_threat, core_worst)
    _store_tier(s, p, 2, inners, inner_listed, inner_threat, inner_worst)
    return edges + cores + inners


@kernel
def _store_tier(s, p, tier, known, listed, threat, worst):
    s.tier_known[tier] = known
    s.tier_kev[tier] = listed
    s.tier_exposure[tier] = p.exposure[tier] * threat / _FINE
    s.tier_worst[tier] = worst / _FINE


@kernel
def _still_open(s, known):
    """Open by age at the end of months 1, 3 and 12, and the share of the known without a patch."""
    fresh, quarter, year, without = 0, 0, 0, 0
    for j in range(s.num_open):
        left = int(s.v_fate[j] != PATCHED)
        birth = s.v_uid[j] >> BIRTH_SHIFT
        fresh += left & int(birth == s.month)
        quarter += left & int(birth == s.month - 2)
        year += left & int(birth == s.month - 11)
        without += left & s.v_known[j] & int(s.v_patch_month[j] > s.month)
    s.open_at[0] = fresh
    s.open_at[1] = quarter if s.month > 2 else 0
    s.open_at[2] = year if s.month > 11 else 0
    s.unpatchable = without / max(1, known)


@kernel
def expose(s, p):
    """What the month's patches leave: hazard shown, and what IT knows at its end."""
    _hazards(s, p)
    _still_open(s, _tally_known(s, p))


@kernel
def reach(s, p, entry, spread, chance):
    """Criticality reached from an entry service: noisy-or along calls at call_reach (1 - module_isolation m) each."""
    call = s.calls_end[entry - 1] if entry > 0 else 0
    if call == s.calls_end[entry]:
        return s.criticality[entry]
    q = p.call_reach * (1.0 - p.module_isolation * spread)
    total = 0.0
    for k in range(entry, s.num_services):
        chance[k] = 0.0
    chance[entry] = 1.0
    for k in range(entry, s.num_services):
        mine = chance[k]
        end = s.calls_end[k]
        if mine > 0.0:
            total += s.criticality[k] * mine
            for c in range(call, end):
                callee = s.callee[c]
                chance[callee] = 1.0 - (1.0 - chance[callee]) * (1.0 - q * mine)
        call = end
    return total


@kernel
def sme_hazards(s, p):
    """Own hazard of every SME: sme_hazard ratio^(reference - hygiene) x intelligence x threat of the level."""
    common = p.sme_hazard * s.intel_factor * p.threat_growth**s.level
    ratio = math.log(p.hygiene_ratio)
    for i in range(s.num_smes):
        hazard = common * math.exp(ratio * (p.hygiene_reference - s.sme_hygiene[i]))
        s.sme_own_hazard[i] = p.attacks * min(1.0, hazard)


@kernel
def _isolation(s, p):
    """(1 - module_isolation m)/reference: what modularity leaves of a spread between tenants and platform."""
    return (1.0 - p.module_isolation * s.modules) / p.isolation_reference


@kernel
def spill(s, p):
    """Chance that a platform event reaches a tenant."""
    return min(1.0, p.spill * _isolation(s, p))


@kernel
def _member_hazard(s, p):
    """Hazard of the platform through compromised members, spread over the edge services."""
    total = 0.0
    for i in range(s.num_smes):
        if s.sme_member[i] > 0:
            total += s.sme_own_hazard[i]
    return total * p.member_entry * p.sme_scale * _isolation(s, p)


@kernel
def stake(s, p):
    """What a breach costs beside one of the opening at 8 SMEs: a power of the sales there are to lose."""
    return (s.scope / p.sme_scale) ** p.stake_exponent


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
        theta = threat(s, p, tier)
        entry = members / edges if tier == 0 else 0.0
        hazard = common * s.base_hazard[k] * theta * s.posture_factor[tier] + entry
        mean = common * s.base_hazard[k] * p.threat_mean * s.threat_met[tier] / max(s.threat_seen[tier], 1e-300) + entry
        severity = reach(s, p, k, s.modules, chance) / s.mean_reach
        now += hazard
        cycle += mean
        loss_now += hazard * severity
        loss_cycle += mean * severity
    s.event_probability = 1.0 - math.exp(-now)
    mean_loss = p.breach_mean * stake(s, p)
    s.expected_breach = mean_loss * s.event_probability * loss_now / max(now, 1e-300)
    platform_cycle = mean_loss * (1.0 - math.exp(-cycle)) * loss_cycle / max(cycle, 1e-300)
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
        theta = threat(s, p, tier)
        point -= common * s.base_hazard[k] * theta * s.posture_factor[tier] + (member_entry if tier == 0 else 0.0)
        if point < 0.0:
            entry = k
            break
    mu = p.breach_mu - math.log(1000.0)
    size = lognormal(s.seed, s.month, Stream.PLATFORM_SEVERITY, 0, mu, p.breach_sigma)
    severity = reach(s, p, entry, s.modules, chance) / s.mean_reach
    s.breach_loss = min(p.breach_cap, size) * severity * stake(s, p)
