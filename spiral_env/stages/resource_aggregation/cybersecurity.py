"""Resource aggregation x cybersecurity: scanners, intelligence, vulnerabilities found (paper 2.1; study [4])."""

from __future__ import annotations

import math

import numpy as np

from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, poisson, stream_key, unit
from spiral_env.stages.stock import stock

__all__ = [
    "BIRTH_SHIFT",
    "FAILED",
    "ISOLATED",
    "NEVER",
    "OPEN",
    "PATCHED",
    "WRITES",
    "add_vulnerability",
    "aggregate",
    "draw_epss",
    "patch_delay",
    "rank_of_threat",
]

WRITES = "resource_aggregation.cybersecurity"
OPEN, PATCHED, FAILED, ISOLATED = 0, 1, 2, 3
"""What ``v_fate`` says of a vulnerability in a month."""
NEVER = 32_000
BIRTH_SHIFT = 10
"""A vulnerability's key is ``birth month * 1024 + k``."""
_TAKEN = np.iinfo(np.int64).max
DRAWS = 16
"""Draws reserved for one vulnerability under its key."""

_EPSS_AT = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0])
_LN_EPSS = np.log(
    np.array(
        [0.0012, 0.0016, 0.0021, 0.0030, 0.0038, 0.0049, 0.0067, 0.0096, 0.0133, 0.0200, 0.039, 0.088, 0.172, 0.272]
        + [0.55, 0.75, 0.965, 0.97]
    )
)
_CVSS_LOW = np.array([9.0, 7.0, 4.0, 0.1])
_CVSS_HIGH = np.array([10.0, 8.9, 6.9, 3.9])


@kernel
def draw_epss(u):
    """EPSS at quantile ``u``: log-linear between the published quantiles of all scored CVEs."""
    k = 0
    for quantile in _EPSS_AT[1:-1]:
        k += int(u > quantile)
    weight = (u - _EPSS_AT[k]) / (_EPSS_AT[k + 1] - _EPSS_AT[k])
    return math.exp(_LN_EPSS[k] + weight * (_LN_EPSS[k + 1] - _LN_EPSS[k]))


@kernel
def _pick(shares, u):
    """Index drawn by shares that add to one; what is missing goes to the last."""
    total = 0.0
    picked = 0
    for k in range(shares.shape[0] - 1):
        total += shares[k]
        picked += int(u >= total)
    return picked


@kernel
def _rank_by_epss(s, tickets):
    """One word a slot, in the order of EPSS to 2^-30, then the older key; its last ten bits are the slot."""
    for j in range(s.num_open):
        tickets[j] = (int(s.v_epss[j] * 1_073_741_824.0) << 30) | (s.v_uid[j] << 10) | j


@kernel
def _free_slot(s, tickets):
    """A free slot; a full backlog sends the item of least EPSS of those open before to the aggregate tail.

    -1 if all slots hold arrivals of this month.
    """
    if s.num_open < s.v_uid.shape[0]:
        s.num_open += 1
        return s.num_open - 1
    least = tickets[0]
    for j in range(1, s.num_open):
        least = min(least, tickets[j])
    if least == _TAKEN:
        return -1
    slot = least & 1023
    tickets[slot] = _TAKEN
    s.tail[s.v_service[slot]] += s.v_hazard[slot]
    return slot


@kernel
def rank_of_threat(threat):
    """Rank in [0, 1] of a threat, EPSS x what its service is worth: the logistic form of its log-normal law."""
    z = (math.log(threat) + 4.68) / 1.51
    return 1.0 / (1.0 + math.exp(-1.702 * z))


@kernel
def _grade(s, j, epss):
    """Set EPSS and what follows from it."""
    s.v_epss[j] = epss
    s.v_hazard[j] = -math.log(1.0 - epss)
    s.v_rank[j] = rank_of_threat(epss)
    s.v_value[j] = rank_of_threat(epss * s.service_value[s.v_service[j]])


@kernel
def add_vulnerability(s, j, uid, epss, kind, service, cvss, patch_month, kev_month, known):
    """Open one vulnerability in slot ``j``; it is found at an exponential threshold above the hazard so far."""
    s.v_uid[j] = uid
    s.v_service[j] = service
    s.v_tier[j] = s.service_tier[service]
    s.v_class[j] = kind
    s.v_cvss[j] = cvss
    _grade(s, j, epss)
    s.v_patch_month[j] = min(patch_month, NEVER)
    s.v_kev_month[j] = kev_month
    s.v_kev[j] = 0
    s.v_known[j] = known
    draw = unit(stream_key(s.seed, 0, Stream.VULNERABILITY), uid * DRAWS + 9)
    s.v_detect[j] = s.detect_hazard[kind] - math.log(draw)


@kernel
def _geometric(u, rate):
    """Months until the first success of a monthly probability."""
    return 1 + int(math.log(u) / math.log(1.0 - rate)) if rate < 1.0 else 1


@kernel
def patch_delay(s, p, uid):
    """Month in which a vulnerability without a patch gets one."""
    draw = unit(stream_key(s.seed, 0, Stream.VULNERABILITY), uid * DRAWS + 7)
    return s.month + _geometric(draw, p.patch_rate)


@kernel
def _known_exploited(p, month, entry, lag):
    """Month in which a vulnerability enters the known-exploited catalogue, or NEVER."""
    if entry >= p.kev_share:
        return NEVER
    if lag <= p.kev_at_once:
        return month
    return min(NEVER, month + int(math.ceil(-p.kev_lag * math.log((1.0 - lag) / (1.0 - p.kev_at_once)))))


