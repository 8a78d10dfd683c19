"""CycloneDX JSON: bills of materials (SBOM), and disclosures of vulnerabilities in them (VDR, VEX)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from spiral_env.data.findings import Context, Finding, short, text_of
from spiral_env.data.identity import Package, cwe_numbers, package_of, vulnerability_ids
from spiral_env.data.json_parts import END, parts
from spiral_env.data.severity import Severity, of_number, of_vector, of_word
from spiral_env.data.sources import Bounded, SourceError

__all__ = ["Header", "collect", "read"]

_WANTED = ("serialNumber", "metadata.component", "metadata.tools", "components.item")
_NOT_OPEN = {
    "resolved": "resolved",
    "resolved_with_pedigree": "resolved",
    "false_positive": "false positive",
    "not_affected": "not affected",
}
"""States of a VEX analysis in which nothing is left to do."""
_ORDER = ("CVSSv4", "CVSSv31", "CVSSv3", "CVSSv2")
_MOST_COMPONENTS = 200_000
_NO_REFERENCE = ""


class Header(NamedTuple):
    """What is said of a whole bill, wherever in the file it stands."""

    serial: str
    application: str
    components: int
    bare: int


def collect(stream: Bounded, context: Context) -> Header:
    """Note the packages of every application, so that a disclosure in any file may name them.

    Raises:
        SourceError: it is no CycloneDX that can be used.
    """
    serial, application = "", ""
    found: list[tuple[str, Package]] = []
    count = bare = 0
    for path, value in parts(stream, _WANTED):
        if value is END:
            continue
        if path == "serialNumber" and isinstance(value, str):
            serial = _serial(value)
        elif path == "metadata.tools":
            context.report.tools += [x for x in _tools(value) if x not in context.report.tools]
        elif path in ("metadata.component", "components.item"):
            application = text_of(value, "name") if path.startswith("meta") else application
            every = list(_components(value))
            found += every
            count += len(every) if path == "components.item" else 0
            bare += sum(not package.version for _, package in every) if path == "components.item" else 0
        if len(found) > _MOST_COMPONENTS:
            raise SourceError(f"must have at most {_MOST_COMPONENTS:,} components, has more")
    owner = context.service or application
    for reference, package in found:
        if reference:
            context.references[serial, reference] = package
        if owner:
            context.components.setdefault(owner, set()).add(package)
    return Header(serial, application, count, bare)


def read(stream: Bounded, context: Context, header: Header) -> None:
    """Read the vulnerabilities, after ``collect`` has seen all files.

    Raises:
        SourceError: it is no CycloneDX that can be used.
        ValueError: too many findings.
    """
    notes = context.report.notes
    notes += [f"components: {header.components}"] if header.components else []
    notes += [f"without a version: {header.bare}"] if header.bare else []
    for _, row in parts(stream, ("vulnerabilities.item",)):
        if row is not END:
            _vulnerability(row, header.serial, header.application, context)


def _components(row: Any) -> Iterator[tuple[str, Package]]:
    """A component and those within it."""
    waiting = [row]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Mapping):
            continue
        package = package_of(one.get("purl"), one.get("name"), one.get("version"), one.get("group"))
        if package is not None:
            yield text_of(one, "bom-ref") or _NO_REFERENCE, package
        inner = one.get("components")
        waiting += inner if isinstance(inner, list) else []


def _tools(value: Any) -> list[str]:
    """Names of tools, in the form of any version of the format."""
    rows = value.get("components", []) if isinstance(value, Mapping) else value
    names = [short(text_of(x, "name"), 60) for x in rows if text_of(x, "name")] if isinstance(rows, list) else []
    return names[:4]


def _serial(text: str) -> str:
    return text.removeprefix("urn:uuid:").lower()


def _vulnerability(row: Any, serial: str, application: str, context: Context) -> None:
    """One disclosure is a finding for each package that it affects."""
    title = short(text_of(row, "description") or text_of(row, "detail") or text_of(row, "id") or "no description")
    references = row.get("references") if isinstance(row, Mapping) else None
    aliases = [text_of(x, "id") for x in references] if isinstance(references, list) else []
    ids = vulnerability_ids(text_of(row, "id"), *aliases) or tuple(x for x in [short(text_of(row, "id"), 60)] if x)
    state = text_of(row, "analysis", "state")
    affected, unaffected = _affected(row, serial, context)
    common: dict[str, Any] = {
        "tool": "sca",
        "source": context.report.tools[0] if context.report.tools else "CycloneDX",
        "title": title,
        "ids": ids,
        "cwes": cwe_numbers(*(_list(row, "cwes"))),
        "severity": _severity(row),
        "fix": _fix(row),
        "hints": (application,) if application else (),
    }
    unplaced: list[Package | None] = [] if unaffected else [None]
    for package in affected or unplaced:
        found = Finding(**common, package=package)
        reason = _NOT_OPEN.get(state, "")
        reason = "rejected" if text_of(row, "rejected") else reason
        if not reason and found.severity is not None and found.severity.score == 0.0:
            reason = "informational"
        if not ids:
            reason = "no identifier"
        if reason:
            context.drop(found.name, reason)
        else:
            context.keep(found)
    for package in unaffected:
        context.drop(Finding(**common, package=package).name, "not affected")


def _list(row: Any, key: str) -> list[Any]:
    value = row.get(key) if isinstance(row, Mapping) else None
    return value if isinstance(value, list) else []


def _affected(row: Any, serial: str, context: Context) -> tuple[list[Package], list[Package]]:
    """Packages that are affected, and those that all versions of are not."""
    yes: dict[Package, None] = {}
    no: dict[Package, None] = {}
    for entry in _list(row, "affects"):
        package = _package(text_of(entry, "ref"), serial, context)
        if package is None:
            continue
        versions = [x for x in _list(entry, "versions") if isinstance(x, Mapping)]
        safe = versions and all(x.get("status") == "unaffected" for x in versions)
        told = [text_of(x, "version") for x in versions if x.get("status", "affected") == "affected"]
        if not package.version and len(told) == 1 and told[0]:
            package = package._replace(version=told[0])
        (no if safe else yes)[package] = None
    return list(yes), list(no)


def _package(reference: str, serial: str, context: Context) -> Package | None:
    """What a reference stands for: of this file, of another (``urn:cdx:serial/version#reference``), or a purl."""
    own, place = serial, reference
    if reference.startswith("urn:cdx:"):
        head, _, place = reference.removeprefix("urn:cdx:").partition("#")
        own = head.split("/")[0].lower()
    found = context.references.get((own, place))
    if found is not None:
        return found
    return package_of(place) if place.startswith("pkg:") else package_of("", place) if place else None


def _severity(row: Any) -> Severity | None:
    """Of the newest version of CVSS: its vector, else its score, else a word."""
    ratings = [x for x in _list(row, "ratings") if isinstance(x, Mapping)]
    ratings.sort(key=lambda x: _ORDER.index(x["method"]) if x.get("method") in _ORDER else len(_ORDER))
    for told in ("vector", "score", "severity"):
        for rating in ratings:
            value = rating.get(told)
            found = of_vector(value) if told == "vector" else of_number(value) if told == "score" else of_word(value)
            known = rating.get("method") in _ORDER or "method" not in rating
            if found is not None and (told != "score" or known):
                return found
    return None


def _fix(row: Any) -> bool | None:
    """Whether there is a fix, where the disclosure says so."""
    response = _list(_get(row, "analysis"), "response")
    if "update" in response or "rollback" in response:
        return True
    if "can_not_fix" in response:
        return False
    advice = text_of(row, "recommendation").lower()
    if not advice:
        return None
    words = ("upgrade", "update", "patch", "fixed in")
    return True if any(word in advice for word in words) and "no fix" not in advice else None


def _get(row: Any, key: str) -> Any:
    return row.get(key) if isinstance(row, Mapping) else None
