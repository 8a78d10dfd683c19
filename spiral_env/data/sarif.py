"""SARIF 2.1.0: static analysis (SAST), and whatever else writes it (IAST, SCA, DAST)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from spiral_env.data.findings import MOST_FINDINGS, Context, Finding, short, text_of
from spiral_env.data.identity import cwe_numbers, file_path, package_of, rule_key, vulnerability_ids, web_address
from spiral_env.data.json_parts import END, parts
from spiral_env.data.severity import LEVELS, Severity, of_number, of_vector, of_word
from spiral_env.data.sources import Bounded, SourceError

__all__ = ["read"]

_VERSIONS = ("2.1.0",)
_TOOL = "runs.item.tool"
_WANTED = (
    "version",
    "runs.item.results.item",
    *(f"{_TOOL}.driver.{key}" for key in ("name", "rules.item", "taxa.item")),
    *(f"{_TOOL}.extensions.item.{key}" for key in ("name", "rules.item")),
    "runs.item.originalUriBaseIds",
    "runs.item.artifacts.item",
    "runs.item.automationDetails",
    "runs.item.invocations.item",
)
_OF_TOOL = {
    "iast": ("contrast", "seeker", "hdiv", "hcl appscan iast", "datadog iast"),
    "dast": (
        "zap",
        "owasp zap",
        "burp",
        "nuclei",
        "wapiti",
        "stackhawk",
        "arachni",
        "nikto",
        "dastardly",
        "schemathesis",
    ),
    "sca": (
        "trivy",
        "grype",
        "osv-scanner",
        "snyk open source",
        "dependency-check",
        "pip-audit",
        "npm audit",
        "safety",
    ),
}
"""Tools that do something else than static analysis, by the start of their name."""
_LINTERS = ("ruff", "pylint", "flake8", "eslint", "mypy", "pyright", "shellcheck", "stylelint", "rubocop", "clippy")
"""Tools most of whose rules are not about security."""
_SECURITY_RULES = {"ruff": r"S\d{3}", "flake8": r"S\d{3}|DUO\d+", "rubocop": r"Security/.*", "eslint": r"security/.*"}
_NOT_OPEN = {"pass": "passed", "notApplicable": "not applicable", "informational": "informational"}
_MOST_RULES = 100_000


class _Rule(NamedTuple):
    """What a rule says of its results."""

    id: str
    title: str
    level: str
    severity: Severity | None
    ids: tuple[str, ...]
    cwes: tuple[int, ...]
    security: bool


class _Result(NamedTuple):
    """A result before its rule is known, since a run may name its rules behind its results."""

    rule: str
    place: int
    extension: int
    level: str
    severity: Severity | None
    ids: tuple[str, ...]
    cwes: tuple[int, ...]
    title: str
    uri: Any
    base: str
    artifact: int
    line: int
    package: str
    reason: str


class _Run:
    """One run of one tool."""

    def __init__(self) -> None:
        self.tool = ""
        self.rules: dict[int, list[_Rule]] = {-1: []}
        self.extensions = 0
        self.bases: Any = {}
        self.artifacts: list[Any] = []
        self.application = ""
        self.overrides: dict[str, str] = {}
        self.results: list[_Result] = []


def read(stream: Bounded, context: Context) -> None:
    """Read all runs of a SARIF file.

    Raises:
        SourceError: it is no SARIF that can be used.
        ValueError: too many findings.
    """
    run = _Run()
    version = None
    for path, value in parts(stream, _WANTED):
        if path == "version":
            version = value
        elif path == "runs.item":
            _finish(run, context)
            run = _Run()
        elif value is not END:
            _take(run, path.removeprefix("runs.item."), value)
        elif path == f"{_TOOL}.extensions.item":
            run.extensions += 1
    if version is not None and version not in _VERSIONS:
        context.report.notes.append(f"says version {short(str(version), 20)}; read as 2.1.0")


def _take(run: _Run, what: str, value: Any) -> None:
    if what == "results.item":
        if not isinstance(value, Mapping):
            return
        if len(run.results) >= MOST_FINDINGS:
            raise SourceError(f"must have at most {MOST_FINDINGS:,} results, has more")
        run.results.append(_result(value))
    elif what == "tool.driver.name":
        run.tool = value if isinstance(value, str) else ""
    elif what in ("tool.driver.rules.item", "tool.extensions.item.rules.item"):
        where = run.rules.setdefault(-1 if what.startswith("tool.driver") else run.extensions, [])
        if len(where) >= _MOST_RULES:
            raise SourceError(f"is no report: a tool has more than {_MOST_RULES:,} rules")
        where.append(_rule(value))
    elif what == "originalUriBaseIds":
        run.bases = value if isinstance(value, Mapping) else {}
    elif what == "artifacts.item":
        run.artifacts.append(value.get("location") if isinstance(value, Mapping) else None)
    elif what == "automationDetails":
        run.application = text_of(value, "id").split("/")[0]
    elif what == "invocations.item":
        run.overrides |= dict(_overrides(value))


def _overrides(invocation: Any) -> Iterable[tuple[str, str]]:
    """Rule -> level that the user of the tool set."""
    given = invocation.get("ruleConfigurationOverrides") if isinstance(invocation, Mapping) else None
    for row in given if isinstance(given, list) else []:
        rule, level = text_of(row, "descriptor", "id"), text_of(row, "configuration", "level")
        if rule and level:
            yield rule, level


def _rule(row: Any) -> _Rule:
    properties = _table(row, "properties")
    tags = [x for x in _list(properties.get("tags")) if isinstance(x, str)]
    relations = [text_of(x, "target", "id") for x in _list(_get(row, "relationships")) if _is_cwe(x)]
    ids = vulnerability_ids(text_of(row, "id"), text_of(row, "name"), *tags, *_texts(properties.get("cve")))
    given = _texts(properties.get("cwe")) + [x for x in relations if x.isdigit()]
    cwes = cwe_numbers(*tags, *given, *relations, text_of(row, "shortDescription", "text"))
    severity = _severity(properties)
    title = text_of(row, "shortDescription", "text") or text_of(row, "name") or text_of(row, "fullDescription", "text")
    security = bool(ids or cwes or "security-severity" in properties or any("security" in x.lower() for x in tags))
    level = text_of(row, "defaultConfiguration", "level")
    return _Rule(text_of(row, "id"), short(title), level, severity, ids, cwes, security)


def _is_cwe(relation: Any) -> bool:
    return "cwe" in text_of(relation, "target", "toolComponent", "name").lower()


def _severity(properties: Mapping[str, Any]) -> Severity | None:
    """The best that a bag of properties tells: a vector, a number, a word."""
    for key in ("cvssV4", "cvssv4_vector", "cvssV3", "cvssv3_vector", "cvss", "cvssVector", "cvss_vector", "cvssV2"):
        value = properties.get(key)
        vector = value.get("vectorString", value.get("vector")) if isinstance(value, Mapping) else value
        found = of_vector(vector)
        if found is not None:
            return found
    for key in ("security-severity", "cvssScore", "cvss_score", "cvssv3_baseScore", "cvssv2_score"):
        found = of_number(properties.get(key))
        if found is not None:
            return Severity(found.score, "security-severity" if key.startswith("sec") else "score")
    for key in ("issue_severity", "problem.severity.security", "securitySeverity", "severity"):
        found = of_word(properties.get(key)) or of_number(properties.get(key))
        if found is not None:
            return found
    return None


def _result(row: Mapping[str, Any]) -> _Result:
    properties = _table(row, "properties")
    place = _table(_first(row.get("locations")), "physicalLocation")
    artifact = _table(place, "artifactLocation")
    rule = _table(row, "rule")
    component = _table(rule, "toolComponent")
    message = text_of(row, "message", "text") or text_of(row, "message", "markdown")
    rank = row.get("rank")
    severity = _severity(properties)
    if severity is None and isinstance(rank, int | float) and not isinstance(rank, bool) and 0 < rank <= 100:
        severity = Severity(rank / 10.0, "rank")
    texts = _texts(properties.get("cve")) + _texts(properties.get("cves"))
    taxa = [text_of(x, "id") for x in _list(row.get("taxa")) if "cwe" in text_of(x, "toolComponent", "name").lower()]
    return _Result(
        rule=text_of(row, "ruleId") or text_of(rule, "id"),
        place=_whole(row.get("ruleIndex"), _whole(rule.get("index"), -1)),
        extension=_whole(component.get("index"), -1),
        level=text_of(row, "level"),
        severity=severity,
        ids=vulnerability_ids(text_of(row, "ruleId"), *texts),
        cwes=cwe_numbers(*taxa, *_texts(properties.get("cwe"))),
        title=short(message),
        uri=artifact.get("uri"),
        base=text_of(artifact, "uriBaseId"),
        artifact=_whole(artifact.get("index"), -1),
        line=max(0, _whole(_table(place, "region").get("startLine"), 0)),
        package=text_of(properties, "purl") or text_of(properties, "packageURL"),
        reason=_left_out(row),
    )


def _left_out(row: Mapping[str, Any]) -> str:
    """Why a result is not open; empty if it is."""
    suppressions = [x for x in _list(row.get("suppressions")) if isinstance(x, Mapping)]
    statuses = {x.get("status", x.get("state", "accepted")) for x in suppressions if _hashable(x)}
    if suppressions and not statuses & {"rejected", "underReview"}:
        return "suppressed"
    if row.get("baselineState") == "absent":
        return "gone since the baseline"
    kind = row.get("kind")
    return _NOT_OPEN.get(kind, "") if isinstance(kind, str) else ""


def _hashable(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("status", row.get("state", "")), str)


def _finish(run: _Run, context: Context) -> None:
    tool = short(run.tool, 60) or "unnamed tool"
    if tool not in context.report.tools:
        context.report.tools.append(tool)
    by_name = {rule.id: rule for several in run.rules.values() for rule in several}
    for result in run.results:
        rule = _rule_of(run, by_name, result)
        finding = _finding(run, tool, result, rule)
        reason = result.reason or _not_security(tool, result, rule)
        if not reason and finding.severity is not None and finding.severity.score == 0.0:
            reason = "informational"
        if reason:
            context.drop(finding.name, reason)
        else:
            context.keep(finding)


def _rule_of(run: _Run, by_name: dict[str, _Rule], result: _Result) -> _Rule | None:
    """By its index, or by its name or the name above it: ``CA1000/1`` is of ``CA1000``."""
    rules = run.rules.get(result.extension, [])
    if 0 <= result.place < len(rules):
        return rules[result.place]
    return by_name.get(result.rule) or by_name.get(result.rule.rsplit("/", 1)[0])


def _not_security(tool: str, result: _Result, rule: _Rule | None) -> str:
    name = tool.lower()
    linter = next((x for x in _LINTERS if name.startswith(x)), "")
    told = result.ids or result.cwes or result.severity is not None or (rule is not None and rule.security)
    if not linter or told or re.fullmatch(_SECURITY_RULES.get(linter, "$^"), result.rule):
        return ""
    return "not about security"


def _finding(run: _Run, tool: str, result: _Result, rule: _Rule | None) -> Finding:
    name = result.rule or (rule.id if rule is not None else "")
    ids = result.ids or (rule.ids if rule is not None else ())
    uri, base = _location(run, result)
    url = web_address(uri)
    package = package_of(result.package) if result.package else None
    found = next((kind for kind, tools in _OF_TOOL.items() if tool.lower().startswith(tools)), "")
    return Finding(
        tool=found
        or ("sca" if ids and (package is not None or tool.lower() == "trivy") else "dast" if url else "sast"),
        source=tool,
        title=result.title or (rule.title if rule is not None else "") or name or "no message",
        rule=rule_key(tool, name) if name and not ids else "",
        called=short(name, 80),
        ids=ids,
        cwes=result.cwes or (rule.cwes if rule is not None else ()),
        severity=_graded(run, result, rule, name),
        path="" if url else file_path(uri, base),
        line=0 if url else result.line,
        package=package,
        urls=(url,) if url else (),
        hints=(run.application,) if run.application else (),
    )


def _graded(run: _Run, result: _Result, rule: _Rule | None, name: str) -> Severity | None:
    """What the result says itself, then its rule's score, then levels in the order of the standard."""
    if result.severity is not None:
        return result.severity
    if rule is not None and rule.severity is not None:
        return rule.severity
    level = result.level or run.overrides.get(name, "") or (rule.level if rule is not None else "") or "warning"
    return Severity(LEVELS[level], f"level {level}") if level in LEVELS else None


def _location(run: _Run, result: _Result) -> tuple[Any, str]:
    """Address of the file and of what it is relative to."""
    uri, base = result.uri, result.base
    if not isinstance(uri, str) and 0 <= result.artifact < len(run.artifacts):
        location = run.artifacts[result.artifact]
        uri, base = text_of(location, "uri"), text_of(location, "uriBaseId")
    found = ""
    seen: set[str] = set()
    while base and base not in seen:
        seen.add(base)
        entry = run.bases.get(base)
        if not isinstance(entry, Mapping):
            break
        part = text_of(entry, "uri")
        found = f"{part.rstrip('/')}/{found}" if found else part
        base = text_of(entry, "uriBaseId")
    return uri, file_path(found) if found else ""


def _get(row: Any, key: str) -> Any:
    return row.get(key) if isinstance(row, Mapping) else None


def _table(row: Any, key: str) -> Mapping[str, Any]:
    value = _get(row, key)
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _texts(value: Any) -> list[str]:
    """Texts of a text or a list of them."""
    return [x for x in (value if isinstance(value, list) else [value]) if isinstance(x, str)]


def _whole(value: Any, otherwise: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return otherwise
    return int(value) if abs(value) < 2**31 else otherwise
