"""One vulnerability: what is drawn at its birth, and what becomes of it."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from reference_parts.draws import Draws, Stream

__all__ = ["FINE", "Vulnerability", "arrival", "patch_delay"]

NEVER = 32_000
FINE = 2**30
"""Orders and sums of EPSS and priorities are taken in whole units of 2^-30."""
QUANTILES = (
    *((0.0, 0.0012), (0.05, 0.0016), (0.1, 0.0021), (0.2, 0.0030), (0.3, 0.0038), (0.4, 0.0049), (0.5, 0.0067)),
    *((0.6, 0.0096), (0.7, 0.0133), (0.8, 0.0200), (0.9, 0.039), (0.95, 0.088), (0.97, 0.172), (0.98, 0.272)),
    *((0.99, 0.55), (0.995, 0.75), (0.999, 0.965), (1.0, 0.97)),
)
CVSS = ((9.0, 10.0), (7.0, 8.9), (4.0, 6.9), (0.1, 3.9))
DEPENDENCY = 2


@dataclass
class Vulnerability:
    """An open vulnerability; ``uid`` is its birth month x 1024 + its number among the month's arrivals."""

    uid: int
    service: int
    kind: int
    cvss: float
    epss: float
    patch_month: int
    exploited_month: int
    resistance: float
    """Exponential draw: it is found when the hazards of detection since its birth add up to it."""
    known: bool = False
    exploited: bool = False
    fate: str = "open"
    searched: float = 0.0

    @property
    def birth(self) -> int:
        return self.uid // 1024

    @property
    def hazard(self) -> float:
        return -math.log(1.0 - self.epss)

    def rank(self, weight: float) -> float:
        """Rank of EPSS x weight among all: logistic form of its log-normal law."""
        z = (math.log(self.epss * weight) + 4.68) / 1.51
        return 1.0 / (1.0 + math.exp(-1.702 * z))


def resistance(draws: Draws, uid: int) -> float:
    return -math.log(draws.uniform(0, Stream.VULNERABILITY, 16 * uid + 9))


def patch_delay(p, draws: Draws, uid: int) -> int:
    """Months until the patch of one born without: geometric."""
    if p.patch_rate >= 1.0:
        return 1
    u = draws.uniform(0, Stream.VULNERABILITY, 16 * uid + 7)
    return 1 + math.floor(math.log(u) / math.log(1.0 - p.patch_rate))


def pick(shares: tuple[float, ...], u: float) -> int:
    """The class that ``u`` falls into; the last takes what is missing to one."""
    total = 0.0
    for k, share in enumerate(shares[:-1]):
        total += share
        if u < total:
            return k
    return len(shares) - 1


def epss_at(u: float) -> float:
    """Log-linear between the published quantiles."""
    after = max(1, bisect_left([q for q, _ in QUANTILES], u))
    (a, low), (b, high) = QUANTILES[after - 1], QUANTILES[after]
    return low * (high / low) ** ((u - a) / (b - a))


def exploited_month(p, month: int, entry: float, lag: float) -> int:
    """Month of entry into the known-exploited catalogue: at once with .63, else after an exponential lag."""
    if entry >= p.kev_share:
        return NEVER
    if lag <= p.kev_at_once:
        return month
    return min(NEVER, month + math.ceil(-p.kev_lag * math.log((1.0 - lag) / (1.0 - p.kev_at_once))))


def arrival(p, draws: Draws, month: int, k: int, services: int, shock: bool) -> Vulnerability:
    """The ``k``-th arrival of a month; a scenario's shock is a dependency with CVSS 10 and the shock's EPSS."""
    uid = 1024 * month + k
    u = [draws.uniform(0, Stream.VULNERABILITY, 16 * uid + index) for index in range(9)]
    severity = pick(p.severity_share, u[1])
    low, high = CVSS[severity]
    return Vulnerability(
        uid=uid,
        service=int(u[0] * services),
        kind=DEPENDENCY if shock else pick(p.class_share, u[2]),
        cvss=10.0 if shock else low + (high - low) * u[4],
        epss=min(0.97, p.shock_epss if shock else epss_at(u[3]) * p.severity_epss[severity]),
        patch_month=month if u[6] < p.patch_at_birth else min(NEVER, month + patch_delay(p, draws, uid)),
        exploited_month=exploited_month(p, month, u[5], u[8]),
        resistance=resistance(draws, uid),
    )
