"""Resource aggregation x cybersecurity: scanners, intelligence, vulnerabilities found (paper 2.1; study [4])."""

from __future__ import annotations

import math

import numpy as np

from spiral_env.core._jit import kernel
from spiral_env.core.rng import Stream, poisson, uniform
from spiral_env.stages.stock import AGGREGATION, GOVERNANCE, stock

__all__ = ["NEVER", "WRITES", "add_vulnerability", "aggregate", "draw_epss", "forget"]

WRITES = "resource_aggregation.cybersecurity"
NEVER = 1_000_000
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
    while u > _EPSS_AT[k + 1]:
        k += 1
    weight = (u - _EPSS_AT[k]) / (_EPSS_AT[k + 1] - _EPSS_AT[k])
    return math.exp(_LN_EPSS[k] + weight * (_LN_EPSS[k + 1] - _LN_EPSS[k]))


@kernel
def _pick(shares, u):
    total = 0.0
    for k in range(shares.shape[0]):
        total += shares[k]
        if u < total:
            return k
    return shares.shape[0] - 1


@kernel
def _free_slot(s):
    """Index of a free slot; a full backlog sends its item of least EPSS to the aggregate tail."""
    if s.num_open < s.v_uid.shape[0]:
        s.num_open += 1
        return s.num_open - 1
    least = 0
    for j in range(1, s.num_open):
        if s.v_epss[j] < s.v_epss[least]:
            least = j
    s.tail[s.v_service[least]] += s.v_hazard[least]
    return least


@kernel
def add_vulnerability(s, p, uid, severity, epss, kind, service, cvss, patch_month, kev_month, known):
    """Open one vulnerability; its detection threshold is an exponential draw above the hazard so far."""
    j = _free_slot(s)
    s.v_uid[j] = uid
    s.v_birth[j] = s.month
    s.v_service[j] = service
    s.v_class[j] = kind
    s.v_cvss[j] = cvss
    s.v_epss[j] = epss
    s.v_hazard[j] = -math.log(1.0 - epss)
    s.v_patch_month[j] = patch_month
    s.v_kev_month[j] = kev_month
    s.v_kev[j] = 0
    s.v_known[j] = known
    threshold = -math.log(uniform(s.seed, 0, Stream.VULNERABILITY, uid * DRAWS + 9))
    s.v_detect[j] = s.detect_hazard[kind] + threshold


@kernel
def _geometric(u, rate):
    """Months until the first success of a monthly probability."""
    return 1 + int(math.log(u) / math.log(1.0 - rate)) if rate < 1.0 else 1


@kernel
def patch_delay(s, p, uid):
    """Month in which a vulnerability without a patch gets one."""
    return s.month + _geometric(uniform(s.seed, 0, Stream.VULNERABILITY, uid * DRAWS + 7), p.patch_rate)


@kernel
def _arrive(s, p, k, shock):
    """Draw the k-th arrival of the month; every draw is keyed by its birth (month, k)."""
    uid = s.month * 1024 + k
    key = uid * DRAWS
    service = int(uniform(s.seed, 0, Stream.VULNERABILITY, key) * s.num_services)
    severity = _pick(p.severity_share, uniform(s.seed, 0, Stream.VULNERABILITY, key + 1))
    kind = _pick(p.class_share, uniform(s.seed, 0, Stream.VULNERABILITY, key + 2))
    epss = draw_epss(uniform(s.seed, 0, Stream.VULNERABILITY, key + 3)) * p.severity_epss[severity]
    spread = _CVSS_HIGH[severity] - _CVSS_LOW[severity]
    cvss = _CVSS_LOW[severity] + spread * uniform(s.seed, 0, Stream.VULNERABILITY, key + 4)
    kev_month = NEVER
    if uniform(s.seed, 0, Stream.VULNERABILITY, key + 5) < p.kev_share:
        lag = uniform(s.seed, 0, Stream.VULNERABILITY, key + 8)
        late = -p.kev_lag * math.log((1.0 - lag) / (1.0 - p.kev_at_once)) if lag > p.kev_at_once else 0.0
        kev_month = s.month + int(math.ceil(late))
    patch_month = s.month
    if uniform(s.seed, 0, Stream.VULNERABILITY, key + 6) >= p.patch_at_birth:
        patch_month = patch_delay(s, p, uid)
    if shock:
        kind, epss, cvss, severity = 2, p.shock_epss, 10.0, 0
    add_vulnerability(s, p, uid, severity, min(epss, 0.97), kind, service, cvss, patch_month, kev_month, 0)


