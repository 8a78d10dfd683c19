"""The end of a month: books, feedback edges, the spiral, entrants."""

from __future__ import annotations

from reference_parts.books import LOSS, OPERATING
from reference_parts.draws import clip
from reference_parts.governance import strictness

__all__ = ["appetite", "close_month", "gains", "loss_load", "pressures", "trust_needed"]

AGGREGATION, GOVERNANCE, VALUE = 0, 1, 2


def close_month(w) -> None:
    books(w, w.p)
    aggregation_to_governance(w, w.p)
    governance_to_value(w, w.p)
    measure(w, w.p)
    turn(w, w.p)
    count_towards_collapse(w, w.p)
    height(w, w.p)
    value_to_aggregation(w, w.p)
    gains(w, w.p)
    pressures(w, w.p)
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
    costs = p.platform_fixed * p.size + w.business_cost + w.tenant_service + w.posture_price + w.premium + w.payouts
    w.business_profit = w.sales_margin + w.fee_income - costs
    w.profit_mean += (w.business_profit - w.profit_mean) / 3.0
    w.remitted = min(p.remittance * max(0.0, w.business_profit), max(0.0, balance["platform"]))
    w.ledger.pay("remittance", "platform", "treasury", w.remitted)
    spare = max(0.0, balance["platform"] - w.remitted - p.owners_months * w.sales)
    w.ledger.pay("owners_draw", "platform", "world", min(spare, p.owners_share * max(0.0, w.business_profit)))
    for firm in w.firms:
        net = firm.profit + firm.payout - firm.cost - firm.interest - firm.premium
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
    emitted = p.esg_cost * sum(firm.revenue * (1.0 - firm.esg) for firm in w.firms)
    w.externality = emitted + w.expected_harm
    w.realised_value = operating + w.ledger.from_world(LOSS) - w.credit_loss
    w.ecosystem_value = w.operating_value + w.certainty_equivalent - w.externality
    w.value_ring[w.month % 6] = w.operating_value


def fines(w) -> float:
    """Expected fines of the platform and the firms."""
    return w.expected_privacy_fine + sum(firm.expected_fine for firm in w.firms)


def aggregation_to_governance(w, p) -> None:
    """Lessons: what went wrong and what lay open this month is learnt from, and forgotten."""
    hit = sum(firm.event > 0 for firm in w.firms) / p.smes
    gap = sum(firm.claim - firm.esg for firm in w.firms) / w.num_smes
    signals = {
        "security": sum(w.tier_exposure) / (p.lesson_exposure * w.services.count / 12.0) + w.breach + 0.5 * hit,
        "privacy": w.privacy_exposure * (1.0 - w.privacy) + w.privacy_incident + w.fraud,
        "finance": w.drawdown / (2.0 * p.drawdown_limit) + (w.findings + w.exposed) / p.smes / 4.0 + gap,
    }
    for name, signal in signals.items():
        old = getattr(w, f"lesson_{name}")
        setattr(w, f"lesson_{name}", p.lesson_memory * old + (1.0 - p.lesson_memory) * min(1.0, signal))


def governance_to_value(w, p) -> None:
    """Trust, with last month's R and this month's incidents; partners and deposits follow it."""
    before = w.trust
    on = p.edge_governance_value
    kept = w.eps12 <= p.kept_epsilon and not w.privacy_incident
    gain = p.trust_gain * clip(p.trust_neutral - w.risk, 0.0, 1.0) + p.trust_disclosure * w.disclosure
    gain += p.trust_strictness * strictness(w, p) * kept
    loss = p.trust_gain * clip(w.risk - p.trust_neutral, 0.0, 1.0) + p.trust_fade
    hit = sum(firm.event > 0 for firm in w.firms) / p.smes
    incidents = (
        p.trust_breach * w.breach
        + p.trust_published * w.intel_effort * (w.breach + hit)
        + p.trust_privacy * w.privacy_incident
        + p.trust_drawdown * (1.0 - p.trust_openness * w.disclosure) * w.drawdown_event
        + (p.trust_finding * w.findings + p.trust_press * w.exposed) / p.smes
    )
    w.trust = clip(before + on * gain * (1.0 - before) - loss * before - incidents, 0.0, 1.0)
    assured = 1.0 - p.partners_privacy * (1.0 - w.privacy)
    drawn = before * assured * w.num_members / w.num_smes
    come = on * (p.partners_innovation + p.partners_imitation * w.partners) * drawn * (1.0 - w.partners)
    go = p.partners_churn * (1.0 - before) * w.partners
    w.partners = clip(w.partners + come - go, 0.0, 1.0)
    moved = p.deposit_pace * (p.investor_deposit * p.size * w.partners * w.scope - w.deposits)
    w.deposits += moved
    w.ledger.pay("deposit", "world", "treasury", moved)


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
    w.risk = w.risk_mean / appetite(w, p)
    if w.stage == VALUE:
        w.value_sum += w.operating_value
    w.value = w.value_sum / (p.value_months * p.start_value * p.smes * w.need_scale)


