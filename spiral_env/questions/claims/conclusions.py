"""What a reader may conclude of each claim, from the stored figures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from spiral_env.metrics import METRICS
from spiral_env.questions.claims.paper import CLAIMS, Claim
from spiral_env.questions.report import number, table
from spiral_env.questions.teams import HEIGHT, VALUE

__all__ = ["Finding", "Verdict", "conclude", "findings", "verdict"]

MOST = 0.9
"""Share of drawn worlds in which a claim must hold to be said to hold there, or fail to be contradicted."""
WAYS = ("fixed", "retrained", "draws")
_LEARNED = {"retrained": "teams trained anew", "trained on": "teams trained on"}
_SHORT = {VALUE: "V", HEIGHT: "H", "sme_participation": "participation", "greenwash_gap": "gap", "eps12": "epsilon"}


class Verdict(Enum):
    """What one figure, or all of them, say of a claim."""

    HOLDS = "holds"
    PARTLY = "holds only for"
    UNCLEAR = "not seen"
    CONTRADICTED = "contradicted"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Finding:
    """One figure that bears on a claim.

    Attributes:
        way: "fixed" (teams that play on), "retrained" or "draws".
        who: the team, or what else was looked at.
        what: the measure.
        verdict: HOLDS, CONTRADICTED or UNCLEAR.
        told: the figure in words.
        share: of value, what it changes by; None for other measures.
    """

    way: str
    who: str
    what: str
    verdict: Verdict
    told: str
    share: float | None = None


def findings(claim: Claim, report: Mapping[str, Any]) -> list[Finding]:
    """All figures of the stored report that bear on the claim."""
    return [
        *_of_switch(claim, report),
        *_of_interplay(claim, report),
        *_of_more(claim, report),
        *_of_draws(claim, report),
    ]


def _figures(report: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = report.get(part, {}).get("figures", {})
    return found


def _of_switch(claim: Claim, report: Mapping[str, Any]) -> Iterator[Finding]:
    for part, way in (("switches", "fixed"), ("retrained", "retrained"), ("adapted", "retrained")):
        rows = [x for x in _figures(report, part).get("switches", ()) if x["name"] == claim.switch]
        for who, change in (pair for row in rows for pair in row["teams"].items()):
            if way == "retrained" and who not in _LEARNED:
                continue
            for what, sense in claim.expected.items():
                if what in change:
                    share = change["share"] if what == VALUE else None
                    told = number(change[what][0], "+") + ("" if share is None else f" ({share:+.0%})")
                    yield Finding(way, _LEARNED.get(who, who), what, _sign(change[what], sense), told, share)


def _of_interplay(claim: Claim, report: Mapping[str, Any]) -> Iterator[Finding]:
    for who, pairs in _figures(report, "interplay").get("rows", {}).items():
        for pair in claim.interplays:
            for what in (VALUE, HEIGHT):
                x = pairs[pair][what]
                first = pair.partition(",")[0]
                told = f"{first} worth {number(x['with'][0], '+')} beside and {number(x['without'][0], '+')} without"
                yield Finding("fixed", f"{who}: {pair}", what, _sign(x["more"], 1), told)


def _of_more(claim: Claim, report: Mapping[str, Any]) -> Iterator[Finding]:
    for path, sense in claim.more.items():
        part, row, figure = path.split("/")
        x = _figures(report, part).get("rows", {}).get(row, {}).get(figure)
        if x is not None:
            yield Finding("fixed", row, f"{part}: {figure}", _sign(x, sense), number(x[0], "+"))


def _of_draws(claim: Claim, report: Mapping[str, Any]) -> Iterator[Finding]:
    for who, found in _figures(report, "draws").get("teams", {}).items():
        if claim.switch in found["rows"]:
            yield from _shares(who, found["rows"][claim.switch])
    for who, pairs in _figures(report, "interplay").get("draws", {}).items():
        for pair in claim.interplays:
            yield from _shares(f"{who}: {pair}", pairs[pair])


def _shares(who: str, row: Mapping[str, Any]) -> Iterator[Finding]:
    for what, (share, *_) in row["as claimed"].items():
        against = row["against it"][what][0]
        seen = Verdict.HOLDS if share >= MOST else Verdict.CONTRADICTED if against >= MOST else Verdict.UNCLEAR
        yield Finding("draws", who, what, seen, f"{share:.0%}")


def _sign(interval: Sequence[float | None], sense: int) -> Verdict:
    """Whether an interval lies on the side that is claimed, on the other, or holds 0."""
    _, low, high = interval
    if low is None or high is None:
        return Verdict.UNCLEAR
    low, high = sorted((sense * low, sense * high))
    return Verdict.HOLDS if low > 0.0 else Verdict.CONTRADICTED if high < 0.0 else Verdict.UNCLEAR


def verdict(found: Sequence[Finding]) -> Verdict:
    """Of all findings together."""
    kinds = {x.verdict for x in found}
    if not kinds:
        return Verdict.NOT_MEASURED
    if len(kinds) == 1:
        return kinds.pop()
    return Verdict.PARTLY if Verdict.HOLDS in kinds else Verdict.CONTRADICTED


def _sentence(found: Sequence[Finding]) -> str:
    """What a reader may conclude, derived from the findings."""
    said = verdict(found)
    missing = [way for way in WAYS if all(x.way != way for x in found)]
    behind = f" Not measured: {', '.join(_WAY[x] for x in missing)}." if missing and found else ""
    shares = [x.share for x in found if x.share is not None]
    if shares:
        behind = f" Value changes by {min(shares):+.1%} to {max(shares):+.1%}.{behind}"
    if said is Verdict.NOT_MEASURED:
        return "Not measured."
    if said is Verdict.HOLDS:
        return f"Holds in all that was measured.{behind}"
    if said is Verdict.UNCLEAR:
        return f"Not seen: nothing that was measured is told apart from no effect.{behind}"
    partly = [x for x in found if x.way == "draws" and x.verdict is Verdict.UNCLEAR]
    groups = {kind: _listed([x for x in found if x.verdict is kind and x not in partly]) for kind in Verdict}
    parts = [
        f"{words} {groups[kind]}"
        for kind, words in (
            (Verdict.HOLDS, "Holds only for"),
            (Verdict.CONTRADICTED, "contradicted for"),
            (Verdict.UNCLEAR, "not told apart from no effect for"),
        )
        if groups[kind]
    ]
    if partly:
        parts.append(f"in part of the draws for {', '.join(f'{x.who} ({_short(x.what)} {x.told})' for x in partly)}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}.{behind}"


_WAY = {"fixed": "teams that play on", "retrained": "retrained teams", "draws": "other assumed numbers"}


def _listed(found: Sequence[Finding]) -> str:
    """Findings by way and team: ``fixed scripted (V, H)``."""
    groups: dict[str, list[str]] = {}
    for x in found:
        who = f"{x.who} in draws" if x.way == "draws" else x.who
        groups.setdefault(who, []).append(_short(x.what))
    return ", ".join(f"{who} ({', '.join(whats)})" for who, whats in groups.items())


def _short(what: str) -> str:
    return _SHORT.get(what, what.replace("_", " "))


def conclude(report: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Every claim with its findings and sentence, as data and as Markdown."""
    data = []
    rows: list[list[object]] = []
    for claim in CLAIMS:
        found = findings(claim, report)
        told = [asdict(x) | {"verdict": x.verdict.value} for x in found]
        said, sentence = verdict(found).value, _sentence(found)
        data.append(
            {"claim": claim.name, "says": claim.sentence, "verdict": said, "sentence": sentence, "findings": told}
        )
        cells = [_cell([x for x in found if x.way == way]) for way in WAYS]
        rows.append([f"**{claim.name}**: {claim.sentence}", *cells, sentence])
    head = ["claim", "teams that play on", "retrained", "other assumed numbers", "what a reader may conclude"]
    units = ", ".join(f"{_short(x)}: {x.replace('_', ' ')} ({METRICS[x][0]})" for x in _SHORT)
    text = [
        "## The paper's claims",
        "",
        "The change of a measure where the mechanism is taken away, or the policy lever is set, against the same luck",
        f"with it. Holds: the interval lies on the claimed side; in draws, in at least {MOST:.0%} of them. {units}.",
        "",
        table(head, rows).replace("---:", "---"),
        "",
    ]
    return data, "\n".join(text)


def _cell(found: Sequence[Finding]) -> str:
    """Findings of one way, a team after the other."""
    marks = {Verdict.CONTRADICTED: " **against**", Verdict.UNCLEAR: " (unclear)"}
    by_who: dict[str, list[str]] = {}
    for x in found:
        by_who.setdefault(x.who, []).append(f"{_short(x.what)} {x.told}{marks.get(x.verdict, '')}")
    return "; ".join(f"{who}: {', '.join(told)}" for who, told in by_who.items())
