"""SMEs, the tenants: own hygiene, module tier, ESG, borrowing, sharing and curating data (paper section 2.3)."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post_sme
from spiral_env.core.rng import Stream, normal
from spiral_env.roles import _tables, public
from spiral_env.roles._levers import affordable, category, interpolate
from spiral_env.roles._tables import features, own_action, places, scales
from spiral_env.roles.public import NOISE, copy, remember

__all__ = ["FEATURES", "LEVERS", "WRITES", "count_members", "decide", "observe", "restated", "reward"]

WRITES = "roles.sme"

LEVERS = (
    _tables.graded("patching", "cost_hygiene", "own security hygiene"),
    _tables.category(
        *("module_tier", ("leave", "basic", "full"), "tier", "member_cost"),
        "platform membership, beside the fee; full adds compliance",
    ),
    _tables.category(
        *("esg", ("none", "claim", "invest"), "mode", "cost_esg"),
        "a claim costs little, an investment is real",
        average=0.0,
    ),
    _tables.graded("borrowing", "borrowing_draw", "drawn within the limit"),
    _tables.graded("data_sharing", "cost_sharing", "share of own records given to the pool"),
    _tables.graded("curation", "cost_curation", "checks of own records: without, twice as many are bad as usual"),
)

FEATURES = (
    public.PUBLIC_FEATURES
    + features(
        """
        cash -4 4 1 months of revenue
        revenue 0 4 1 against the start
        growth -4 4 0.02 a month, 3-month mean
        leverage 0 4 1 loan against limit
        limit 0 1 1 share of annual revenue
        premium 0 4 1 k$ (3-month mean, 20 % noise)
        hygiene 0 1 1 stock
        incident 0 1 1 incident within 6 months
        quiet 0 1 60 months since an incident
        esg 0 1 1 true
        rating 0 1 1 observed
        green 0 1 1 flag
        ban 0 1 12 months
        member 0 1 2 0 none, 1 basic, 2 full
        lag 0 1 2 months
        fee_next 0 4 1 k$ at the basic tier
        own_auc 0 1 1 AUC
        auc 0 1 1 AUC it works with
        records 0 4 400 records
        claim_gap 0 1 1 claimed less true
        age 0 1 120 months
        size -4 4 1 ln of annual revenue against the usual firm
        constraint 0 1 1 financial constraint
        payout 0 4 0.5 k$ of last month
        """
    )
    + own_action(LEVERS)
)
LEVER, FEATURE, SCALE = places(LEVERS), places(FEATURES), scales(FEATURES)


@kernel
def restated(s, i):
    """Whether SME ``i`` closes its business year with this month: caps and limits refer to its annual revenue."""
    return (s.month - s.sme_entry[i]) % 12 == 0


@kernel
def _scale(s, p, i):
    """All SME costs scale with (revenue/sme_revenue_reference)^.5."""
    return math.sqrt(s.sme_revenue[i] / p.sme_revenue_reference)


@kernel
def _membership_cost(s, p, tier, scale):
    """Fee and own cost in k$ of a tier."""
    if tier == 0:
        return 0.0, 0.0
    fee = interpolate(p.tenant_fee, s.fee_effort) * scale
    if tier == 2:
        fee *= p.fee_full_tier
    return fee, p.member_cost[tier] * scale


@kernel
def _choose_tier(s, p, i, wish, money, scale):
    """Membership after this month's choice; returns what joining cost in k$."""
    if wish == 0 or p.sme_participation == 0.0:
        s.sme_member[i] = 0
        s.sme_lag[i] = 0
        return 0.0
    while wish > 0:
        fee, own = _membership_cost(s, p, wish, scale)
        if fee + own <= money:
            break
        wish -= 1
    if wish == 0:
        s.sme_member[i] = 0
        return 0.0
    if s.sme_member[i] > 0:
        s.sme_member[i] = wish
    elif s.sme_lag[i] > 0:
        s.sme_lag[i] -= 1
        if s.sme_lag[i] == 0:
            s.sme_member[i] = wish
    elif p.joining_cost * scale <= money:
        s.sme_lag[i] = int(p.joining_months)
        if s.sme_lag[i] == 0:
            s.sme_member[i] = wish
        return p.joining_cost * scale
    return 0.0


