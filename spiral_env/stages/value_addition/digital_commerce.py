"""Value addition x digital commerce: inclusive growth, channel, customer experience (paper 2.3; studies [1], [2])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post, post_sme
from spiral_env.core.rng import Stream, gauss, stream_key
from spiral_env.stages.value_addition._green import truly_green

__all__ = ["WRITES", "add_value"]

WRITES = "value_addition.digital_commerce"


@kernel
def _growth(s, p, i, key):
    """Data clip((AUC - zero)/span, -.5, 1) + capital (1 - exp(-loan/(scale annual revenue))) + noise."""
    data = min(max((s.sme_auc[i] - p.growth_auc_zero) / p.growth_auc_span, -0.5), 1.0)
    leverage = s.sme_capital[i] / (p.growth_loan_scale * 12.0 * s.sme_revenue[i])
    capital = s.capital_growth * p.growth_capital * (1.0 - math.exp(-leverage)) if leverage > 0.0 else 0.0
    noise = p.growth_noise * gauss(key, i)
    return p.growth * (p.growth_data * data + capital) + noise


@kernel
def _label(s):
    """What the green label is worth to buyers: the share of firms that bear it and are truly green."""
    labelled, true = 0.0, 0.0
    for i in range(s.num_smes):
        labelled += s.sme_green[i]
        true += s.sme_green[i] * max(0.0, truly_green(s.sme_esg[i]))
    return true / max(1.0, labelled)


@kernel
def _channel(s, p, i, network, label):
    """channel_share revenue m 2 trust network x (1 + green_channel label) for green firms, less what tenants disturb.

    A firm outside sells a little through other markets.
    """
    if s.sme_member[i] == 0:
        return p.outside_share * s.sme_revenue[i]
    green = 1.0 + p.green_channel * label * s.sme_green[i]
    undisturbed = 1.0 - p.interference * (1.0 - s.modules) * s.num_members / s.num_smes
    return p.channel_share * s.sme_revenue[i] * s.modules * 2.0 * s.trust * network * green * undisturbed


@kernel
def _network(s, p):
    """ln(1 + tenants)/ln(1 + all there could be), outside tenants among them."""
    there = s.num_members + p.partner_tenants * s.num_smes * s.partners
    return math.log(1.0 + there) / math.log(1.0 + s.num_smes * (1.0 + p.partner_tenants))


@kernel
def _smes(s, p):
    network = _network(s, p)
    label = _label(s)
    key = stream_key(s.seed, s.month, Stream.REVENUE)
    for i in range(s.num_smes):
        growth = _growth(s, p, i, key)
        s.sme_growth[i] += (growth - s.sme_growth[i]) / 3.0
        s.sme_revenue[i] *= math.exp(growth)
        start = s.sme_start_revenue[i]
        profit = p.sme_margin * start + p.sme_marginal * (s.sme_revenue[i] - start)
        channel = p.channel_margin * _channel(s, p, i, network, label)
        s.sme_profit[i] = profit + channel
        post_sme(s, Purpose.SME_PROFIT, SmeSlot.COMMERCE, i, Account.WORLD, -profit)
        post_sme(s, Purpose.CHANNEL_SALES, SmeSlot.COMMERCE, i, Account.WORLD, -channel)


@kernel
def _platform(s, p):
    """Sales = base scope season availability users/users_reference, a share by network; users follow trust (Bass)."""
    s.availability = max(0.0, 1.0 - s.outage_hours / 720.0)
    season = p.season[(s.start_month + s.month - 1) % 12]
    base = p.platform_sales / p.sme_scale * s.scope * (1.0 - p.sales_network + p.sales_network * _network(s, p))
    s.sales = base * season * s.availability * s.users / p.users_reference
    s.sales_margin = p.platform_margin * s.sales
    now = s.month % 12
    s.sales_ratio = s.sales / max(1e-9, s.sales_ring[now])
    s.sales_ring[now] = s.sales
    adopt = (p.users_innovation + p.users_imitation * s.users) * s.trust * (1.0 - s.users)
    churn = p.users_churn * (1.0 - s.trust) * s.users
    s.users = min(max(s.users + adopt - churn, 0.0), 1.0)


@kernel
def _platform_costs(s, p):
    """Serving tenants and the price of emergency postures."""
    s.tenant_service = p.tenant_cost * s.num_members**p.tenant_exponent
    postures = 0
    for tier in range(3):
        postures += 1 if s.posture[tier] == 2 else 0
    s.posture_price = p.posture_price * postures * s.sales


@kernel
def add_value(s, p):
    """SMEs grow and sell through the channel; the platform sells and serves."""
    _smes(s, p)
    _platform(s, p)
    _platform_costs(s, p)
    post(s, Purpose.PLATFORM_SALES, Account.WORLD, Account.PLATFORM, s.sales_margin)
    post(s, Purpose.FIXED_COST, Account.PLATFORM, Account.WORLD, p.platform_fixed * p.size)
    post(s, Purpose.TENANT_SERVICE, Account.PLATFORM, Account.WORLD, s.tenant_service)
    post(s, Purpose.EMERGENCY_POSTURE, Account.PLATFORM, Account.WORLD, s.posture_price)
