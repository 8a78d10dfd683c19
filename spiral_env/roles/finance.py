"""Finance, the treasury: security budget, green lending, ESG verification, disclosure, a portfolio of four assets."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account, Purpose, post
from spiral_env.core.rng import Stream, normal
from spiral_env.core.state import LABELS
from spiral_env.roles import public
from spiral_env.roles._levers import affordable, interpolate
from spiral_env.roles._tables import default, features, graded, own_action, per, places, scales
from spiral_env.roles.public import NOISE, copy, remember

__all__ = ["FEATURES", "LEVERS", "NUM_ASSETS", "WRITES", "decide", "observe", "release_budget", "reward"]

WRITES = "roles.finance"
ASSETS = LABELS["assets"]
NUM_ASSETS = len(ASSETS)

LEVERS = (
    graded("security_budget", "security_release", "released to the security account"),
    graded("green_lending", "lending_offer", "offered to SMEs"),
    graded("esg_verification", "audit_share", f"audits at {default('audit_cost')} k$ each"),
    graded("disclosure", "cost_disclosure", "skill and trust up, crowding up"),
    graded("green_threshold", "green_threshold", "least rating of a firm that counts as green"),
    *(
        graded(f"asset_{name}", "portfolio_weight", "weight in the book, scaled down above one in sum", average=0.125)
        for name in ASSETS
    ),
)

FEATURES = (
    public.PUBLIC_FEATURES
    + features(
        """
        cash -4 4 4000 k$
        book 0 4 1 of the most that may be invested
        loans 0 4 1000 k$
        expected_credit_loss 0 4 10 k$
        weight 0 1 1 invested share
        drawdown 0 1 1 share
        skill -4 4 0.1 IC (noisy)
        crowding 0 1 1 proxy (noisy)
        esg_reported_mean 0 1 1 mean rating
        esg_spread 0 1 1 standard deviation of ratings
        findings_year 0 4 1 findings of the year per SME
        green_income 0 4 10 k$
        release 0 4 24 k$
        security_cash -4 4 100 k$
        returned 0 4 24 k$
        it_request 0 1 1 IT's mean effort
        premium 0 4 40 k$ (3-month mean, 20 % noise)
        remitted 0 4 100 k$
        disclosure 0 1 1 stock
        capital_need 0 4 1 capital against need
        deposits 0 4 2500 k$
        lesson 0 1 1 what findings and losses have taught
        """
    )
    + per(ASSETS, "asset_return -4 4 0.05 a month")
    + per(ASSETS, "asset_signal -4 4 1 sd of expected return (forecast)")
    + own_action(LEVERS)
)
LEVER, FEATURE, SCALE = places(LEVERS), places(FEATURES), scales(FEATURES)
_ASSET = tuple(getattr(LEVER, f"asset_{name}") for name in ASSETS)


@kernel
def release_budget(s, p, action):
    """Release the security budget; of what is unspent above it a share comes back and the rest lapses."""
    s.release = min(
        interpolate(p.security_release, action[LEVER.security_budget]) * p.size, max(0.0, s.balance[Account.TREASURY])
    )
    s.release_effort = min(1.0, s.release / (p.security_release[2] * p.size))
    excess = max(0.0, s.balance[Account.SECURITY] - s.release)
    s.returned = p.security_returned * excess
    s.lapsed = excess - s.returned
    post(s, Purpose.SECURITY_RETURN, Account.SECURITY, Account.TREASURY, s.returned)
    post(s, Purpose.SECURITY_LAPSE, Account.SECURITY, Account.WORLD, s.lapsed)
    post(s, Purpose.SECURITY_RELEASE, Account.TREASURY, Account.SECURITY, s.release)


@kernel
def _choose_weights(s, p, action):
    """Weights in the four assets, scaled down where they exceed one in sum; the rest is cash."""
    total = 0.0
    for j in range(NUM_ASSETS):
        total += interpolate(p.portfolio_weight, action[_ASSET[j]])
    s.weight_change = 0.0
    s.weight = 0.0
    for j in range(NUM_ASSETS):
        weight = interpolate(p.portfolio_weight, action[_ASSET[j]]) / max(1.0, total)
        s.weight_change += abs(weight - s.asset_weight[j])
        s.asset_weight[j] = weight
        s.weight += weight


@kernel
def decide(s, p, action):
    """Turn the other efforts into lending, weights, the green threshold, audits and disclosure."""
    copy(action, s.finance_action)
    audits = max(interpolate(p.audit_share, action[LEVER.esg_verification]), p.verification_norm)
    cost = audits * s.num_smes * p.audit_cost + interpolate(p.cost_disclosure, action[LEVER.disclosure]) * p.size
    share = affordable(cost, s.balance[Account.TREASURY])
    _choose_weights(s, p, action)
    s.lending_effort = action[LEVER.green_lending]
    s.green_threshold = interpolate(p.green_threshold, action[LEVER.green_threshold])
    s.audit_share = audits * share
    s.disclosure_effort = action[LEVER.disclosure] * share
    s.finance_asked = cost
    s.finance_cost = cost * share
    post(s, Purpose.FINANCE_LEVERS, Account.TREASURY, Account.WORLD, s.finance_cost)


@kernel
def reward(s, p, load, realised, out):
    """Vector (security, cost, value) of the month in k$."""
    loss = s.premium + s.retained if realised else load * s.expected_breach
    market = s.market_income if realised else s.certainty_equivalent
    credit = s.credit_loss if realised else s.expected_credit_loss
    out[0] = -p.loss_share[2] * loss
    out[1] = -(s.release - s.returned + s.finance_cost + s.portfolio_cost + s.deposit_interest + credit)
    out[2] = s.interest + s.green_income + market + s.remitted


@kernel
def _rating_moments(s):
    mean = 0.0
    square = 0.0
    for i in range(s.num_smes):
        mean += s.sme_rating[i]
        square += s.sme_rating[i] * s.sme_rating[i]
    mean /= s.num_smes
    return mean, max(0.0, square / s.num_smes - mean * mean) ** 0.5


@kernel
def observe(s, p, out):
    """Write the features of ``FEATURES`` behind the public ones, which ``out`` already holds."""
    mean, spread = _rating_moments(s)
    cap = p.book_cap * p.size * s.scope
    out[FEATURE.cash] = s.balance[Account.TREASURY] / (SCALE.cash * p.size)
    out[FEATURE.book] = s.book / cap
    out[FEATURE.loans] = s.loans / (SCALE.loans * s.num_smes / 8.0)
    out[FEATURE.expected_credit_loss] = s.expected_credit_loss / (SCALE.expected_credit_loss * s.num_smes / 8.0)
    out[FEATURE.weight] = s.weight
    out[FEATURE.drawdown] = s.drawdown
    noise = p.observation_noise[2] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.skill)
    out[FEATURE.skill] = (1.0 / SCALE.skill) * s.skill + noise
    noise = p.observation_noise[3] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.crowding)
    out[FEATURE.crowding] = s.crowding + noise
    out[FEATURE.esg_reported_mean] = mean
    out[FEATURE.esg_spread] = spread
    out[FEATURE.findings_year] = s.findings_year / s.num_smes
    out[FEATURE.green_income] = s.green_income / (SCALE.green_income * s.num_smes / 8.0)
    out[FEATURE.release] = s.release / (SCALE.release * p.size)
    out[FEATURE.security_cash] = s.balance[Account.SECURITY] / (SCALE.security_cash * p.size)
    out[FEATURE.returned] = s.returned / (SCALE.returned * p.size)
    out[FEATURE.it_request] = s.tier_effort
    noise = 1.0 + p.observation_noise[0] * normal(s.seed, s.month, Stream.OBSERVATION, NOISE.finance_premium)
    out[FEATURE.premium] = s.premium_mean * noise / (SCALE.premium * p.size)
    out[FEATURE.remitted] = s.remitted / (SCALE.remitted * p.size)
    out[FEATURE.disclosure] = s.disclosure
    out[FEATURE.capital_need] = s.capital / (p.need_capital * s.num_smes / 8.0 * s.need_scale)
    out[FEATURE.lesson] = s.lesson_finance
    out[FEATURE.deposits] = s.deposits / (SCALE.deposits * p.size)
    for j in range(NUM_ASSETS):
        out[FEATURE.asset_return[j]] = s.asset_return[j] / SCALE.asset_return
        out[FEATURE.asset_signal[j]] = s.asset_signal[j]
    remember(s.finance_action, out)