@kernel
def _arrive(s, p, k, shock, tickets):
    """Draw the k-th arrival of the month; every draw is keyed by its birth (month, k)."""
    uid = (s.month << BIRTH_SHIFT) + k
    key = stream_key(s.seed, 0, Stream.VULNERABILITY)
    first = uid * DRAWS
    service = int(unit(key, first) * s.num_services)
    severity = _pick(p.severity_share, unit(key, first + 1))
    kind = _pick(p.class_share, unit(key, first + 2))
    epss = draw_epss(unit(key, first + 3)) * p.severity_epss[severity]
    spread = _CVSS_HIGH[severity] - _CVSS_LOW[severity]
    cvss = _CVSS_LOW[severity] + spread * unit(key, first + 4)
    kev_month = _known_exploited(p, s.month, unit(key, first + 5), unit(key, first + 8))
    patch_month = s.month
    if unit(key, first + 6) >= p.patch_at_birth:
        patch_month = patch_delay(s, p, uid)
    if shock:
        kind, epss, cvss = 2, p.shock_epss, 10.0
    epss = min(epss, 0.97)
    slot = _free_slot(s, tickets)
    if slot < 0:
        s.tail[service] -= math.log(1.0 - epss)
    else:
        add_vulnerability(s, slot, uid, epss, kind, service, cvss, patch_month, kev_month, 0)


@kernel
def _forget(s, j):
    """Close slot ``j``: the last open item takes its place."""
    last = s.num_open - 1
    s.v_uid[j] = s.v_uid[last]
    s.v_service[j] = s.v_service[last]
    s.v_tier[j] = s.v_tier[last]
    s.v_class[j] = s.v_class[last]
    s.v_cvss[j] = s.v_cvss[last]
    s.v_epss[j] = s.v_epss[last]
    s.v_hazard[j] = s.v_hazard[last]
    s.v_rank[j] = s.v_rank[last]
    s.v_value[j] = s.v_value[last]
    s.v_patch_month[j] = s.v_patch_month[last]
    s.v_kev_month[j] = s.v_kev_month[last]
    s.v_kev[j] = s.v_kev[last]
    s.v_detect[j] = s.v_detect[last]
    s.v_known[j] = s.v_known[last]
    s.num_open = last


@kernel
def _close_patched(s):
    """Drop what was patched last month."""
    left = s.patched
    j = s.num_open
    while left > 0:
        j -= 1
        if s.v_fate[j] == PATCHED:
            _forget(s, j)
            left -= 1


@kernel
def _arrivals(s, p, tickets):
    """Poisson(arrival_rate S surface) new vulnerabilities, and a scenario's shock."""
    count = poisson(s.seed, s.month, Stream.ARRIVALS, 0, p.arrival_rate * s.num_services * s.surface)
    shocks = int(p.shock_count) if s.month == int(p.shock_month) else 0
    if s.num_open + count + shocks > s.v_uid.shape[0]:
        _rank_by_epss(s, tickets)
        tickets[s.num_open :] = _TAKEN
    for k in range(count + shocks):
        _arrive(s, p, k, k >= count, tickets)
    s.arrivals = count + shocks
    s.recent_arrivals[s.month % 12] = s.arrivals


@kernel
def _tools(s, p):
    """Move the four maturities; hazard of detection -ln(1 - d) per class; false findings."""
    for k in range(4):
        s.scanners[k] = stock(p, s.scanners[k], s.scanning_effort, s.gain_scanners * p.tool_gain[k])
    s.detection = 0.0
    for k in range(4):
        missed = 1.0 - s.scanners[0] * p.recall_sast[k]
        missed *= 1.0 - s.scanners[1] * p.recall_dast[k]
        missed *= 1.0 - s.scanners[2] * p.recall_sca[k]
        missed *= 1.0 - s.scanners[3] * p.recall_iast[k]
        if p.detection == 0.0:
            missed = 1.0
        unfound = (1.0 - p.detect_outside) * missed**p.detect_power
        s.detect_hazard[k] -= math.log(unfound)
        s.detection += p.class_share[k] * (1.0 - unfound)
    # Published shares may add to a little more than one.
    s.detection = min(s.detection, 1.0)


@kernel
def _false_findings(s, p):
    """Poisson(false_cells sum_j x_j fpr_j / 4 x (1 - false_cut mean x))."""
    raised = 0.0
    mean = 0.0
    for k in range(4):
        raised += s.scanners[k] * p.tool_fpr[k] / 4.0
        mean += s.scanners[k] / 4.0
    rate = p.false_cells * raised * (1.0 - p.false_cut * mean)
    s.false_findings = poisson(s.seed, s.month, Stream.FALSE_FINDINGS, 0, rate)


@kernel
def _catalogue(s, p):
    """Entries in the known-exploited catalogue this month."""
    entries = 0
    for j in range(s.num_open):
        entries += int(s.v_kev_month[j] == s.month)
    if entries == 0:
        return
    for j in range(s.num_open):
        if s.v_kev_month[j] == s.month:
            s.v_kev[j] = 1
            if s.v_epss[j] < p.kev_epss:
                _grade(s, j, p.kev_epss)


@kernel
def _discover(s):
    """What the tools or outsiders have found by now."""
    for j in range(s.num_open):
        s.v_known[j] |= int(s.v_detect[j] <= s.detect_hazard[s.v_class[j]])


@kernel
def aggregate(s, p, scratch):
    """Close what was patched, buy tools, let vulnerabilities arrive and be found."""
    _close_patched(s)
    s.intel = stock(p, s.intel, s.intel_effort, s.gain_security)
    for j in range(s.num_services):
        s.tail[j] *= 1.0 - p.tail_decay
    _arrivals(s, p, scratch[1])
    _tools(s, p)
    _false_findings(s, p)
    _catalogue(s, p)
    _discover(s)
