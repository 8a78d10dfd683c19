"""Risk governance: privacy, market and authenticity, patching and attack."""

from __future__ import annotations

import math

from reference_parts.aggregation import stock
from reference_parts.decisions import NOW, epsilon_of, rho_of
from reference_parts.draws import STANDARD, Stream, clip, limited_mean
from reference_parts.firms import LN_K
from reference_parts.patching import plan_and_patch, posture
from reference_parts.services import EDGE
from reference_parts.vulnerabilities import FINE

__all__ = ["expose", "govern", "strictness", "volatility_index"]


def govern(w) -> None:
    commerce(w, w.p)
    market(w, w.p)
    authenticity(w, w.p)
    turnover(w, w.p)
    security(w, w.p)
    w.ledger.settle()


def commerce(w, p) -> None:
    """The privacy account, the platform's incident, the firms' compliance."""
    w.privacy = p.privacy_technology * stock(p, w.privacy, w.privacy_effort, w.gain_privacy)
    w.rho_window[w.month % 12] = rho_of(w.epsilon, p.delta) * w.releases
    w.rho12 = sum(w.rho_window)
    w.eps12 = epsilon_of(w.rho12, p.delta)
    strict = strictness(w, p)
    mu = p.fine_mu - LN_K
    advantage = 2.0 * STANDARD.cdf(math.sqrt(2.0 * w.rho12) / 2.0) - 1.0
    chance = p.privacy_incident * advantage * w.privacy_exposure * (1.0 - w.privacy) * w.asset_protection
    w.incident_probability = min(1.0, p.privacy_incidents * strict * chance)
    cap = p.fine_cap * 12.0 * p.platform_sales * p.smes * w.scope
    w.expected_privacy_fine = w.incident_probability * p.fine_share * strict * limited_mean(mu, p.fine_sigma, cap)
    w.privacy_incident = int(w.draws.uniform(w.month, Stream.PRIVACY_INCIDENT, 0) < w.incident_probability)
    drawn = w.draws.lognormal(w.month, Stream.PRIVACY_FINE, 0, mu, p.fine_sigma)
    fined = w.privacy_incident and w.draws.uniform(w.month, Stream.PRIVACY_FINE, 1) < p.fine_share
    w.privacy_fine = strict * min(cap, drawn) if fined else 0.0
    harm = p.privacy_harm * p.size * w.privacy_exposure
    w.expected_harm, w.harm = w.incident_probability * harm, w.privacy_incident * harm
    w.incidents_year = w.incidents_year * 11.0 / 12.0 + w.privacy_incident
    w.ledger.pay("privacy_fine", "platform", "world", w.privacy_fine)
    for firm in w.firms:
        chance = min(1.0, p.privacy_incidents * strict * p.compliance_rate * firm.share) if firm.member == 1 else 0.0
        firm.expected_fine = p.compliance_part * strict * chance * firm.mean_fine
        firm.fine = 0.0
        if w.draws.uniform(w.month, Stream.COMPLIANCE, firm.seat) < chance:
            drawn = w.draws.lognormal(w.month, Stream.COMPLIANCE_FINE, firm.seat, mu, p.fine_sigma)
            firm.fine = p.compliance_part * strict * min(p.fine_cap * firm.annual, drawn)
        w.ledger.pay("compliance_fine", firm.seat, "world", firm.fine)


def strictness(w, p) -> float:
    """Of privacy rules, which may adapt to the level."""
    return p.privacy_strictness * (1.0 + p.adaptive_rules * w.level)


def market(w, p) -> None:
    """Regime, returns, what the book makes of them, and what is seen of next month's."""
    if w.draws.uniform(w.month, Stream.MARKET, 0) >= p.market_stay[w.stress]:
        w.stress = 1 - w.stress
    z = w.draws.normal(w.month, Stream.MARKET_RETURN, 0)
    drawn = p.market_mean[w.stress] + p.market_volatility[w.stress] * z
    w.market_return = drawn if p.market_risk else p.cash_rate
    w.volatility_index = volatility_index(w, p)
    assets(w, p)
    held = sum(x * (r - p.cash_rate) for x, r in zip(w.asset_weight, w.asset_return, strict=True))
    w.portfolio_return = p.cash_rate + held
    w.portfolio_index *= max(0.05, 1.0 + w.portfolio_return)
    w.portfolio_peak = max(w.portfolio_peak, w.portfolio_index)
    before, w.drawdown = w.drawdown, 1.0 - w.portfolio_index / w.portfolio_peak
    w.drawdown_event = int(before <= p.drawdown_limit < w.drawdown)


