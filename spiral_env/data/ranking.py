"""Merged findings as the open backlog of a world, ranked by the hybrid rule of study [4]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from spiral_env.data.findings import KIND_OF_TOOL, Finding
from spiral_env.data.identity import first_cve
from spiral_env.data.matching import Merged
from spiral_env.data.severity import ASSUMED, Severity
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.given import LEAST_EPSS, MOST_EPSS, OpenFinding
from spiral_env.simulator.engine import Engine
from spiral_env.stages.resource_aggregation.cybersecurity import draw_epss, rank_of_threat
from spiral_env.stages.risk_governance._patching import priority

__all__ = ["Ranked", "hazard", "rank"]

_F = TypeVar("_F", bound=Callable[..., Any])


class Ranked(NamedTuple):
    """An entry of the backlog and what it came from.

    Attributes:
        entry: as the scenario has it.
        merged: the findings that mean it.
        severity: the score, and how it was told.
        likelihood: the EPSS that it was ranked by: as told, or the median of its severity.
        score: of the hybrid rule, in [0, 1].
    """

    entry: OpenFinding
    merged: Merged
    severity: Severity
    likelihood: float
    score: float


def rank(
    world: Scenario, found: Sequence[Merged], exploited: set[str] | None, scores: dict[str, float] | None
) -> list[Ranked]:
    """All of what was found, most urgent first.

    The score is (1 - w) CVSS/10 + w rank(EPSS x revenue at risk) at full triage and the opening's knowledge. A finding
    without an EPSS is ranked by the median of its severity, one of the catalogue by at least the catalogue's.

    Args:
        world: services, without findings.
        found: one entry for each thing to mend.
        exploited: identifiers of the catalogue, None if none was given.
        scores: identifier -> EPSS, None if none were given.
    """
    at_risk = _revenue_at_risk(world)
    out = [_ranked(world, at_risk, merged, exploited or set(), scores or {}) for merged in found]
    out.sort(key=lambda x: (-x.score, -x.severity.score, x.entry.service, x.entry.name))
    return _with_names_apart(out)


def hazard(ranked: Ranked) -> float:
    """What an open finding adds to the hazard of its service, before exposure."""
    return -math.log(1.0 - ranked.likelihood)


def _plain(kernel: _F) -> _F:
    """A kernel as the Python it is written in: for single numbers, compiling takes longer than it saves."""
    return getattr(kernel, "py_func", kernel)


def _revenue_at_risk(world: Scenario) -> dict[str, float]:
    """Service -> what an entry there puts at risk, relative to the mean."""
    engine = Engine(world.world(num_smes=1), 1)
    engine.reset(np.zeros(1, dtype=np.int64))
    values = engine.states[0]["service_value"]
    engine.close()
    return {service.name: float(values[k]) for k, service in enumerate(world.services)}


def _ranked(
    world: Scenario, at_risk: dict[str, float], merged: Merged, exploited: set[str], scores: dict[str, float]
) -> Ranked:
    parts = merged.parts
    ids = list(dict.fromkeys(x for part in parts for x in part.ids))
    severity = _severity(parts)
    told = [scores[x] for x in ids if x in scores] + [x.epss for x in parts if x.epss is not None]
    epss = max(told, default=None)
    kev = any(x.kev for x in parts) or any(x in exploited for x in ids)
    likelihood = _likelihood(world, severity.score, epss, kev)
    service = parts[0].service
    entry = OpenFinding(
        name=_name(parts, ids),
        service=service,
        kind=KIND_OF_TOOL[parts[0].tool],
        cvss=round(severity.score, 4),
        epss=epss,
        patch=_fix(parts),
        kev=kev,
    )
    return Ranked(entry, merged, severity, likelihood, _score(world, severity.score, likelihood, at_risk[service]))


def _severity(parts: Sequence[Finding]) -> Severity:
    """The best told: a vector before a score, a score before a word, a word before a level; of equals the highest."""
    order = ("vector", "score", "severity", "word", "rank", "level")
    told = [x.severity for x in parts if x.severity is not None]
    for kind in order:
        same = [x for x in told if kind in x.told_by]
        if same:
            return max(same)
    return ASSUMED


def _fix(parts: Sequence[Finding]) -> bool | None:
    """Own code can always be mended; of a package, who knows of a fix is right."""
    if any(x.tool in ("sast", "iast") and not x.ids for x in parts):
        return True
    told = [x.fix for x in parts if x.fix is not None]
    return any(told) if told else None


def _name(parts: Sequence[Finding], ids: Sequence[str]) -> str:
    cve = first_cve(sorted(ids, key=lambda x: (not x.startswith("CVE-"), x)))
    placed = next((x for x in parts if x.place), parts[0])
    return f"{cve} {placed.place}".strip() if cve else parts[0].name


def _number(world: Scenario, name: str) -> Any:
    return world.value(name)


def _likelihood(world: Scenario, cvss: float, epss: float | None, kev: bool) -> float:
    band = sum(cvss < least for least in (9.0, 7.0, 4.0))
    median = _plain(draw_epss)(0.5) * _number(world, "severity_epss")[band]
    found = median if epss is None else epss
    found = max(found, _number(world, "kev_epss")) if kev else found
    return min(max(found, LEAST_EPSS), MOST_EPSS)


def _score(world: Scenario, cvss: float, likelihood: float, at_risk: float) -> float:
    public = _number(world, "triage_public")
    known = public + (1.0 - public) * _number(world, "start_stock")
    threat = _number(world, "triage_threat")[2] * known
    business = _number(world, "triage_business")[2]
    ranks = [_plain(rank_of_threat)(x) for x in (likelihood, likelihood * at_risk)]
    return float(_plain(priority)(threat, business, cvss, *ranks))


def _with_names_apart(ranked: list[Ranked]) -> list[Ranked]:
    """Names of at most 200 characters, no two alike."""
    seen: dict[str, int] = {}
    out = []
    for x in ranked:
        name = x.entry.name[:180] or "finding"
        seen[name] = seen.get(name, 0) + 1
        apart = name if seen[name] == 1 else f"{name} ({seen[name]})"
        out.append(x._replace(entry=x.entry._replace(name=apart)))
    return out
