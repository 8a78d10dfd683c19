"""Risk governance x cybersecurity: assess, plan, patch, be attacked (paper 2.2; studies [4], [5])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, lognormal, stream_key, unit
from spiral_env.roles.sme import restated
from spiral_env.stages.risk_governance._attack import (
    attack_platform,
    campaign,
    expose,
    limited_mean,
    meet,
    sme_hazards,
    spill,
)
from spiral_env.stages.risk_governance._patching import plan_and_patch
from spiral_env.stages.stock import stock

__all__ = ["WRITES", "govern"]

WRITES = "risk_governance.cybersecurity"


@kernel
def _sme_losses(s, p, platform_cycle):
    """Own events and what spills over from the platform; returns the through-the-cycle expectation."""
    through_members = spill(s, p)
    mu = p.sme_loss_mu - math.log(1000.0)
    event_key = stream_key(s.seed, s.month, Stream.SME_EVENT)
    spill_key = stream_key(s.seed, s.month, Stream.SME_SPILL)
    cycle = 0.0
    for i in range(s.num_smes):
        own = s.sme_own_hazard[i]
        through = through_members if s.sme_member[i] > 0 else 0.0
        if restated(s, i):
            s.sme_mean_loss[i] = limited_mean(mu, p.sme_loss_sigma, s.sme_annual[i])
        s.sme_probability[i] = 1.0 - (1.0 - own) * (1.0 - s.event_probability * through)
        s.sme_expected[i] = s.sme_probability[i] * s.sme_mean_loss[i]
        cycle += (1.0 - (1.0 - own) * (1.0 - platform_cycle * through)) * s.sme_mean_loss[i]
        s.sme_event[i] = 0
        s.sme_loss[i] = 0.0
        if unit(event_key, i) < own:
            s.sme_event[i] = 1
        elif s.breach == 1 and unit(spill_key, i) < through:
            s.sme_event[i] = 2
        if s.sme_event[i] > 0:
            size = lognormal(s.seed, s.month, Stream.SME_SEVERITY, i, mu, p.sme_loss_sigma)
            s.sme_loss[i] = min(s.sme_annual[i], size)
    return cycle


@kernel
def govern(s, p, scratch):
    """Hygiene, ranking quality, the patch plan, the campaign, exposure, attack."""
    for i in range(s.num_smes):
        s.sme_hygiene[i] = stock(p, s.sme_hygiene[i], s.sme_patch_effort[i], s.gain_security)
    s.ranking = (s.intel + s.disclosure + s.mean_sharing) / 3.0
    plan_and_patch(s, p, scratch)
    campaign(s, p)
    meet(s, p)
    expose(s, p)
    sme_hazards(s, p)
    platform_loss, platform_cycle = attack_platform(s, p, scratch[0])
    sme_loss = _sme_losses(s, p, platform_cycle)
    s.cycle_loss = platform_loss + sme_loss
