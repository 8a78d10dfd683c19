"""From files of scanners and a table of services to a scenario."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from spiral_env.checks import shown
from spiral_env.data import cyclonedx, exploitation, pip_audit, sarif, services_table, zap
from spiral_env.data.findings import TOOLS, Context, Dropped, FileReport, short
from spiral_env.data.formats import FORMS, form_of
from spiral_env.data.matching import Owners, merge
from spiral_env.data.ranking import Ranked, hazard, rank
from spiral_env.data.services_table import OwnService
from spiral_env.data.sources import Bounded, named, opened
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.given import Service, slots

__all__ = ["Imported", "Input", "import_files", "input_of"]

_READERS: dict[str, Callable[[Bounded, Context], None]] = {
    "sarif": sarif.read,
    "zap": zap.read,
    "pip-audit": pip_audit.read,
    "kev": exploitation.read_kev,
    "epss": exploitation.read_epss,
}
_FIRST_TO_LAST = ("sarif", "cyclonedx", "zap", "pip-audit", "kev", "epss")
"""Scores are read for the findings that there are, so they come last."""
_MOST_FILES = 500
_APPLICATION = "application"
_BASE = "baseline-v1"


class Input(NamedTuple):
    """A file to read, and what the user says of it: kind of scanner and service, empty where nothing is said."""

    path: str
    tool: str = ""
    service: str = ""


@dataclass
class Imported:
    """What an import made of its files.

    Attributes:
        scenario: the world.
        files: what was read of each file, in the order they were given.
        ranked: every finding that is open, most urgent first; the first of them are in the scenario by name.
        named: how many of them are.
        dropped: findings that were left out, the first thousands of them.
        reasons: reason -> how many were left out, of all files.
        read: findings that were read.
        notes: sentences on what was assumed or left out.
    """

    scenario: Scenario
    files: list[FileReport]
    ranked: list[Ranked]
    named: int
    dropped: list[Dropped]
    reasons: Counter[str]
    read: int
    notes: list[str] = field(default_factory=list)


def input_of(text: str) -> Input:
    """A file as the command line names it: ``path``, ``service=path``, ``dast:path`` or ``dast:service=path``.

    A path that is there is taken as it stands, whatever it holds.
    """
    if os.path.exists(text):
        return Input(text)
    tool, colon, rest = text.partition(":")
    tool, rest = (tool.lower(), rest) if colon and tool.lower() in TOOLS else ("", text)
    if os.path.exists(rest):
        return Input(rest, tool)
    service, equals, path = rest.partition("=")
    return Input(path, tool, service.strip()) if equals else Input(rest, tool)


def import_files(
    inputs: Sequence[Input],
    scenario_id: str,
    *,
    services: str | Path | None = None,
    base: str = _BASE,
    default_service: str | None = None,
    title: str = "",
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Make a scenario of scanner files.

    Args:
        inputs: the files; their formats are told by what they hold.
        scenario_id: of the scenario, as ``my-company-v1``.
        services: CSV of the user's services; None makes one of every application and host that files name.
        base: scenario whose other numbers hold.
        default_service: takes the findings that match no service; None leaves them out, and the report says so.
        title: of the scenario; empty for one that says what it is.
        progress: told after every file that is read.

    Raises:
        ImportError: a package that reads a format is missing; the line names the extra.
        ValueError: a file cannot be used or nothing is left, in one line.
    """
    if not 1 <= len(inputs) <= _MOST_FILES:
        raise ValueError(f"files must be 1 to {_MOST_FILES}, got {len(inputs)}")
    _demand_readers()
    own = _own_services(services)
    context = Context()
    files = _read_all(inputs, context, progress)
    notes: list[str] = []
    if own is not None:
        _demand_named(inputs, own, default_service)
    table, calls = _assigned(own, context, default_service, notes)
    merged = merge(context.findings)
    world = _world(scenario_id, title, base, calls, [], {})
    ranked = rank(world, merged, context.exploited, context.scores)
    most = slots(len(table))
    tails: dict[str, float] = {}
    for beyond in ranked[most:]:
        tails[beyond.entry.service] = tails.get(beyond.entry.service, 0.0) + hazard(beyond)
    scenario = _world(scenario_id, title, base, calls, ranked[:most], tails)
    notes += _assumptions(ranked, most, context)
    reasons: Counter[str] = Counter()
    of_findings = [x for x in files if x.form not in ("KEV", "EPSS")]
    for report in of_findings:
        reasons += report.dropped
    reasons["matches no service"] += context.lost
    reads = sum(x.read for x in of_findings)
    return Imported(scenario, files, ranked, min(most, len(ranked)), context.dropped, +reasons, reads, notes)


def _demand_readers() -> None:
    """Refuse before any file is read where a package is missing."""
    for name in ("ijson", "cvss", "packageurl"):
        import_module(name)


def _own_services(path: str | Path | None) -> list[OwnService] | None:
    if path is None:
        return None
    with opened(path, 2**22, "services table") as stream:
        return services_table.read(stream)


