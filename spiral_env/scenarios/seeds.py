"""Seeds of episodes: which worlds are learned from, and which are kept to judge what was learned."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

__all__ = ["HELD_OUT_SEEDS", "TRAIN_SEEDS", "check_seed", "row_seeds", "series"]

TRAIN_SEEDS = (2**32, 2**62)
HELD_OUT_SEEDS = (0, 2**32)
"""Half-open ranges of a scenario that names none."""
_MASK64 = (1 << 64) - 1


def check_seed(seed: Any) -> int:
    """The seed as an int; ``None`` draws one from the system.

    Raises:
        TypeError: not an integer.
        ValueError: negative or above 2^63 - 1.
    """
    if seed is None:
        return secrets.randbits(62)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer or None, got {seed!r}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be in [0, 2^63), got {seed}")
    return int(seed)


def row_seeds(seed: Any, rows: int) -> list[Any]:
    """One seed for each row of a batch: ``seed + i`` of an integer, or the given sequence as it is.

    Raises:
        ValueError: a seed outside [0, 2^63), or a sequence of the wrong length.
    """
    if isinstance(seed, int | np.integer):
        return [check_seed(check_seed(seed) + i) for i in range(rows)]
    if len(seed) != rows:
        raise ValueError(f"seed must be an integer or {rows} integers, got {len(seed)}")
    return list(seed)


def series(seed: int, number: int, within: tuple[int, int]) -> int:
    """The ``number``-th seed that follows from ``seed``: SplitMix64 of both, in the half-open range ``within``."""
    z = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return within[0] + ((z ^ (z >> 31)) >> 1) % (within[1] - within[0])
