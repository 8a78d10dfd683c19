"""One month, on one screen."""

from __future__ import annotations

import numpy as np

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Phase, open_month, settle
from spiral_env.core.state import Sum
from spiral_env.roles import business, finance, it, sme
from spiral_env.roles.public import NUM_PUBLIC, copy
from spiral_env.simulator.closing import close_books, loss_load
from spiral_env.simulator.reset import renew_seats
from spiral_env.stages import feedback, reinforcement, spiral
from spiral_env.stages.resource_aggregation import cybersecurity as pool_security
from spiral_env.stages.resource_aggregation import digital_commerce as pool_commerce
from spiral_env.stages.resource_aggregation import finance as pool_finance
from spiral_env.stages.risk_governance import cybersecurity as govern_security
from spiral_env.stages.risk_governance import digital_commerce as govern_commerce
from spiral_env.stages.risk_governance import finance as govern_finance
from spiral_env.stages.value_addition import cybersecurity as add_security
from spiral_env.stages.value_addition import digital_commerce as add_commerce
from spiral_env.stages.value_addition import finance as add_finance

__all__ = [
    "MIXED",
    "SELFISH",
    "COOPERATIVE",
    "SUMMARY",
    "advance",
    "observe",
    "rewards",
    "spending",
    "summarise",
    "workspace",
]

MIXED, SELFISH, COOPERATIVE = 0, 1, 2
SUMMARY = ("done", "collapsed", "spiral_height", "ecosystem_value")
"""What the batch tells of every row after every month."""


def _bounds(table):
    """Low and high of a role's features: constants of the kernels."""
    return np.array([f.low for f in table], np.float32), np.array([f.high for f in table], np.float32)


_IT_LOW, _IT_HIGH = _bounds(it.FEATURES)
_BUSINESS_LOW, _BUSINESS_HIGH = _bounds(business.FEATURES)
_FINANCE_LOW, _FINANCE_HIGH = _bounds(finance.FEATURES)
_SME_LOW, _SME_HIGH = _bounds(sme.FEATURES)


@kernel
def workspace(s):
    """Scratch of a month: a value per service and a ticket per vulnerability."""
    return np.empty(s.criticality.shape[0]), np.empty(s.v_uid.shape[0], np.int64)


@kernel
def _decide(s, p, actions):
    finance.release_budget(s, p, actions[2])
    settle(s, Phase.RELEASE)
    it.decide(s, p, actions[0])
    business.decide(s, p, actions[1])
    finance.decide(s, p, actions[2])
    for i in range(s.num_smes):
        sme.decide(s, p, i, actions[3 + i])
    sme.count_members(s)
    settle(s, Phase.DECISION)


@kernel
def _resource_aggregation(s, p, order, scratch):
    for k in range(3):
        if order[k] == 0:
            pool_commerce.aggregate(s, p)
        elif order[k] == 1:
            pool_finance.aggregate(s, p)
        else:
            pool_security.aggregate(s, p, scratch)
    reinforcement.reinforce(s, p)


@kernel
def _risk_governance(s, p, order, scratch):
    for k in range(3):
        if order[k] == 0:
            govern_commerce.govern(s, p)
        elif order[k] == 1:
            govern_finance.govern(s, p)
        else:
            govern_security.govern(s, p, scratch)
    settle(s, Phase.GOVERNANCE)


@kernel
def _value_addition(s, p, order):
    for k in range(3):
        if order[k] == 0:
            add_commerce.add_value(s, p)
        elif order[k] == 1:
            add_finance.add_value(s, p)
        else:
            add_security.add_value(s, p)
    settle(s, Phase.VALUE)


