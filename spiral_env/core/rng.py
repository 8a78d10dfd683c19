"""Keyed draws: a value is a pure function of (seed, month, stream, index), never of what was drawn before.

The key is mixed by the 64-bit finaliser of SplitMix64 (Steele, Lea & Flood 2014). Because no state is kept,
the draws of one mechanism do not move when another is switched off or when agents act differently.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spiral_env.core._jit import kernel

__all__ = [
    "Stream",
    "exponential",
    "gauss",
    "lognormal",
    "mix",
    "normal",
    "normal_quantile",
    "poisson",
    "stream_key",
    "uniform",
    "unit",
]


class _Stream(NamedTuple):
    """One stream per mechanism."""

    WORLD: int = 0
    GRAPH: int = 1
    CRITICALITY: int = 2
    BACKLOG: int = 3
    SME: int = 4
    ARRIVALS: int = 5
    VULNERABILITY: int = 6
    FALSE_FINDINGS: int = 7
    PATCH_FAILURE: int = 8
    CASCADE: int = 9
    CAMPAIGN: int = 10
    ALERT: int = 11
    PLATFORM_EVENT: int = 12
    PLATFORM_ENTRY: int = 13
    PLATFORM_SEVERITY: int = 14
    SME_EVENT: int = 15
    SME_SPILL: int = 16
    SME_SEVERITY: int = 17
    PRIVACY_INCIDENT: int = 18
    PRIVACY_FINE: int = 19
    COMPLIANCE: int = 20
    COMPLIANCE_FINE: int = 21
    MARKET: int = 22
    MARKET_RETURN: int = 23
    CROWDING: int = 24
    RATING: int = 25
    AUDIT: int = 26
    FINDING: int = 27
    PRESS: int = 28
    DEFAULT: int = 29
    CLOSURE: int = 30
    REVENUE: int = 31
    OBSERVATION: int = 32
    CALENDAR: int = 33
    ASSET_RETURN: int = 34
    ASSET_ALPHA: int = 35
    ASSET_SIGNAL: int = 36


Stream = _Stream()


_C1 = np.uint64(0xBF58476D1CE4E5B9)
_C2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_M20 = np.uint64(1_048_576)
_INV53 = 1.0 / 9007199254740992.0


# Coefficients of AS 241 (PPND16), lowest power first.
_CENTRE_TOP = np.array(
    [3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4]
    + [4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3]
)
_CENTRE_BOTTOM = np.array(
    [1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3]
    + [2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3]
)
_MIDDLE_TOP = np.array(
    [1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0]
    + [1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4]
)
_MIDDLE_BOTTOM = np.array(
    [1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1]
    + [1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9]
)
_FAR_TOP = np.array(
    [6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1]
    + [2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7]
)
_FAR_BOTTOM = np.array(
    [1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2]
    + [7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15]
)


@kernel
def mix(z):
    """SplitMix64 finaliser: a bijection of 64-bit words."""
    z = np.uint64(z) + _GOLDEN
    z = (z ^ (z >> _S30)) * _C1
    z = (z ^ (z >> _S27)) * _C2
    return z ^ (z >> _S31)


@kernel
def stream_key(seed, month, stream):
    """What all draws of one stream in one month share: fetch it once where many are drawn."""
    return mix(np.uint64(seed) ^ mix(np.uint64(month) * _M20 + np.uint64(stream)))


@kernel
def unit(key, index):
    """Uniform on the open interval (0, 1) with 53 random bits, the ``index``-th under a stream's key."""
    return (np.float64(mix(key ^ np.uint64(index)) >> _S11) + 0.5) * _INV53


@kernel
def uniform(seed, month, stream, index):
    """Uniform on the open interval (0, 1)."""
    return unit(stream_key(seed, month, stream), index)


@kernel
def _ratio(top, bottom, r):
    """Ratio of two polynomials of degree seven."""
    above = top[7]
    below = bottom[7]
    for k in range(6, -1, -1):
        above = above * r + top[k]
        below = below * r + bottom[k]
    return above / below


@kernel
def normal_quantile(u):
    """Quantile of the standard normal law at ``u``, relative error 1e-16 (Wichura 1988, AS 241)."""
    q = u - 0.5
    if abs(q) <= 0.425:
        return q * _ratio(_CENTRE_TOP, _CENTRE_BOTTOM, 0.180625 - q * q)
    r = math.sqrt(-math.log(min(u, 1.0 - u)))
    if r <= 5.0:
        z = _ratio(_MIDDLE_TOP, _MIDDLE_BOTTOM, r - 1.6)
    else:
        z = _ratio(_FAR_TOP, _FAR_BOTTOM, r - 5.0)
    return z if q > 0.0 else -z


@kernel
def gauss(key, index):
    """Standard normal, the ``index``-th under a stream's key; monotone in its uniform."""
    return normal_quantile(unit(key, index))


@kernel
def normal(seed, month, stream, index):
    """Standard normal."""
    return gauss(stream_key(seed, month, stream), index)


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