def volatility_index(w, p) -> float:
    """The regime's volatility, seen through noise."""
    return p.market_volatility[w.stress] * math.exp(p.volatility_noise * w.draws.normal(w.month, Stream.OBSERVATION, 6))


def assets(w, p) -> None:
    """Returns with this month's alphas; then next month's alphas, and the forecast of them that the skill allows."""
    c = min(0.95, w.skill * p.asset_sd / p.alpha_sd)
    for j, beta in enumerate(p.asset_beta):
        w.asset_edge[j] = w.asset_alpha[j] if p.market_risk else 0.0
        own = w.asset_edge[j] + p.asset_sd * w.draws.normal(w.month, Stream.ASSET_RETURN, j)
        excess = beta * (w.market_return - p.cash_rate) + own
        w.asset_return[j] = p.cash_rate + (excess if p.market_risk else 0.0)
        shock = p.alpha_sd * w.draws.normal(w.month, Stream.ASSET_ALPHA, j)
        w.asset_alpha[j] = p.alpha_memory * w.asset_alpha[j] + math.sqrt(1.0 - p.alpha_memory**2) * shock
        z = w.draws.normal(w.month, Stream.ASSET_SIGNAL, j)
        w.asset_signal[j] = c * w.asset_alpha[j] / p.alpha_sd + math.sqrt(1.0 - c**2) * z


def authenticity(w, p) -> None:
    """Constraint, true ESG, claim, rating; then audits and the press look for gaps."""
    w.findings = w.exposed = 0
    shock = p.rating_noise * math.sqrt(1.0 - p.rating_memory**2)
    for firm in w.firms:
        firm.feel_constraint(p, w.month, w.ledger.balance[firm.seat])
        firm.esg -= p.esg_decay * firm.esg
        if firm.esg_mode == 2:
            room = (1.0 - firm.constraint) * (1.0 - firm.esg)
            firm.esg = min(1.0, firm.esg + p.esg_gain * w.gain_finance * room * firm.esg_scale)
        if firm.esg_mode == 1:
            firm.claim = min(1.0, max(firm.claim, firm.esg) + p.claim_step * firm.esg_scale)
        else:
            firm.claim = max(firm.esg, firm.claim - p.claim_fade)
        z = w.draws.normal(w.month, Stream.RATING, firm.seat)
        firm.rating_noise = p.rating_memory * firm.rating_noise + shock * z
        firm.rating = clip(firm.claim + firm.rating_noise, 0.0, 1.0)
        inspect(w, p, firm)
    w.findings_year = w.findings_year * 11.0 / 12.0 + w.findings


def inspect(w, p, firm) -> None:
    gap = firm.gap(p)
    found = False
    if p.greenwashing:
        chance = p.audit_recall if gap else p.audit_false if firm.green else 0.0
        audited = w.draws.uniform(w.month, Stream.AUDIT, firm.seat) < w.audit_share
        found = audited and w.draws.uniform(w.month, Stream.FINDING, firm.seat) < chance
        w.exposed += int(gap and w.draws.uniform(w.month, Stream.PRESS, firm.seat) < p.press_rate)
    firm.ban = max(0, firm.ban - 1)
    if found:
        w.findings += 1
        firm.ban = int(p.ban_months)
        firm.claim = firm.esg
    firm.green = int(firm.rating >= w.green_threshold and firm.ban == 0)