@kernel
def advance(s, p, actions, order, scratch):
    """Move one ecosystem by a month under efforts ``actions`` of shape [3 + N, L]; ``order`` of the domains."""
    s.month += 1
    open_month(s)
    _decide(s, p, actions)
    _resource_aggregation(s, p, order, scratch)
    _risk_governance(s, p, order, scratch)
    _value_addition(s, p, order)
    close_books(s, p)
    feedback.learn(s, p)
    feedback.governance_to_value(s, p)
    spiral.turn(s, p)
    feedback.value_to_aggregation(s, p)
    feedback.aggregation_to_governance(s, p)
    feedback.pressures(s, p)
    _tally(s, p)
    renew_seats(s, p)
    settle(s, Phase.TURN)
    fallen = s.trust_count >= p.collapse_trust_months or s.cash_count >= p.collapse_cash_months
    s.collapsed = 1 if fallen else 0
    s.done = 1 if fallen or s.month >= s.max_cycles else 0


@kernel
def _tally(s, p):
    """Add the month to the sums that outcome measures are made of."""
    t = s.sums
    t[Sum.MONTHS] += 1.0
    t[Sum.ECOSYSTEM_VALUE] += s.ecosystem_value
    t[Sum.PRESENT_VALUE] += s.ecosystem_value * (1.0 + p.discount_rate) ** -s.month
    t[Sum.OPERATING_VALUE] += s.operating_value
    t[Sum.CERTAINTY_EQUIVALENT] += s.certainty_equivalent
    t[Sum.MARKET_INCOME] += s.market_income
    t[Sum.EXPECTED_LOSS] += s.expected_breach
    t[Sum.REALISED_LOSS] += s.breach_loss
    t[Sum.PLATFORM_EVENTS] += s.breach
    t[Sum.MEMBERS] += s.num_members / s.num_smes
    t[Sum.SHARING] += s.mean_sharing
    t[Sum.SME_MONTHS] += s.num_smes
    t[Sum.ARRIVALS] += s.arrivals
    t[Sum.PATCHED] += s.patched
    t[Sum.PATCHED_AGE] += s.patched_age
    t[Sum.SECURITY_SPENDING] += s.it_cost + s.patching_cost + s.posture_price
    t[Sum.PRIVACY_INCIDENTS] += s.privacy_incident
    t[Sum.FORECAST_SKILL] += s.skill
    t[Sum.AVAILABILITY] += s.availability
    _tally_survival(s, t)
    for i in range(s.num_smes):
        _tally_sme(s, t, i)


@kernel
def _tally_survival(s, t):
    t[Sum.AT_RISK_30] += s.recent_arrivals[s.month % 12]
    t[Sum.OPEN_30] += s.open_at[0]
    if s.month > 2:
        t[Sum.AT_RISK_90] += s.recent_arrivals[(s.month - 2) % 12]
        t[Sum.OPEN_90] += s.open_at[1]
    if s.month > 11:
        t[Sum.AT_RISK_365] += s.recent_arrivals[(s.month - 11) % 12]
        t[Sum.OPEN_365] += s.open_at[2]


@kernel
def _tally_sme(s, t, i):
    t[Sum.EXPECTED_LOSS] += s.sme_expected[i]
    t[Sum.REALISED_LOSS] += s.sme_loss[i]
    t[Sum.SME_EVENTS] += 1.0 if s.sme_event[i] > 0 else 0.0
    t[Sum.SME_EVENTS_PLATFORM] += 1.0 if s.sme_event[i] == 2 else 0.0
    t[Sum.CLOSURES] += 1.0 if s.sme_closing[i] == 2 else 0.0
    t[Sum.DEFAULTS] += 1.0 if s.sme_closing[i] == 1 else 0.0
    t[Sum.BORROWER_MONTHS] += 1.0 if s.sme_capital[i] > 0.0 else 0.0
    t[Sum.GREENWASH_GAP] += (s.sme_claim[i] - s.sme_esg[i]) / s.num_smes


@kernel
def _scalar(vector, weight, bonus, scale):
    return (vector[0] * weight[0] + vector[1] * weight[1] + vector[2] * weight[2] + bonus) / scale


