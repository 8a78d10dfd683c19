"""The end of a month: books, feedback edges, the spiral, entrants."""

from __future__ import annotations

from reference_parts.aggregation import AGGREGATION, GOVERNANCE, VALUE
from reference_parts.books import LOSS, OPERATING
from reference_parts.draws import clip

__all__ = ["aggregation_to_governance", "close_month", "value_to_aggregation"]


def close_month(w) -> None:
    books(w, w.p)
    aggregation_to_governance(w, w.p)
    governance_to_value(w, w.p)
    measure(w, w.p)
    turn(w, w.p)
    count_towards_collapse(w, w.p)
    height(w, w.p)
    value_to_aggregation(w, w.p)
    renew_seats(w, w.p)
    w.ledger.settle()
    fallen = w.trust_count >= w.p.collapse_trust_months or w.cash_count >= w.p.collapse_cash_months
    w.collapsed = int(fallen)
    w.done = int(fallen or w.month >= w.max_cycles)


def loss_load(p) -> float:
    """What a k$ of expected loss costs: the insured share bears the load."""
    return 1.0 + p.insured_share * p.insurance_load if p.insurance else 1.0


def books(w, p) -> None:
    """Remittance, owners' draw and overdrafts on the balances so far; then the month is valued."""
    balance = w.ledger.balance
    costs = p.platform_fixed * p.size + w.business_cost + w.tenant_service + w.posture_price + w.premium
    w.business_profit = w.sales_margin + w.fee_income - costs
    w.profit_mean += (w.business_profit - w.profit_mean) / 3.0
    w.remitted = min(p.remittance * max(0.0, w.business_profit), max(0.0, balance["platform"]))
    w.ledger.pay("remittance", "platform", "treasury", w.remitted)
    for firm in w.firms:
        net = firm.profit - firm.cost - firm.interest - firm.premium
        firm.margin += (net / firm.revenue - firm.margin) / 6.0
        spare = max(0.0, balance[firm.seat] - p.owners_months * firm.revenue)
        draw = min(spare, p.owners_share * max(0.0, net))
        w.ledger.pay("owners_draw", firm.seat, "world", draw)
    for holder, amount in balance.items():
        if holder != "world":
            w.ledger.pay("overdraft", holder, "world", p.overdraft_rate * max(0.0, -amount))
    w.ledger.settle()
    operating = w.ledger.from_world(OPERATING)
    expected = w.expected_breach + sum(firm.expected for firm in w.firms)
    w.operating_value = operating - loss_load(p) * expected - fines(w) - w.expected_credit_loss
    w.realised_value = operating + w.ledger.from_world(LOSS) - w.credit_loss
    w.ecosystem_value = w.operating_value + w.certainty_equivalent
    w.value_ring[w.month % 6] = w.operating_value


def fines(w) -> float:
    """Expected fines of the platform and the firms."""
    return w.expected_privacy_fine + sum(firm.expected_fine for firm in w.firms)


def aggregation_to_governance(w, p) -> None:
    on = p.edge_aggregation_governance
    filled = min(1.0, w.pool / (p.pool_reference * p.smes))
    w.surface = 1.0 + on * p.surface_modules * w.modules
    w.privacy_exposure = on * filled
    w.privacy_gain = 1.0 + on * p.exposure_gain * filled
    w.scanner_gain = 1.0 + on * p.exposure_gain * w.modules


def governance_to_value(w, p) -> None:
    """Trust follows last month's R, disclosure, and what has happened this month."""
    if not p.edge_governance_value:
        return
    drift = p.trust_gain * clip(p.trust_neutral - w.risk, -1.0, 1.0) + p.trust_disclosure * w.disclosure
    hit = sum(firm.event > 0 for firm in w.firms) / p.smes
    lost = (
        p.trust_breach * w.breach
        + p.trust_published * w.intel_effort * (w.breach + hit)
        + p.trust_privacy * w.privacy_incident
        + p.trust_drawdown * (1.0 - p.trust_openness * w.disclosure) * w.drawdown_event
        + (p.trust_finding * w.findings + p.trust_press * w.exposed) / p.smes
    )
    w.trust = clip(w.trust + drift * (1.0 - w.trust if drift > 0.0 else w.trust) - lost, 0.0, 1.0)


