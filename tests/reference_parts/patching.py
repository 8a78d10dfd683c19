"""The month's patch plan: who is ranked first, how much gets done, what breaks."""

from __future__ import annotations

import math

from reference_parts.decisions import BATCH, NOW, lever, suffices
from reference_parts.draws import Stream
from reference_parts.vulnerabilities import FINE

__all__ = ["plan_and_patch"]


def plan_and_patch(w, p) -> None:
    w.patched = w.failed = w.isolated = 0
    w.patched_age = w.patching_cost = w.outage_hours = 0.0
    for v in w.vulnerabilities:
        v.fate = "open"
    agree(w, p)
    money = land(w, p, max(0.0, w.ledger.balance["security"]))
    cascades(w, p)
    isolate(w, p, money)
    w.ledger.pay("patching", "security", "world", w.patching_cost)


def agree(w, p) -> None:
    """Hours by the soft minimum of three efforts, delay by their spread."""
    efforts = (
        w.tier_effort,
        max(p.effort_floor, w.release_effort),
        p.window_floor + (1.0 - p.window_floor) * w.window_effort,
    )
    mean = sum(effort**-p.soft_minimum for effort in efforts) / 3.0
    w.hours = p.capacity_hours * w.services.count / 12.0 * mean ** (-1.0 / p.soft_minimum)
    w.delay = p.delay_days / 30.0 * (max(efforts) - min(efforts)) / max(efforts)


def posture(w, v) -> int:
    return w.posture[w.services.tier[v.service]]


def urgency(w, v):
    """The priority to 2^-30, put forward by the exposure of a tier in ``now``; then the older."""
    p = w.p
    trusted = lever(p.triage_threat, w.triage) * (p.triage_public + (1.0 - p.triage_public) * w.ranking)
    business = lever(p.triage_business, w.triage)
    threat = (1.0 - business) * v.rank(1.0) + business * v.rank(w.service_value[v.service])
    priority = (1.0 - trusted) * v.cvss / 10.0 + trusted * threat
    haste = p.exposure[w.services.tier[v.service]] if posture(w, v) == NOW else 0.0
    return -math.floor((priority + haste) * FINE), v.uid


def land(w, p, money: float) -> float:
    """Down the queue, patch what hours and money still allow; returns the money left."""
    building = p.integration_hours * w.services.count / 12.0 * w.modules_effort
    hours = w.hours - p.false_hours * w.false_findings - building
    queue = [v for v in w.vulnerabilities if v.known and v.patch_month <= w.month and posture(w, v)]
    attempts = {BATCH: 0, NOW: 0}
    for v in sorted(queue, key=lambda v: urgency(w, v)):
        mode = posture(w, v)
        price = p.patch_cost[mode] * p.size
        if not suffices(hours, p.patch_hours[mode]) or not suffices(money, price):
            continue
        hours -= p.patch_hours[mode]
        money -= price
        w.patching_cost += price
        attempts[mode] += 1
        if w.draws.uniform(0, Stream.PATCH_FAILURE, 1024 * v.uid + w.month) < p.patch_failure[mode]:
            v.fate = "failed"
            w.failed += 1
            w.outage_hours += p.failure_hours * p.outage_weight * w.services.criticality[v.service]
        else:
            v.fate = "patched"
            w.patched += 1
            w.patched_age += w.month - v.birth + 1
    window = lever(p.window_hours, w.window_effort)
    outside = max(0.0, attempts[BATCH] * p.restart_hours - window) + attempts[NOW] * p.restart_hours
    w.outage_hours += outside * p.outage_weight / w.services.count
    return money


def cascades(w, p) -> None:
    """A call between two services that were both patched ``now`` may bring both down."""
    touched = {v.service for v in w.vulnerabilities if v.fate == "patched" and posture(w, v) == NOW}
    for a in sorted(touched):
        for b in touched.intersection(w.services.calls[a]):
            if w.draws.uniform(w.month, Stream.CASCADE, 64 * a + b) < p.cascade_probability:
                w.cascaded += 1
                both = w.services.criticality[a] + w.services.criticality[b]
                w.outage_hours += p.cascade_hours * p.outage_weight * both


def isolate(w, p, money: float) -> None:
    """In tiers under ``now``, the worst known without a patch leave the net, a few a tier."""
    price = p.isolation_cost * p.size
    left = [p.isolation_count] * 3
    waiting = [v for v in w.vulnerabilities if v.known and v.patch_month > w.month and posture(w, v) == NOW]
    for v in sorted(waiting, key=lambda v: (-math.floor(v.epss * FINE), v.uid)):
        tier = w.services.tier[v.service]
        if suffices(money, price) and left[tier] >= 1.0:
            left[tier] -= 1.0
            money -= price
            w.patching_cost += price
            v.fate = "isolated"
            w.isolated += 1
