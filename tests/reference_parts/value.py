"""Ecosystem value addition: growth and sales, credit and portfolio, insurance and intelligence."""

from __future__ import annotations

import math

from reference_parts.decisions import NOW, lever
from reference_parts.draws import Stream, clip

__all__ = ["add_value"]


def add_value(w) -> None:
    firms_trade(w, w.p)
    platform_trades(w, w.p)
    lend(w, w.p)
    invest(w, w.p)
    insure(w, w.p)
    w.ledger.settle()


def firms_trade(w, p) -> None:
    """Growth by data and capital, profit, and what members sell through the platform."""
    crowd = 1.0 - p.interference * (1.0 - w.modules) * w.num_members / w.num_smes
    for firm in w.firms:
        data = clip((firm.auc - p.growth_auc_zero) / p.growth_auc_span, -0.5, 1.0)
        lent = 1.0 - math.exp(-firm.capital / (p.growth_loan_scale * 12.0 * firm.revenue))
        noise = p.growth_noise * w.draws.normal(w.month, Stream.REVENUE, firm.seat)
        growth = p.growth * (p.growth_data * data + w.capital_growth * p.growth_capital * lent) + noise
        firm.growth += (growth - firm.growth) / 3.0
        firm.revenue *= math.exp(growth)
        own = p.sme_margin * firm.start_revenue + p.sme_marginal * (firm.revenue - firm.start_revenue)
        channel = p.channel_margin * p.outside_share * firm.revenue
        if firm.member:
            sold = p.channel_share * firm.revenue * w.modules * 2.0 * w.trust * network(w, p) * crowd
            channel = p.channel_margin * sold * (1.0 + p.green_channel * label(w) * firm.green)
        firm.profit = own + channel
        w.ledger.pay("sme_profit", "world", firm.seat, own)
        w.ledger.pay("channel_sales", "world", firm.seat, channel)


def truly_green(firm) -> float:
    """What a firm called green is worth to those who want green: nothing at .3, all from .5, harm below."""
    return clip((firm.esg - 0.3) / 0.2, -1.0, 1.0)


def label(w) -> float:
    """What buyers give for the green label: how much of what bears it is truly green."""
    bearers = [max(0.0, truly_green(firm)) for firm in w.firms if firm.green]
    return sum(bearers) / max(1, len(bearers))


def network(w, p) -> float:
    """What tenants, firms and partners, are worth to each other, against all there could be."""
    tenants = w.num_members + p.partner_tenants * w.num_smes * w.partners
    return math.log(1.0 + tenants) / math.log(1.0 + w.num_smes * (1.0 + p.partner_tenants))


def platform_trades(w, p) -> None:
    """Sales to users, who follow trust; costs of tenants and of emergency postures."""
    w.availability = max(0.0, 1.0 - w.outage_hours / 720.0)
    base = p.platform_sales * p.smes * w.scope * p.season[w.calendar]
    reach = 1.0 - p.sales_network + p.sales_network * network(w, p)
    w.sales = base * w.availability * w.users / p.users_reference * reach
    w.sales_margin = p.platform_margin * w.sales
    w.sales_ratio = w.sales / max(1e-9, w.sales_ring[w.month % 12])
    w.sales_ring[w.month % 12] = w.sales
    adopt = (p.users_innovation + p.users_imitation * w.users) * w.trust * (1.0 - w.users)
    w.users = clip(w.users + adopt - p.users_churn * (1.0 - w.trust) * w.users, 0.0, 1.0)
    w.tenant_service = p.tenant_cost * w.num_members**p.tenant_exponent
    w.posture_price = p.posture_price * w.posture.count(NOW) * w.sales
    w.ledger.pay("platform_sales", "world", "platform", w.sales_margin)
    w.ledger.pay("fixed_cost", "platform", "world", p.platform_fixed * p.size)
    w.ledger.pay("tenant_service", "platform", "world", w.tenant_service)
    w.ledger.pay("emergency_posture", "platform", "world", w.posture_price)