def turnover(w, p) -> None:
    """Borrowers default, firms close; a closing firm pays its loan back, a defaulting one in part."""
    w.expected_credit_loss = w.credit_loss = 0.0
    recovered = 0.0
    for firm in w.firms:
        default = p.default_rate[w.stress] * (1.0 + p.default_leverage * firm.loan / (12.0 * firm.revenue))
        default *= p.default_shock if firm.shock else 1.0
        default *= p.default_gap if firm.gap(p) else 1.0
        default = p.seat_turnover * min(1.0, default) if firm.loan > 0.0 else 0.0
        youth = max(0.0, 1.0 - (w.month - firm.entry) / p.closure_age)
        closure = p.closure_old + (p.closure_young - p.closure_old) * youth
        distance = (firm.margin - p.margin_reference) / p.margin_reference
        closure = p.seat_turnover * min(1.0, closure * clip(math.exp(-p.closure_margin * distance), *p.closure_clip))
        w.expected_credit_loss += default * p.loss_given_default * firm.loan
        firm.closing = 0
        if w.draws.uniform(w.month, Stream.DEFAULT, firm.seat) < default:
            firm.closing = 1
            w.credit_loss += p.loss_given_default * firm.loan
            recovered += (1.0 - p.loss_given_default) * firm.loan
        elif w.draws.uniform(w.month, Stream.CLOSURE, firm.seat) < closure:
            firm.closing = 2
            recovered += firm.loan
    w.ledger.pay("loan_recovery", "world", "treasury", recovered)


def security(w, p) -> None:
    for firm in w.firms:
        firm.hygiene = stock(p, firm.hygiene, firm.patch_effort, w.gain_security)
    w.ranking = (w.intel + w.disclosure + w.mean_sharing) / 3.0
    plan_and_patch(w, p)
    campaign(w, p)
    meet(w, p)
    expose(w, p)
    growth = p.threat_growth**w.level
    for firm in w.firms:
        hazard = p.sme_hazard * p.hygiene_ratio ** (p.hygiene_reference - firm.hygiene) * w.intel_factor * growth
        firm.own_hazard = p.attacks * min(1.0, hazard)
    attack(w, p)


def campaign(w, p) -> None:
    u = w.draws.uniform(w.month, Stream.CAMPAIGN, 0)
    if w.campaign < 0 and u < p.campaign_onset:
        w.campaign = int(3.0 * w.draws.uniform(w.month, Stream.CAMPAIGN, 1))
    elif w.campaign >= 0 and u < p.campaign_end:
        w.campaign = -1
    u, other = (w.draws.uniform(w.month, Stream.ALERT, index) for index in (0, 1))
    w.alert, w.alert_tier = int(w.campaign >= 0), w.campaign
    if w.campaign < 0 and u < p.alert_false:
        w.alert, w.alert_tier = 1, int(3.0 * other)
    elif w.campaign >= 0 and u >= p.alert_truth + p.alert_intel * w.intel:
        w.alert_tier = (w.campaign + 1 + int(2.0 * other)) % 3


def threat(w, p, tier: int) -> float:
    """Threat to a tier this month: high under a campaign."""
    return p.threat_campaign if w.campaign == tier else p.threat_quiet


def meet(w, p) -> None:
    """Means over a year of the threat to each tier, and of what its posture left of it."""
    for tier in range(3):
        left = threat(w, p, tier) * w.posture_factor[tier]
        w.threat_seen[tier] += (threat(w, p, tier) - w.threat_seen[tier]) / 12.0
        w.threat_met[tier] += (left - w.threat_met[tier]) / 12.0


def expose(w, p) -> None:
    """Hazard that each service shows this month, and what IT knows at its end."""
    shown = [carried + tail for carried, tail in zip(w.carry_hazard, w.tail, strict=True)]
    w.carry_hazard = [0.0] * w.services.count
    for v in w.vulnerabilities:
        share = p.isolation_relief if v.fate == "isolated" else 1.0
        if v.fate == "patched" and posture(w, v) == NOW:
            share = w.delay
        elif v.fate == "patched":
            w.carry_hazard[v.service] += w.delay * v.hazard
        shown[v.service] += share * v.hazard
    w.base_hazard = [hazard * p.exposure[tier] for hazard, tier in zip(shown, w.services.tier, strict=True)]
    left = [v for v in w.vulnerabilities if v.fate != "patched"]
    known = [[v for v in left if v.known and w.services.tier[v.service] == tier] for tier in range(3)]
    threats = [[math.floor(v.epss * FINE) / FINE for v in found] for found in known]
    w.tier_known = [len(found) for found in known]
    w.tier_kev = [sum(v.exploited for v in found) for found in known]
    w.tier_exposure = [p.exposure[tier] * sum(threats[tier]) for tier in range(3)]
    w.tier_worst = [max(found, default=0.0) for found in threats]
    without = sum(v.patch_month > w.month for found in known for v in found)
    w.unpatchable = without / max(1, sum(w.tier_known))
    w.open_at = [sum(v.birth == w.month - back for v in left if v.birth > 0 or not back) for back in (0, 2, 11)]


