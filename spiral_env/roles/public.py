"""What every role sees: public facts, as they stood at the end of last month."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.roles._tables import features

__all__ = ["NUM_PUBLIC", "PUBLIC_FEATURES", "observe"]

PUBLIC_FEATURES = features(
    """
    level 0 2 10 levels
    stage_aggregation 0 1 flag
    stage_governance 0 1 flag
    stage_value 0 1 flag
    A 0 2 need
    R 0 2 appetite
    V 0 2 target
    trust 0 1 share
    alert 0 1 flag
    alert_edge 0 1 flag
    alert_core 0 1 flag
    alert_internal 0 1 flag
    availability 0 1 share
    tenant_share 0 1 share of SMEs
    pool_auc 0 1 AUC
    eps12 0 4 10 epsilon over 12 months
    market_return -2 2 10 %
    calm_filter 0 1 probability
    season_sin -1 1 next month of the year
    season_cos -1 1 next month of the year
    months_left 0 1 share of the episode
    """
)
NUM_PUBLIC = len(PUBLIC_FEATURES)


@kernel
def observe(s, p, out):
    """Write the public features to the front of ``out``; returns how many."""
    out[0] = s.level / 10.0
    for k in range(3):
        out[1 + k] = 1.0 if s.stage == k else 0.0
    out[4] = s.aggregation
    out[5] = s.risk
    out[6] = s.value
    out[7] = s.trust
    out[8] = s.alert
    for k in range(3):
        out[9 + k] = 1.0 if s.alert_tier == k else 0.0
    out[12] = s.availability
    out[13] = s.num_members / s.num_smes
    out[14] = s.auc_pool
    out[15] = s.eps12 / 10.0
    out[16] = s.market_return * 10.0
    out[17] = s.calm_filter
    angle = 2.0 * math.pi * ((s.start_month + s.month) % 12) / 12.0
    out[18] = math.sin(angle)
    out[19] = math.cos(angle)
    out[20] = (s.max_cycles - s.month) / s.max_cycles
    return NUM_PUBLIC