def lend(w, p) -> None:
    """Wishes within the limit, rationed to the offer; interest and repayment on what was owed before."""
    wishes = {}
    for firm in w.firms:
        room = firm.limit(p) * firm.annual - firm.loan
        wishes[firm.seat] = 0.0 if firm.closing else p.credit * max(0.0, min(firm.borrow * firm.annual, room))
    wished = sum(wishes.values())
    offer = lever(p.lending_offer, w.lending_effort) * w.lendable
    ration = min(1.0, offer / wished) if wished > 0.0 else 0.0
    for firm in w.firms:
        owed = 0.0 if firm.closing else firm.loan
        draw = ration * wishes[firm.seat]
        firm.interest = owed * p.loan_rate / 12.0
        firm.loan = owed - owed / p.loan_months + draw
        w.ledger.pay("loan_interest", firm.seat, "treasury", firm.interest)
        w.ledger.pay("loan_repayment", firm.seat, "treasury", owed / p.loan_months)
        w.ledger.pay("loan_draw", "treasury", firm.seat, draw)
        w.ledger.pay("loan_investment", firm.seat, "world", draw)
    w.interest = sum(firm.interest for firm in w.firms)
    w.loans = sum(firm.loan for firm in w.firms)
    w.green_book = max(0.0, sum(firm.loan * truly_green(firm) for firm in w.firms if firm.green))
    w.audited_year = min(1.0, w.audited_year * 11.0 / 12.0 + w.audit_share)
    w.green_income = p.green_income * w.green_book * w.audited_year
    w.ledger.pay("green_income", "world", "treasury", w.green_income)


def invest(w, p) -> None:
    """The investable book, its costs, its drawn return and its certainty equivalent."""
    w.book = clip(w.ledger.balance["treasury"], 0.0, p.book_cap * p.size * w.scope)
    w.portfolio_cost = p.trading_cost * w.weight_change * w.book + p.book_admin * w.loans
    w.market_income = w.book * w.portfolio_return
    excess = p.market_mean[w.stress] - p.cash_rate if p.market_risk else 0.0
    volatility = p.market_volatility[w.stress] if p.market_risk else 0.0
    own = p.asset_sd if p.market_risk else 0.0
    market = sum(x * beta for x, beta in zip(w.asset_weight, p.asset_beta, strict=True))
    alpha = sum(x * edge for x, edge in zip(w.asset_weight, w.asset_edge, strict=True))
    variance = (market * volatility) ** 2 + sum((x * own) ** 2 for x in w.asset_weight)
    w.certainty_equivalent = w.book * (p.cash_rate + market * excess + alpha - p.risk_aversion / 2.0 * variance)
    w.deposit_interest = p.deposit_rate / 12.0 * w.deposits
    w.ledger.pay("deposit_interest", "treasury", "world", w.deposit_interest)
    w.ledger.pay("portfolio_cost", "treasury", "world", w.portfolio_cost)
    w.ledger.pay("market", "world", "treasury", w.market_income)


def terms(p, expected: float, loss: float) -> tuple[float, float]:
    """Premium on the expected loss, and what is retained of the drawn one."""
    if not p.insurance:
        return 0.0, loss
    premium = p.insured_share * (1.0 + p.insurance_load) * expected
    return premium, min((1.0 - p.insured_share) * loss, p.retained_cap)


def insure(w, p) -> None:
    """Premiums, retained losses, and intelligence for next month."""
    w.premium, w.retained = terms(p, w.expected_breach, w.breach_loss)
    w.premium_mean += (w.premium - w.premium_mean) / 3.0
    w.ledger.pay("premium", "platform", "world", w.premium)
    w.ledger.pay("retained_loss", "platform", "world", w.retained)
    for firm in w.firms:
        firm.premium, firm.retained = terms(p, firm.expected, firm.loss)
        firm.premium_mean += (firm.premium - firm.premium_mean) / 3.0
        firm.quiet = 0 if firm.event else firm.quiet + 1
        firm.shock = int(p.shock_months) if firm.loss > p.shock_loss * firm.annual else max(0, firm.shock - 1)
        w.ledger.pay("premium", firm.seat, "world", firm.premium)
        w.ledger.pay("retained_loss", firm.seat, "world", firm.retained)
    joint = w.intel * (1.0 - p.intel_sharing * (1.0 - w.member_sharing))
    w.intel_factor = 1.0 - p.shared_intelligence * p.intel_relief * (1.0 - math.exp(-p.intel_rate * joint))
