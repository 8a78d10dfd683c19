"""How every stock moves: effort builds, and maintains what was built; what builds fast is what the feedback taught."""

from __future__ import annotations

from spiral_env.core._jit import kernel

__all__ = ["stock"]


@kernel
def stock(p, x, effort, gain):
    """X' = x + stock_gain gain e (1 - x) - stock_decay x (1 - e), within [0, 1]."""
    moved = x + p.stock_gain * gain * effort * (1.0 - x) - p.stock_decay * x * (1.0 - effort)
    return min(max(moved, 0.0), 1.0)
