"""What the four roles decide, and what they pay for it."""

from __future__ import annotations

import math

from reference_parts.draws import clip

__all__ = ["TIERS", "decide", "lever"]

BATCH, NOW = 1, 2
TIERS = ("edge", "core", "internal")


def lever(table: tuple[float, ...], effort: float) -> float:
    """From low through mid (effort .5) to high, straight lines."""
    low, mid, high = table
    if effort <= 0.5:
        return low + (mid - low) * 2.0 * effort
    return mid + (high - mid) * (2.0 * effort - 1.0)


def category(effort: float) -> int:
    return 2 if effort >= 2.0 / 3.0 else 1 if effort >= 1.0 / 3.0 else 0


def payable(cost: float, money: float) -> float:
    """Share of a chosen cost that the money there can pay."""
    return 1.0 if cost <= 0.0 else clip(money / cost, 0.0, 1.0)


def decide(w, efforts) -> None:
    """Budget first; then everyone decides on the balances as they are. Efforts go by the names of the levers."""
    roles = ["it", "business", "finance", *["sme"] * len(w.firms)]
    # What is longer than a role has levers is padding.
    named = [dict(zip(w.levers[role], row, strict=False)) for role, row in zip(roles, efforts, strict=True)]
    release_budget(w, w.p, named[2])
    w.ledger.settle()
    decide_it(w, w.p, named[0])
    decide_business(w, w.p, named[1])
    decide_finance(w, w.p, named[2])
    for firm, action in zip(w.firms, named[3:], strict=True):
        decide_sme(w, w.p, firm, action)
    count_members(w)
    w.ledger.settle()


def release_budget(w, p, action) -> None:
    balance = w.ledger.balance
    w.release = min(lever(p.security_release, action["security_budget"]) * p.size, max(0.0, balance["treasury"]))
    w.release_effort = min(1.0, w.release / (p.security_release[2] * p.size))
    unspent = max(0.0, balance["security"] - w.release)
    w.returned = p.security_returned * unspent
    w.lapsed = unspent - w.returned
    w.ledger.pay("security_release", "treasury", "security", w.release)
    w.ledger.pay("security_return", "security", "treasury", w.returned)
    w.ledger.pay("security_lapse", "security", "world", w.lapsed)


def decide_it(w, p, action) -> None:
    w.it_action = list(action.values())
    money = max(0.0, w.ledger.balance["security"])
    wishes = [category(action[name]) for name in TIERS]
    fixed = take_postures(w, p, wishes, p.posture_part * money)
    w.tier_effort = max(p.effort_floor, sum(p.posture_effort[posture] for posture in w.posture) / 3.0)
    emergency(w, p)
    wish = (lever(p.cost_scanning, action["scanning"]) + lever(p.cost_intel, action["threat_intel"])) * p.size
    share = payable(wish, p.tools_part * (money - fixed))
    w.scanning_effort, w.intel_effort = action["scanning"] * share, action["threat_intel"] * share
    w.triage = action["triage"]
    w.it_asked = sum(p.posture_cost[posture] * p.size for posture in wishes) + wish
    w.it_cost = fixed + wish * share
    w.ledger.pay("security_spending", "security", "world", w.it_cost)


def suffices(held: float, price: float) -> bool:
    """Money or hours that are equal to a price but for rounding pay it."""
    return held >= price * (1.0 - 1e-9)


def take_postures(w, p, wishes: list[int], most: float) -> float:
    """First ``batch`` wherever anything is wished, then ``now``, as far as the money goes; returns the fixed cost."""
    price = [cost * p.size for cost in p.posture_cost]
    w.posture = [0, 0, 0]
    fixed = 3.0 * price[0]
    for step in (BATCH, NOW):
        for tier, wish in enumerate(wishes):
            more = price[step] - price[w.posture[tier]]
            if wish >= step and suffices(most, fixed + more):
                w.posture[tier] = step
                fixed += more
    return fixed


def emergency(w, p) -> None:
    """A tier in ``now`` is attacked less, the less the longer it has been there."""
    for tier, posture in enumerate(w.posture):
        months = w.posture_months[tier]
        w.posture_factor[tier] = 1.0 - p.posture_relief * p.posture_fatigue**months if posture == NOW else 1.0
        w.posture_months[tier] = months + 1.0 if posture == NOW else max(0.0, months - 1.0)


