"""What every role sees: public facts, as they stood at the end of last month."""

from __future__ import annotations

import math
from typing import NamedTuple

from spiral_env.core._jit import kernel
from spiral_env.core.state import LABELS
from spiral_env.roles._tables import features, per, places, scales

__all__ = ["NOISE", "NUM_PUBLIC", "PUBLIC_FEATURES", "TIERS", "copy", "observe", "remember"]

TIERS = LABELS["tiers"]
STAGES = ("aggregation", "governance", "value")

PUBLIC_FEATURES = (
    features("level 0 2 10 levels")
    + per(STAGES, "stage 0 1 1 flag")
    + features(
        """
        A 0 2 1 need
        R 0 2 1 appetite
        V 0 2 1 target
        trust 0 1 1 share
        alert 0 1 1 flag
        """
    )
    + per(TIERS, "alert 0 1 1 flag", group="alert_tier")
    + features(
        """
        availability 0 1 1 share
        tenant_share 0 1 1 share of SMEs
        partners 0 1 1 share of outside parties
        pool_auc 0 1 1 AUC
        eps12 0 4 10 epsilon over 12 months
        market_return -2 2 0.1 a month
        volatility 0 4 0.05 a month, an index as published
        season_sin -1 1 1 next month of the year
        season_cos -1 1 1 next month of the year
        months_left 0 1 1 share of the episode
        """
    )
)
NUM_PUBLIC = len(PUBLIC_FEATURES)
FEATURE, SCALE = places(PUBLIC_FEATURES), scales(PUBLIC_FEATURES)


class _Noise(NamedTuple):
    """Which draw of the observation stream disturbs what; SME ``i`` takes the i-th from its own on."""

    it_premium: int = 0
    fraud: int = 1
    business_premium: int = 2
    skill: int = 3
    crowding: int = 4
    finance_premium: int = 5
    volatility: int = 6
    sme_premium: int = 16


NOISE = _Noise()


@kernel
def observe(s, p, out):
    """Write the public features to the front of ``out``."""
    out[FEATURE.level] = s.level / SCALE.level
    for k in range(3):
        out[FEATURE.stage[k]] = 1.0 if s.stage == k else 0.0
    out[FEATURE.A] = s.aggregation
    out[FEATURE.R] = s.risk
    out[FEATURE.V] = s.value
    out[FEATURE.trust] = s.trust
    out[FEATURE.alert] = s.alert
    for k in range(3):
        out[FEATURE.alert_tier[k]] = 1.0 if s.alert_tier == k else 0.0
    out[FEATURE.availability] = s.availability
    out[FEATURE.tenant_share] = s.num_members / s.num_smes
    out[FEATURE.partners] = s.partners
    out[FEATURE.pool_auc] = s.auc_pool
    out[FEATURE.eps12] = s.eps12 / SCALE.eps12
    out[FEATURE.market_return] = s.market_return * (1.0 / SCALE.market_return)
    out[FEATURE.volatility] = s.volatility_index / SCALE.volatility
    angle = 2.0 * math.pi * ((s.start_month + s.month) % 12) / 12.0
    out[FEATURE.season_sin] = math.sin(angle)
    out[FEATURE.season_cos] = math.cos(angle)
    out[FEATURE.months_left] = (s.max_cycles - s.month) / s.max_cycles


@kernel
def copy(values, out):
    """Fill ``out`` with the first of the values, one by one: a GPU cannot assign a slice to a slice."""
    for k in range(out.shape[0]):
        out[k] = values[k]


@kernel
def remember(action, out):
    """Write an agent's own last efforts to the end of ``out``, where ``own_action`` puts them."""
    first = out.shape[0] - action.shape[0]
    for k in range(action.shape[0]):
        out[first + k] = action[k]
