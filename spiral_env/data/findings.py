"""What a scanner's file says, in one form for all formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spiral_env.data.identity import Package, first_cve
from spiral_env.data.severity import Severity
from spiral_env.text import one_line

__all__ = ["KIND_OF_TOOL", "TOOLS", "Context", "Dropped", "FileReport", "Finding", "short", "text_of"]

TOOLS = ("sast", "dast", "sca", "iast")
KIND_OF_TOOL = {"sast": "code", "dast": "runtime", "sca": "dependency", "iast": "runtime"}
"""Class of vulnerability that a scanner of each kind finds."""
MOST_FINDINGS = 100_000
"""Findings of one import, before they are merged."""
_MOST_TOLD = 10_000
"""Dropped findings that are listed one by one; all are counted."""
_TITLE = 120


@dataclass(slots=True)
class Finding:
    """One finding.

    Attributes:
        tool: sast, dast, sca or iast.
        source: name of the tool.
        title: what it is, in a line.
        rule: as ``rule_key`` tells it; empty for known vulnerabilities.
        called: the rule as the tool calls it.
        ids: identifiers of known vulnerabilities.
        cwes: numbers of weaknesses.
        severity: CVSS and how it was told; None where nothing tells it.
        path: file it is in.
        line: line of it, 0 if none.
        package: package it is in.
        urls: addresses it shows at, at most a few.
        fix: whether there is a fix; None where nobody says.
        epss: exploit likelihood, where a file of scanners tells it.
        kev: whether it is known to be exploited.
        service: name of the service, once it is known.
        hints: names that may tell the service: of an application, of a host.
    """

    tool: str
    source: str
    title: str
    rule: str = ""
    called: str = ""
    ids: tuple[str, ...] = ()
    cwes: tuple[int, ...] = ()
    severity: Severity | None = None
    path: str = ""
    line: int = 0
    package: Package | None = None
    urls: tuple[str, ...] = ()
    fix: bool | None = None
    epss: float | None = None
    kev: bool = False
    service: str = ""
    hints: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Identifier and place, as reports and advice call it."""
        what = first_cve(self.ids) or self.called or self.title
        return short(" ".join(x for x in (what, self.place) if x), 160)

    @property
    def place(self) -> str:
        """File and line, package or address."""
        if self.path:
            return f"{self.path}:{self.line}" if self.line else self.path
        if self.package is not None:
            return str(self.package)
        return self.urls[0] if self.urls else ""


class Dropped(NamedTuple):
    """A finding that was left out, and why."""

    file: str
    name: str
    reason: str


@dataclass
class FileReport:
    """What was read of one file.

    Attributes:
        file: its path.
        form: its format.
        tools: who wrote it.
        read: findings in it.
        kept: of these not left out.
        dropped: reason -> how many were left out.
        notes: sentences on what was odd.
    """

    file: str
    form: str
    tools: list[str] = field(default_factory=list)
    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass
class Context:
    """What readers fill.

    Attributes:
        findings: kept so far, of all files.
        dropped: left out, the first thousands by name.
        components: packages of applications: name of the service or application -> its packages.
        references: of a bill of materials: (serial number, reference) -> package and applications.
        exploited: identifiers of the catalogue of known exploited vulnerabilities; None before it is read.
        scores: identifier -> EPSS, of those that findings name; None before the scores are read.
        report: of the file that is being read.
        lost: findings that match no service.
        tool: kind of scanner the user says the file is of; empty if nothing is said.
        service: of all of the file, as the user says; empty if nothing is said.
    """

    findings: list[Finding] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    components: dict[str, set[Package]] = field(default_factory=dict)
    references: dict[tuple[str, str], Package] = field(default_factory=dict)
    exploited: set[str] | None = None
    scores: dict[str, float] | None = None
    lost: int = 0
    report: FileReport = field(default_factory=lambda: FileReport("", ""))
    tool: str = ""
    service: str = ""

    def keep(self, found: Finding) -> None:
        """Take a finding.

        Raises:
            ValueError: there are too many.
        """
        self.report.read += 1
        self.report.kept += 1
        found.tool = self.tool or found.tool
        found.service = self.service or found.service
        if len(self.findings) >= MOST_FINDINGS:
            raise ValueError(
                f"file {self.report.file}: an import must have at most {MOST_FINDINGS:,} findings, has more"
            )
        self.findings.append(found)

    def drop(self, name: str, reason: str) -> None:
        """Leave one out, and remember why."""
        self.report.read += 1
        self.report.dropped[reason] += 1
        self.tell(name, reason)

    def tell(self, name: str, reason: str) -> None:
        """List a finding that is left out."""
        if len(self.dropped) < _MOST_TOLD:
            self.dropped.append(Dropped(self.report.file, short(name, 160), reason))


def short(text: str, width: int = _TITLE) -> str:
    """A line of text that may be printed, in at most so many characters."""
    return one_line(" ".join(text.split()), width)


def text_of(value: Any, *keys: str) -> str:
    """The text at nested keys, empty where anything on the way is not as expected."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value.strip() if isinstance(value, str) else ""