def rho_of(epsilon: float, delta: float) -> float:
    """The rho whose epsilon = rho + 2 sqrt(rho ln(1/delta)) this is."""
    log = math.log(1.0 / delta)
    return (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2


def epsilon_of(rho: float, delta: float) -> float:
    return rho + 2.0 * math.sqrt(rho * math.log(1.0 / delta))


def decide_business(w, p, action) -> None:
    w.business_action = list(action.values())
    season = p.season[w.calendar]
    cost = p.size * (
        lever(p.window_hours, action["maintenance_window"]) * p.window_price * season
        + lever(p.cost_modules, action["modules"]) * p.modularity
        + lever(p.cost_privacy, action["privacy_tech"]) * p.privacy_technology
        + lever(p.cost_verification, action["verification"])
    )
    share = payable(cost, w.ledger.balance["platform"])
    w.window_effort = action["maintenance_window"] * share
    w.modules_effort = action["modules"] * share * p.modularity
    w.privacy_effort = action["privacy_tech"] * share * p.privacy_technology
    w.verification_effort = action["verification"] * share
    w.payout_rate = lever(p.payout_record, action["payout"]) if w.ledger.balance["platform"] >= 0.0 else 0.0
    w.business_asked = cost
    w.business_cost = cost * share
    w.fee_effort = w.fee_next
    w.fee_next = clip(action["tenant_fee"], w.fee_effort - p.fee_step, w.fee_effort + p.fee_step)
    spent = sum(rho for k, rho in enumerate(w.rho_window) if k != w.month % 12)
    left = max(0.0, rho_of(p.epsilon_cap, p.delta) - spent)
    w.releases = 1.0 + p.release_modules * w.modules
    wish = lever(p.epsilon_month, action["privacy_budget"])
    fits = rho_of(wish, p.delta) * w.releases <= left
    w.epsilon = wish if fits else epsilon_of(left / w.releases, p.delta)
    w.ledger.pay("business_levers", "platform", "world", w.business_cost)


def decide_finance(w, p, action) -> None:
    w.finance_action = list(action.values())
    audits = max(lever(p.audit_share, action["esg_verification"]), p.verification_norm)
    cost = audits * w.num_smes * p.audit_cost + lever(p.cost_disclosure, action["disclosure"]) * p.size
    share = payable(cost, w.ledger.balance["treasury"])
    wishes = [lever(p.portfolio_weight, action[f"asset_{k}"]) for k in (1, 2, 3, 4)]
    weights = [wish / max(1.0, sum(wishes)) for wish in wishes]
    w.weight_change = sum(abs(new - old) for new, old in zip(weights, w.asset_weight, strict=True))
    w.asset_weight, w.weight = weights, sum(weights)
    w.green_threshold = lever(p.green_threshold, action["green_threshold"])
    w.lending_effort = action["green_lending"]
    w.audit_share = audits * share
    w.disclosure_effort = action["disclosure"] * share
    w.finance_asked = cost
    w.finance_cost = cost * share
    w.ledger.pay("finance_levers", "treasury", "world", w.finance_cost)


def membership_cost(w, p, firm, tier: int) -> tuple[float, float]:
    """Fee to the platform and own cost of a tier."""
    if tier == 0:
        return 0.0, 0.0
    fee = lever(p.tenant_fee, w.fee_effort) * firm.scale(p)
    return fee * (p.fee_full_tier if tier == 2 else 1.0), p.member_cost[tier] * firm.scale(p)


def choose_tier(w, p, firm, wish: int, money: float) -> float:
    """Leave, stay, change tier, or wait to join; returns what joining costs."""
    if wish == 0 or p.sme_participation == 0.0:
        firm.member = firm.lag = 0
        return 0.0
    while wish and sum(membership_cost(w, p, firm, wish)) > money:
        wish -= 1
    if wish == 0 or firm.member:
        firm.member = wish
        return 0.0
    price = 0.0
    if firm.lag:
        firm.lag -= 1
    elif p.joining_cost * firm.scale(p) <= money:
        firm.lag = int(p.joining_months)
        price = p.joining_cost * firm.scale(p)
    else:
        return 0.0
    if firm.lag == 0:
        firm.member = wish
    return price


def decide_sme(w, p, firm, action) -> None:
    firm.action = list(action.values())
    if firm.year_ends(w.month):
        firm.restate(p, 12.0 * firm.revenue)
    money = max(0.0, w.ledger.balance[firm.seat])
    wish = category(action["module_tier"])
    joining = choose_tier(w, p, firm, wish, money)
    fee, own = membership_cost(w, p, firm, firm.member)
    firm.esg_mode = category(action["esg"])
    scale = firm.scale(p)
    esg, sharing = p.cost_esg[firm.esg_mode] * scale, lever(p.cost_sharing, action["data_sharing"]) * scale
    curation = lever(p.cost_curation, action["curation"]) * scale
    graded = lever(p.cost_hygiene, action["patching"]) * scale + esg + sharing + curation
    share = payable(graded, money - fee - own - joining)
    firm.patch_effort = action["patching"] * share
    firm.esg_scale = share
    firm.borrow = lever(p.borrowing_draw, action["borrowing"])
    firm.share = action["data_sharing"] * share
    firm.curation = action["curation"] * share
    firm.fee = fee
    firm.asked = sum(membership_cost(w, p, firm, wish)) + joining + graded
    subsidy = p.subsidy_tools * (fee + own + (sharing + curation) * share)
    subsidy += p.tax_break_esg * esg * share if firm.esg_mode == 2 else 0.0
    spent = own + joining + graded * share
    firm.cost = fee + spent - subsidy
    w.ledger.pay("tenant_fee", firm.seat, "platform", fee)
    w.ledger.pay("sme_levers", firm.seat, "world", spent)
    w.ledger.pay("subsidy", "world", firm.seat, subsidy)


def count_members(w) -> None:
    before = w.num_members
    members = [firm for firm in w.firms if firm.member]
    w.num_members = len(members)
    w.joined, w.left = max(0, w.num_members - before), max(0, before - w.num_members)
    shared = sum(firm.share for firm in members)
    w.member_sharing = shared / max(1, w.num_members)
    w.mean_sharing = shared / w.num_smes
    w.fee_income = sum(firm.fee for firm in w.firms)
