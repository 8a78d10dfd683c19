"""The spiral: aggregation until A >= 1, governance until R and trust keep their gates, value until V >= 1; then up."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account

__all__ = ["WRITES", "appetite", "need_trust", "power_mean", "turn"]

WRITES = "spiral"
AGGREGATION, GOVERNANCE, VALUE = 0, 1, 2
"""What ``stage`` says."""


@kernel
def power_mean(a, b, c, d):
    """Power mean with exponent -2: the scarcest resource weighs most."""
    a, b, c, d = max(a, 1e-3), max(b, 1e-3), max(c, 1e-3), max(d, 1e-3)
    return math.sqrt(4.0 / (1.0 / (a * a) + 1.0 / (b * b) + 1.0 / (c * c) + 1.0 / (d * d)))


@kernel
def _aggregation(s, p):
    """A: pool, capital, modules and detection maturity against the level's needs, each clipped at need_clip."""
    smes = s.num_smes / 8.0
    pool = s.pool / (p.need_pool * smes * s.need_scale)
    capital = s.capital / (p.need_capital * smes * s.need_scale)
    modules = s.modules / s.need_stock
    maturity = (s.scanners[0] + s.scanners[1] + s.scanners[2] + s.scanners[3]) / 4.0 / s.need_stock
    top = p.need_clip
    s.aggregation = power_mean(min(pool, top), min(capital, top), min(modules, top), min(maturity, top))


@kernel
def appetite(s, p):
    """Loss that is accepted, in k$ a month: it follows what is at stake, the firms that take part and the sales."""
    taking_part = 1.0 - p.appetite_members + p.appetite_members * s.num_members / s.num_smes
    return p.appetite * p.size * s.scope**p.stake_exponent * taking_part


@kernel
def need_trust(s, p):
    """Trust that the gate of governance asks for at this level."""
    s.trust_needed = min(0.9, p.gate_trust + p.gate_trust_step * s.level)


@kernel
def _risk(s, p):
    """R: 6-month exponential mean of the through-the-cycle expected loss, over the appetite for what is at stake."""
    fines = s.expected_privacy_fine
    for i in range(s.num_smes):
        fines += s.sme_expected_fine[i]
    s.risk_mean += (s.cycle_loss + fines - s.risk_mean) / p.risk_months
    s.risk = s.risk_mean / appetite(s, p)


@kernel
def _value(s, p):
    """V: operating value since the value stage began, over value_months starting months at this level's needs."""
    if s.stage == VALUE:
        s.value_sum += s.operating_value
    target = p.value_months * p.start_value / p.sme_scale * s.need_scale
    s.value = s.value_sum / target


@kernel
def _enter(s, stage):
    s.stage = stage
    s.stage_months = 0
    s.gate_count = 0
    s.fallback_count = 0
    s.value_sum = 0.0


@kernel
def _rise(s, p):
    """One level up: old, lower losses are restated at the new threat, so the gate cannot be sprinted."""
    s.level += 1
    s.level_rose = 1
    s.value_passed = s.value
    s.risk_mean *= p.threat_growth
    s.risk = s.risk_mean / appetite(s, p)
    _enter(s, AGGREGATION)


@kernel
def _collapse_counts(s, p):
    low = p.collapse_cash * p.size
    broke = s.balance[Account.PLATFORM] < low and s.balance[Account.TREASURY] < low
    s.cash_count = s.cash_count + 1 if broke else 0
    s.trust_count = s.trust_count + 1 if s.trust < p.collapse_trust else 0


@kernel
def _height(s, p):
    """Levels climbed and the fraction of the current turn."""
    if s.stage == AGGREGATION:
        progress = s.aggregation
    elif s.stage == GOVERNANCE:
        near = min(p.gate_risk / max(s.risk, 1e-9), s.trust / max(s.trust_needed, 1e-9))
        progress = max(s.gate_count / p.gate_months, 0.9 * min(1.0, near))
    else:
        progress = s.value
    s.height = s.level + (s.stage + min(max(progress, 0.0), 1.0)) / 3.0


@kernel
def turn(s, p):
    """Measure A, R and V, move the stage machine by at most one step, count towards a collapse."""
    s.level_rose = 0
    s.stage_months += 1
    _aggregation(s, p)
    _risk(s, p)
    _value(s, p)
    need_trust(s, p)
    s.gate_count = s.gate_count + 1 if s.risk <= p.gate_risk and s.trust >= s.trust_needed else 0
    s.fallback_count = s.fallback_count + 1 if s.risk > p.fallback_risk else 0
    ready = s.stage_months >= p.stage_months
    if s.stage == AGGREGATION and ready and s.aggregation >= 1.0:
        _enter(s, GOVERNANCE)
    elif s.stage == GOVERNANCE and ready and s.gate_count >= p.gate_months:
        _enter(s, VALUE)
    elif s.stage == VALUE and ready and s.value >= 1.0:
        _rise(s, p)
    elif s.stage == VALUE and s.fallback_count >= p.fallback_months:
        _enter(s, GOVERNANCE)
    _collapse_counts(s, p)
    _height(s, p)
