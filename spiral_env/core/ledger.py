"""Money moves only here: every payment is a transfer with a purpose, and the sum of all balances never changes.

Cells *post* transfers while a month runs; the ledger *settles* them into balances in one fixed order, so the
order in which cells run leaves no trace, not even in the last bit.
"""

from __future__ import annotations

from enum import IntEnum

from spiral_env.core._jit import kernel

__all__ = [
    "ACCOUNTS",
    "PURPOSE_CLASS",
    "Account",
    "Class",
    "Purpose",
    "SmeSlot",
    "open_month",
    "post",
    "post_sme",
    "settle",
]


class Account(IntEnum):
    """Accounts; ``SMES`` stands for the accounts of all firms together in a statement."""

    WORLD = 0
    PLATFORM = 1
    TREASURY = 2
    SECURITY = 3
    SMES = 4


class Class(IntEnum):
    """What a payment is: running business, a move of capital, or a loss."""

    OPERATING = 0
    CAPITAL = 1
    LOSS = 2


class Purpose(IntEnum):
    """Why money moved."""

    PLATFORM_SALES = 0
    FIXED_COST = 1
    BUSINESS_LEVERS = 2
    EMERGENCY_POSTURE = 3
    TENANT_FEE = 4
    TENANT_SERVICE = 5
    REMITTANCE = 6
    SECURITY_RELEASE = 7
    SECURITY_RETURN = 8
    SECURITY_LAPSE = 9
    SECURITY_SPENDING = 10
    FINANCE_LEVERS = 11
    GREEN_INCOME = 12
    SME_PROFIT = 13
    CHANNEL_SALES = 14
    SME_LEVERS = 15
    LOAN_INTEREST = 16
    OVERDRAFT = 17
    PATCHING = 18
    PORTFOLIO_COST = 19
    SUBSIDY = 20
    MARKET = 21
    LOAN_DRAW = 22
    LOAN_INVESTMENT = 23
    LOAN_REPAYMENT = 24
    LOAN_RECOVERY = 25
    OWNERS_DRAW = 26
    OUTSIDE_CAPITAL = 27
    EXIT = 28
    ENTRY = 29
    PREMIUM = 30
    RETAINED_LOSS = 31
    PRIVACY_FINE = 32
    COMPLIANCE_FINE = 33


class SmeSlot(IntEnum):
    """Which part of the month posts to an SME's account: one column each, so that sums have one order."""

    LEVERS = 0
    COMPLIANCE = 1
    SEAT = 2
    COMMERCE = 3
    CREDIT = 4
    CYBER = 5


NUM_PURPOSES = len(Purpose)
ACCOUNTS = tuple(account.name.lower() for account in Account)
PURPOSE_CLASS = tuple(
    Class.OPERATING if p < Purpose.SUBSIDY else Class.CAPITAL if p <= Purpose.ENTRY else Class.LOSS for p in Purpose
)


@kernel
def open_month(s):
    """Start the month's statement of accounts afresh."""
    s.month_flow[:] = 0.0


@kernel
def post(s, purpose, payer, payee, amount):
    """Post ``amount`` k$ from one institution to another (not to single SMEs)."""
    s.flow[purpose, payer] -= amount
    s.flow[purpose, payee] += amount


@kernel
def post_sme(s, purpose, slot, i, counterparty, amount):
    """Post ``amount`` k$ from SME ``i`` to an institution; negative amounts flow the other way.

    ``slot`` is the column of ``sme_flow`` that the posting cell owns (see ``SmeSlot``).
    """
    s.flow[purpose, Account.SMES] -= amount
    s.flow[purpose, counterparty] += amount
    s.sme_flow[i, slot] -= amount


@kernel
def settle(s):
    """Add every posted transfer to the balances in fixed order, then clear what the next posts add to."""
    for purpose in range(s.flow.shape[0]):
        for account in range(s.flow.shape[1]):
            amount = s.flow[purpose, account]
            s.balance[account] += amount
            s.month_flow[purpose, account] += amount
            s.flow[purpose, account] = 0.0
    for i in range(s.num_smes):
        total = 0.0
        for slot in range(s.sme_flow.shape[1]):
            total += s.sme_flow[i, slot]
            s.sme_flow[i, slot] = 0.0
        s.sme_cash[i] += total
