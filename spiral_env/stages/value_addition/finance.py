"""Value addition x finance: sustainable finance and investment efficiency (paper 2.3; studies [3], [6])."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post, post_sme
from spiral_env.roles._levers import interpolate

__all__ = ["WRITES", "add_value"]

WRITES = "value_addition.finance"


@kernel
def _wish(s, p, i):
    """What SME ``i`` may draw: its wish within the limit of its tier."""
    if s.sme_closing[i] > 0:
        return 0.0
    annual = s.sme_annual[i]
    limit = (p.loan_limit_green if s.sme_green[i] == 1 else p.loan_limit) * annual
    return p.credit * max(0.0, min(s.sme_borrow[i] * annual, limit - s.sme_loan[i]))


@kernel
def _lend(s, p):
    """Interest and repayment on what is owed, new loans rationed to the month's offer and invested at once."""
    wished = 0.0
    for i in range(s.num_smes):
        wished += _wish(s, p, i)
    offer = interpolate(p.lending_offer, s.lending_effort) * s.lendable
    ration = min(1.0, offer / wished) if wished > 0.0 else 0.0
    s.loans = 0.0
    s.green_book = 0.0
    s.interest = 0.0
    for i in range(s.num_smes):
        draw = ration * _wish(s, p, i)
        owed = s.sme_loan[i] if s.sme_closing[i] == 0 else 0.0
        interest = owed * p.loan_rate / 12.0
        repaid = owed / p.loan_months
        s.sme_interest[i] = interest
        s.sme_loan[i] = owed - repaid + draw
        s.loans += s.sme_loan[i]
        s.green_book += s.sme_loan[i] * s.sme_green[i]
        s.interest += interest
        post_sme(s, Purpose.LOAN_INTEREST, SmeSlot.CREDIT, i, Account.TREASURY, interest)
        post_sme(s, Purpose.LOAN_REPAYMENT, SmeSlot.CREDIT, i, Account.TREASURY, repaid)
        post_sme(s, Purpose.LOAN_DRAW, SmeSlot.CREDIT, i, Account.TREASURY, -draw)
        post_sme(s, Purpose.LOAN_INVESTMENT, SmeSlot.CREDIT, i, Account.WORLD, draw)


@kernel
def _green(s, p):
    """A green book earns green_income a month from outside funds, times the audited share of the year."""
    s.audited_year = min(1.0, s.audited_year * 11.0 / 12.0 + s.audit_share)
    s.green_income = p.green_income * s.green_book * s.audited_year
    post(s, Purpose.GREEN_INCOME, Account.WORLD, Account.TREASURY, s.green_income)


@kernel
def _invest(s, p):
    """Book, costs, drawn return, and certainty equivalent W [rf + w (mu - rf + edge) - aversion/2 w^2 sigma^2]."""
    cap = p.book_cap * p.size * p.market_growth**s.level
    s.book = min(max(0.0, s.balance[Account.TREASURY]), cap)
    s.portfolio_cost = p.trading_cost * s.weight_change * s.book + p.book_admin * s.loans
    s.market_income = s.book * s.portfolio_return
    w = s.weight
    mean, sd = p.market_mean[s.stress], p.market_volatility[s.stress]
    if p.market_risk == 0.0:
        mean, sd = p.cash_rate, 0.0
    edge = w * p.skill_return * (s.skill - p.skill_break_even)
    risk = 0.5 * p.risk_aversion * w * w * sd * sd
    s.certainty_equivalent = s.book * (p.cash_rate + w * (mean - p.cash_rate) - risk + edge)
    post(s, Purpose.PORTFOLIO_COST, Account.TREASURY, Account.WORLD, s.portfolio_cost)
    post(s, Purpose.MARKET, Account.WORLD, Account.TREASURY, s.market_income)


@kernel
def add_value(s, p):
    """Lend, earn on the green book, invest."""
    _lend(s, p)
    _green(s, p)
    _invest(s, p)
