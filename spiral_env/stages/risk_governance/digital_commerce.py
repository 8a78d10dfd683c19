"""Risk governance x digital commerce: privacy accountant, incidents, inclusive access (paper 2.2; [1], [2], [7])."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, SmeSlot, post, post_sme
from spiral_env.core.rng import Stream, lognormal, stream_key, uniform, unit
from spiral_env.roles.business import epsilon_of_rho, rho_of_epsilon
from spiral_env.roles.sme import restated
from spiral_env.stages.risk_governance._attack import limited_mean
from spiral_env.stages.stock import stock

__all__ = ["WRITES", "advantage", "govern"]

WRITES = "risk_governance.digital_commerce"


@kernel
def advantage(rho):
    """Membership-inference advantage 2 Phi(mu/2) - 1 with mu = sqrt(2 rho)."""
    return math.erf(math.sqrt(2.0 * rho) / 2.0 / math.sqrt(2.0))


@kernel
def strictness(s, p):
    """How strict privacy rules are at this level."""
    return p.privacy_strictness * (1.0 + p.adaptive_rules * s.level)


@kernel
def _account(s, p):
    """Charge this month's releases, one a module in use; the account adds the last twelve months."""
    s.rho_window[s.month % 12] = rho_of_epsilon(s.epsilon, p.delta) * s.releases
    total = 0.0
    for k in range(12):
        total += s.rho_window[k]
    s.rho12 = total
    s.eps12 = epsilon_of_rho(total, p.delta)


@kernel
def _privacy_incident(s, p):
    """Probability privacy_incident advantage exposure (1 - p); some are fined min(fine_cap annual sales, LogNormal).

    What an incident does to users is no payment: it is counted against the value of the ecosystem.
    """
    strict = strictness(s, p)
    chance = p.privacy_incident * advantage(s.rho12) * s.privacy_exposure * (1.0 - s.privacy)
    s.incident_probability = min(1.0, p.privacy_incidents * strict * chance * s.asset_protection)
    cap = p.fine_cap * 12.0 * p.platform_sales / p.sme_scale * s.scope
    mu = p.fine_mu - math.log(1000.0)
    s.expected_privacy_fine = s.incident_probability * p.fine_share * strict * limited_mean(mu, p.fine_sigma, cap)
    harm = p.privacy_harm * p.size * s.privacy_exposure
    s.expected_harm = s.incident_probability * harm
    s.privacy_incident = 0
    s.privacy_fine = 0.0
    s.harm = 0.0
    if uniform(s.seed, s.month, Stream.PRIVACY_INCIDENT, 0) < s.incident_probability:
        s.privacy_incident = 1
        s.harm = harm
        if uniform(s.seed, s.month, Stream.PRIVACY_FINE, 1) < p.fine_share:
            size = lognormal(s.seed, s.month, Stream.PRIVACY_FINE, 0, mu, p.fine_sigma)
            s.privacy_fine = strict * min(cap, size)
    s.incidents_year = s.incidents_year * 11.0 / 12.0 + s.privacy_incident
    post(s, Purpose.PRIVACY_FINE, Account.PLATFORM, Account.WORLD, s.privacy_fine)


@kernel
def _compliance(s, p):
    """An SME that shares without the full tier is fined with compliance_rate share a month, a part of the same law."""
    strict = strictness(s, p)
    mu = p.fine_mu - math.log(1000.0)
    key = stream_key(s.seed, s.month, Stream.COMPLIANCE)
    for i in range(s.num_smes):
        probability = 0.0
        if s.sme_member[i] == 1:
            probability = min(1.0, p.privacy_incidents * strict * p.compliance_rate * s.sme_share[i])
        cap = p.fine_cap * s.sme_annual[i]
        if restated(s, i):
            s.sme_mean_fine[i] = limited_mean(mu, p.fine_sigma, cap)
        s.sme_expected_fine[i] = p.compliance_part * probability * strict * s.sme_mean_fine[i]
        s.sme_fine[i] = 0.0
        if unit(key, i) < probability:
            size = lognormal(s.seed, s.month, Stream.COMPLIANCE_FINE, i, mu, p.fine_sigma)
            s.sme_fine[i] = p.compliance_part * strict * min(cap, size)
            post_sme(s, Purpose.COMPLIANCE_FINE, SmeSlot.COMPLIANCE, i, Account.WORLD, s.sme_fine[i])


@kernel
def govern(s, p):
    """Invest in privacy technology, keep the account, face incidents and fines."""
    moved = stock(p, s.privacy, s.privacy_effort, s.gain_privacy)
    s.privacy = p.privacy_technology * moved
    _account(s, p)
    _privacy_incident(s, p)
    _compliance(s, p)