def measure(w, p) -> None:
    """A, R and V of the month."""
    ratios = (
        w.pool / (p.need_pool * p.smes * w.need_scale),
        w.capital / (p.need_capital * p.smes * w.need_scale),
        w.modules / w.need_stock,
        sum(w.scanners) / 4.0 / w.need_stock,
    )
    clipped = [clip(ratio, 1e-3, p.need_clip) for ratio in ratios]
    w.aggregation = (sum(ratio**-2.0 for ratio in clipped) / 4.0) ** -0.5
    w.risk_mean += (w.cycle_loss + fines(w) - w.risk_mean) / p.risk_months
    w.risk = w.risk_mean / (p.appetite * p.size)
    if w.stage == VALUE:
        w.value_sum += w.operating_value
    w.value = w.value_sum / (p.value_months * p.start_value * p.size * p.market_growth**w.level)


def turn(w, p) -> None:
    """At most one step of the stage machine."""
    w.level_rose = 0
    w.stage_months += 1
    w.gate_count = w.gate_count + 1 if w.risk <= p.gate_risk else 0
    w.fallback_count = w.fallback_count + 1 if w.risk > p.fallback_risk else 0
    ready = w.stage_months >= p.stage_months
    if ready and w.stage == AGGREGATION and w.aggregation >= 1.0:
        enter(w, GOVERNANCE)
    elif ready and w.stage == GOVERNANCE and w.gate_count >= p.gate_months:
        enter(w, VALUE)
    elif ready and w.stage == VALUE and w.value >= 1.0:
        w.level += 1
        w.level_rose = 1
        w.risk_mean *= p.threat_growth
        w.risk = w.risk_mean / (p.appetite * p.size)
        enter(w, AGGREGATION)
    elif w.stage == VALUE and w.fallback_count >= p.fallback_months:
        w.fallbacks += 1
        enter(w, GOVERNANCE)


def enter(w, stage: int) -> None:
    w.stage = stage
    w.stage_months = w.gate_count = w.fallback_count = 0
    w.value_sum = 0.0


def count_towards_collapse(w, p) -> None:
    least = p.collapse_cash * p.size
    broke = w.ledger.balance["platform"] < least and w.ledger.balance["treasury"] < least
    w.cash_count = w.cash_count + 1 if broke else 0
    w.trust_count = w.trust_count + 1 if w.trust < p.collapse_trust else 0


def height(w, p) -> None:
    """Levels climbed, stages done of this turn, and the progress in this stage."""
    progress = {
        AGGREGATION: w.aggregation,
        GOVERNANCE: max(w.gate_count / p.gate_months, 0.9 * min(1.0, p.gate_risk / max(w.risk, 1e-9))),
        VALUE: w.value,
    }[w.stage]
    w.height = w.level + (w.stage + clip(progress, 0.0, 1.0)) / 3.0


def value_to_aggregation(w, p) -> None:
    level = w.level if p.edge_value_aggregation else 0
    w.need_scale = p.market_growth**level
    w.need_stock = p.need_stock + p.need_stock_step * level
    w.records_factor = p.records_growth**level
    if w.level_rose and p.edge_value_aggregation:
        w.ledger.pay("outside_capital", "world", "treasury", p.outside_capital * p.size * w.need_scale)


def renew_seats(w, p) -> None:
    """A firm that closed leaves with its cash; an entrant brings a month of its revenue."""
    for firm in w.firms:
        if firm.closing:
            w.ledger.pay("exit", firm.seat, "world", w.ledger.balance[firm.seat])
            firm.found(p, w.draws, w.month, 0)
            w.ledger.pay("entry", "world", firm.seat, firm.revenue)
