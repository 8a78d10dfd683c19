"""Risk governance x cybersecurity: assess, plan, patch, be attacked (paper 2.2; studies [4], [5])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, lognormal, uniform
from spiral_env.stages.risk_governance._attack import (
    attack_platform,
    campaign,
    expose,
    limited_mean,
    sme_hazard,
)
from spiral_env.stages.risk_governance._patching import plan_and_patch
from spiral_env.stages.stock import GOVERNANCE, stock

__all__ = ["WRITES", "govern"]

WRITES = "risk_governance.cybersecurity"


@kernel
def _sme_losses(s, p, platform_probability, platform_cycle):
    """Own events and what spills over from the platform; returns the through-the-cycle expectation."""
    spill = min(1.0, p.spill * (1.0 - p.module_isolation * s.modules) / p.isolation_reference)
    mu = p.sme_loss_mu - math.log(1000.0)
    cycle = 0.0
    for i in range(s.num_smes):
        own = sme_hazard(s, p, i)
        through = spill if s.sme_member[i] > 0 else 0.0
        mean = limited_mean(mu, p.sme_loss_sigma, 12.0 * s.sme_revenue[i])
        s.sme_probability[i] = 1.0 - (1.0 - own) * (1.0 - platform_probability * through)
        s.sme_expected[i] = s.sme_probability[i] * mean
        cycle += (1.0 - (1.0 - own) * (1.0 - platform_cycle * through)) * mean
        s.sme_event[i] = 0
        s.sme_loss[i] = 0.0
        if uniform(s.seed, s.month, Stream.SME_EVENT, i) < own:
            s.sme_event[i] = 1
        elif s.breach == 1 and uniform(s.seed, s.month, Stream.SME_SPILL, i) < through:
            s.sme_event[i] = 2
        if s.sme_event[i] > 0:
            size = lognormal(s.seed, s.month, Stream.SME_SEVERITY, i, mu, p.sme_loss_sigma)
            s.sme_loss[i] = min(12.0 * s.sme_revenue[i], size)
    return cycle


@kernel
def govern(s, p, chance):
    """Hygiene, ranking quality, the patch plan, the campaign, exposure, attack; ``chance`` is scratch of [S]."""
    for i in range(s.num_smes):
        s.sme_hygiene[i] = stock(s, p, s.sme_hygiene[i], s.sme_patch_effort[i], GOVERNANCE, 1.0)
    s.ranking = (s.intel + s.disclosure + s.mean_sharing) / 3.0
    plan_and_patch(s, p)
    campaign(s, p)
    expose(s, p)
    platform_loss, platform_cycle = attack_platform(s, p, chance)
    sme_loss = _sme_losses(s, p, s.event_probability, platform_cycle)
    s.cycle_loss = platform_loss + sme_loss
