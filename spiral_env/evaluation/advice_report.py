"""Patch advice as tables, CSV, a page of Markdown, and data."""

from __future__ import annotations

from typing import Any

from spiral_env.core.state import LABELS
from spiral_env.evaluation.advice import MEASURES, Advice, uncertain
from spiral_env.evaluation.statistics import Interval
from spiral_env.text import Table, csv_text

__all__ = ["IT_IS_NOT", "as_csv", "as_data", "as_markdown", "as_rows", "as_tables"]

POSTURES = ("defer", "batch", "now")
IT_IS_NOT = (
    "What this is not: no forecast of a breach and no judgement of a finding. It is what a policy would do in a model "
    "whose losses, hours and prices are a mid-sized platform's, not yours. An order says what the model's queue takes "
    "first, not that the rest may wait. Read the finding before you act on it."
)


def as_tables(advice: Advice, policy: str, top: int) -> list[Table | str]:
    """Postures, findings, measures, what is uncertain, and what it is not."""
    lines = "\n".join(f"* {x}" for x in uncertain(advice))
    return [_postures(advice, policy), _findings(advice, policy, top), _measures(advice, policy), lines, IT_IS_NOT]


def _postures(advice: Advice, policy: str) -> Table:
    title = f"{advice.scenario.id}: postures this month under {policy}, share of {len(advice.own.landed)} episodes"
    table = Table(("tier", "posture", *POSTURES), title=title)
    for tier, shares in zip(LABELS["tiers"], advice.posture_shares(advice.own), strict=True):
        table.add_row(tier, POSTURES[int(shares.argmax())], *(f"{x:.2f}" for x in shares))
    return table


def _findings(advice: Advice, policy: str, top: int) -> Table:
    table = Table(
        (
            "place",
            "finding",
            "service",
            "CVSS",
            "EPSS",
            "KEV",
            "month 1",
            f"{advice.months} months",
            "by CVSS",
            "its place",
        ),
        title=f"Findings first under {policy}: share of the episodes in which each is mended, beside CVSS-first",
    )
    for row in as_rows(advice)[:top]:
        epss = "" if row["epss"] is None else f"{row['epss']:.4f}"
        known = "yes" if row["kev"] else ""
        shares = (f"{row['month_1']:.2f}", f"{row['all_months']:.2f}", f"{row['month_1_by_cvss']:.2f}")
        place = row["place_by_cvss"]
        table.add_row(row["place"], row["name"], row["service"], f"{row['cvss']:.1f}", epss, known, *shares, place)
    return table


def _measures(advice: Advice, policy: str) -> Table:
    table = Table(
        ("measure", "unit", policy, "interval", "CVSS-first", "difference", "its interval"),
        title="What it comes to: means with 95 % intervals over the episodes, the same draws for both",
    )
    for name, (words, unit) in MEASURES.items():
        own, other, difference = advice.compared(name)
        cells = (f"{own.mean:,.1f}", _range(own), f"{other.mean:,.1f}", f"{difference.mean:+,.1f}", _range(difference))
        table.add_row(words, unit, *cells)
    return table


def _range(x: Interval) -> str:
    return f"[{x.low:,.1f}, {x.high:,.1f}]"


def as_rows(advice: Advice) -> list[dict[str, Any]]:
    """One row a finding, in the order of the advice."""
    own, by_cvss = advice.share(advice.own), advice.share(advice.by_cvss)
    within = advice.within(advice.own)
    places = {k: place for place, k in enumerate(advice.order_by_cvss, start=1)}
    rows = []
    for place, k in enumerate(advice.order, start=1):
        finding = advice.scenario.backlog[k]
        shares = {"month_1": float(own[k]), "all_months": float(within[k]), "month_1_by_cvss": float(by_cvss[k])}
        told = {"cvss": finding.cvss, "epss": finding.epss, "kev": finding.kev}
        rows.append({"place": place, "name": finding.name, "service": finding.service, **told, **shares})
        rows[-1]["place_by_cvss"] = places[k]
    return rows


def as_csv(advice: Advice) -> str:
    """One line a finding."""
    rows = as_rows(advice)
    return csv_text(tuple(rows[0]), rows)


def as_data(advice: Advice, policy: str) -> dict[str, Any]:
    """The whole advice for machines."""
    postures = {
        tier: dict(zip(POSTURES, map(float, shares), strict=True))
        for tier, shares in zip(LABELS["tiers"], advice.posture_shares(advice.own), strict=True)
    }
    measures = {}
    for name, (words, unit) in MEASURES.items():
        own, other, difference = (x._asdict() for x in advice.compared(name))
        measures[name] = {"what": words, "unit": unit, "own": own, "by_cvss": other, "difference": difference}
    world = {"id": advice.scenario.id, "hash": advice.scenario.hash}
    head = {"scenario": world, "policy": policy, "episodes": len(advice.own.landed), "months": advice.months}
    tail = {"uncertain": uncertain(advice), "not": IT_IS_NOT}
    return {**head, "postures": postures, "findings": as_rows(advice), "measures": measures, **tail}


def as_markdown(advice: Advice, policy: str, top: int) -> str:
    """A page to hand on."""
    head = f"# Patch advice for {_plain(advice.scenario.title)} (`{advice.scenario.id}`)"
    parts = [f"{head}\n", f"Policy {_plain(policy)}, {len(advice.own.landed)} episodes, {advice.months} months.\n"]
    for part in as_tables(advice, policy, top):
        parts.append(_table(part) if isinstance(part, Table) else f"{part}\n")
    return "\n".join(parts)


def _table(table: Table) -> str:
    rows = [table.columns, ["---"] * len(table.columns), *table.rows]
    lines = ["| " + " | ".join(_plain(x) for x in row) + " |" for row in rows]
    return f"## {_plain(table.title)}\n\n" + "\n".join(lines) + "\n"


def _plain(text: object) -> str:
    """Text that Markdown shows as it is: names come from files of others."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" and text != "---" else c for c in str(text))
