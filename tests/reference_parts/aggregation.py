"""Resource aggregation: data, capital and tools are pooled, and vulnerabilities arrive and are found."""

from __future__ import annotations

import math

from reference_parts.draws import Stream, clip
from reference_parts.firms import own_auc
from reference_parts.vulnerabilities import FINE, arrival

__all__ = ["aggregate", "stock"]


def stock(p, x: float, effort: float, gain: float) -> float:
    """Effort adds to what is missing and maintains what is there; what is not maintained decays."""
    return clip(x + p.stock_gain * gain * effort * (1.0 - x) - p.stock_decay * x * (1.0 - effort), 0.0, 1.0)


def aggregate(w) -> None:
    """The three domains, then the arrows between them."""
    commerce(w, w.p)
    finance(w, w.p)
    security(w, w.p)
    w.data_skill = w.p.arrow_data_finance * w.p.skill_data * (w.auc_pool - w.p.skill_auc_zero) / w.p.skill_auc_span
    w.capital_growth = w.p.arrow_capital_commerce
    w.asset_protection = 1.0 - w.p.arrow_security_assets * w.p.asset_protection * w.detection


def commerce(w, p) -> None:
    """Modules; what firms and partners contribute, verified and paid for; the models trained on it."""
    w.modules = p.modularity * stock(p, w.modules, w.modules_effort, w.gain_modules)
    good = bad = w.payouts = 0.0
    for firm in w.firms:
        records = firm.records_base * w.scope
        firm.stock = p.records_retained * firm.stock + records
        given = firm.share * records if firm.member else 0.0
        careless = min(1.0, 2.0 * p.fraud_base * (1.0 - firm.curation)) * w.asset_protection
        kept, junk = verified(w, p, given, careless)
        good += kept
        bad += junk
        firm.payout = p.pool * w.payout_rate * (kept + junk)
        w.payouts += firm.payout
        w.ledger.pay("payout", "platform", firm.seat, firm.payout)
    brought = p.partner_records * p.smes * w.partners * w.scope
    kept, junk = verified(w, p, brought, p.fraud_base * w.asset_protection)
    w.pool = p.pool * (p.records_retained * w.pool + good + kept)
    w.pool_bad = p.pool * (p.records_retained * w.pool_bad + bad + junk)
    w.fraud = w.pool_bad / (w.pool + w.pool_bad) if w.pool + w.pool_bad > 0.0 else 0.0
    w.auc_pool = 0.5 + pooled_gain(w, p)
    for firm in w.firms:
        firm.own_auc = firm.auc = own_auc(p, firm.stock)
        if firm.member:
            access = p.access_floor + (1.0 - p.access_floor) * firm.share
            firm.auc += max(0.0, access * (w.auc_pool - firm.own_auc))


def verified(w, p, records: float, bad: float) -> tuple[float, float]:
    """Good and bad records that pass: verification finds bad ones and rejects some good ones, privacy helps."""
    recall = w.verification_effort * p.verify_recall * (0.5 + 0.5 * w.privacy)
    false = w.verification_effort * p.verify_false * (1.0 - w.privacy)
    return records * (1.0 - bad) * (1.0 - false), records * bad * (1.0 - recall)


def pooled_gain(w, p) -> float:
    """AUC - .5: more features want more records, bad ones poison, secure aggregation spares noise."""
    if w.pool < 1.0 or w.epsilon <= 0.0:
        return 0.0
    features = 1.0 + p.model_growth * w.modules
    clean = max(0.0, 1.0 - p.poison * w.fraud**2)
    noise = (features * (1.0 - p.secure_noise * w.privacy)) ** 2 * p.auc_noise / (w.pool * w.epsilon) ** 2
    return p.auc_ceiling * clean / math.sqrt(1.0 + features * p.auc_sampling / w.pool + noise)


