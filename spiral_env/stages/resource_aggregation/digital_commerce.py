"""Resource aggregation x digital commerce: AI modules and the federated pool (paper 2.1; studies [1], [2], [7])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post_sme
from spiral_env.stages.stock import stock

__all__ = ["WRITES", "aggregate", "own_auc", "pool_auc"]

WRITES = "resource_aggregation.digital_commerce"


@kernel
def pool_auc(p, records, epsilon, bad, features, secure):
    """AUC = .5 + ceiling (1 - poison bad^2) / sqrt(1 + c sampling/n + (c secure)^2 noise/(n eps)^2).

    ``features`` c is what the models in use need beside one, ``secure`` the share of the noise that secure aggregation
    leaves. .5 for an empty pool.
    """
    if records < 1.0 or epsilon <= 0.0:
        return 0.5
    clean = max(0.0, 1.0 - p.poison * bad * bad)
    private = records * epsilon / (features * secure)
    blur = features * p.auc_sampling / records + p.auc_noise / (private * private)
    return 0.5 + p.auc_ceiling * clean / math.sqrt(1.0 + blur)


@kernel
def own_auc(p, records):
    """AUC = .5 + own ceiling / sqrt(1 + own sampling/s), an SME's model from its own records."""
    return 0.5 + p.own_auc_ceiling / math.sqrt(1.0 + p.own_auc_sampling / max(records, 1e-9))


@kernel
def _accepted(s, p, records, bad):
    """Good and bad records that verification lets into the pool; proofs of full privacy technology err least."""
    effort = s.verification_effort
    recall = p.verify_recall * (0.5 + 0.5 * s.privacy)
    wrongly = p.verify_false * (1.0 - s.privacy)
    return records * (1.0 - bad) * (1.0 - effort * wrongly), records * bad * (1.0 - effort * recall)


@kernel
def _contribute(s, p):
    """What members give, good and bad, and what they are paid for what is accepted (study [7])."""
    good, junk = 0.0, 0.0
    s.payouts = 0.0
    for i in range(s.num_smes):
        records = s.sme_records_base[i] * s.scope
        s.sme_stock[i] = p.records_retained * s.sme_stock[i] + records
        s.sme_payout[i] = 0.0
        if s.sme_member[i] > 0:
            bad = min(1.0, 2.0 * p.fraud_base * (1.0 - s.sme_curation[i])) * s.asset_protection
            mine, poor = _accepted(s, p, s.sme_share[i] * records, bad)
            good += mine
            junk += poor
            s.sme_payout[i] = p.pool * s.payout_rate * (mine + poor)
            s.payouts += s.sme_payout[i]
            post_sme(s, Purpose.PAYOUT, SmeSlot.PAYOUT, i, Account.PLATFORM, -s.sme_payout[i])
    return good, junk


@kernel
def _pool(s, p):
    """Records of members and of outside partners, good and bad, beside what is kept of the pool there was."""
    good, junk = _contribute(s, p)
    outside = p.partner_records * s.num_smes / 8.0 * s.partners * s.scope
    mine, poor = _accepted(s, p, outside, p.fraud_base * s.asset_protection)
    s.pool = p.pool * (p.records_retained * s.pool + good + mine)
    s.pool_bad = p.pool * (p.records_retained * s.pool_bad + junk + poor)
    held = s.pool + s.pool_bad
    s.fraud = s.pool_bad / held if held > 0.0 else 0.0
    features = 1.0 + p.model_growth * s.modules
    s.auc_pool = pool_auc(p, s.pool, s.epsilon, s.fraud, features, 1.0 - p.secure_noise * s.privacy)


@kernel
def _access(s, p):
    """AUC_i = max(own, own + (floor + (1 - floor) share_i)(pool - own)) for a member, else own."""
    for i in range(s.num_smes):
        own = own_auc(p, s.sme_stock[i])
        s.sme_own_auc[i] = own
        s.sme_auc[i] = own
        if s.sme_member[i] > 0:
            weight = p.access_floor + (1.0 - p.access_floor) * s.sme_share[i]
            s.sme_auc[i] = max(own, own + weight * (s.auc_pool - own))


@kernel
def aggregate(s, p):
    """Invest in modules, pool the records that members share, train the pool model under noise."""
    s.modules = p.modularity * stock(p, s.modules, s.modules_effort, s.gain_modules)
    _pool(s, p)
    _access(s, p)
