"""Resource aggregation x digital commerce: AI modules and the federated pool (paper 2.1; studies [1], [2], [7])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.stages.stock import AGGREGATION, stock

__all__ = ["WRITES", "aggregate", "own_auc", "pool_auc"]

WRITES = "resource_aggregation.digital_commerce"


@kernel
def pool_auc(p, records, epsilon):
    """AUC = .5 + ceiling / sqrt(1 + sampling/n + noise/(n eps)^2); .5 for an empty pool."""
    if records < 1.0 or epsilon <= 0.0:
        return 0.5
    private = records * epsilon
    return 0.5 + p.auc_ceiling / math.sqrt(1.0 + p.auc_sampling / records + p.auc_noise / (private * private))


@kernel
def own_auc(p, records):
    """AUC = .5 + own ceiling / sqrt(1 + own sampling/s), an SME's model from its own records."""
    return 0.5 + p.own_auc_ceiling / math.sqrt(1.0 + p.own_auc_sampling / max(records, 1e-9))


@kernel
def _pool(s, p):
    """N' = records_retained n + sum_i member_i share_i records_i (1 - fraud)."""
    s.fraud = (p.fraud_base - p.fraud_verified * s.privacy) * s.asset_protection
    gathered = 0.0
    for i in range(s.num_smes):
        records = s.sme_records_base[i] * s.records_factor
        s.sme_stock[i] = p.records_retained * s.sme_stock[i] + records
        if s.sme_member[i] > 0:
            gathered += s.sme_share[i] * records
    s.pool = p.pool * (p.records_retained * s.pool + gathered * (1.0 - s.fraud))
    s.auc_pool = pool_auc(p, s.pool, s.epsilon)


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
    s.modules = p.modularity * stock(s, p, s.modules, s.modules_effort, AGGREGATION, 1.0)
    _pool(s, p)
    _access(s, p)
