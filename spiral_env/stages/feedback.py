"""The three feedback edges that close the loop (paper section 3), one function each, each with a switch."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post

__all__ = ["WRITES", "aggregation_to_governance", "governance_to_value", "value_to_aggregation"]

WRITES = "feedback"


@kernel
def aggregation_to_governance(s, p):
    """Modules and pool widen surface and exposure; exposure met by investment improves the tools."""
    on = p.edge_aggregation_governance
    filled = min(1.0, s.pool / (p.pool_reference * s.num_smes / 8.0))
    s.surface = 1.0 + on * p.surface_modules * s.modules
    s.privacy_exposure = on * filled
    s.privacy_gain = 1.0 + on * p.exposure_gain * filled
    s.scanner_gain = 1.0 + on * p.exposure_gain * s.modules


@kernel
def _incidents(s, p):
    """Trust lost this month to what happened."""
    events = s.breach * p.trust_breach
    sme_events = 0
    for i in range(s.num_smes):
        sme_events += 1 if s.sme_event[i] > 0 else 0
    events += p.trust_published * s.intel_effort * (s.breach + sme_events * p.sme_scale)
    events += p.trust_privacy * s.privacy_incident
    events += p.trust_drawdown * (1.0 - p.trust_openness * s.disclosure) * s.drawdown_event
    return events + (p.trust_finding * s.findings + p.trust_press * s.exposed) * p.sme_scale


@kernel
def governance_to_value(s, p):
    """Trust' = trust + (gain clip(neutral - R, -1, 1) + gain' disclosure)(1 - trust or trust) - incidents."""
    if p.edge_governance_value == 0.0:
        return
    drift = p.trust_gain * min(max(p.trust_neutral - s.risk, -1.0), 1.0) + p.trust_disclosure * s.disclosure
    room = 1.0 - s.trust if drift > 0.0 else s.trust
    s.trust = min(max(s.trust + drift * room - _incidents(s, p), 0.0), 1.0)


@kernel
def value_to_aggregation(s, p):
    """A level raises needs and users' records, and brings outside capital when it is reached."""
    level = s.level if p.edge_value_aggregation > 0.0 else 0
    s.need_scale = p.market_growth**level
    s.need_stock = p.need_stock + p.need_stock_step * level
    s.records_factor = p.records_growth**level
    if s.level_rose == 1 and p.edge_value_aggregation > 0.0:
        amount = p.outside_capital * p.size * p.market_growth**level
        post(s, Purpose.OUTSIDE_CAPITAL, Account.WORLD, Account.TREASURY, amount)