def attack(w, p) -> None:
    """Hazards of the month and through the cycle, the platform's event, its spill to members."""
    members = [firm for firm in w.firms if firm.member]
    isolation = (1.0 - p.module_isolation * w.modules) / p.isolation_reference
    through_members = sum(firm.own_hazard for firm in members) * p.member_entry / p.smes * isolation
    entry = through_members / len(w.services.of_tier(EDGE))
    level = p.attacks * p.aim * p.threat_growth**w.level * w.intel_factor
    call = p.call_reach * (1.0 - p.module_isolation * w.modules)
    now, cycle, severity = [], [], []
    for k, tier in enumerate(w.services.tier):
        extra = entry if tier == EDGE else 0.0
        now.append(level * w.base_hazard[k] * threat(w, p, tier) * w.posture_factor[tier] + extra)
        answered = w.threat_met[tier] / max(w.threat_seen[tier], 1e-300)
        cycle.append(level * w.base_hazard[k] * p.threat_mean * answered + extra)
        severity.append(w.services.reach(k, call) / w.mean_reach)
    severity = [reached * (w.scope * p.smes) ** p.stake_exponent for reached in severity]
    w.event_probability, w.expected_breach = expectation(p, now, severity)
    through_cycle, w.cycle_loss = expectation(p, cycle, severity)
    draw_breach(w, p, now, severity)
    spill(w, p, min(1.0, p.spill * isolation), through_cycle)


def expectation(p, hazards: list[float], severity: list[float]) -> tuple[float, float]:
    """Probability of an event, and probability x mean breach x mean severity of its entry."""
    total = sum(hazards)
    probability = 1.0 - math.exp(-total)
    weighted = sum(h * s for h, s in zip(hazards, severity, strict=True))
    return probability, p.breach_mean * probability * weighted / total if total > 0.0 else 0.0


def draw_breach(w, p, hazards: list[float], severity: list[float]) -> None:
    w.breach, w.breach_loss = 0, 0.0
    if w.draws.uniform(w.month, Stream.PLATFORM_EVENT, 0) >= w.event_probability:
        return
    point = w.draws.uniform(w.month, Stream.PLATFORM_ENTRY, 0) * sum(hazards)
    entry = w.services.count - 1
    for k in w.services:
        point -= hazards[k]
        if point < 0.0:
            entry = k
            break
    size = w.draws.lognormal(w.month, Stream.PLATFORM_SEVERITY, 0, p.breach_mu - LN_K, p.breach_sigma)
    w.breach, w.breach_loss = 1, min(p.breach_cap, size) * severity[entry]


def spill(w, p, chance: float, through_cycle: float) -> None:
    """Own events of the firms, and those that come from the platform; adds the cycle's expectation of both."""
    for firm in w.firms:
        through = chance if firm.member else 0.0
        firm.probability = 1.0 - (1.0 - firm.own_hazard) * (1.0 - w.event_probability * through)
        firm.expected = firm.probability * firm.mean_loss
        w.cycle_loss += (1.0 - (1.0 - firm.own_hazard) * (1.0 - through_cycle * through)) * firm.mean_loss
        firm.event, firm.loss = 0, 0.0
        if w.draws.uniform(w.month, Stream.SME_EVENT, firm.seat) < firm.own_hazard:
            firm.event = 1
        elif w.breach and w.draws.uniform(w.month, Stream.SME_SPILL, firm.seat) < through:
            firm.event = 2
        if firm.event:
            drawn = w.draws.lognormal(w.month, Stream.SME_SEVERITY, firm.seat, p.sme_loss_mu - LN_K, p.sme_loss_sigma)
            firm.loss = min(firm.annual, drawn)
