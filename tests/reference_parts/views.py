"""What the agents get: rewards, and observations with their bounds."""

from __future__ import annotations

import math
from array import array

from reference_parts.closing import loss_load
from reference_parts.decisions import lever
from reference_parts.draws import Stream, clip

__all__ = ["observations", "rewards"]


def vectors(w, realised: bool) -> list[list[float]]:
    """(security, cost, value) of IT, business, finance and every firm, in k$."""
    p, load = w.p, loss_load(w.p)
    breach = w.premium + w.retained if realised else load * w.expected_breach
    fine = w.privacy_fine if realised else w.expected_privacy_fine
    market = w.market_income if realised else w.certainty_equivalent
    spending = w.it_cost + w.patching_cost + w.posture_price
    running = w.business_cost + w.posture_price + w.tenant_service + p.platform_fixed * p.size
    credit = w.credit_loss if realised else w.expected_credit_loss
    treasury = w.release - w.returned + w.finance_cost + w.portfolio_cost + credit
    out = [
        [-p.loss_share[0] * breach, -p.charge_back * spending, 0.0],
        [-p.loss_share[1] * breach - fine, -running, w.sales_margin + w.fee_income - w.remitted],
        [-p.loss_share[2] * breach, -treasury, w.interest + w.green_income + market + w.remitted],
    ]
    for firm in w.firms:
        loss = firm.premium + firm.retained + firm.fine if realised else load * firm.expected + firm.expected_fine
        out.append([-loss, -(firm.cost + firm.interest), firm.profit])
    return out


def rewards(w, mode: str, realised: bool) -> tuple[list[list[float]], list[float]]:
    """Vectors and scalars in the reward mode and basis."""
    p = w.p
    out = vectors(w, realised)
    team = w.realised_value + w.market_income if realised else w.ecosystem_value
    if mode == "cooperative":
        return out, [team / p.smes / p.scale_team] * len(out)
    bonus = p.kappa * team / p.smes if mode == "mixed" else 0.0
    weights = [p.weight_it, p.weight_business, p.weight_finance] + [p.weight_sme] * w.num_smes
    scales = [p.scale_it, p.scale_business, p.scale_finance] + [p.scale_sme] * w.num_smes
    scalars = []
    for vector, weight, scale in zip(out, weights, scales, strict=True):
        own = sum(a * b for a, b in zip(vector, weight, strict=True))
        scalars.append((own + bonus) / scale)
    return out, scalars


def observations(w) -> dict[str, list[array]]:
    """Role -> float32 features of each of its agents, clipped to their bounds."""
    seen = {"it": [it(w, w.p)], "business": [business(w, w.p)], "finance": [finance(w, w.p)]}
    seen["sme"] = [sme(w, w.p, firm) for firm in w.firms]
    common = public(w)
    return {
        role: [array("f", [clip(value, low, high) for value, low, high in common + own]) for own in agents]
        for role, agents in seen.items()
    }


def flags(chosen: int) -> list[tuple[float, float, float]]:
    return [(float(k == chosen), 0.0, 1.0) for k in range(3)]


def shares(values) -> list[tuple[float, float, float]]:
    return [(value, 0.0, 1.0) for value in values]


def wide(values) -> list[tuple[float, float, float]]:
    return [(value, 0.0, 4.0) for value in values]


def signed(value: float) -> tuple[float, float, float]:
    return value, -4.0, 4.0


def noisy(w, index: int) -> float:
    return w.draws.normal(w.month, Stream.OBSERVATION, index)


def public(w):
    angle = 2.0 * math.pi * ((w.start_month + w.month) % 12) / 12.0
    return [
        (w.level / 10.0, 0.0, 2.0),
        *flags(w.stage),
        *((x, 0.0, 2.0) for x in (w.aggregation, w.risk, w.value)),
        *shares([w.trust, w.alert]),
        *flags(w.alert_tier),
        *shares([w.availability, w.num_members / w.num_smes, w.auc_pool]),
        *wide([w.eps12 / 10.0]),
        (w.market_return * 10.0, -2.0, 2.0),
        *shares([w.calm_filter]),
        (math.sin(angle), -1.0, 1.0),
        (math.cos(angle), -1.0, 1.0),
        *shares([(w.max_cycles - w.month) / w.max_cycles]),
    ]


