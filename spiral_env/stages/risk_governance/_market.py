"""The market: two regimes, four assets whose expected returns wander unseen, and forecasts as good as the skill."""

from __future__ import annotations

import math

from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, normal, uniform
from spiral_env.roles.finance import NUM_ASSETS
from spiral_env.roles.public import NOISE

__all__ = ["hold", "move", "open_market"]


@kernel
def open_market(s, p):
    """Regime and expected returns of the first month; nothing has been forecast yet."""
    s.stress = 0 if uniform(s.seed, 0, Stream.MARKET, 0) < p.market_start_calm else 1
    _publish_volatility(s, p)
    for j in range(NUM_ASSETS):
        s.asset_alpha[j] = p.alpha_sd * normal(s.seed, 0, Stream.ASSET_ALPHA, j)


@kernel
def move(s, p):
    """Return of the market by its regime (Hamilton 1989), and the index of volatility that everyone sees."""
    if uniform(s.seed, s.month, Stream.MARKET, 0) >= p.market_stay[s.stress]:
        s.stress = 1 - s.stress
    z = normal(s.seed, s.month, Stream.MARKET_RETURN, 0)
    s.market_return = p.market_mean[s.stress] + p.market_volatility[s.stress] * z
    if p.market_risk == 0.0:
        s.market_return = p.cash_rate
    _publish_volatility(s, p)


@kernel
def _publish_volatility(s, p):
    """The regime's volatility through noise: the regime itself is seen by nobody."""
    noise = normal(s.seed, s.month, Stream.OBSERVATION, NOISE.volatility)
    s.volatility_index = p.market_volatility[s.stress] * math.exp(p.volatility_noise * noise)


@kernel
def hold(s, p):
    """Returns of the assets and of the book; its peak, and whether it has just fallen below the drawdown limit."""
    s.portfolio_return = p.cash_rate
    for j in range(NUM_ASSETS):
        s.asset_edge[j] = p.market_risk * s.asset_alpha[j]
        own = s.asset_alpha[j] + p.asset_sd * normal(s.seed, s.month, Stream.ASSET_RETURN, j)
        excess = p.asset_beta[j] * (s.market_return - p.cash_rate) + p.market_risk * own
        s.asset_return[j] = p.cash_rate + excess
        s.portfolio_return += s.asset_weight[j] * excess
        _forecast(s, p, j)
    before = s.drawdown
    s.portfolio_index *= max(0.05, 1.0 + s.portfolio_return)
    s.portfolio_peak = max(s.portfolio_peak, s.portfolio_index)
    s.drawdown = 1.0 - s.portfolio_index / s.portfolio_peak
    s.drawdown_event = 1 if s.drawdown > p.drawdown_limit and before <= p.drawdown_limit else 0


@kernel
def _forecast(s, p, j):
    """Expected return of the next month, and a signal of it whose correlation with the return is the skill."""
    kept = p.alpha_memory
    drawn = normal(s.seed, s.month, Stream.ASSET_ALPHA, j)
    fresh = math.sqrt(1.0 - kept * kept) * p.alpha_sd * drawn
    s.asset_alpha[j] = kept * s.asset_alpha[j] + fresh
    truth = min(0.95, s.skill * p.asset_sd / p.alpha_sd)
    blur = math.sqrt(1.0 - truth * truth) * normal(s.seed, s.month, Stream.ASSET_SIGNAL, j)
    s.asset_signal[j] = truth * s.asset_alpha[j] / p.alpha_sd + blur
