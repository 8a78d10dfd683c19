"""Aggregates over tasks in the way of Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice".

A sample is a list of strata, one a task (a world, or a world with given partners), each an array of scores ``[n]``:
one an episode or a run. Resampling keeps the number of scores of every stratum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from spiral_env.evaluation.statistics import Interval, iqm

__all__ = [
    "mean_of_strata",
    "performance_profile",
    "pooled_iqm",
    "probability_of_improvement",
    "stratified_bootstrap",
]

Strata = Sequence[np.ndarray]
DRAWS = 2000
_FEWEST, _WORK = 200, 20_000_000
"""Draws of a large sample, and scores that are drawn in all."""
_LEVELS = (0.025, 0.975)


def pooled_iqm(strata: Strata) -> float:
    """Interquartile mean of the scores of all strata."""
    return iqm(np.concatenate([np.asarray(x, dtype=np.float64) for x in strata]))


def mean_of_strata(strata: Strata) -> float:
    """Mean of the strata's means."""
    return float(np.mean([np.mean(x) for x in strata]))


def stratified_bootstrap(
    statistic: Callable[..., float], *samples: Strata, paired: bool = False, seed: int = 0, draws: int | None = None
) -> Interval:
    """A statistic of one sample or several, with the percentile bootstrap's 95 % interval, fixed by ``seed``.

    Args:
        statistic: of as many samples as are given.
        *samples: each a list of strata; all have as many.
        paired: score k of a stratum belongs to score k of the other samples, so that they are drawn together.
        seed: of the resampling.
        draws: resamples; None for 2000, and for fewer, at least 200, of more than 10,000 scores.

    Returns:
        The interval is infinite where no stratum holds two scores.

    Raises:
        ValueError: a stratum is empty, or paired strata differ in length.
    """
    arrays = [[np.asarray(x, dtype=np.float64) for x in sample] for sample in samples]
    sizes = [[len(x) for x in sample] for sample in arrays]
    if not all(size for sample in sizes for size in sample) or not all(sizes):
        raise ValueError(f"strata must hold scores, got {sizes}")
    if paired and any(sample != sizes[0] for sample in sizes):
        raise ValueError(f"paired strata must have one length, got {sizes}")
    if max(size for sample in sizes for size in sample) < 2:
        return Interval(float(statistic(*arrays)), -math.inf, math.inf)
    rng = np.random.default_rng(seed)
    if draws is None:
        draws = max(_FEWEST, min(DRAWS, _WORK // sum(map(sum, sizes))))
    found = np.empty(draws)
    for k in range(draws):
        picks = [[rng.integers(0, n, n) for n in sample] for sample in (sizes[:1] if paired else sizes)]
        picks *= len(arrays) if paired else 1
        drawn = [[x[pick] for x, pick in zip(a, p, strict=True)] for a, p in zip(arrays, picks, strict=True)]
        found[k] = statistic(*drawn)
    low, high = np.quantile(found, _LEVELS)
    return Interval(float(statistic(*arrays)), float(low), float(high))


def probability_of_improvement(better: Strata, than: Strata) -> float:
    """Chance that a score of one sample exceeds one of the other in the same stratum, ties by half; mean of strata.

    Mann and Whitney's U over the number of pairs.
    """
    shares = []
    for x, y in zip(better, than, strict=True):
        ordered = np.sort(np.asarray(y, dtype=np.float64))
        below, upto = (np.searchsorted(ordered, x, side) for side in ("left", "right"))
        shares.append(float((below + upto).mean() / (2.0 * len(ordered))))
    return float(np.mean(shares))


def performance_profile(strata: Strata, at: np.ndarray) -> np.ndarray:
    """Share of scores above each of ``at`` ``[K]``, mean of strata: ``[K]``."""
    levels = np.asarray(at, dtype=np.float64)
    above = [np.asarray(x, dtype=np.float64)[:, None] > levels for x in strata]
    return np.asarray(np.mean([x.mean(0) for x in above], axis=0), dtype=np.float64)
