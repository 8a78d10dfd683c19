"""Risk governance x finance: market regimes, ESG authenticity, default and closure (paper 2.2; studies [3], [6])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, gauss, normal, stream_key, uniform, unit
from spiral_env.stages.stock import GOVERNANCE

__all__ = ["WRITES", "govern"]

WRITES = "risk_governance.finance"


@kernel
def _market(s, p):
    """Two-regime market (Hamilton 1989) and the filtered probability of calm."""
    if uniform(s.seed, s.month, Stream.MARKET, 0) >= p.market_stay[s.stress]:
        s.stress = 1 - s.stress
    z = normal(s.seed, s.month, Stream.MARKET_RETURN, 0)
    s.market_return = p.market_mean[s.stress] + p.market_volatility[s.stress] * z
    prior = s.calm_filter * p.market_stay[0] + (1.0 - s.calm_filter) * (1.0 - p.market_stay[1])
    calm = _density(s.market_return, p.market_mean[0], p.market_volatility[0])
    stress = _density(s.market_return, p.market_mean[1], p.market_volatility[1])
    s.calm_filter = prior * calm / (prior * calm + (1.0 - prior) * stress)
    if p.market_risk == 0.0:
        s.market_return = p.cash_rate


@kernel
def _density(x, mean, sd):
    z = (x - mean) / sd
    return math.exp(-0.5 * z * z) / sd + 1e-300


@kernel
def _portfolio(s, p):
    """Return of the book, its peak and whether it has just fallen below the drawdown limit."""
    edge = p.skill_return * (s.skill - p.skill_break_even)
    s.portfolio_return = p.cash_rate + s.weight * (s.market_return - p.cash_rate + edge)
    before = s.drawdown
    s.portfolio_index *= max(0.05, 1.0 + s.portfolio_return)
    s.portfolio_peak = max(s.portfolio_peak, s.portfolio_index)
    s.drawdown = 1.0 - s.portfolio_index / s.portfolio_peak
    s.drawdown_event = 1 if s.drawdown > p.drawdown_limit and before <= p.drawdown_limit else 0


@kernel
def _effort(s, p, i):
    """True ESG rises by gain (1 - constraint)(1 - esg) under investment; a claim rises by a step or fades."""
    s.sme_esg[i] *= 1.0 - p.esg_decay
    if s.sme_esg_mode[i] == 2:
        match = p.match_in if s.stage == GOVERNANCE else p.match_out
        room = (1.0 - s.sme_constraint[i]) * (1.0 - s.sme_esg[i])
        s.sme_esg[i] = min(1.0, s.sme_esg[i] + p.esg_gain * match * room * s.sme_esg_scale[i])
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
    s.sme_green[i] = 1 if s.sme_rating[i] >= p.green_rating and s.sme_ban[i] == 0 else 0


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
    _market(s, p)
    _portfolio(s, p)
    _authenticity(s, p)
    _turnover(s, p)
