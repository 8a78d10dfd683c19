"""Money moves only here: every payment is a transfer with a purpose, and the sum of all balances never changes.

Cells *post* transfers while a phase of the month runs; the ledger *settles* them into balances at its end in one
fixed order, so the order in which cells run leaves no trace, not even in the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

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


class _Account(NamedTuple):
    """Accounts; ``SMES`` stands for the accounts of all firms together in a statement."""

    WORLD: int = 0
    PLATFORM: int = 1
    TREASURY: int = 2
    SECURITY: int = 3
    SMES: int = 4


class _Class(NamedTuple):
    """What a payment is: running business, a move of capital, or a loss."""

    OPERATING: int = 0
    CAPITAL: int = 1
    LOSS: int = 2


class _Purpose(NamedTuple):
    """Why money moved, in the order of the phases of a month (``Phase``)."""

    SECURITY_RELEASE: int = 0
    SECURITY_RETURN: int = 1
    SECURITY_LAPSE: int = 2
    SECURITY_SPENDING: int = 3
    BUSINESS_LEVERS: int = 4
    FINANCE_LEVERS: int = 5
    TENANT_FEE: int = 6
    SME_LEVERS: int = 7
    SUBSIDY: int = 8
    PATCHING: int = 9
    PAYOUT: int = 10
    PRIVACY_FINE: int = 11
    COMPLIANCE_FINE: int = 12
    LOAN_RECOVERY: int = 13
    PLATFORM_SALES: int = 14
    FIXED_COST: int = 15
    TENANT_SERVICE: int = 16
    EMERGENCY_POSTURE: int = 17
    SME_PROFIT: int = 18
    CHANNEL_SALES: int = 19
    LOAN_INTEREST: int = 20
    LOAN_DRAW: int = 21
    LOAN_INVESTMENT: int = 22
    LOAN_REPAYMENT: int = 23
    GREEN_INCOME: int = 24
    PORTFOLIO_COST: int = 25
    DEPOSIT_INTEREST: int = 26
    MARKET: int = 27
    PREMIUM: int = 28
    RETAINED_LOSS: int = 29
    REMITTANCE: int = 30
    OWNERS_DRAW: int = 31
    OVERDRAFT: int = 32
    OUTSIDE_CAPITAL: int = 33
    DEPOSIT: int = 34
    EXIT: int = 35
    ENTRY: int = 36


class _SmeSlot(NamedTuple):
    """Which part of the month posts to an SME's account: one column each, so that sums have one order."""

    LEVERS: int = 0
    PAYOUT: int = 1
    COMPLIANCE: int = 2
    COMMERCE: int = 3
    CREDIT: int = 4
    CYBER: int = 5
    CLOSING: int = 6
    SEAT: int = 7


class _Phase(NamedTuple):
    """When the ledger settles: no cell of a phase sees what another cell of it has posted."""

    RELEASE: int = 0
    DECISION: int = 1
    GOVERNANCE: int = 2
    VALUE: int = 3
    CLOSING: int = 4
    TURN: int = 5


# Tuples, since a number of an enumeration is no index of an array on a GPU.
Account, Class, Purpose, SmeSlot, Phase = _Account(), _Class(), _Purpose(), _SmeSlot(), _Phase()
NUM_PURPOSES = len(Purpose)
ACCOUNTS = tuple(name.lower() for name in Account._fields)
_LOSSES = (Purpose.PREMIUM, Purpose.RETAINED_LOSS, Purpose.PRIVACY_FINE, Purpose.COMPLIANCE_FINE)
_CAPITAL = (
    *(Purpose.SUBSIDY, Purpose.MARKET, Purpose.LOAN_DRAW, Purpose.LOAN_INVESTMENT, Purpose.LOAN_REPAYMENT),
    *(Purpose.LOAN_RECOVERY, Purpose.OWNERS_DRAW, Purpose.OUTSIDE_CAPITAL, Purpose.DEPOSIT),
    *(Purpose.EXIT, Purpose.ENTRY),
)
PURPOSE_CLASS = tuple(
    Class.LOSS if p in _LOSSES else Class.CAPITAL if p in _CAPITAL else Class.OPERATING for p in Purpose
)
_FIRST_PURPOSE = np.array(
    [Purpose.SECURITY_RELEASE, Purpose.SECURITY_SPENDING, Purpose.PATCHING, Purpose.PLATFORM_SALES]
    + [Purpose.REMITTANCE, Purpose.OUTSIDE_CAPITAL, NUM_PURPOSES]
)
_FIRST_SLOT = np.array(
    [SmeSlot.LEVERS, SmeSlot.LEVERS, SmeSlot.PAYOUT, SmeSlot.COMMERCE, SmeSlot.CLOSING, SmeSlot.SEAT, len(SmeSlot)]
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
