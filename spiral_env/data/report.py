"""What an import read, merged and left out, and why: tables for people, a CSV of every finding, JSON."""

from __future__ import annotations

from typing import Any

from spiral_env.data.importing import Imported
from spiral_env.data.ranking import Ranked, hazard
from spiral_env.text import Table, csv_text

__all__ = ["as_csv", "as_data", "as_tables"]

COLUMNS = (
    *("place", "name", "service", "state", "hybrid_score", "cvss", "cvss_told_by", "epss", "kev", "fix", "class"),
    *("tools", "merged", "merged_by", "identifiers", "weaknesses", "title", "file", "reason"),
)
_URGENT = 10


def as_tables(found: Imported) -> list[Table | str]:
    """What the command prints."""
    open_, extra = len(found.ranked), sum(len(x.merged.parts) - 1 for x in found.ranked)
    left = ", ".join(f"{count:,} {reason}" for reason, count in found.reasons.most_common())
    counts = f"{open_:,} are open, {extra:,} were merged into them, {sum(found.reasons.values()):,} left out"
    line = f"{found.read:,} findings read: {counts}{f' ({left})' if left else ''}."
    return [_files(found), _services(found), _urgent(found), line, "\n".join(f"* {x}" for x in found.notes)]


def _files(found: Imported) -> Table:
    table = Table(("file", "format", "tools", "read", "kept", "left out", "notes"), title="What was read")
    for x in found.files:
        left = ", ".join(f"{count} {reason}" for reason, count in x.dropped.most_common())
        table.add_row(x.file, x.form, ", ".join(x.tools), x.read, x.kept, left, "; ".join(x.notes))
    return table


def _services(found: Imported) -> Table:
    world = found.scenario
    table = Table(("service", "tier", "criticality", "calls", "open", "worst CVSS", "known exploited"))
    table.title = f"{world.id}: services"
    weight = sum(x.criticality for x in world.services)
    for service in world.services:
        mine = [x for x in found.ranked if x.entry.service == service.name]
        worst = f"{max(x.entry.cvss for x in mine):.1f}" if mine else ""
        known = sum(x.entry.kev for x in mine)
        share = f"{service.criticality / weight:.3f}"
        table.add_row(service.name, service.tier, share, " ".join(service.calls), len(mine), worst, known)
    return table


def _urgent(found: Imported) -> Table:
    table = Table(("place", "finding", "service", "score", "CVSS", "EPSS", "KEV", "tools"), title="Most urgent")
    for place, x in enumerate(found.ranked[:_URGENT], start=1):
        cells = (f"{x.score:.3f}", f"{x.entry.cvss:.1f}", _epss(x), "yes" if x.entry.kev else "", _tools(x))
        table.add_row(place, x.entry.name, x.entry.service, *cells)
    return table


def _epss(x: Ranked) -> str:
    return "" if x.entry.epss is None else f"{x.entry.epss:.5f}"


def _tools(x: Ranked) -> str:
    return " ".join(sorted({part.source for part in x.merged.parts}))


def as_csv(found: Imported) -> str:
    """Every finding that is open, most urgent first, then those left out, as far as they are listed."""
    rows = [_open_row(found, place, x) for place, x in enumerate(found.ranked, start=1)]
    left = [{"name": x.name, "state": "left out", "file": x.file, "reason": x.reason} for x in found.dropped]
    return csv_text(COLUMNS, [*rows, *left])


def _open_row(found: Imported, place: int, x: Ranked) -> dict[str, Any]:
    parts = x.merged.parts
    return {
        "place": place,
        "name": x.entry.name,
        "service": x.entry.service,
        "state": "open" if place <= found.named else "open, counted as hazard",
        "hybrid_score": f"{x.score:.4f}",
        "cvss": f"{x.entry.cvss:.1f}",
        "cvss_told_by": x.severity.told_by,
        "epss": _epss(x),
        "kev": "yes" if x.entry.kev else "no",
        "fix": {True: "yes", False: "no", None: ""}[x.entry.patch],
        "class": x.entry.kind,
        "tools": _tools(x),
        "merged": len(parts),
        "merged_by": "; ".join(x.merged.because),
        "identifiers": " ".join(dict.fromkeys(y for part in parts for y in part.ids)),
        "weaknesses": " ".join(f"CWE-{y}" for y in dict.fromkeys(y for part in parts for y in part.cwes)),
        "title": parts[0].title,
    }


def as_data(found: Imported) -> dict[str, Any]:
    """The same for machines."""
    files = [
        {"file": x.file, "format": x.form, "tools": x.tools, "read": x.read, "kept": x.kept}
        | {"dropped": dict(x.dropped), "notes": x.notes}
        for x in found.files
    ]
    named = [
        {"name": x.entry.name, "service": x.entry.service, "score": x.score, "cvss": x.entry.cvss}
        | {"cvss_told_by": x.severity.told_by, "epss": x.entry.epss, "kev": x.entry.kev, "patch": x.entry.patch}
        | {"merged": len(x.merged.parts), "merged_by": x.merged.because}
        for x in found.ranked
    ]
    return {
        "scenario": {"id": found.scenario.id, "hash": found.scenario.hash},
        "files": files,
        "read": found.read,
        "open": named,
        "named": found.named,
        "tail_hazard": sum(hazard(x) for x in found.ranked[found.named :]),
        "dropped": dict(found.reasons),
        "notes": found.notes,
    }