@kernel
def rewards(s, p, mode, realised, vectors, scalars):
    """Vectors [3 + N, 3] in k$ and scalar rewards [3 + N] of the month just lived; adds both to the sums."""
    load = loss_load(p)
    drawn = s.realised_value + s.market_income - (s.externality - s.expected_harm + s.harm)
    team = drawn if realised else s.ecosystem_value
    it.reward(s, p, load, realised, vectors[0])
    business.reward(s, p, load, realised, vectors[1])
    finance.reward(s, p, load, realised, vectors[2])
    bonus = p.kappa * p.sme_scale * team if mode == MIXED else 0.0
    scalars[0] = _scalar(vectors[0], p.weight_it, bonus, p.scale_it)
    scalars[1] = _scalar(vectors[1], p.weight_business, bonus, p.scale_business)
    scalars[2] = _scalar(vectors[2], p.weight_finance, bonus, p.scale_finance)
    for i in range(s.num_smes):
        sme.reward(s, p, i, load, realised, vectors[3 + i])
        scalars[3 + i] = _scalar(vectors[3 + i], p.weight_sme, bonus, p.scale_sme)
    if mode == COOPERATIVE:
        for a in range(3 + s.num_smes):
            scalars[a] = team * p.sme_scale / p.scale_team
    _tally_rewards(s, vectors, scalars)


@kernel
def _tally_rewards(s, vectors, scalars):
    """Sums per role; SMEs averaged."""
    for a in range(3):
        s.sums[Sum.PAYOFF_IT + a] += vectors[a, 0] + vectors[a, 1] + vectors[a, 2]
        s.sums[Sum.RETURN_IT + a] += scalars[a]
    for a in range(3, 3 + s.num_smes):
        s.sums[Sum.PAYOFF_SME] += (vectors[a, 0] + vectors[a, 1] + vectors[a, 2]) / s.num_smes
        s.sums[Sum.RETURN_SME] += scalars[a] / s.num_smes


@kernel
def spending(s, out):
    """Write what the levers of every agent asked for and what was paid for them, [3 + N, 2] in k$."""
    out[0, 0], out[0, 1] = s.it_asked, s.it_cost
    out[1, 0], out[1, 1] = s.business_asked, s.business_cost
    out[2, 0], out[2, 1] = s.finance_asked, s.finance_cost
    for i in range(s.num_smes):
        out[3 + i, 0], out[3 + i, 1] = s.sme_asked[i], s.sme_cost[i]


@kernel
def summarise(s, out):
    """Write what a caller looks at every month: see ``SUMMARY``."""
    out[0] = s.done
    out[1] = s.collapsed
    out[2] = s.height
    out[3] = s.ecosystem_value


@kernel
def _clip(out, low, high):
    for k in range(low.shape[0]):
        out[k] = min(max(out[k], low[k]), high[k])


@kernel
def observe(s, p, observed, e, rows):
    """Write all observations of row ``e`` of ``rows``, within their bounds, each role's block behind the one before."""
    at = e * _IT_LOW.shape[0]
    seen = observed[at : at + _IT_LOW.shape[0]]
    it.observe(s, p, seen)
    _clip(seen, _IT_LOW, _IT_HIGH)
    block = rows * _IT_LOW.shape[0]
    at = block + e * _BUSINESS_LOW.shape[0]
    out = observed[at : at + _BUSINESS_LOW.shape[0]]
    copy(seen, out[:NUM_PUBLIC])
    business.observe(s, p, out)
    _clip(out, _BUSINESS_LOW, _BUSINESS_HIGH)
    block += rows * _BUSINESS_LOW.shape[0]
    at = block + e * _FINANCE_LOW.shape[0]
    out = observed[at : at + _FINANCE_LOW.shape[0]]
    copy(seen, out[:NUM_PUBLIC])
    finance.observe(s, p, out)
    _clip(out, _FINANCE_LOW, _FINANCE_HIGH)
    block += rows * _FINANCE_LOW.shape[0]
    width = _SME_LOW.shape[0]
    for i in range(s.num_smes):
        at = block + (e * s.num_smes + i) * width
        out = observed[at : at + width]
        copy(seen, out[:NUM_PUBLIC])
        sme.observe(s, p, i, out)
        _clip(out, _SME_LOW, _SME_HIGH)
