"""Money moves only here: every payment is a transfer with a purpose, and the sum of all balances never changes.

Cells *post* transfers while a phase of the month runs; the ledger *settles* them into balances at its end in one
fixed order, so the order in which cells run leaves no trace, not even in the last bit.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from spiral_env.core._jit import kernel

__all__ = [
    "ACCOUNTS",
    "PURPOSE_CLASS",
    "Account",
    "Class",
    "Phase",
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
    """Why money moved, in the order of the phases of a month (``Phase``)."""

    SECURITY_RELEASE = 0
    SECURITY_RETURN = 1
    SECURITY_LAPSE = 2
    SECURITY_SPENDING = 3
    BUSINESS_LEVERS = 4
    FINANCE_LEVERS = 5
    TENANT_FEE = 6
    SME_LEVERS = 7
    SUBSIDY = 8
    PATCHING = 9
    PRIVACY_FINE = 10
    COMPLIANCE_FINE = 11
    LOAN_RECOVERY = 12
    PLATFORM_SALES = 13
    FIXED_COST = 14
    TENANT_SERVICE = 15
    EMERGENCY_POSTURE = 16
    SME_PROFIT = 17
    CHANNEL_SALES = 18
    LOAN_INTEREST = 19
    LOAN_DRAW = 20
    LOAN_INVESTMENT = 21
    LOAN_REPAYMENT = 22
    GREEN_INCOME = 23
    PORTFOLIO_COST = 24
    MARKET = 25
    PREMIUM = 26
    RETAINED_LOSS = 27
    REMITTANCE = 28
    OWNERS_DRAW = 29
    OVERDRAFT = 30
    OUTSIDE_CAPITAL = 31
    EXIT = 32
    ENTRY = 33


class SmeSlot(IntEnum):
    """Which part of the month posts to an SME's account: one column each, so that sums have one order."""

    LEVERS = 0
    COMPLIANCE = 1
    COMMERCE = 2
    CREDIT = 3
    CYBER = 4
    CLOSING = 5
    SEAT = 6


class Phase(IntEnum):
    """When the ledger settles: no cell of a phase sees what another cell of it has posted."""

    RELEASE = 0
    DECISION = 1
    GOVERNANCE = 2
    VALUE = 3
    CLOSING = 4
    TURN = 5


NUM_PURPOSES = len(Purpose)
ACCOUNTS = tuple(account.name.lower() for account in Account)
_LOSSES = (Purpose.PREMIUM, Purpose.RETAINED_LOSS, Purpose.PRIVACY_FINE, Purpose.COMPLIANCE_FINE)
_CAPITAL = (
    *(Purpose.SUBSIDY, Purpose.MARKET, Purpose.LOAN_DRAW, Purpose.LOAN_INVESTMENT, Purpose.LOAN_REPAYMENT),
    *(Purpose.LOAN_RECOVERY, Purpose.OWNERS_DRAW, Purpose.OUTSIDE_CAPITAL, Purpose.EXIT, Purpose.ENTRY),
)
PURPOSE_CLASS = tuple(
    Class.LOSS if p in _LOSSES else Class.CAPITAL if p in _CAPITAL else Class.OPERATING for p in Purpose
)
_FIRST_PURPOSE = np.array(
    [Purpose.SECURITY_RELEASE, Purpose.SECURITY_SPENDING, Purpose.PATCHING, Purpose.PLATFORM_SALES]
    + [Purpose.REMITTANCE, Purpose.OUTSIDE_CAPITAL, NUM_PURPOSES]
)
_FIRST_SLOT = np.array(
    [SmeSlot.LEVERS, SmeSlot.LEVERS, SmeSlot.COMPLIANCE, SmeSlot.COMMERCE, SmeSlot.CLOSING, SmeSlot.SEAT, len(SmeSlot)]
)


@kernel
def open_month(s):
    """Start the month's statement of accounts afresh."""
    s.month_flow[:] = 0.0


@kernel
def post(s, purpose, payer, payee, amount):
    """Post ``amount`` k$ from one institution to another (not to single SMEs)."""
    s.month_flow[purpose, payer] -= amount
    s.month_flow[purpose, payee] += amount


@kernel
def post_sme(s, purpose, slot, i, counterparty, amount):
    """Post ``amount`` k$ from SME ``i`` to an institution; negative amounts flow the other way.

    ``slot`` is the column of ``sme_flow`` that the posting cell owns (see ``SmeSlot``).
    """
    s.month_flow[purpose, Account.SMES] -= amount
    s.month_flow[purpose, counterparty] += amount
    s.sme_flow[i, slot] -= amount


@kernel
def settle(s, phase):
    """Add what was posted in a phase to the balances, in fixed order."""
    for purpose in range(_FIRST_PURPOSE[phase], _FIRST_PURPOSE[phase + 1]):
        for account in range(s.balance.shape[0]):
            s.balance[account] += s.month_flow[purpose, account]
    first, last = _FIRST_SLOT[phase], _FIRST_SLOT[phase + 1]
    if first == last:
        return
    for i in range(s.num_smes):
        total = 0.0
        for slot in range(first, last):
            total += s.sme_flow[i, slot]
            s.sme_flow[i, slot] = 0.0
        s.sme_cash[i] += total
