"""Resource aggregation x finance: forecast skill and the capital pool (paper 2.1; study [6])."""

from __future__ import annotations

from spiral_env.core._jit import kernel
from spiral_env.core.ledger import Account
from spiral_env.core.rng import Stream, normal
from spiral_env.stages.stock import stock

__all__ = ["WRITES", "aggregate"]

WRITES = "resource_aggregation.finance"


@kernel
def _forecast_skill(s, p):
    """IC = ceiling q/(q + 1)(1 - crowding), q = base + weight disclosure + what user data add."""
    target = p.crowding_base + p.crowding_disclosure * s.disclosure
    noise = p.crowding_noise * normal(s.seed, s.month, Stream.CROWDING, 0)
    s.crowding = p.crowding_memory * s.crowding + (1.0 - p.crowding_memory) * target + noise
    s.crowding = min(max(s.crowding, 0.0), 0.9)
    q = max(0.0, p.skill_base + p.skill_disclosure * s.disclosure + s.data_skill)
    s.skill = p.forecasting * p.skill_ceiling * q / (q + 1.0) * (1.0 - s.crowding)


@kernel
def _capital_pool(s, p):
    """Loans outstanding and the facility on offer: mean lending effort x facility_share x lendable cash."""
    s.lending_mean += (s.lending_effort - s.lending_mean) / p.facility_months
    s.lendable = max(0.0, s.balance[Account.TREASURY] - p.lending_reserve * p.size)
    for i in range(s.num_smes):
        s.sme_capital[i] = s.sme_loan[i]
    s.capital = s.loans + p.facility_share * s.lending_mean * s.lendable


@kernel
def aggregate(s, p):
    """Disclose, forecast, gather capital."""
    s.disclosure = stock(p, s.disclosure, s.disclosure_effort, s.gain_finance)
    _forecast_skill(s, p)
    _capital_pool(s, p)
