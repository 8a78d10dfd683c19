"""Risk governance x finance: market regimes, ESG authenticity, default and closure (paper 2.2; studies [3], [6])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, gauss, stream_key, uniform, unit
from spiral_env.stages.risk_governance._market import hold, move

__all__ = ["WRITES", "constraint", "govern"]

WRITES = "risk_governance.finance"


@kernel
def constraint(p, revenue, age_months, cash):
    """Financial constraint in [.05, .95] from the SA index of size and age, and from cash (study [3])."""
    size = math.log(max(12.0 * revenue / 1000.0, 1e-6))
    index = p.sa_size * size + p.sa_size_squared * size * size + p.sa_age * age_months / 12.0
    lasting = 0.1 + 0.8 * min(max((index - p.sa_low) / -p.sa_low, 0.0), 1.0)
    short = 1.0 - min(max(cash / (2.0 * revenue), 0.0), 1.0)
    return min(max(lasting + p.constraint_cash * short, 0.05), 0.95)


@kernel
def _effort(s, p, i):
    """True ESG rises by gain (1 - constraint)(1 - esg) under investment; a claim rises by a step or fades."""
    s.sme_esg[i] *= 1.0 - p.esg_decay
    s.sme_constraint[i] = constraint(p, s.sme_revenue[i], s.month - s.sme_entry[i], s.sme_cash[i])
    if s.sme_esg_mode[i] == 2:
        room = (1.0 - s.sme_constraint[i]) * (1.0 - s.sme_esg[i])
        s.sme_esg[i] = min(1.0, s.sme_esg[i] + p.esg_gain * s.gain_finance * room * s.sme_esg_scale[i])
    if s.sme_esg_mode[i] == 1:
        s.sme_claim[i] = min(1.0, max(s.sme_claim[i], s.sme_esg[i]) + p.claim_step * s.sme_esg_scale[i])
    else:
        s.sme_claim[i] = max(s.sme_esg[i], s.sme_claim[i] - p.claim_fade)


@kernel
def _rate(s, p, i, shock, z):
    """Observed rating: the claim seen through AR(1) noise."""
    s.sme_rating_noise[i] = p.rating_memory * s.sme_rating_noise[i] + shock * z
    s.sme_rating[i] = min(max(s.sme_claim[i] + s.sme_rating_noise[i], 0.0), 1.0)


@kernel
def _audit(s, p, i, audit_key, press_key):
    """An audit finds a gap, or a green firm wrongly; the press exposes a gap, each with its own chance."""
    gap = s.sme_claim[i] - s.sme_esg[i] > p.gap_limit
    found = 0
    if p.greenwashing > 0.0 and unit(audit_key, i) < s.audit_share:
        chance = p.audit_recall if gap else p.audit_false * s.sme_green[i]
        found = 1 if uniform(s.seed, s.month, Stream.FINDING, i) < chance else 0
    if p.greenwashing > 0.0 and gap and unit(press_key, i) < p.press_rate:
        s.exposed += 1
    s.sme_ban[i] = max(0, s.sme_ban[i] - 1)
    if found == 1:
        s.findings += 1
        s.sme_ban[i] = int(p.ban_months)
        s.sme_claim[i] = s.sme_esg[i]
    s.sme_green[i] = 1 if s.sme_rating[i] >= s.green_threshold and s.sme_ban[i] == 0 else 0


@kernel
def _authenticity(s, p):
    s.findings = 0
    s.exposed = 0
    shock = math.sqrt(1.0 - p.rating_memory * p.rating_memory) * p.rating_noise
    rating_key = stream_key(s.seed, s.month, Stream.RATING)
    audit_key = stream_key(s.seed, s.month, Stream.AUDIT)
    press_key = stream_key(s.seed, s.month, Stream.PRESS)
    for i in range(s.num_smes):
        _effort(s, p, i)
        _rate(s, p, i, shock, gauss(rating_key, i))
        _audit(s, p, i, audit_key, press_key)
    s.findings_year = s.findings_year * 11.0 / 12.0 + s.findings


@kernel
def _default_probability(s, p, i):
    """Rate of the regime x (1 + default_leverage leverage), raised after a shock and with a gap."""
    rate = p.default_rate[s.stress] * (1.0 + p.default_leverage * s.sme_loan[i] / (12.0 * s.sme_revenue[i]))
    if s.sme_shock[i] > 0:
        rate *= p.default_shock
    if s.sme_claim[i] - s.sme_esg[i] > p.gap_limit:
        rate *= p.default_gap
    return min(1.0, rate)


@kernel
def _closure_probability(s, p, i):
    """From young to old over closure_age, x exp(-closure_margin (margin - ref)/ref) within closure_clip."""
    youth = max(0.0, 1.0 - (s.month - s.sme_entry[i]) / p.closure_age)
    rate = p.closure_old + (p.closure_young - p.closure_old) * youth
    distance = (s.sme_margin[i] - p.margin_reference) / p.margin_reference
    return min(1.0, rate * min(max(math.exp(-p.closure_margin * distance), p.closure_clip[0]), p.closure_clip[1]))


@kernel
def _turnover(s, p):
    """Default (borrowers only) or closure; what a closing firm's loan recovers goes to the treasury."""
    s.expected_credit_loss = 0.0
    s.credit_loss = 0.0
    recovered = 0.0
    default_key = stream_key(s.seed, s.month, Stream.DEFAULT)
    closure_key = stream_key(s.seed, s.month, Stream.CLOSURE)
    for i in range(s.num_smes):
        s.sme_closing[i] = 0
        default = _default_probability(s, p, i) if s.sme_loan[i] > 0.0 else 0.0
        s.expected_credit_loss += p.seat_turnover * default * p.loss_given_default * s.sme_loan[i]
        if unit(default_key, i) < p.seat_turnover * default:
            s.sme_closing[i] = 1
            s.credit_loss += p.loss_given_default * s.sme_loan[i]
            recovered += (1.0 - p.loss_given_default) * s.sme_loan[i]
        elif unit(closure_key, i) < p.seat_turnover * _closure_probability(s, p, i):
            s.sme_closing[i] = 2
            recovered += s.sme_loan[i]
    post(s, Purpose.LOAN_RECOVERY, Account.WORLD, Account.TREASURY, recovered)


@kernel
def govern(s, p):
    """The market moves, claims are checked, firms default or close."""
    move(s, p)
    hold(s, p)
    _authenticity(s, p)
    _turnover(s, p)
