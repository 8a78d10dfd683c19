"""Value addition x cybersecurity: insurance and shared threat intelligence (paper 2.3; study [4])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post, post_sme

__all__ = ["WRITES", "add_value"]

WRITES = "value_addition.cybersecurity"


@kernel
def _insure(s, p, expected, loss):
    """Premium on the insured share of the expected loss, and what is retained of the drawn one."""
    if p.insurance == 0.0:
        return 0.0, loss
    premium = p.insured_share * (1.0 + p.insurance_load) * expected
    return premium, min((1.0 - p.insured_share) * loss, p.retained_cap)


@kernel
def _smes(s, p):
    for i in range(s.num_smes):
        premium, retained = _insure(s, p, s.sme_expected[i], s.sme_loss[i])
        s.sme_premium[i] = premium
        s.sme_retained[i] = retained
        s.sme_premium_mean[i] += (premium - s.sme_premium_mean[i]) / 3.0
        s.sme_quiet[i] = 0 if s.sme_event[i] > 0 else s.sme_quiet[i] + 1
        s.sme_shock[i] = max(0, s.sme_shock[i] - 1)
        if s.sme_loss[i] > p.shock_loss * s.sme_annual[i]:
            s.sme_shock[i] = int(p.shock_months)
        post_sme(s, Purpose.PREMIUM, SmeSlot.CYBER, i, Account.WORLD, premium)
        post_sme(s, Purpose.RETAINED_LOSS, SmeSlot.CYBER, i, Account.WORLD, retained)


@kernel
def add_value(s, p):
    """Premiums follow expected loss; intelligence, weighted with members' sharing, lowers every hazard."""
    s.premium, s.retained = _insure(s, p, s.expected_breach, s.breach_loss)
    s.premium_mean += (s.premium - s.premium_mean) / 3.0
    post(s, Purpose.PREMIUM, Account.PLATFORM, Account.WORLD, s.premium)
    post(s, Purpose.RETAINED_LOSS, Account.PLATFORM, Account.WORLD, s.retained)
    _smes(s, p)
    joint = s.intel * (1.0 - p.intel_sharing + p.intel_sharing * s.member_sharing)
    s.intel_factor = 1.0 - p.shared_intelligence * p.intel_relief * (1.0 - math.exp(-p.intel_rate * joint))