def appetite(w, p) -> float:
    """Risk that is borne for what is at stake, sales and, in part, members."""
    return (
        p.appetite
        * p.size
        * w.scope**p.stake_exponent
        * (1.0 - p.appetite_members + p.appetite_members * w.num_members / w.num_smes)
    )


def trust_needed(w, p) -> float:
    return min(0.9, p.gate_trust + p.gate_trust_step * w.level)


def turn(w, p) -> None:
    """At most one step of the stage machine."""
    w.level_rose = 0
    w.stage_months += 1
    w.trust_needed = trust_needed(w, p)
    w.gate_count = w.gate_count + 1 if w.risk <= p.gate_risk and w.trust >= w.trust_needed else 0
    w.fallback_count = w.fallback_count + 1 if w.risk > p.fallback_risk else 0
    ready = w.stage_months >= p.stage_months
    if ready and w.stage == AGGREGATION and w.aggregation >= 1.0:
        enter(w, GOVERNANCE)
    elif ready and w.stage == GOVERNANCE and w.gate_count >= p.gate_months:
        enter(w, VALUE)
    elif ready and w.stage == VALUE and w.value >= 1.0:
        w.value_passed = w.value
        w.level += 1
        w.level_rose = 1
        w.risk_mean *= p.threat_growth
        w.risk = w.risk_mean / appetite(w, p)
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
    near = min(1.0, p.gate_risk / max(w.risk, 1e-9), w.trust / max(w.trust_needed, 1e-9))
    progress = {
        AGGREGATION: w.aggregation,
        GOVERNANCE: max(w.gate_count / p.gate_months, 0.9 * near),
        VALUE: w.value,
    }[w.stage]
    w.height = w.level + (w.stage + clip(progress, 0.0, 1.0)) / 3.0


def value_to_aggregation(w, p) -> None:
    """What a finished turn earned and proved widens the scope, brings capital and speeds what is built next."""
    w.proof *= p.proof_memory
    if w.level_rose and p.edge_value_aggregation:
        data = clip(2.0 * (w.auc_pool - 0.5) / 0.6, 0.0, 1.0)
        quality = min(w.value_passed, 1.5) * (w.trust + data + sum(w.scanners) / 4.0) / 3.0
        w.scope *= 1.0 + p.scope_gain * quality
        w.proof = min(1.0, quality)
        w.ledger.pay("outside_capital", "world", "treasury", p.outside_capital * p.size * w.scope * quality)


def pressures(w, p) -> None:
    """What is always on: modules widen the surface, a filled pool can leak, each level asks for more."""
    w.surface = 1.0 + p.surface_modules * w.modules
    w.privacy_exposure = min(1.0, (w.pool + w.pool_bad) / (p.pool_reference * p.smes))
    w.need_scale = p.need_growth**w.level
    w.need_stock = p.need_stock + p.need_stock_step * w.level


def gains(w, p) -> None:
    """How fast effort builds next month: lessons and proof are the answers of edges 1 and 3."""
    learnt = p.edge_aggregation_governance * p.lesson_gain
    proved = p.edge_value_aggregation * p.proof_gain * w.proof
    w.gain_security = p.gain_base + learnt * w.lesson_security
    w.gain_privacy = p.gain_base + learnt * w.lesson_privacy
    w.gain_finance = p.gain_base + learnt * w.lesson_finance
    w.gain_modules = p.gain_base + proved
    w.gain_scanners = w.gain_security + proved / 2.0


def renew_seats(w, p) -> None:
    """A firm that closed leaves with its cash; an entrant brings a month of its revenue."""
    for firm in w.firms:
        if firm.closing:
            w.ledger.pay("exit", firm.seat, "world", w.ledger.balance[firm.seat])
            firm.found(p, w.draws, w.month, 0, w.green_threshold)
            w.ledger.pay("entry", "world", firm.seat, firm.revenue)