def finance(w, p) -> None:
    w.disclosure = stock(p, w.disclosure, w.disclosure_effort, w.gain_finance)
    target = p.crowding_base + p.crowding_disclosure * w.disclosure
    noise = p.crowding_noise * w.draws.normal(w.month, Stream.CROWDING, 0)
    crowding = target + p.crowding_memory * (w.crowding - target) + noise
    w.crowding = clip(crowding, 0.0, 0.9)
    q = max(0.0, p.skill_base + p.skill_disclosure * w.disclosure + w.data_skill)
    w.skill = p.forecasting * p.skill_ceiling * q / (q + 1.0) * (1.0 - w.crowding)
    w.lending_mean += (w.lending_effort - w.lending_mean) / p.facility_months
    w.lendable = max(0.0, w.ledger.balance["treasury"] - p.lending_reserve * p.size)
    for firm in w.firms:
        firm.capital = firm.loan
    w.capital = sum(firm.loan for firm in w.firms) + p.facility_share * w.lending_mean * w.lendable


def security(w, p) -> None:
    w.vulnerabilities = [v for v in w.vulnerabilities if v.fate != "patched"]
    w.intel = stock(p, w.intel, w.intel_effort, w.gain_security)
    w.tail = [hazard * (1.0 - p.tail_decay) for hazard in w.tail]
    arrive(w, p)
    tools(w, p)
    for v in w.vulnerabilities:
        if v.exploited_month == w.month:
            v.exploited = True
            v.epss = max(v.epss, p.kev_epss)


def arrive(w, p) -> None:
    """Poisson arrivals and a scenario's shock; a full backlog first loses the least likely of those open before.

    Arrivals that are more than all the slots go into the tail at once.
    """
    mean = p.arrival_rate * w.services.count * w.surface
    ordinary = w.draws.poisson(w.month, Stream.ARRIVALS, 0, mean)
    w.arrivals = ordinary + (int(p.shock_count) if w.month == int(p.shock_month) else 0)
    w.recent_arrivals[w.month % 12] = w.arrivals
    new = [arrival(p, w.draws, w.month, k, w.services.count, k >= ordinary) for k in range(w.arrivals)]
    for_tail = max(0, len(w.vulnerabilities) + len(new) - w.capacity)
    least = sorted(w.vulnerabilities, key=lambda v: (math.floor(v.epss * FINE), v.uid))[:for_tail]
    for v in least:
        w.tail[v.service] += v.hazard
        w.vulnerabilities.remove(v)
    w.overflowed = len(least)
    for v in new[w.capacity :]:
        w.tail[v.service] += v.hazard
        w.turned_away += 1
    w.vulnerabilities += new[: w.capacity]


def tools(w, p) -> None:
    """Four maturities, detection by class, false findings; each vulnerability is searched for with its class."""
    w.scanners = [
        stock(p, x, w.scanning_effort, w.gain_scanners * gain) for x, gain in zip(w.scanners, p.tool_gain, strict=True)
    ]
    recalls = (p.recall_sast, p.recall_dast, p.recall_sca, p.recall_iast)
    w.detection = 0.0
    hazards = []
    for kind in range(4):
        missed = 1.0
        if p.detection:
            missed = math.prod(1.0 - x * recall[kind] for x, recall in zip(w.scanners, recalls, strict=True))
        unfound = (1.0 - p.detect_outside) * missed**p.detect_power
        hazards.append(-math.log(unfound))
        w.detection += p.class_share[kind] * (1.0 - unfound)
    w.detection = min(w.detection, 1.0)
    w.detect_hazard = [sum(pair) for pair in zip(w.detect_hazard, hazards, strict=True)]
    for v in w.vulnerabilities:
        v.searched += hazards[v.kind]
        v.known = v.known or v.searched >= v.resistance
    mean = sum(w.scanners) / 4.0
    raised = sum(x * fpr for x, fpr in zip(w.scanners, p.tool_fpr, strict=True)) / 4.0
    rate = p.false_cells * raised * (1.0 - p.false_cut * mean)
    w.false_findings = w.draws.poisson(w.month, Stream.FALSE_FINDINGS, 0, rate)
