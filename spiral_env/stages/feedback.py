"""The three feedback edges that close the loop (paper section 3), one function each.

What aggregation, growth and time do (surface, exposure, threat, needs, fading) is physics and always on; an edge is the
answer to it, and its switch takes the answer away.
"""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.stages.risk_governance.digital_commerce import strictness

__all__ = ["WRITES", "aggregation_to_governance", "governance_to_value", "learn", "pressures", "value_to_aggregation"]

WRITES = "feedback"


@kernel
def pressures(s, p):
    """What a pool and modules expose, and what the level asks for: always on."""
    filled = (s.pool + s.pool_bad) / (p.pool_reference * s.num_smes / 8.0)
    s.surface = 1.0 + p.surface_modules * s.modules
    s.privacy_exposure = min(1.0, filled)
    s.need_scale = p.need_growth**s.level
    s.need_stock = p.need_stock + p.need_stock_step * s.level


@kernel
def _remember(p, lesson, signal):
    return p.lesson_memory * lesson + (1.0 - p.lesson_memory) * min(1.0, signal)


@kernel
def _sme_events(s):
    events = 0
    for i in range(s.num_smes):
        events += 1 if s.sme_event[i] > 0 else 0
    return events


@kernel
def _claim_gap(s):
    """Mean over SMEs of claimed less true ESG."""
    total = 0.0
    for i in range(s.num_smes):
        total += s.sme_claim[i] - s.sme_esg[i]
    return total / s.num_smes


@kernel
def learn(s, p):
    """What the month's findings, incidents and exposure teach in each domain."""
    found = (s.tier_exposure[0] + s.tier_exposure[1] + s.tier_exposure[2]) / (p.lesson_exposure * s.num_services / 12.0)
    s.lesson_security = _remember(p, s.lesson_security, found + s.breach + 0.5 * p.sme_scale * _sme_events(s))
    exposed = s.privacy_exposure * (1.0 - s.privacy)
    s.lesson_privacy = _remember(p, s.lesson_privacy, exposed + s.privacy_incident + s.fraud)
    caught = p.sme_scale * (s.findings + s.exposed) / 4.0
    fallen = s.drawdown / (2.0 * p.drawdown_limit)
    s.lesson_finance = _remember(p, s.lesson_finance, fallen + caught + _claim_gap(s))


@kernel
def aggregation_to_governance(s, p):
    """Lessons speed the tools that answer them: gain_base + lesson_gain lesson; proofs speed modules and scanners."""
    taught = p.edge_aggregation_governance * p.lesson_gain
    proved = p.edge_value_aggregation * p.proof_gain * s.proof
    s.gain_security = p.gain_base + taught * s.lesson_security
    s.gain_privacy = p.gain_base + taught * s.lesson_privacy
    s.gain_finance = p.gain_base + taught * s.lesson_finance
    s.gain_modules = p.gain_base + proved
    s.gain_scanners = s.gain_security + 0.5 * proved


@kernel
def _incidents(s, p):
    """Trust lost this month to what happened."""
    events = s.breach * p.trust_breach
    events += p.trust_published * s.intel_effort * (s.breach + _sme_events(s) * p.sme_scale)
    events += p.trust_privacy * s.privacy_incident
    events += p.trust_drawdown * (1.0 - p.trust_openness * s.disclosure) * s.drawdown_event
    return events + (p.trust_finding * s.findings + p.trust_press * s.exposed) * p.sme_scale


@kernel
def _trust(s, p):
    """Trust is earned under the appetite, by disclosure and by strict rules kept; it fades and is lost to incidents."""
    margin = p.trust_neutral - s.risk
    kept = 1.0 if s.eps12 <= p.kept_epsilon and s.privacy_incident == 0 else 0.0
    earned = p.trust_gain * min(max(margin, 0.0), 1.0) + p.trust_disclosure * s.disclosure
    earned += p.trust_strictness * strictness(s, p) * kept
    lost = p.trust_gain * min(max(-margin, 0.0), 1.0) + p.trust_fade
    moved = s.trust + p.edge_governance_value * earned * (1.0 - s.trust) - lost * s.trust - _incidents(s, p)
    s.trust = min(max(moved, 0.0), 1.0)


@kernel
def _partners(s, p):
    """Outside tenants, data partners, investors: they come where SMEs are, by trust and privacy (Bass), and churn."""
    assured = 1.0 - p.partners_privacy * (1.0 - s.privacy)
    drawn = s.trust * assured * s.num_members / s.num_smes
    come = (p.partners_innovation + p.partners_imitation * s.partners) * drawn * (1.0 - s.partners)
    leave = p.partners_churn * (1.0 - s.trust) * s.partners
    s.partners = min(max(s.partners + p.edge_governance_value * come - leave, 0.0), 1.0)


@kernel
def _deposits(s, p):
    """Investors' money follows the partners, in and out of the treasury."""
    moved = p.deposit_pace * (p.investor_deposit * p.size * s.partners * s.scope - s.deposits)
    s.deposits = max(0.0, s.deposits + moved)
    post(s, Purpose.DEPOSIT, Account.WORLD, Account.TREASURY, moved)


@kernel
def governance_to_value(s, p):
    """Governance builds trust, trust brings stakeholders, and they bring tenants, records and capital."""
    _partners(s, p)
    _trust(s, p)
    _deposits(s, p)


@kernel
def _quality(s):
    """What the turn that ended earned, times the mean of what it proved: trust, accuracy, tools."""
    tools = (s.scanners[0] + s.scanners[1] + s.scanners[2] + s.scanners[3]) / 4.0
    data = min(max((s.auc_pool - 0.5) / 0.3, 0.0), 1.0)
    return min(s.value_passed, 1.5) * (s.trust + data + tools) / 3.0


@kernel
def value_to_aggregation(s, p):
    """A finished turn widens the market by what it earned and proved, brings capital, and speeds the next building."""
    s.proof *= p.proof_memory
    if s.level_rose == 1 and p.edge_value_aggregation > 0.0:
        quality = _quality(s)
        s.scope *= 1.0 + p.scope_gain * quality
        s.proof = min(1.0, quality)
        amount = p.outside_capital * p.size * s.scope * quality
        post(s, Purpose.OUTSIDE_CAPITAL, Account.WORLD, Account.TREASURY, amount)
