"""What is truly green of what is called so (study [3])."""

from __future__ import annotations

from spiral_env.core._jit import kernel

__all__ = ["truly_green"]

NEUTRAL_ESG, GREEN_ESG = 0.3, 0.5
"""True ESG at which a loan called green counts nothing, and from which it counts in full; below the first it harms."""


@kernel
def truly_green(esg):
    """What a loan called green counts for with green funds, in [-1, 1]."""
    return min(max((esg - NEUTRAL_ESG) / (GREEN_ESG - NEUTRAL_ESG), -1.0), 1.0)
