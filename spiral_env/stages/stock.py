"""How every stock moves: effort pays best while the spiral is in the stock's own stage."""

from __future__ import annotations

from spiral_env.core._jit import kernel

__all__ = ["AGGREGATION", "GOVERNANCE", "VALUE", "stock"]

AGGREGATION, GOVERNANCE, VALUE = 0, 1, 2


@kernel
def stock(s, p, x, effort, own_stage, gain):
    """X' = x + stock_gain * gain * match * e * (1 - x) - stock_decay * x, within [0, 1]."""
    match = p.match_in if s.stage == own_stage else p.match_out
    moved = x + p.stock_gain * gain * match * effort * (1.0 - x) - p.stock_decay * x
    return min(max(moved, 0.0), 1.0)
