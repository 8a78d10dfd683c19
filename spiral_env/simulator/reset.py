"""The opening of an episode, and of an SME's seat."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post_sme
from spiral_env.core.rng import Stream, lognormal, normal, poisson, stream_key, uniform, unit
from spiral_env.stages import feedback, spiral
from spiral_env.stages.resource_aggregation.cybersecurity import (
    DRAWS,
    NEVER,
    add_vulnerability,
    draw_epss,
    patch_delay,
)
from spiral_env.stages.resource_aggregation.digital_commerce import own_auc
from spiral_env.stages.risk_governance._attack import expose, limited_mean, reach
from spiral_env.stages.risk_governance._market import open_market
from spiral_env.stages.risk_governance.finance import constraint

__all__ = [
    "LAW_COLUMNS",
    "NOT_SAID",
    "NOT_SCORED",
    "NO_PATCH",
    "PATCHED_NOW",
    "open_episode",
    "open_seat",
    "renew_seats",
]

LAW_COLUMNS = ("tier", "class", "cvss", "epss", "known", "patch", "kev")
"""Columns of the law of the starting backlog."""

PATCHED_NOW, NO_PATCH, NOT_SAID = 0, 1, 2
"""Of a finding that a world names: there is a patch, there is none yet, nobody says."""
NOT_SCORED = -1.0
"""Of such a finding: nobody tells its EPSS."""
_BANDS = (9.0, 7.0, 4.0)
"""Least CVSS of critical, high and medium."""
_MOST_EPSS = 0.97


@kernel
def open_seat(s, p, i, age):
    """Draw the firm of seat ``i``, keyed by the month it opens in; membership passes on with the seat."""
    key = i * 16
    revenue = lognormal(s.seed, s.month, Stream.SME, key, p.sme_revenue_mu, p.sme_revenue_sigma)
    s.sme_start_revenue[i] = revenue
    s.sme_revenue[i] = revenue
    s.sme_annual[i] = 12.0 * revenue
    s.sme_records_base[i] = p.records_mean * lognormal(s.seed, s.month, Stream.SME, key + 1, 0.0, p.records_sigma)
    s.sme_stock[i] = s.sme_records_base[i] / (1.0 - p.records_retained)
    spread = p.hygiene_high - p.hygiene_low
    s.sme_hygiene[i] = p.hygiene_low + spread * uniform(s.seed, s.month, Stream.SME, key + 4)
    s.sme_esg[i] = p.esg_low + (p.esg_high - p.esg_low) * uniform(s.seed, s.month, Stream.SME, key + 5)
    s.sme_claim[i] = s.sme_esg[i]
    s.sme_rating_noise[i] = p.rating_noise * normal(s.seed, s.month, Stream.SME, key + 3)
    s.sme_rating[i] = min(max(s.sme_claim[i] + s.sme_rating_noise[i], 0.0), 1.0)
    s.sme_ban[i] = 0
    s.sme_green[i] = 1 if s.sme_rating[i] >= s.green_threshold else 0
    s.sme_constraint[i] = constraint(p, revenue, age, revenue)
    s.sme_entry[i] = s.month - age
    s.sme_loan[i] = 0.0
    s.sme_capital[i] = 0.0
    s.sme_growth[i] = 0.0
    s.sme_margin[i] = p.margin_reference
    s.sme_shock[i] = 0
    s.sme_quiet[i] = 60
    s.sme_premium_mean[i] = 0.0
    s.sme_own_auc[i] = own_auc(p, s.sme_stock[i])
    s.sme_auc[i] = s.sme_own_auc[i]
    s.sme_mean_loss[i] = limited_mean(p.sme_loss_mu - math.log(1000.0), p.sme_loss_sigma, s.sme_annual[i])
    cap = p.fine_cap * s.sme_annual[i]
    s.sme_mean_fine[i] = limited_mean(p.fine_mu - math.log(1000.0), p.fine_sigma, cap)


@kernel
def renew_seats(s, p):
    """A closed firm's cash leaves, an entrant brings its own."""
    for i in range(s.num_smes):
        if s.sme_closing[i] > 0:
            post_sme(s, Purpose.EXIT, SmeSlot.SEAT, i, Account.WORLD, s.sme_cash[i])
            open_seat(s, p, i, 0)
            post_sme(s, Purpose.ENTRY, SmeSlot.SEAT, i, Account.WORLD, -s.sme_revenue[i])


