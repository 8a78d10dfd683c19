"""The opening of an episode: parameters of its world, services, stocks, firms, money, backlog."""

from __future__ import annotations

from types import SimpleNamespace

from reference_parts.books import Ledger
from reference_parts.closing import appetite, gains, pressures, trust_needed
from reference_parts.decisions import lever
from reference_parts.draws import Draws, Stream, limited_mean, words
from reference_parts.firms import LN_K, Firm
from reference_parts.governance import expose, volatility_index
from reference_parts.services import Services
from reference_parts.vulnerabilities import NEVER, Vulnerability, epss_at, patch_delay, resistance
from spiral_env.core.params import PARAMETERS

__all__ = ["open_episode", "parameters"]

# Rows of the state that start from nothing, by who sets them.
NOTHING = words(
    "month collapsed done level stage stage_months aggregation value value_sum value_passed gate_count "
    "fallback_count level_rose trust_count cash_count height scanning_effort intel_effort triage it_asked it_cost "
    "window_effort modules_effort privacy_effort verification_effort payout_rate releases epsilon business_asked "
    "business_cost release release_effort returned lapsed lending_effort weight weight_change audit_share "
    "disclosure_effort finance_asked finance_cost member_sharing mean_sharing fee_income joined left pool "
    "pool_bad fraud payouts skill lending_mean lendable capital detection false_findings arrivals data_skill "
    "ranking hours delay patched patched_age failed isolated patching_cost outage_hours alert event_probability "
    "expected_breach cycle_loss breach breach_loss rho12 eps12 incident_probability expected_harm harm "
    "expected_privacy_fine privacy_incident privacy_fine incidents_year market_return portfolio_return drawdown "
    "drawdown_event findings findings_year exposed expected_credit_loss credit_loss sales sales_margin "
    "tenant_service posture_price loans green_book audited_year book interest green_income portfolio_cost "
    "deposit_interest certainty_equivalent market_income premium retained premium_mean business_profit "
    "profit_mean remitted operating_value realised_value externality ecosystem_value deposits"
)


def parameters(values, ranges, num_smes: int, draws: Draws) -> SimpleNamespace:
    """The numbers of this episode's world; a range is drawn under the place of its number in the table."""
    found = {}
    place = 0
    for q in PARAMETERS:
        found[q.name] = values.get(q.name, q.default)
        if q.name in ranges and ranges[q.name][1] > ranges[q.name][0]:
            low, high = ranges[q.name]
            found[q.name] = low + (high - low) * draws.uniform(0, Stream.WORLD, place)
        place += len(q.default) if isinstance(q.default, tuple) else 1
    p = SimpleNamespace(**found)
    p.smes = num_smes / 8.0
    p.size = p.smes**p.size_exponent
    p.breach_mean = limited_mean(p.breach_mu - LN_K, p.breach_sigma, p.breach_cap)
    busy = p.campaign_onset / (p.campaign_onset + p.campaign_end)
    hit = (p.threat_campaign + 2.0 * p.threat_quiet) / 3.0
    p.threat_mean = busy * hit + (1.0 - busy) * p.threat_quiet
    return p


CLASSES = ("code", "runtime", "dependency", "interaction")


def open_episode(w, values, ranges, law, num_smes: int, max_cycles: int, seed: int, services=(), findings=()) -> None:
    """Set every attribute of the ecosystem ``w`` as it stands before the first month; a world may name its own."""
    w.draws = Draws(seed)
    w.p = parameters(values, ranges, num_smes, w.draws)
    w.num_smes, w.max_cycles = num_smes, max_cycles
    for name in NOTHING:
        setattr(w, name, 0)
    w.start_month = int(12.0 * w.draws.uniform(0, Stream.CALENDAR, 0))
    w.services = Services(w.p, w.draws, services)
    stocks(w, w.p)
    w.tail = [service.tail for service in services] or w.tail
    value_services(w, w.p)
    ages = [w.draws.uniform(0, Stream.SME, 16 * i + 6) * w.p.age_high for i in range(num_smes)]
    w.firms = [Firm(w.p, w.draws, i, int(age), w.green_threshold) for i, age in enumerate(ages)]
    for firm in w.firms:
        firm.action = [0.0] * len(w.levers["sme"])
    w.num_members = sum(firm.member for firm in w.firms)
    money(w, w.p)
    backlog(w, w.p, law)
    if findings:
        own_backlog(w, w.p, services, findings)
    expose(w, w.p)
    w.stress = int(w.draws.uniform(0, Stream.MARKET, 0) >= w.p.market_start_calm)
    markets(w, w.p)
    w.risk, w.risk_mean = w.p.start_risk, w.p.start_risk * appetite(w, w.p)
    w.trust_needed = trust_needed(w, w.p)
    gains(w, w.p)
    pressures(w, w.p)


def markets(w, p) -> None:
    """Expected returns of the assets, nothing held, nothing forecast."""
    w.asset_alpha = [p.alpha_sd * w.draws.normal(0, Stream.ASSET_ALPHA, j) for j in range(4)]
    w.asset_edge, w.asset_return, w.asset_signal, w.asset_weight = ([0.0] * 4 for _ in range(4))
    w.volatility_index = volatility_index(w, p)


