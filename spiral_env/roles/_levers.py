"""From an effort in [0, 1] to what a lever costs and does."""

from __future__ import annotations

from spiral_env.core._jit import kernel

__all__ = ["affordable", "affords", "category", "interpolate"]

ROUNDING = 1e-9
"""Share of a price that rounding may hide."""


@kernel
def category(effort):
    """Thirds: 0, 1 or 2."""
    return int(effort >= 1.0 / 3.0) + int(effort >= 2.0 / 3.0)


@kernel
def interpolate(table, effort):
    """Piecewise linear through the low, mid and high value of a lever."""
    below = min(2.0 * effort, 1.0)
    above = max(2.0 * effort - 1.0, 0.0)
    return table[0] + (table[1] - table[0]) * below + (table[2] - table[1]) * above


@kernel
def affords(held, price):
    """Whether money or hours suffice; what is equal but for rounding does, on any machine."""
    return held >= price * (1.0 - ROUNDING)


@kernel
def affordable(cost, money):
    """Share of a chosen cost that the money there is can pay."""
    if cost <= 0.0:
        return 1.0
    return min(1.0, max(0.0, money) / cost)
