"""One SME seat: the firm that holds it, drawn anew when it closes."""

from __future__ import annotations

import math

from reference_parts.draws import Draws, Stream, clip, limited_mean, words

__all__ = ["LN_K", "Firm", "own_auc"]

LN_K = math.log(1000.0)
# What is not a firm's but a month's or a seat's, and starts from nothing.
NOTHING = words(
    "patch_effort esg_mode esg_scale borrow share curation fee asked cost payout lag own_hazard probability expected "
    "event loss expected_fine fine closing profit interest premium retained"
)


class Firm:
    """Attributes are the rows ``sme_*`` of the state, without the prefix."""

    def __init__(self, p, draws: Draws, seat: int, age: int, threshold: float) -> None:
        """The firm of a seat at the start of an episode; a member (basic tier) if SMEs take part at all."""
        self.seat = seat
        for name in NOTHING:
            setattr(self, name, 0)
        self.action: list[float] = []
        self.member = 1 if p.sme_participation > 0.0 else 0
        self.found(p, draws, 0, age, threshold)

    def found(self, p, draws: Draws, month: int, age: int, threshold: float) -> None:
        """Draw the firm, keyed by the month it takes its seat; membership and settings stay with the seat."""
        key = 16 * self.seat
        self.revenue = draws.lognormal(month, Stream.SME, key, p.sme_revenue_mu, p.sme_revenue_sigma)
        self.start_revenue = self.revenue
        self.annual = 12.0 * self.revenue
        self.records_base = p.records_mean * draws.lognormal(month, Stream.SME, key + 1, 0.0, p.records_sigma)
        self.stock = self.records_base / (1.0 - p.records_retained)
        u = draws.uniform(month, Stream.SME, key + 4)
        self.hygiene = p.hygiene_low + (p.hygiene_high - p.hygiene_low) * u
        u = draws.uniform(month, Stream.SME, key + 5)
        self.esg = p.esg_low + (p.esg_high - p.esg_low) * u
        self.claim = self.esg
        self.rating_noise = p.rating_noise * draws.normal(month, Stream.SME, key + 3)
        self.rating = clip(self.claim + self.rating_noise, 0.0, 1.0)
        self.ban = 0
        self.green = int(self.rating >= threshold)
        self.entry = month - age
        self.feel_constraint(p, month, cash=self.revenue)
        self.loan = self.capital = self.growth = self.premium_mean = 0.0
        self.margin = p.margin_reference
        self.shock, self.quiet = 0, 60
        self.own_auc = self.auc = own_auc(p, self.stock)
        self.restate(p, self.annual)

    def restate(self, p, annual: float) -> None:
        """Annual revenue, and the mean loss and fine that are capped by it."""
        self.annual = annual
        self.mean_loss = limited_mean(p.sme_loss_mu - LN_K, p.sme_loss_sigma, annual)
        self.mean_fine = limited_mean(p.fine_mu - LN_K, p.fine_sigma, p.fine_cap * annual)

    def year_ends(self, month: int) -> bool:
        return (month - self.entry) % 12 == 0

    def feel_constraint(self, p, month: int, cash: float) -> None:
        """Financial constraint in [.05, .95]: SA index of size and age, from ``sa_low`` to 0, and want of cash."""
        size = math.log(max(12.0 * self.revenue / 1000.0, 1e-6))
        index = p.sa_size * size + p.sa_size_squared * size**2 + p.sa_age * (month - self.entry) / 12.0
        structure = clip((index - p.sa_low) / -p.sa_low, 0.0, 1.0)
        want = 1.0 - clip(cash / (2.0 * self.revenue), 0.0, 1.0)
        self.constraint = clip(0.1 + 0.8 * structure + p.constraint_cash * want, 0.05, 0.95)

    def scale(self, p) -> float:
        """All SME costs scale with the square root of revenue."""
        return math.sqrt(self.revenue / p.sme_revenue_reference)

    def gap(self, p) -> bool:
        return self.claim - self.esg > p.gap_limit

    def limit(self, p) -> float:
        return p.loan_limit_green if self.green else p.loan_limit


def own_auc(p, records: float) -> float:
    return 0.5 + p.own_auc_ceiling / math.sqrt(1.0 + p.own_auc_sampling / max(records, 1e-9))
