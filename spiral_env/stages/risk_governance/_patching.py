"""The month's patch plan of the security team (study [5]): rank, agree, land."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, uniform

__all__ = ["plan_and_patch", "priority", "rank_of_threat"]

DRAWS = 1024
"""Months reserved for one vulnerability's patch attempts under its key."""


@kernel
def rank_of_threat(threat):
    """Rank in [0, 1] of EPSS x relative criticality: the logistic form of its log-normal law."""
    z = (math.log(threat) + 4.68) / 1.51
    return 1.0 / (1.0 + math.exp(-1.702 * z))


@kernel
def priority(ranking, cvss, threat):
    """(1 - rho) CVSS/10 + rho rank(EPSS x criticality)."""
    return (1.0 - ranking) * cvss / 10.0 + ranking * rank_of_threat(threat)


@kernel
def _score(s, mode):
    """Priority of what is known and patchable in the tiers of one posture; -1 for all else."""
    for j in range(s.num_open):
        s.v_score[j] = -1.0
        if s.v_known[j] == 1 and s.v_patch_month[j] <= s.month:
            service = s.v_service[j]
            if s.posture[s.service_tier[service]] == mode:
                threat = s.v_epss[j] * s.criticality[service] * s.num_services
                s.v_score[j] = priority(s.ranking, s.v_cvss[j], threat)


@kernel
def _agree(s, p):
    """Hours of a soft minimum of three efforts; where they disagree patches land late."""
    it = s.tier_effort
    finance = max(p.effort_floor, s.release_effort)
    business = p.window_floor + (1.0 - p.window_floor) * s.window_effort
    k = p.soft_minimum
    mean = (it**-k + finance**-k + business**-k) / 3.0
    s.hours = p.capacity_hours * (s.num_services / 12.0) * mean ** (-1.0 / k)
    high = max(it, max(finance, business))
    low = min(it, min(finance, business))
    s.delay = p.delay_days / 30.0 * (high - low) / high


@kernel
def _next(s):
    """Item of the highest score; -1 if none is left."""
    best = -1
    highest = -1.0
    for j in range(s.num_open):
        if s.v_score[j] > highest:
            best = j
            highest = s.v_score[j]
    return best


@kernel
def _land(s, p, mode, hours, money):
    """Patch the tiers in one posture until hours, money or candidates end; returns hours and money left."""
    price = p.patch_cost[mode] * p.size
    _score(s, mode)
    while hours >= p.patch_hours[mode] and money >= price:
        j = _next(s)
        if j < 0:
            break
        s.v_score[j] = -1.0
        hours -= p.patch_hours[mode]
        money -= price
        s.patching_cost += price
        key = s.v_uid[j] * DRAWS + s.month
        if uniform(s.seed, 0, Stream.PATCH_FAILURE, key) < p.patch_failure[mode]:
            s.v_fixed[j] = -2
            s.failed += 1
            s.outage_hours += p.failure_hours * p.outage_weight * s.criticality[s.v_service[j]]
        else:
            s.v_fixed[j] = s.month
            s.patched += 1
            s.patched_age += s.month - s.v_birth[j] + 1.0
    return hours, money


@kernel
def _restarts(s, p, batch_patches, now_patches):
    """Restarts outside the maintenance window take the platform down."""
    window = p.window_hours[2] * s.window_effort
    outside = max(0.0, batch_patches * p.restart_hours - window) + now_patches * p.restart_hours
    s.outage_hours += outside * p.outage_weight / s.num_services


@kernel
def _cascades(s, p):
    """Two coupled services patched ``now`` in one month risk a cascade."""
    touched = 0
    for j in range(s.num_open):
        if s.v_fixed[j] == s.month and s.posture[s.service_tier[s.v_service[j]]] == 2:
            touched |= 1 << s.v_service[j]
    if touched == 0:
        return
    for a in range(s.num_services):
        if touched >> a & 1 == 0:
            continue
        for b in range(s.num_services):
            if s.calls[a, b] == 1 and touched >> b & 1 == 1:
                if uniform(s.seed, s.month, Stream.CASCADE, a * 64 + b) < p.cascade_probability:
                    reach = s.criticality[a] + s.criticality[b]
                    s.outage_hours += p.cascade_hours * p.outage_weight * reach


@kernel
def _isolate(s, p, money):
    """In tiers under ``now``, take the worst known items without a patch off the net (``v_fixed`` = -3)."""
    for tier in range(3):
        if s.posture[tier] != 2:
            continue
        for _ in range(int(p.isolation_count)):
            best = -1
            for j in range(s.num_open):
                if s.v_known[j] == 1 and s.v_patch_month[j] > s.month and s.v_fixed[j] != -3:
                    if s.service_tier[s.v_service[j]] == tier and (best < 0 or s.v_epss[j] > s.v_epss[best]):
                        best = j
            price = p.isolation_cost * p.size
            if best < 0 or money < price:
                break
            money -= price
            s.patching_cost += price
            s.v_fixed[best] = -3
            s.isolated += 1


@kernel
def plan_and_patch(s, p):
    """Rank what is known, agree on hours, land `now` before `batch`, isolate, count restarts and cascades."""
    s.patched = 0
    s.patched_age = 0.0
    s.failed = 0
    s.isolated = 0
    s.patching_cost = 0.0
    s.outage_hours = 0.0
    for j in range(s.num_open):
        s.v_fixed[j] = -1
    _agree(s, p)
    money = max(0.0, s.balance[Account.SECURITY])
    hours = s.hours - s.false_findings * p.false_hours
    hours, money = _land(s, p, 2, hours, money)
    landed_now = s.patched + s.failed
    hours, money = _land(s, p, 1, hours, money)
    _restarts(s, p, s.patched + s.failed - landed_now, landed_now)
    _cascades(s, p)
    _isolate(s, p, money)
    post(s, Purpose.PATCHING, Account.SECURITY, Account.WORLD, s.patching_cost)
