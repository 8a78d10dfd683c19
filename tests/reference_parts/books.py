"""The ledger: transfers by purpose between accounts, which count at the end of a phase."""

from __future__ import annotations

from collections import defaultdict

from reference_parts.draws import words

__all__ = ["Ledger"]

INSTITUTIONS = ("world", "platform", "treasury", "security")
OPERATING = words(
    "security_release security_return security_lapse security_spending business_levers finance_levers tenant_fee "
    "sme_levers patching payout platform_sales fixed_cost tenant_service emergency_posture sme_profit channel_sales "
    "loan_interest green_income portfolio_cost deposit_interest remittance overdraft"
)
CAPITAL = words(
    "subsidy loan_recovery loan_draw loan_investment loan_repayment market owners_draw outside_capital deposit "
    "exit entry"
)
LOSS = words("privacy_fine compliance_fine premium retained_loss")


class Ledger:
    """Balances of the four institutions by name and of the firms by seat number."""

    def __init__(self, opening: dict[str | int, float]) -> None:
        """Open with the given balances, all lent by the world."""
        self.balance: dict[str | int, float] = {"world": -sum(opening.values()), **opening}
        self.waiting: list[tuple[str | int, str | int, float]] = []
        self.flow: dict[tuple[str, str], float] = {}
        self.open_month()

    def open_month(self) -> None:
        self.flow = defaultdict(float)

    def pay(self, purpose: str, payer: str | int, payee: str | int, amount: float) -> None:
        """Note a transfer; it reaches the balances when the phase is settled."""
        if purpose not in OPERATING + CAPITAL + LOSS:
            raise KeyError(purpose)
        self.waiting.append((payer, payee, amount))
        self.flow[purpose, account(payer)] -= amount
        self.flow[purpose, account(payee)] += amount

    def settle(self) -> None:
        for payer, payee, amount in self.waiting:
            self.balance[payer] -= amount
            self.balance[payee] += amount
        self.waiting.clear()

    def total(self, name: str) -> float:
        """Balance of an account of the statement; ``smes`` is the sum of the firms."""
        if name != "smes":
            return self.balance[name]
        return sum(amount for holder, amount in self.balance.items() if isinstance(holder, int))

    def from_world(self, purposes: list[str]) -> float:
        """What the world has paid this month, net, for these purposes."""
        return -sum(self.flow.get((purpose, "world"), 0.0) for purpose in purposes)


def account(holder: str | int) -> str:
    return "smes" if isinstance(holder, int) else holder