def _read_all(inputs: Sequence[Input], context: Context, progress: Callable[[int], None] | None) -> list[FileReport]:
    """Read every file, in the order of formats; reports stand in the order of the files."""
    forms, reports = [], []
    for one in inputs:
        with opened(one.path) as stream:
            forms.append(form_of(stream))
        reports.append(FileReport(named(one.path), FORMS[forms[-1]]))
    headers: dict[int, cyclonedx.Header] = {}

    def turn_to(k: int) -> Input:
        context.report, context.tool, context.service = reports[k], inputs[k].tool, inputs[k].service
        return inputs[k]

    for k in (k for k, form in enumerate(forms) if form == "cyclonedx"):
        with opened(turn_to(k).path) as stream:
            headers[k] = cyclonedx.collect(stream, context)
    for k in sorted(range(len(inputs)), key=lambda k: _FIRST_TO_LAST.index(forms[k])):
        with opened(turn_to(k).path) as stream:
            if forms[k] == "cyclonedx":
                cyclonedx.read(stream, context, headers[k])
            else:
                _READERS[forms[k]](stream, context)
        if progress is not None:
            progress(1)
    return reports


def _demand_named(inputs: Sequence[Input], own: Sequence[OwnService], default: str | None) -> None:
    names = {x.name for x in own}
    for one in inputs:
        if one.service and one.service not in names:
            raise ValueError(f"service {shown(one.service)} of file {named(one.path)} is not in the table of services")
    if default is not None and default not in names:
        raise ValueError(f"default service {shown(default)} is not in the table of services")


def _assigned(
    own: list[OwnService] | None, context: Context, default: str | None, notes: list[str]
) -> tuple[list[OwnService], list[Service]]:
    """Give every finding its service, or leave it out; at most so many services as a world holds."""
    if own is None:
        own = _found_services(context, default, notes)
    else:
        _by_table(own, context, default)
    table, now, pooling = services_table.pooled(own)
    for finding in context.findings:
        finding.service = now[finding.service]
    calls, cut = services_table.without_loops(table)
    notes += [*pooling, *cut]
    return table, calls


def _by_table(own: list[OwnService], context: Context, default: str | None) -> None:
    owners = Owners(own, context.components)
    kept = []
    context.report = FileReport("", "")
    for finding in context.findings:
        finding.service = owners.of(finding) or (default or "")
        if finding.service:
            kept.append(finding)
        else:
            context.tell(finding.name, "matches no service")
    missed = len(context.findings) - len(kept)
    if context.findings and not kept:
        raise ValueError(
            f"no finding of {missed:,} matches a service: name it as service=file, give the table a column match, "
            "or a default service"
        )
    context.lost = missed
    context.findings = kept


def _found_services(context: Context, default: str | None, notes: list[str]) -> list[OwnService]:
    """Every application and host that files name is a service, at the edge since nobody says otherwise."""
    for finding in context.findings:
        named_so = finding.service or next((_host(x) for x in finding.hints if _host(x)), "")
        finding.service = short(named_so or default or _APPLICATION, 80)
    names = list(dict.fromkeys([*(x.service for x in context.findings), *(short(x, 80) for x in context.components)]))
    names = names or [default or _APPLICATION]
    notes.append(f"no table of services: {len(names)} taken from the files, all at the edge and equally critical")
    return [OwnService(name, "edge") for name in names]


def _host(hint: str) -> str:
    return re.sub(r"^\w+://", "", hint).split("/")[0].strip()


def _world(
    scenario_id: str,
    title: str,
    base: str,
    calls: Sequence[Service],
    ranked: Sequence[Ranked],
    tails: dict[str, float],
) -> Scenario:
    world = load_scenario(base)
    params = {name: value for name, value in world.params.items() if name != "num_services"}
    if not ranked:
        params["backlog_open"] = 0.0
    return world.model_copy(
        update={
            "id": scenario_id,
            "title": title or "Own services and findings",
            "description": f"Made by spiral import over {world.id}.",
            "known_answer": "",
            "params": params,
            "services": [x._replace(tail=tails.get(x.name, 0.0)) for x in calls],
            "backlog": [x.entry for x in ranked],
        }
    )


def _assumptions(ranked: Sequence[Ranked], most: int, context: Context) -> list[str]:
    """What was assumed, with its count."""
    graded = sum(x.severity.told_by.startswith("assumed") for x in ranked)
    scored = sum(x.entry.epss is None for x in ranked)
    unsaid = sum(x.entry.patch is None for x in ranked)
    told = [
        (graded, "without any severity were taken for medium, CVSS 5.5"),
        (scored, "without an EPSS: every episode draws it as of a vulnerability of that severity"),
        (unsaid, "of which no file says whether there is a fix: drawn likewise"),
        (max(0, len(ranked) - most), f"beyond the {most} most urgent count as hazard of their service, without a name"),
    ]
    notes = [f"{count:,} {what}" for count, what in told if count]
    notes += [] if context.exploited is not None else ["no catalogue of known exploited vulnerabilities was given"]
    return notes + ([] if context.scores is not None else ["no file of EPSS was given"])
