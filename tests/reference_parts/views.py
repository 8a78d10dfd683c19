"""What the agents get: rewards, and observations with their bounds."""

from __future__ import annotations

import math
from array import array

from reference_parts.closing import loss_load
from reference_parts.decisions import TIERS, lever
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
    treasury = w.release - w.returned + w.finance_cost + w.portfolio_cost + w.deposit_interest + credit
    out = [
        [-p.loss_share[0] * breach, -p.charge_back * spending, 0.0],
        [-p.loss_share[1] * breach - fine, -running, w.sales_margin + w.fee_income - w.payouts - w.remitted],
        [-p.loss_share[2] * breach, -treasury, w.interest + w.green_income + market + w.remitted],
    ]
    for firm in w.firms:
        loss = firm.premium + firm.retained + firm.fine if realised else load * firm.expected + firm.expected_fine
        out.append([-loss, -(firm.cost + firm.interest), firm.profit + firm.payout])
    return out


def rewards(w, mode: str, realised: bool) -> tuple[list[list[float]], list[float]]:
    """Vectors and scalars in the reward mode and basis."""
    p = w.p
    out = vectors(w, realised)
    harm = w.externality - w.expected_harm + w.harm
    team = w.realised_value + w.market_income - harm if realised else w.ecosystem_value
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
    """Role -> float32 features of each of its agents, in the order of its table, clipped to their bounds."""
    common = public(w, w.p)
    seen = {
        "it": [(it(w, w.p), w.it_action)],
        "business": [(business(w, w.p), w.business_action)],
        "finance": [(finance(w, w.p), w.finance_action)],
        "sme": [(sme(w, w.p, firm), firm.action) for firm in w.firms],
    }
    return {role: [arranged(w, role, common | own, last) for own, last in agents] for role, agents in seen.items()}


def arranged(w, role: str, values: dict[str, float], last: list[float]) -> array:
    """Values by name as the role's table orders, scales and bounds them."""
    values = values | {f"last_{name}": effort for name, effort in zip(w.levers[role], last, strict=True)}
    differ = sorted(values.keys() ^ {feature.name for feature in w.features[role]})
    assert not differ, f"tests/reference_parts/views.py computes other features of {role} than its table has: {differ}"
    return array("f", [clip(values[x.name] / x.scale, x.low, x.high) for x in w.features[role]])


def flags(stem: str, names: tuple[str, ...], chosen: int) -> dict[str, float]:
    return {f"{stem}_{name}": float(k == chosen) for k, name in enumerate(names)}


def by_tier(stem: str, values: list[float]) -> dict[str, float]:
    return {f"{stem}_{tier}": value for tier, value in zip(TIERS, values, strict=True)}


def noisy(w, index: int) -> float:
    return w.draws.normal(w.month, Stream.OBSERVATION, index)


def public(w, p) -> dict[str, float]:
    angle = 2.0 * math.pi * ((w.start_month + w.month) % 12) / 12.0
    return {
        "level": w.level,
        **flags("stage", ("aggregation", "governance", "value"), w.stage),
        "A": w.aggregation,
        "R": w.risk,
        "V": w.value,
        "trust": w.trust,
        "alert": w.alert,
        **flags("alert", TIERS, w.alert_tier),
        "availability": w.availability,
        "tenant_share": w.num_members / w.num_smes,
        "partners": w.partners,
        "pool_auc": w.auc_pool,
        "eps12": w.eps12,
        "market_return": w.market_return,
        "volatility": w.volatility_index,
        "season_sin": math.sin(angle),
        "season_cos": math.cos(angle),
        "months_left": (w.max_cycles - w.month) / w.max_cycles,
    }


def premium_seen(w, p, index: int) -> float:
    return w.premium_mean * (1.0 + p.observation_noise[0] * noisy(w, index)) / p.size


def it(w, p) -> dict[str, float]:
    tools = ("sast", "dast", "sca", "iast")
    return {
        **by_tier("known", w.tier_known),
        **by_tier("exposure", w.tier_exposure),
        **by_tier("worst", w.tier_worst),
        **by_tier("kev", w.tier_kev),
        "unpatchable": w.unpatchable,
        **{f"maturity_{tool}": stock for tool, stock in zip(tools, w.scanners, strict=True)},
        "hours": w.hours / (w.services.count / 12.0),
        "release": w.release / p.size,
        "security_cash": w.ledger.balance["security"] / p.size,
        "failure_share": w.failed / max(1, w.patched + w.failed),
        "false_hours": w.false_findings * p.false_hours,
        "isolated": w.isolated,
        "intel": w.intel,
        "lesson": w.lesson_security,
        **by_tier("posture_months", w.posture_months),
        "premium": premium_seen(w, p, 0),
    }