def premium_seen(w, p, index: int) -> float:
    return w.premium_mean * (1.0 + p.observation_noise[0] * noisy(w, index)) / (40.0 * p.size)


def it(w, p):
    out = []
    for tier in range(3):
        out += wide([w.tier_known[tier] / 10.0, w.tier_exposure[tier]])
        out += shares([w.tier_worst[tier]]) + wide([w.tier_kev[tier]])
    return [
        *out,
        *shares([w.unpatchable, *w.scanners]),
        *wide([w.hours / (100.0 * w.services.count / 12.0), w.release / (24.0 * p.size)]),
        signed(w.ledger.balance["security"] / (100.0 * p.size)),
        *shares([w.failed / max(1, w.patched + w.failed)]),
        *wide([w.false_findings * p.false_hours / 10.0, w.isolated / 10.0]),
        *shares([w.intel]),
        *wide([months / 6.0 for months in w.posture_months]),
        *wide([premium_seen(w, p, 0)]),
        *shares(w.it_action),
    ]


def business(w, p):
    return [
        signed(w.ledger.balance["platform"] / (2000.0 * p.size)),
        signed(w.profit_mean / (200.0 * p.size)),
        *wide([w.sales_ratio]),
        *shares([w.fee_effort, w.fee_next, w.joined / w.num_smes, w.left / w.num_smes, w.modules, w.privacy]),
        *wide([w.pool / (p.need_pool * p.smes * w.need_scale)]),
        *shares([w.fraud * (1.0 + p.observation_noise[1] * noisy(w, 1))]),
        *wide([w.rho12 * 10.0, w.rho_window[(w.month + 1) % 12] * 100.0]),
        *shares([sum(w.it_action[:3]) / 3.0]),
        *wide([w.outage_hours / 10.0, w.incidents_year, premium_seen(w, p, 2), w.remitted / (100.0 * p.size)]),
        *wide([w.tenant_service / max(1, w.num_members)]),
        *shares(w.business_action),
    ]


def finance(w, p):
    ratings = [firm.rating for firm in w.firms]
    mean = sum(ratings) / w.num_smes
    spread = math.sqrt(sum((rating - mean) ** 2 for rating in ratings) / w.num_smes)
    return [
        signed(w.ledger.balance["treasury"] / (4000.0 * p.size)),
        *wide([w.book / (p.book_cap * p.size * p.market_growth**w.level), w.loans / (1000.0 * p.smes)]),
        *wide([w.expected_credit_loss / (10.0 * p.smes)]),
        *shares([w.weight, w.drawdown]),
        signed(10.0 * w.skill + p.observation_noise[2] * noisy(w, 3)),
        *shares([w.crowding + p.observation_noise[3] * noisy(w, 4), mean, spread]),
        *wide([w.findings_year / w.num_smes, w.green_income / (10.0 * p.smes), w.release / (24.0 * p.size)]),
        signed(w.ledger.balance["security"] / (100.0 * p.size)),
        *wide([w.returned / (24.0 * p.size)]),
        *shares([w.tier_effort]),
        *wide([premium_seen(w, p, 5), w.remitted / (100.0 * p.size)]),
        *shares([w.disclosure]),
        *wide([w.capital / (p.need_capital * p.smes * w.need_scale)]),
        *shares(w.finance_action),
    ]


def sme(w, p, firm):
    return [
        signed(w.ledger.balance[firm.seat] / firm.revenue),
        *wide([firm.revenue / firm.start_revenue]),
        signed(firm.growth / 0.02),
        *wide([firm.loan / (firm.limit(p) * firm.annual)]),
        *shares([firm.limit(p)]),
        *wide([firm.premium_mean * (1.0 + p.observation_noise[0] * noisy(w, 16 + firm.seat))]),
        *shares([firm.hygiene, float(firm.quiet < 6), firm.quiet / 60.0, firm.esg, firm.rating, firm.green]),
        *shares([firm.ban / 12.0, firm.member / 2.0, firm.lag / 2.0]),
        *wide([lever(p.tenant_fee, w.fee_next) * firm.scale(p)]),
        *shares([firm.own_auc, firm.auc]),
        *wide([firm.stock / 400.0]),
        *shares([firm.claim - firm.esg, (w.month - firm.entry) / 120.0]),
        *shares(firm.action),
    ]