@kernel
def forget(s, j):
    """Close slot ``j``: the last open item takes its place."""
    last = s.num_open - 1
    s.v_uid[j] = s.v_uid[last]
    s.v_birth[j] = s.v_birth[last]
    s.v_service[j] = s.v_service[last]
    s.v_class[j] = s.v_class[last]
    s.v_cvss[j] = s.v_cvss[last]
    s.v_epss[j] = s.v_epss[last]
    s.v_hazard[j] = s.v_hazard[last]
    s.v_patch_month[j] = s.v_patch_month[last]
    s.v_kev_month[j] = s.v_kev_month[last]
    s.v_kev[j] = s.v_kev[last]
    s.v_detect[j] = s.v_detect[last]
    s.v_known[j] = s.v_known[last]
    s.num_open = last


@kernel
def _close_patched(s):
    """Drop what was patched last month (``v_fixed`` names the month)."""
    for j in range(s.num_open - 1, -1, -1):
        if s.v_fixed[j] == s.month - 1:
            forget(s, j)


@kernel
def _arrivals(s, p):
    """Poisson(.8 S surface) new vulnerabilities, and a scenario's shock."""
    count = poisson(s.seed, s.month, Stream.ARRIVALS, 0, p.arrival_rate * s.num_services * s.surface)
    shocks = int(p.shock_count) if s.month == int(p.shock_month) else 0
    for k in range(count + shocks):
        _arrive(s, p, k, k >= count)
    s.arrivals = count + shocks
    s.recent_arrivals[s.month % 12] = s.arrivals


@kernel
def _tools(s, p):
    """Move the four maturities; hazard of detection -ln(1 - d) per class; false findings."""
    for k in range(4):
        gain = s.scanner_gain * p.tool_gain[k]
        s.scanners[k] = stock(s, p, s.scanners[k], s.scanning_effort, AGGREGATION, gain)
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


@kernel
def _false_findings(s, p):
    """Poisson(80 sum_j x_j fpr_j / 4 x (1 - .52 mean x))."""
    raised = 0.0
    mean = 0.0
    for k in range(4):
        raised += s.scanners[k] * p.tool_fpr[k] / 4.0
        mean += s.scanners[k] / 4.0
    rate = p.false_cells * raised * (1.0 - p.false_cut * mean)
    s.false_findings = poisson(s.seed, s.month, Stream.FALSE_FINDINGS, 0, rate)


@kernel
def _discover(s, p):
    """Entries in the known-exploited catalogue, and what the tools or outsiders have found."""
    for j in range(s.num_open):
        if s.v_kev_month[j] == s.month:
            s.v_kev[j] = 1
            if s.v_epss[j] < p.kev_epss:
                s.v_epss[j] = p.kev_epss
                s.v_hazard[j] = -math.log(1.0 - p.kev_epss)
        if s.v_detect[j] <= s.detect_hazard[s.v_class[j]]:
            s.v_known[j] = 1


@kernel
def aggregate(s, p):
    """Close what was patched, buy tools, let vulnerabilities arrive and be found."""
    _close_patched(s)
    s.intel = stock(s, p, s.intel, s.intel_effort, GOVERNANCE, 1.0)
    for j in range(s.num_services):
        s.tail[j] *= 1.0 - p.tail_decay
    _arrivals(s, p)
    _tools(s, p)
    _false_findings(s, p)
    _discover(s, p)