def business(w, p) -> dict[str, float]:
    asked = dict(zip(w.levers["it"], w.it_action, strict=True))
    return {
        "cash": w.ledger.balance["platform"] / p.size,
        "profit": w.profit_mean / p.size,
        "sales_ratio": w.sales_ratio,
        "fee": w.fee_effort,
        "fee_next": w.fee_next,
        "joined": w.joined / w.num_smes,
        "left": w.left / w.num_smes,
        "modules": w.modules,
        "privacy": w.privacy,
        "pool_need": (w.pool + w.pool_bad) / (p.need_pool * p.smes * w.need_scale),
        "fraud": w.fraud * (1.0 + p.observation_noise[1] * noisy(w, 1)),
        "rho12": w.rho12,
        "rho_expiring": w.rho_window[(w.month + 1) % 12],
        "requested_window": sum(asked[tier] for tier in TIERS) / 3.0,
        "outage_hours": w.outage_hours,
        "incidents_year": w.incidents_year,
        "premium": premium_seen(w, p, 2),
        "remitted": w.remitted / p.size,
        "unit_cost": w.tenant_service / max(1, w.num_members),
        "payouts": w.payouts / p.size,
        "lesson": w.lesson_privacy,
        "proof": w.proof,
        "scope": w.scope,
    }


def finance(w, p) -> dict[str, float]:
    ratings = [firm.rating for firm in w.firms]
    mean = sum(ratings) / w.num_smes
    return {
        "cash": w.ledger.balance["treasury"] / p.size,
        "book": w.book / (p.book_cap * p.size * w.scope),
        "loans": w.loans / p.smes,
        "expected_credit_loss": w.expected_credit_loss / p.smes,
        "weight": w.weight,
        "drawdown": w.drawdown,
        "skill": w.skill + 0.1 * p.observation_noise[2] * noisy(w, 3),
        "crowding": w.crowding + p.observation_noise[3] * noisy(w, 4),
        "esg_reported_mean": mean,
        "esg_spread": math.sqrt(sum((rating - mean) ** 2 for rating in ratings) / w.num_smes),
        "findings_year": w.findings_year / w.num_smes,
        "green_income": w.green_income / p.smes,
        "release": w.release / p.size,
        "security_cash": w.ledger.balance["security"] / p.size,
        "returned": w.returned / p.size,
        "it_request": w.tier_effort,
        "premium": premium_seen(w, p, 5),
        "remitted": w.remitted / p.size,
        "disclosure": w.disclosure,
        "capital_need": w.capital / (p.need_capital * p.smes * w.need_scale),
        "deposits": w.deposits / p.size,
        "lesson": w.lesson_finance,
        **{f"asset_return_{j + 1}": w.asset_return[j] for j in range(4)},
        **{f"asset_signal_{j + 1}": w.asset_signal[j] for j in range(4)},
    }


def sme(w, p, firm) -> dict[str, float]:
    return {
        "cash": w.ledger.balance[firm.seat] / firm.revenue,
        "revenue": firm.revenue / firm.start_revenue,
        "growth": firm.growth,
        "leverage": firm.loan / (firm.limit(p) * firm.annual),
        "limit": firm.limit(p),
        "premium": firm.premium_mean * (1.0 + p.observation_noise[0] * noisy(w, 16 + firm.seat)),
        "hygiene": firm.hygiene,
        "incident": float(firm.quiet < 6),
        "quiet": firm.quiet,
        "esg": firm.esg,
        "rating": firm.rating,
        "green": firm.green,
        "ban": firm.ban,
        "member": firm.member,
        "lag": firm.lag,
        "fee_next": lever(p.tenant_fee, w.fee_next) * firm.scale(p),
        "own_auc": firm.own_auc,
        "auc": firm.auc,
        "records": firm.stock,
        "claim_gap": firm.claim - firm.esg,
        "age": w.month - firm.entry,
        "size": math.log(firm.annual / (12.0 * p.sme_revenue_reference)),
        "constraint": firm.constraint,
        "payout": firm.payout,
    }
