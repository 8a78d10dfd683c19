"""Means with intervals: pure functions of arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = [
    "Interval",
    "bootstrap_interval",
    "bounded_interval",
    "iqm",
    "mean_interval",
    "paired_difference",
    "student_quantile",
    "wilson_interval",
]

_NORMAL_975 = 1.959963984540054


class Interval(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def student_quantile(degrees: int, level: float = 0.975) -> float:
    """Quantile of Student's t by bisection on its distribution function (Abramowitz & Stegun 26.7.3-4)."""
    low, high = 0.0, 1000.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        if _student_cdf(middle, degrees) < level:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _student_cdf(t: float, n: int) -> float:
    theta = math.atan(t / math.sqrt(n))
    c2 = math.cos(theta) ** 2
    if n % 2:
        total, term = 0.0, math.cos(theta)
        for k in range(1, (n - 1) // 2 + 1):
            total += term
            term *= c2 * 2 * k / (2 * k + 1)
        inside = 2.0 / math.pi * (theta + math.sin(theta) * total)
    else:
        total, term = 0.0, 1.0
        for k in range(1, n // 2 + 1):
            total += term
            term *= c2 * (2 * k - 1) / (2 * k)
        inside = math.sin(theta) * total
    return 0.5 + 0.5 * inside


def mean_interval(x: np.ndarray) -> Interval:
    """Mean of ``[n]`` with Student's 95 % interval; one value gives an infinite one."""
    values = np.asarray(x, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = student_quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def bounded_interval(x: np.ndarray, low: float, high: float) -> Interval:
    """Mean of ``[n]`` values that cannot leave ``[low, high]``: Student's interval as far as it lies there."""
    mean, below, above = mean_interval(x)
    if not math.isfinite(above - below):
        return Interval(mean, below, above)
    return Interval(mean, max(below, low), min(above, high))


def wilson_interval(x: np.ndarray) -> Interval:
    """Share of ones of ``[n]`` zeros and ones with Wilson's 95 % interval; one value gives an infinite one.

    Never of width 0: no collapse in 100 episodes leaves up to 3.7 %.
    """
    values = np.asarray(x, dtype=np.float64)
    n, share = len(values), float(values.mean())
    if n < 2:
        return Interval(share, -math.inf, math.inf)
    z2 = _NORMAL_975**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def bootstrap_interval(x: np.ndarray, seed: int = 0, draws: int = 2000) -> Interval:
    """Mean of ``[n]`` with the percentile bootstrap's 95 % interval, fixed by ``seed``."""
    values = np.asarray(x, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(values), size=(draws, len(values)))
    low, high = np.quantile(values[picks].mean(1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def iqm(x: np.ndarray) -> float:
    """Interquartile mean: the mean of the middle half, rounded outwards."""
    ordered = np.sort(np.asarray(x, dtype=np.float64))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def paired_difference(a: np.ndarray, b: np.ndarray) -> Interval:
    """Mean of ``a - b`` over the same seeds, with its 95 % interval."""
    if len(a) != len(b):
        raise ValueError(f"paired samples must have one length, got {len(a)} and {len(b)}")
    return mean_interval(np.asarray(a) - np.asarray(b))
