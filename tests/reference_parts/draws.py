"""Keyed draws in Python integers, and the closed-form mean of a limited log-normal loss."""

from __future__ import annotations

import math
from statistics import NormalDist

from spiral_env.core.rng import Stream

__all__ = ["Draws", "Stream", "clip", "limited_mean", "words"]

WORD = (1 << 64) - 1
STANDARD = NormalDist()


def mix(z: int) -> int:
    """SplitMix64's step of a 64-bit word."""
    z = (z + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


class Draws:
    """All draws of one episode: pure functions of (month, stream, index)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def uniform(self, month: int, stream: int, index: int) -> float:
        key = mix(self.seed ^ mix(month * 2**20 + int(stream)))
        return ((mix(key ^ index) >> 11) + 0.5) / 2.0**53

    def normal(self, month: int, stream: int, index: int) -> float:
        return STANDARD.inv_cdf(self.uniform(month, stream, index))

    def lognormal(self, month: int, stream: int, index: int, mu: float, sigma: float) -> float:
        return math.exp(mu + sigma * self.normal(month, stream, index))

    def poisson(self, month: int, stream: int, index: int, mean: float) -> int:
        """The least count (at most 400) whose distribution function reaches the uniform."""
        u = self.uniform(month, stream, index)
        probability = math.exp(-mean)
        below = probability
        for count in range(400):
            if u <= below:
                return count
            probability *= mean / (count + 1)
            below += probability
        return 400


def words(names: str) -> list[str]:
    return names.split()


def clip(x: float, low: float, high: float) -> float:
    return low if x < low else high if x > high else x


def limited_mean(mu: float, sigma: float, cap: float) -> float:
    """E[min(cap, LogNormal(mu, sigma))]: cap less the integral of the distribution function."""
    if cap <= 0.0:
        return 0.0
    ratio = (math.log(cap) - mu) / sigma
    return math.exp(mu + sigma**2 / 2.0) * STANDARD.cdf(ratio - sigma) + cap * STANDARD.cdf(-ratio)
