"""Aggregates of a leaderboard with their bootstrap, for all resamples at once.

Resamples are those of ``aggregates.stratified_bootstrap``, in the same order, so that a score that stands on one world
is the same to the last digit; with the many cells of a held-out board this is some hundred times as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from spiral_env.evaluation.aggregates import DRAWS
from spiral_env.evaluation.statistics import Interval

__all__ = ["Groups", "bootstrapped", "improvement", "mean", "middle"]

Strata = Sequence[np.ndarray]
"""Scores ``[..., n]``, one array a world or cell; leading axes are resamples."""
Groups = Sequence[tuple[int, int]]
"""Board of each stratum, and its part of the board: boards weigh the same, and so do the parts of one."""
Statistic = Callable[..., np.ndarray]


def middle(strata: Strata, groups: Groups) -> np.ndarray:
    """Mean over boards of the mean over its parts of the interquartile mean of a part's scores, ``[...]``."""

    def iqm(found: Strata) -> np.ndarray:
        ordered = np.sort(np.concatenate(found, axis=-1), axis=-1)
        cut = ordered.shape[-1] // 4
        return np.asarray(ordered[..., cut : ordered.shape[-1] - cut].mean(-1))

    return _over_boards(iqm, strata, groups)


def mean(strata: Strata, groups: Groups) -> np.ndarray:
    """Mean over boards of the mean over its parts of the mean of a part's strata, ``[...]``."""
    return _over_boards(lambda found: np.mean([x.mean(-1) for x in found], axis=0), strata, groups)


def improvement(better: Strata, than: Strata, groups: Groups) -> np.ndarray:
    """Chance that a score exceeds one of the other in the same stratum, ties by half: mean over boards and parts."""
    chances = [_chance(x, y) for x, y in zip(better, than, strict=True)]
    return _over_boards(lambda found: np.mean(found, axis=0), chances, groups)


def _chance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of every score ``[..., n]`` against every other ``[..., n]``."""
    left, right = x[..., :, None], y[..., None, :]
    return np.asarray((left > right).mean((-1, -2)) + 0.5 * (left == right).mean((-1, -2)))


def _over_boards(statistic: Callable[[Strata], np.ndarray], strata: Strata, groups: Groups) -> np.ndarray:
    parts: dict[int, dict[int, list[np.ndarray]]] = {}
    for x, (board, part) in zip(strata, groups, strict=True):
        parts.setdefault(board, {}).setdefault(part, []).append(x)
    of_boards = [np.mean([statistic(found) for found in x.values()], axis=0) for x in parts.values()]
    return np.asarray(np.mean(of_boards, axis=0))


def bootstrapped(statistic: Statistic, *samples: Strata, groups: Groups) -> Interval:
    """A statistic of one sample or of several, with the percentile bootstrap's 95 % interval.

    Samples are drawn apart: together, an episode would meet itself too often in cells of few, and the interval would
    lie beside the statistic.

    Args:
        statistic: of as many samples as are given, and of ``groups``.
        *samples: strata ``[n]``.
        groups: board and part of each stratum.
    """
    picks = _picks(tuple(tuple(len(x) for x in sample) for sample in samples))
    drawn = ([x[p] for x, p in zip(sample, of, strict=True)] for sample, of in zip(samples, picks, strict=True))
    low, high = np.quantile(statistic(*drawn, groups), [0.025, 0.975])
    return Interval(float(statistic(*samples, groups)), float(low), float(high))


@lru_cache(maxsize=8)
def _picks(sizes: tuple[tuple[int, ...], ...]) -> list[list[np.ndarray]]:
    """Places of the scores of every resample, ``[draws, n]`` a stratum of each sample."""
    rng = np.random.default_rng(0)
    found = [[np.empty((DRAWS, n), dtype=np.int64) for n in sample] for sample in sizes]
    for k in range(DRAWS):
        for sample, of in zip(sizes, found, strict=True):
            for n, pick in zip(sample, of, strict=True):
                pick[k] = rng.integers(0, n, n)
    return found