def stocks(w, p) -> None:
    w.modules = p.start_stock * p.modularity
    w.privacy = p.start_stock * p.privacy_technology
    w.intel = w.disclosure = p.start_stock
    w.scanners = [p.start_stock] * 4
    w.trust, w.users, w.partners = p.start_trust, p.start_users, p.start_partners
    w.lesson_security = w.lesson_privacy = w.lesson_finance = p.start_lesson
    w.scope, w.proof = 1.0, p.start_proof
    w.auc_pool = 0.5
    w.crowding = p.crowding_base
    w.availability = w.sales_ratio = 1.0
    year = [p.season[(w.start_month + k - 1) % 12] for k in range(12)]
    w.sales_ring = [p.platform_sales * p.smes * season for season in year]
    w.value_ring = [p.start_value * p.smes] * 6
    w.posture = [0] * 3
    w.posture_months = [0.0] * 3
    w.posture_factor = [1.0] * 3
    w.threat_seen, w.threat_met = [p.threat_mean] * 3, [p.threat_mean] * 3
    w.tier_effort = p.effort_floor
    w.fee_effort = w.fee_next = 0.5
    w.green_threshold = lever(p.green_threshold, 0.5)
    w.intel_factor = w.asset_protection = 1.0
    w.capital_growth = p.arrow_capital_commerce
    w.campaign = w.alert_tier = -1
    w.portfolio_index = w.portfolio_peak = 1.0
    for role in ("it", "business", "finance"):
        setattr(w, f"{role}_action", [0.0] * len(w.levers[role]))
    w.rho_window = [0.0] * 12
    w.recent_arrivals = [0] * 12
    w.detect_hazard = [0.0] * 4
    w.tail = [0.0] * w.services.count
    w.carry_hazard = [0.0] * w.services.count


def value_services(w, p) -> None:
    """Reach at the starting modularity: averaged over entries by exposure, and what is at risk through each."""
    exposure = [p.exposure[tier] for tier in w.services.tier]
    chance = p.call_reach * (1.0 - p.module_isolation * p.start_stock)
    at_risk = [exposure[k] * w.services.reach(k, chance) for k in w.services]
    w.mean_reach = sum(at_risk) / sum(exposure)
    w.service_value = [x * w.services.count / sum(at_risk) for x in at_risk]


def money(w, p) -> None:
    opening = {"platform": p.platform_cash, "treasury": p.treasury_cash, "security": p.security_cash}
    opening = {name: cash * p.size for name, cash in opening.items()}
    w.ledger = Ledger({**opening, **{firm.seat: firm.revenue for firm in w.firms}})


def backlog(w, p, law) -> None:
    """A bootstrap sample of the law of the open backlog; the sampled tier's services are equally likely."""
    w.capacity = 256 if w.services.count <= 12 else 704
    count = w.draws.poisson(0, Stream.BACKLOG, 0, p.backlog_open * w.services.count / 12.0)
    w.vulnerabilities = []
    for uid in range(min(count, w.capacity)):
        row = law[int(w.draws.uniform(0, Stream.BACKLOG, 1 + 2 * uid) * len(law))]
        places = w.services.of_tier(int(row["tier"]))
        service = places[int(w.draws.uniform(0, Stream.BACKLOG, 2 + 2 * uid) * len(places))]
        v = Vulnerability(
            uid=uid,
            service=service,
            kind=int(row["class"]),
            cvss=row["cvss"],
            epss=row["epss"],
            patch_month=0 if row["patch"] > 0.0 else min(NEVER, patch_delay(p, w.draws, uid)),
            exploited_month=NEVER,
            resistance=resistance(w.draws, uid),
            known=row["known"] > 0.0,
            exploited=row["kev"] > 0.0,
        )
        w.vulnerabilities.append(v)


def own_backlog(w, p, services, findings) -> None:
    """The findings that a world names; what nobody says of one is drawn as of an arrival of its severity."""
    names = [service.name for service in services]
    w.vulnerabilities = []
    for uid, found in enumerate(findings):
        u = [w.draws.uniform(0, Stream.VULNERABILITY, 16 * uid + index) for index in range(9)]
        band = [found.cvss >= least for least in (9.0, 7.0, 4.0, 0.0)].index(True)
        epss = epss_at(u[3]) * p.severity_epss[band] if found.epss is None else max(found.epss, 1e-6)
        ready = u[6] < p.patch_at_birth if found.patch is None else found.patch
        v = Vulnerability(
            uid=uid,
            service=names.index(found.service),
            kind=CLASSES.index(found.kind),
            cvss=found.cvss,
            epss=min(0.97, max(epss, p.kev_epss) if found.kev else epss),
            patch_month=0 if ready else min(NEVER, patch_delay(p, w.draws, uid)),
            exploited_month=NEVER,
            resistance=resistance(w.draws, uid),
            known=True,
            exploited=found.kev,
        )
        w.vulnerabilities.append(v)
