"""The month's patch plan of the security team (study [5]): rank, agree, land."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, stream_key, uniform, unit
from spiral_env.roles._levers import affords, interpolate
from spiral_env.stages.resource_aggregation.cybersecurity import BIRTH_SHIFT, FAILED, ISOLATED, OPEN, PATCHED

__all__ = ["plan_and_patch", "priority"]

ATTEMPTS = 1024
"""Months reserved for one vulnerability's patch attempts under its key."""


@kernel
def priority(threat, business, cvss, rank, value):
    """(1 - w) CVSS/10 + w [(1 - b) rank(EPSS) + b rank(EPSS x revenue at risk)], study [4]."""
    return (1.0 - threat) * cvss / 10.0 + threat * ((1.0 - business) * rank + business * value)


@kernel
def _ticket(s, j, score):
    """One word that orders the queue: score in [0, 8) to 2^-30, then the older key; its last ten bits are the slot."""
    return (int(score * 1_073_741_824.0) << 30) | ((1_048_575 - s.v_uid[j]) << 10) | j


@kernel
def _weights(s, p):
    """Weight of exploit likelihood beside CVSS, as good as what is known of it, and of revenue at risk in it."""
    informed = p.triage_public + (1.0 - p.triage_public) * s.ranking
    return interpolate(p.triage_threat, s.triage) * informed, interpolate(p.triage_business, s.triage)


@kernel
def _queue(s, p, tickets):
    """Tickets of what is known and patchable outside deferred tiers; -1 for all else.

    ``now`` puts a tier forward by its exposure: it speeds the edge, and an inner tier does not starve the edge.
    """
    edge, core, internal = s.posture[0], s.posture[1], s.posture[2]
    threat, business = _weights(s, p)
    for j in range(s.num_open):
        mode = edge if s.v_tier[j] == 0 else core if s.v_tier[j] == 1 else internal
        ready = int(s.v_known[j] == 1) & int(s.v_patch_month[j] <= s.month) & int(mode > 0)
        score = priority(threat, business, s.v_cvss[j], s.v_rank[j], s.v_value[j])
        haste = p.exposure[s.v_tier[j]] if mode == 2 else 0.0
        ticket = _ticket(s, j, score + haste)
        tickets[j] = ready * (ticket + 1) - 1


@kernel
def _call_next(tickets, count):
    """Slot of the highest ticket, which is then void; -1 if none is left."""
    best = -1
    for j in range(count):
        best = max(best, tickets[j])
    if best < 0:
        return -1
    slot = best & 1023
    tickets[slot] = -1
    return slot


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
def _try(s, p, j, key):
    """Patch slot ``j``: it lands, or fails and takes its service down."""
    if unit(key, s.v_uid[j] * ATTEMPTS + s.month) < p.patch_failure[s.posture[s.v_tier[j]]]:
        s.v_fate[j] = FAILED
        s.failed += 1
        s.outage_hours += p.failure_hours * p.outage_weight * s.criticality[s.v_service[j]]
    else:
        s.v_fate[j] = PATCHED
        s.patched += 1
        s.patched_age += s.month - (s.v_uid[j] >> BIRTH_SHIFT) + 1.0


@kernel
def _land(s, p, money, scratch):
    """Patch in the order of the queue what hours and money allow; returns money left and attempts in ``now``."""
    tickets = scratch[1]
    key = stream_key(s.seed, 0, Stream.PATCH_FAILURE)
    building = p.integration_hours * s.num_services / 12.0 * s.modules_effort
    hours = s.hours - s.false_findings * p.false_hours - building
    attempts = 0
    least_hours = min(p.patch_hours[1], p.patch_hours[2])
    least_price = min(p.patch_cost[1], p.patch_cost[2]) * p.size
    _queue(s, p, tickets)
    while affords(hours, least_hours) and affords(money, least_price):
        j = _call_next(tickets, s.num_open)
        if j < 0:
            break
        mode = s.posture[s.v_tier[j]]
        price = p.patch_cost[mode] * p.size
        if affords(hours, p.patch_hours[mode]) and affords(money, price):
            hours -= p.patch_hours[mode]
            money -= price
            s.patching_cost += price
            attempts += mode - 1
            _try(s, p, j, key)
    return money, attempts


@kernel
def _restarts(s, p, batch_patches, now_patches):
    """Restarts outside the maintenance window take the platform down."""
    window = interpolate(p.window_hours, s.window_effort)
    outside = max(0.0, batch_patches * p.restart_hours - window) + now_patches * p.restart_hours
    s.outage_hours += outside * p.outage_weight / s.num_services


@kernel
def _cascades(s, p):
    """Two coupled services patched ``now`` in one month risk a cascade."""
    touched = 0
    for j in range(s.num_open):
        if s.v_fate[j] == PATCHED and s.posture[s.v_tier[j]] == 2:
            touched |= 1 << int(s.v_service[j])
    if touched == 0:
        return
    for a in range(s.num_services):
        if touched >> a & 1 == 0:
            continue
        for c in range(s.calls_end[a - 1] if a > 0 else 0, s.calls_end[a]):
            b = int(s.callee[c])
            if touched >> b & 1 == 1:
                if uniform(s.seed, s.month, Stream.CASCADE, a * 64 + b) < p.cascade_probability:
                    reach = s.criticality[a] + s.criticality[b]
                    s.outage_hours += p.cascade_hours * p.outage_weight * reach


@kernel
def _unpatchable(s, tickets):
    """Tickets by EPSS of what is known and has no patch, in tiers under ``now``; -1 for all else."""
    edge, core, internal = s.posture[0], s.posture[1], s.posture[2]
    for j in range(s.num_open):
        mode = edge if s.v_tier[j] == 0 else core if s.v_tier[j] == 1 else internal
        ready = int(s.v_known[j] == 1) & int(s.v_patch_month[j] > s.month) & int(mode == 2)
        tickets[j] = ready * (_ticket(s, j, s.v_epss[j]) + 1) - 1


@kernel
def _isolate(s, p, money, scratch):
    """In tiers under ``now``, take the worst known items without a patch off the net."""
    if s.posture[0] != 2 and s.posture[1] != 2 and s.posture[2] != 2:
        return
    left, tickets = scratch
    left[:3] = p.isolation_count
    price = p.isolation_cost * p.size
    _unpatchable(s, tickets)
    while affords(money, price) and max(left[0], left[1], left[2]) >= 1.0:
        j = _call_next(tickets, s.num_open)
        if j < 0:
            break
        tier = s.v_tier[j]
        if left[tier] >= 1.0:
            left[tier] -= 1.0
            money -= price
            s.patching_cost += price
            s.v_fate[j] = ISOLATED
            s.isolated += 1


@kernel
def plan_and_patch(s, p, scratch):
    """Rank what is known, agree on hours, land `now` before `batch`, isolate, count restarts and cascades."""
    s.patched = 0
    s.patched_age = 0.0
    s.failed = 0
    s.isolated = 0
    s.patching_cost = 0.0
    s.outage_hours = 0.0
    s.v_fate[: s.num_open] = OPEN
    _agree(s, p)
    money, urgent = _land(s, p, max(0.0, s.balance[Account.SECURITY]), scratch)
    _restarts(s, p, s.patched + s.failed - urgent, urgent)
    _cascades(s, p)
    _isolate(s, p, money, scratch)
    post(s, Purpose.PATCHING, Account.SECURITY, Account.WORLD, s.patching_cost)