@kernel
def decide(s, p, i, action):
    """Turn the efforts of SME ``i`` into hygiene, membership, ESG, borrowing and sharing."""
    copy(action, s.sme_action[i])
    if restated(s, i):
        s.sme_annual[i] = 12.0 * s.sme_revenue[i]
    scale = _scale(s, p, i)
    money = max(0.0, s.sme_cash[i])
    joining = _choose_tier(s, p, i, category(action[LEVER.module_tier]), money, scale)
    wished, tier_cost = _membership_cost(s, p, category(action[LEVER.module_tier]), scale)
    asked = wished + tier_cost
    fee, own = _membership_cost(s, p, s.sme_member[i], scale)
    mode = category(action[LEVER.esg])
    patch = interpolate(p.cost_hygiene, action[LEVER.patching]) * scale
    esg = p.cost_esg[mode] * scale
    sharing = interpolate(p.cost_sharing, action[LEVER.data_sharing]) * scale
    curation = interpolate(p.cost_curation, action[LEVER.curation]) * scale
    graded = patch + esg + sharing + curation
    share = affordable(graded, money - fee - own - joining)
    s.sme_patch_effort[i] = action[LEVER.patching] * share
    s.sme_esg_mode[i] = mode
    s.sme_esg_scale[i] = share
    s.sme_borrow[i] = interpolate(p.borrowing_draw, action[LEVER.borrowing])
    s.sme_share[i] = action[LEVER.data_sharing] * share
    s.sme_curation[i] = action[LEVER.curation] * share
    s.sme_fee[i] = fee
    subsidy = p.subsidy_tools * (fee + own + (sharing + curation) * share)
    if mode == 2:
        subsidy += p.tax_break_esg * esg * share
    s.sme_asked[i] = asked + joining + graded
    s.sme_cost[i] = fee + own + joining + graded * share - subsidy
    post_sme(s, Purpose.TENANT_FEE, SmeSlot.LEVERS, i, Account.PLATFORM, fee)
    post_sme(s, Purpose.SME_LEVERS, SmeSlot.LEVERS, i, Account.WORLD, own + joining + graded * share)
    post_sme(s, Purpose.SUBSIDY, SmeSlot.LEVERS, i, Account.WORLD, -subsidy)


@kernel
def count_members(s):
    """Tenants, who joined and left, the fee income and how much is shared."""
    before = s.num_members
    members = 0
    shared = 0.0
    fees = 0.0
    for i in range(s.num_smes):
        fees += s.sme_fee[i]
        if s.sme_member[i] > 0:
            members += 1
            shared += s.sme_share[i]
    s.joined = max(0, members - before)
    s.left = max(0, before - members)
    s.num_members = members
    s.member_sharing = shared / max(1, members)
    s.mean_sharing = shared / s.num_smes
    s.fee_income = fees


@kernel
def reward(s, p, i, load, realised, out):
    """Vector (security, cost, value) of the month in k$ of SME ``i``."""
    loss = s.sme_premium[i] + s.sme_retained[i] if realised else load * s.sme_expected[i]
    fine = s.sme_fine[i] if realised else s.sme_expected_fine[i]
    out[0] = -loss - fine
    out[1] = -(s.sme_cost[i] + s.sme_interest[i])
    out[2] = s.sme_profit[i] + s.sme_payout[i]


@kernel
def observe(s, p, i, out):
    """Write the features of ``FEATURES`` for SME ``i`` behind the public ones, which ``out`` already holds."""
    limit = p.loan_limit_green if s.sme_green[i] == 1 else p.loan_limit
    out[FEATURE.cash] = s.sme_cash[i] / s.sme_revenue[i]
    out[FEATURE.revenue] = s.sme_revenue[i] / s.sme_start_revenue[i]
    out[FEATURE.growth] = s.sme_growth[i] / SCALE.growth
    out[FEATURE.leverage] = s.sme_loan[i] / (limit * s.sme_annual[i])
    out[FEATURE.limit] = limit
    noise = 1.0 + p.observation_noise[0] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.sme_premium + i)
    out[FEATURE.premium] = s.sme_premium_mean[i] * noise
    out[FEATURE.hygiene] = s.sme_hygiene[i]
    out[FEATURE.incident] = 1.0 if s.sme_quiet[i] < 6 else 0.0
    out[FEATURE.quiet] = min(60, s.sme_quiet[i]) / SCALE.quiet
    out[FEATURE.esg] = s.sme_esg[i]
    out[FEATURE.rating] = s.sme_rating[i]
    out[FEATURE.green] = s.sme_green[i]
    out[FEATURE.ban] = s.sme_ban[i] / SCALE.ban
    out[FEATURE.member] = s.sme_member[i] / SCALE.member
    out[FEATURE.lag] = s.sme_lag[i] / SCALE.lag
    out[FEATURE.fee_next] = interpolate(p.tenant_fee, s.fee_next) * _scale(s, p, i)
    out[FEATURE.own_auc] = s.sme_own_auc[i]
    out[FEATURE.auc] = s.sme_auc[i]
    out[FEATURE.records] = s.sme_stock[i] / SCALE.records
    out[FEATURE.claim_gap] = s.sme_claim[i] - s.sme_esg[i]
    out[FEATURE.age] = min(1.0, (s.month - s.sme_entry[i]) / SCALE.age)
    out[FEATURE.size] = math.log(s.sme_annual[i] / (12.0 * p.sme_revenue_reference))
    out[FEATURE.constraint] = s.sme_constraint[i]
    out[FEATURE.payout] = s.sme_payout[i] / SCALE.payout
    remember(s.sme_action[i], out)
