"""Value addition x finance: sustainable finance and investment efficiency (paper 2.3; studies [3], [6])."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post, post_sme
from spiral_env.roles._levers import interpolate
from spiral_env.roles.finance import NUM_ASSETS
from spiral_env.stages.value_addition._green import truly_green

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
    green = 0.0
    s.interest = 0.0
    for i in range(s.num_smes):
        draw = ration * _wish(s, p, i)
        owed = s.sme_loan[i] if s.sme_closing[i] == 0 else 0.0
        interest = owed * p.loan_rate / 12.0
        repaid = owed / p.loan_months
        s.sme_interest[i] = interest
        s.sme_loan[i] = owed - repaid + draw
        s.loans += s.sme_loan[i]
        green += s.sme_loan[i] * s.sme_green[i] * truly_green(s.sme_esg[i])
        s.interest += interest
        post_sme(s, Purpose.LOAN_INTEREST, SmeSlot.CREDIT, i, Account.TREASURY, interest)
        post_sme(s, Purpose.LOAN_REPAYMENT, SmeSlot.CREDIT, i, Account.TREASURY, repaid)
        post_sme(s, Purpose.LOAN_DRAW, SmeSlot.CREDIT, i, Account.TREASURY, -draw)
        post_sme(s, Purpose.LOAN_INVESTMENT, SmeSlot.CREDIT, i, Account.WORLD, draw)
    s.green_book = max(0.0, green)


@kernel
def _green(s, p):
    """What is truly green of the green book earns green_income from outside funds, times the year's audited share."""
    s.audited_year = min(1.0, s.audited_year * 11.0 / 12.0 + s.audit_share)
    s.green_income = p.green_income * s.green_book * s.audited_year
    post(s, Purpose.GREEN_INCOME, Account.WORLD, Account.TREASURY, s.green_income)


@kernel
def _prospect(s, p):
    """Expected excess return and variance of the weights under the true regime and the true alphas."""
    if p.market_risk == 0.0:
        return 0.0, 0.0
    excess, beta, own = 0.0, 0.0, 0.0
    for j in range(NUM_ASSETS):
        w = s.asset_weight[j]
        excess += w * (p.asset_beta[j] * (p.market_mean[s.stress] - p.cash_rate) + s.asset_edge[j])
        beta += w * p.asset_beta[j]
        own += w * w
    sd = p.market_volatility[s.stress]
    return excess, beta * beta * sd * sd + own * p.asset_sd * p.asset_sd


@kernel
def _invest(s, p):
    """Book, costs, drawn return, and certainty equivalent W [rf + excess - aversion/2 variance] of the true regime."""
    cap = p.book_cap * p.size * s.scope
    s.book = min(max(0.0, s.balance[Account.TREASURY]), cap)
    s.portfolio_cost = p.trading_cost * s.weight_change * s.book + p.book_admin * s.loans
    s.market_income = s.book * s.portfolio_return
    excess, variance = _prospect(s, p)
    s.certainty_equivalent = s.book * (p.cash_rate + excess - 0.5 * p.risk_aversion * variance)
    s.deposit_interest = p.deposit_rate / 12.0 * s.deposits
    post(s, Purpose.PORTFOLIO_COST, Account.TREASURY, Account.WORLD, s.portfolio_cost)
    post(s, Purpose.DEPOSIT_INTEREST, Account.TREASURY, Account.WORLD, s.deposit_interest)
    post(s, Purpose.MARKET, Account.WORLD, Account.TREASURY, s.market_income)


@kernel
def add_value(s, p):
    """Lend, earn on the green book, invest."""
    _lend(s, p)
    _green(s, p)
    _invest(s, p)
