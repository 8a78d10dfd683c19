"""Keyed draws: a value is a pure function of (seed, month, stream, index), never of what was drawn before.

The key is mixed by the 64-bit finaliser of SplitMix64 (Steele, Lea & Flood 2014). Because no state is kept,
the draws of one mechanism do not move when another is switched off or when agents act differently.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from spiral_env.core._jit import kernel

__all__ = ["Stream", "bernoulli", "exponential", "lognormal", "mix", "normal", "poisson", "uniform"]


class Stream(IntEnum):
    """One stream per mechanism."""

    WORLD = 0
    GRAPH = 1
    CRITICALITY = 2
    BACKLOG = 3
    SME = 4
    ARRIVALS = 5
    VULNERABILITY = 6
    FALSE_FINDINGS = 7
    PATCH_FAILURE = 8
    CASCADE = 9
    CAMPAIGN = 10
    ALERT = 11
    PLATFORM_EVENT = 12
    PLATFORM_ENTRY = 13
    PLATFORM_SEVERITY = 14
    SME_EVENT = 15
    SME_SPILL = 16
    SME_SEVERITY = 17
    PRIVACY_INCIDENT = 18
    PRIVACY_FINE = 19
    COMPLIANCE = 20
    COMPLIANCE_FINE = 21
    MARKET = 22
    MARKET_RETURN = 23
    CROWDING = 24
    RATING = 25
    AUDIT = 26
    FINDING = 27
    PRESS = 28
    DEFAULT = 29
    CLOSURE = 30
    REVENUE = 31
    OBSERVATION = 32
    CALENDAR = 33


_C1 = np.uint64(0xBF58476D1CE4E5B9)
_C2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_M20 = np.uint64(1_048_576)
_INV53 = 1.0 / 9007199254740992.0
_TWO_PI = 2.0 * math.pi


@kernel
def mix(z):
    """SplitMix64 finaliser: a bijection of 64-bit words."""
    z = np.uint64(z) + _GOLDEN
    z = (z ^ (z >> _S30)) * _C1
    z = (z ^ (z >> _S27)) * _C2
    return z ^ (z >> _S31)


@kernel
def uniform(seed, month, stream, index):
    """Uniform on the open interval (0, 1) with 53 random bits."""
    key = mix(np.uint64(seed) ^ mix(np.uint64(month) * _M20 + np.uint64(stream)))
    return (np.float64(mix(key ^ np.uint64(index)) >> _S11) + 0.5) * _INV53


@kernel
def bernoulli(seed, month, stream, index, probability):
    """True with the given probability; monotone in it for a fixed key."""
    return uniform(seed, month, stream, index) < probability


@kernel
def normal(seed, month, stream, index):
    """Standard normal by Box-Muller, from sub-keys 2 index and 2 index + 1."""
    u = uniform(seed, month, stream, 2 * index)
    v = uniform(seed, month, stream, 2 * index + 1)
    return math.sqrt(-2.0 * math.log(u)) * math.cos(_TWO_PI * v)


@kernel
def lognormal(seed, month, stream, index, mu, sigma):
    """exp(mu + sigma z)."""
    return math.exp(mu + sigma * normal(seed, month, stream, index))


@kernel
def exponential(seed, month, stream, index):
    """Exponential with mean one."""
    return -math.log(uniform(seed, month, stream, index))


@kernel
def poisson(seed, month, stream, index, mean):
    """Poisson by inversion of one uniform; monotone in the mean; at most 400."""
    u = uniform(seed, month, stream, index)
    term = math.exp(-mean)
    total = term
    count = 0
    while u > total and count < 400:
        count += 1
        term *= mean / count
        total += term
    return count