@kernel
def _tiers(s):
    """A quarter edge, a third core, the rest internal."""
    edge = max(1, s.num_services // 4)
    core = max(1, s.num_services // 3)
    for k in range(s.num_services):
        s.service_tier[k] = 0 if k < edge else 1 if k < edge + core else 2


@kernel
def _attraction(s, caller, k, degree):
    """Weight of service ``k`` as the next callee; 0 if it is called already."""
    for c in range(s.calls_end[caller - 1] if caller > 0 else 0, s.calls_end[caller]):
        if s.callee[c] == k:
            return 0.0
    near = 1.0 if s.service_tier[k] > s.service_tier[caller] else 0.08
    return (1.0 + degree[k]) * near


@kernel
def _pick_callee(s, caller, u, degree):
    """A service below the caller, by preferential attachment on in-degree (Barabasi & Albert 1999)."""
    total = 0.0
    for k in range(caller + 1, s.num_services):
        total += _attraction(s, caller, k, degree)
    point = u * total
    for k in range(caller + 1, s.num_services):
        point -= _attraction(s, caller, k, degree)
        if point < 0.0:
            return k
    return -1


@kernel
def _call(s, p, caller, mean, degree):
    """Draw whom one service calls, behind the calls of those before it."""
    s.calls_end[caller] = s.calls_end[caller - 1] if caller > 0 else 0
    count = poisson(s.seed, 0, Stream.GRAPH, caller, mean)
    for c in range(min(count, s.num_services - 1 - caller)):
        callee = _pick_callee(s, caller, uniform(s.seed, 0, Stream.GRAPH, 64 + caller * 64 + c), degree)
        if callee >= 0:
            s.callee[s.calls_end[caller]] = callee
            s.calls_end[caller] += 1
            degree[callee] += 1.0


@kernel
def _graph(s, p, degree):
    """Acyclic calls from lower to higher index, .93 of them from edge and core; criticality by in-degree."""
    n = s.num_services
    upper = 0
    for k in range(n):
        degree[k] = 0.0
        upper += 1 if s.service_tier[k] < 2 else 0
    for caller in range(n):
        above = s.service_tier[caller] < 2
        share, callers = (0.93, upper) if above else (0.07, n - upper)
        _call(s, p, caller, p.out_degree * n * share / callers, degree)
    total = 0.0
    for k in range(n):
        s.criticality[k] = (1.0 + degree[k]) * (0.5 + uniform(s.seed, 0, Stream.CRITICALITY, k))
        total += s.criticality[k]
    for k in range(n):
        s.criticality[k] /= total


@kernel
def _mean_reach(s, p, chance):
    """Reach at the starting modularity, averaged over entries by exposure, and what an entry puts at risk by both."""
    total = 0.0
    weight = 0.0
    for k in range(s.num_services):
        exposure = p.exposure[s.service_tier[k]]
        s.service_value[k] = exposure * reach(s, p, k, p.start_stock, chance)
        total += s.service_value[k]
        weight += exposure
    s.mean_reach = total / weight
    for k in range(s.num_services):
        s.service_value[k] *= s.num_services / total


@kernel
def _backlog(s, p, law):
    """Open vulnerabilities at the start: a bootstrap sample of the law reached under the average firm."""
    count = poisson(s.seed, 0, Stream.BACKLOG, 0, p.backlog_open * s.num_services / 12.0)
    s.num_open = min(count, s.v_uid.shape[0])
    for uid in range(s.num_open):
        row = int(uniform(s.seed, 0, Stream.BACKLOG, 1 + 2 * uid) * law.shape[0])
        tier = int(law[row, 0])
        first, size = 0, 0
        for k in range(s.num_services):
            if s.service_tier[k] == tier:
                first = k if size == 0 else first
                size += 1
        if size == 0:
            size = s.num_services
        service = first + int(uniform(s.seed, 0, Stream.BACKLOG, 2 + 2 * uid) * size)
        patch_month = 0 if law[row, 5] > 0.0 else patch_delay(s, p, uid)
        known = int(law[row, 4])
        kind, cvss, epss = int(law[row, 1]), law[row, 2], law[row, 3]
        add_vulnerability(s, uid, uid, epss, kind, service, cvss, patch_month, NEVER, known)
        s.v_kev[uid] = int(law[row, 6])


@kernel
def _named_backlog(s, p):
    """Complete the findings that the world names; what nobody says of one is drawn as of an arrival."""
    key = stream_key(s.seed, 0, Stream.VULNERABILITY)
    for j in range(s.num_open):
        cvss, epss, patch, kev = s.v_cvss[j], s.v_epss[j], int(s.v_patch_month[j]), s.v_kev[j]
        if epss < 0.0:
            severity = 0
            for least in _BANDS:
                severity += 1 if cvss < least else 0
            epss = draw_epss(unit(key, j * DRAWS + 3)) * p.severity_epss[severity]
        epss = min(max(epss, p.kev_epss) if kev else epss, _MOST_EPSS)
        if patch == NOT_SAID:
            patch = NO_PATCH if unit(key, j * DRAWS + 6) >= p.patch_at_birth else PATCHED_NOW
        patch_month = patch_delay(s, p, j) if patch == NO_PATCH else 0
        add_vulnerability(s, j, j, epss, s.v_class[j], s.v_service[j], cvss, patch_month, NEVER, s.v_known[j])
        s.v_kev[j] = kev


@kernel
def _stocks(s, p):
    s.modules = p.start_stock * p.modularity
    s.privacy = p.start_stock * p.privacy_technology
    s.intel = p.start_stock
    s.disclosure = p.start_stock
    for k in range(4):
        s.scanners[k] = p.start_stock
    s.trust = p.start_trust
    s.users = p.start_users
    s.auc_pool = 0.5
    s.lesson_security = p.start_lesson
    s.lesson_privacy = p.start_lesson
    s.lesson_finance = p.start_lesson
    s.proof = p.start_proof
    s.scope = 1.0
    s.partners = p.start_partners
    s.crowding = p.crowding_base
    s.availability = 1.0
    s.sales_ratio = 1.0
    for k in range(12):
        s.sales_ring[k] = p.platform_sales / p.sme_scale * p.season[(s.start_month + k + 11) % 12]
    for k in range(6):
        s.value_ring[k] = p.start_value / p.sme_scale
    for k in range(3):
        s.posture_factor[k] = 1.0
        s.threat_seen[k] = p.threat_mean
        s.threat_met[k] = p.threat_mean
    s.tier_effort = p.effort_floor
    s.fee_next = 0.5
    s.fee_effort = 0.5
    s.green_threshold = p.green_threshold[1]
    s.intel_factor = 1.0
    s.asset_protection = 1.0
    s.capital_growth = p.arrow_capital_commerce
    s.campaign = -1
    s.alert_tier = -1
    s.portfolio_index = 1.0
    s.portfolio_peak = 1.0


@kernel
def _money(s, p):
    """Opening balances, lent by the world: the sum over all accounts is zero and stays so."""
    s.balance[Account.PLATFORM] = p.platform_cash * p.size
    s.balance[Account.TREASURY] = p.treasury_cash * p.size
    s.balance[Account.SECURITY] = p.security_cash * p.size
    for i in range(s.num_smes):
        s.sme_cash[i] = s.sme_revenue[i]
        s.balance[Account.SMES] += s.sme_cash[i]
    for account in range(1, 5):
        s.balance[Account.WORLD] -= s.balance[account]


@kernel
def open_episode(s, p, law, seed, num_smes, max_cycles, chance):
    """Start an episode in a record of zeros, or of the services and findings that its world names itself.

    Everything drawn is keyed by ``seed``.
    """
    s.seed = seed
    s.num_smes = num_smes
    s.max_cycles = max_cycles
    s.start_month = int(uniform(seed, 0, Stream.CALENDAR, 0) * 12.0)
    _stocks(s, p)
    if s.num_services == 0:
        s.num_services = int(p.num_services)
        _tiers(s)
        _graph(s, p, chance)
    _mean_reach(s, p, chance)
    for i in range(num_smes):
        open_seat(s, p, i, int(uniform(seed, 0, Stream.SME, i * 16 + 6) * p.age_high))
        s.sme_member[i] = 1 if p.sme_participation > 0.0 else 0
        s.num_members += s.sme_member[i]
    _money(s, p)
    if s.num_open == 0:
        _backlog(s, p, law)
    else:
        _named_backlog(s, p)
    expose(s, p)
    open_market(s, p)
    s.risk_mean = p.start_risk * spiral.appetite(s, p)
    s.risk = p.start_risk
    spiral.need_trust(s, p)
    feedback.aggregation_to_governance(s, p)
    feedback.pressures(s, p)
