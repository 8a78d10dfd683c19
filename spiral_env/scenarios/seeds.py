"""Seeds of episodes: which worlds are learned from, and which are kept to judge what was learned.

What a plain seed means is said here and nowhere else. A world is drawn from one number, its own seed. Every
environment takes ``split``, which says how the seed given to ``reset`` becomes the own seeds of its worlds:

| ``split`` | first episode | the episodes after it |
|---|---|---|
| ``None`` | the seed is the world's own | drawn from the scenario's ``train_seeds`` |
| ``"train"`` | drawn from ``train_seeds`` | drawn from ``train_seeds`` |
| ``"held_out"`` | drawn from ``held_out_seeds`` | drawn from ``held_out_seeds`` |

Drawn means: a hash of (seed, row, episode), so that the same seed always gives the same worlds. Row i of a batch has
the seed ``seed + i`` with ``split=None``, as in Gymnasium; with a split its worlds are keyed by (seed, i), so that a
batch with the seed ``seed + 1`` shares none of them. A sequence gives each row the seed, and so the worlds, of a single
environment. Without a seed the first comes from the operating system. The two ranges of a scenario never overlap. Of m
worlds drawn from a range of n, two are the same with a chance of about m^2 / 2n: next to none in the default ranges.

Evaluation plays ``Scenario.evaluation_seeds(first, count)``, ``held_out_seeds`` in order; scores that are published
stand on the first ``TEST_EPISODES``. The list is public: who holds a copy of the simulator can know its worlds. A
judge who must not be known in advance takes another ``first`` and keeps it to himself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from spiral_env.checks import check_optional, shown

__all__ = [
    "HELD_OUT_SEEDS",
    "SELECTION_SEED",
    "SPLITS",
    "TEST_EPISODES",
    "TRAIN_SEEDS",
    "check_seed",
    "check_split",
    "row_seeds",
    "series",
]

TRAIN_SEEDS = (2**32, 2**62)
HELD_OUT_SEEDS = (0, 2**32)
"""Half-open ranges of a scenario that names none."""
TEST_EPISODES = 100
"""Published list of a scenario: the first so many of its ``held_out_seeds``; scores stand on them. Nothing that is
learned, searched or chosen may have played them."""
SELECTION_SEED = 50_000
"""Which held-out seed is the first of those on which one may choose: constant teams, hyperparameters, the best run."""
SPLITS = ("train", "held_out")
_HALF64 = 1 << 63
_GOLDEN, _FIRST, _SECOND = (x - 2 * _HALF64 for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""Constants of SplitMix64 as signed words."""
_ANY = (0, 2**62)


def check_split(split: Any) -> str | None:
    """The split, if it is one.

    Raises:
        ValueError: neither ``None`` nor one of ``SPLITS``.
    """
    return check_optional("split", split, SPLITS)


def check_seed(seed: Any) -> int:
    """The seed as an int; ``None`` draws one from the system.

    Raises:
        TypeError: not an integer.
        ValueError: negative or above 2^63 - 1.
    """
    if seed is None:
        return secrets.randbits(62)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer or None, got {shown(seed)}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be in [0, 2^63), got {shown(int(seed))}")
    return int(seed)


def row_seeds(seed: Any, rows: int, split: str | None = None) -> list[Any]:
    """One seed for each row of a batch, as the module says; a sequence as it is.

    Raises:
        TypeError: neither an integer nor a sequence.
        ValueError: a seed outside [0, 2^63), or a sequence of the wrong length.
    """
    if isinstance(seed, int | np.integer):
        first = check_seed(seed)
        if split is None:
            return [check_seed(first + i) for i in range(rows)]
        # Row 0 is the single environment with that seed.
        return [first, *(series(first, i, _ANY) for i in range(1, rows))]
    if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str | bytes) or getattr(seed, "ndim", 1) == 0:
        raise TypeError(f"seed must be an integer or a sequence of {rows} integers, got {type(seed).__name__}")
    if len(seed) != rows:
        raise ValueError(f"seed must be an integer or {rows} integers, got {len(seed)}")
    return list(seed)


def series(seed: Any, number: Any, within: tuple[int, int]) -> Any:
    """The ``number``-th seed that follows from ``seed``: SplitMix64 of both, in the half-open range ``within``.

    Of ints an int; of int64 tensors, whose arithmetic wraps by itself, a tensor.
    """
    z = _wrapped(seed * _GOLDEN + number * _FIRST)
    z = _wrapped((z ^ _shifted(z, 30)) * _FIRST)
    z = _wrapped((z ^ _shifted(z, 27)) * _SECOND)
    return within[0] + _shifted(z ^ _shifted(z, 31), 1) % (within[1] - within[0])


def _wrapped(z: Any) -> Any:
    return (z + _HALF64 & 2 * _HALF64 - 1) - _HALF64 if isinstance(z, int) else z


def _shifted(z: Any, bits: int) -> Any:
    """A signed word, shifted to the right with zeros from the left."""
    return z >> bits & (1 << 64 - bits) - 1
