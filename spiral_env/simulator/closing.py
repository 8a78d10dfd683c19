"""The books of the month: remittance, owners' draw, overdrafts, operating and ecosystem value."""

from __future__ import annotations

import numpy as np

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import (
    NUM_PURPOSES,
    PURPOSE_CLASS,
    Account,
    Class,
    Phase,
    Purpose,
    SmeSlot,
    post,
    post_sme,
    settle,
)

__all__ = ["WRITES", "close_books", "loss_load"]

WRITES = "simulator.closing"
_CLASS = np.array(PURPOSE_CLASS)


@kernel
def loss_load(p):
    """What a k$ of expected loss costs: the insured share bears the load, the rest is retained."""
    return 1.0 + p.insurance * p.insured_share * p.insurance_load


@kernel
def _remit(s, p):
    """The platform remits a share of its positive operating profit; owners draw above some months' sales in cash."""
    income = s.sales_margin + s.fee_income
    costs = p.platform_fixed * p.size + s.business_cost + s.payouts + s.tenant_service + s.posture_price + s.premium
    s.business_profit = income - costs
    s.profit_mean += (s.business_profit - s.profit_mean) / 3.0
    s.remitted = min(p.remittance * max(0.0, s.business_profit), max(0.0, s.balance[Account.PLATFORM]))
    post(s, Purpose.REMITTANCE, Account.PLATFORM, Account.TREASURY, s.remitted)
    spare = max(0.0, s.balance[Account.PLATFORM] - s.remitted - p.owners_months * s.sales)
    draw = min(spare, p.owners_share * max(0.0, s.business_profit))
    post(s, Purpose.OWNERS_DRAW, Account.PLATFORM, Account.WORLD, draw)


@kernel
def _owners_draw(s, p):
    """Owners draw a share of profit above some months' cash; margins follow with a 6-month mean."""
    for i in range(s.num_smes):
        net = s.sme_profit[i] + s.sme_payout[i] - s.sme_cost[i] - s.sme_interest[i] - s.sme_premium[i]
        s.sme_margin[i] += (net / s.sme_revenue[i] - s.sme_margin[i]) / 6.0
        spare = max(0.0, s.sme_cash[i] - p.owners_months * s.sme_revenue[i])
        draw = min(spare, p.owners_share * max(0.0, net))
        post_sme(s, Purpose.OWNERS_DRAW, SmeSlot.CLOSING, i, Account.WORLD, draw)
        debt = max(0.0, -s.sme_cash[i])
        post_sme(s, Purpose.OVERDRAFT, SmeSlot.CLOSING, i, Account.WORLD, p.overdraft_rate * debt)


@kernel
def _overdrafts(s, p):
    for account in range(1, 4):
        debt = max(0.0, -s.balance[account])
        post(s, Purpose.OVERDRAFT, account, Account.WORLD, p.overdraft_rate * debt)


@kernel
def _values(s, p):
    """Operating value from the ledger, with losses in expectation; beside it the realised one.

    What firms emit and what incidents do to users is no payment, but society's cost: value is told less of it.
    """
    operating = 0.0
    lost = 0.0
    for purpose in range(NUM_PURPOSES):
        if _CLASS[purpose] == Class.OPERATING:
            operating -= s.month_flow[purpose, Account.WORLD]
        elif _CLASS[purpose] == Class.LOSS:
            lost += s.month_flow[purpose, Account.WORLD]
    expected = s.expected_breach
    fines = s.expected_privacy_fine
    emitted = 0.0
    for i in range(s.num_smes):
        expected += s.sme_expected[i]
        fines += s.sme_expected_fine[i]
        emitted += p.esg_cost * s.sme_revenue[i] * (1.0 - s.sme_esg[i])
    s.operating_value = operating - loss_load(p) * expected - fines - s.expected_credit_loss
    s.externality = emitted + s.expected_harm
    s.realised_value = operating - lost - s.credit_loss
    s.ecosystem_value = s.operating_value + s.certainty_equivalent - s.externality
    s.value_ring[s.month % 6] = s.operating_value


@kernel
def close_books(s, p):
    """Post what closes the month, settle, value it."""
    _remit(s, p)
    _owners_draw(s, p)
    _overdrafts(s, p)
    settle(s, Phase.CLOSING)
    _values(s, p)
