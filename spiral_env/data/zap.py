"""OWASP ZAP's JSON report: dynamic analysis (DAST)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spiral_env.data.findings import MOST_FINDINGS, Context, Finding, short, text_of
from spiral_env.data.identity import cwe_numbers, web_address
from spiral_env.data.json_parts import END, parts
from spiral_env.data.severity import Severity
from spiral_env.data.sources import Bounded, SourceError

__all__ = ["read"]

_ALERTS = ("site.item.alerts.item", "site.alerts.item")
_WANTED = ("@programName", "@version", "site.item.@name", "site.item.@host", "site.@name", "site.@host", *_ALERTS)
_RISK = {"3": Severity(8.0, "word"), "2": Severity(5.5, "word"), "1": Severity(2.0, "word"), "0": Severity(0.0, "word")}
"""High, medium, low, informational."""
_FALSE = "0"
_MOST_URLS = 20
"""Addresses of an alert that are kept to compare; its instances are one finding, as one fix mends them."""


def read(stream: Bounded, context: Context) -> None:
    """Read the alerts of all sites.

    Raises:
        SourceError: it is no report that can be used.
        ValueError: too many findings.
    """
    name = host = ""
    alerts: list[tuple[Finding, str]] = []
    for path, value in parts(stream, _WANTED):
        if path == "@programName" and isinstance(value, str):
            context.report.tools.append(short(value, 60))
        elif path.endswith("@name"):
            name = value if isinstance(value, str) else ""
        elif path.endswith("@host"):
            host = value if isinstance(value, str) else ""
        elif path in _ALERTS:
            if len(alerts) >= MOST_FINDINGS:
                raise SourceError(f"must have at most {MOST_FINDINGS:,} alerts, has more")
            alerts.append((_finding(value), _left_out(value)))
        elif value is END and path in ("site.item", "site"):
            _site(alerts, name, host, context)
            name, host, alerts = "", "", []


def _site(alerts: list[tuple[Finding, str]], name: str, host: str, context: Context) -> None:
    """Keep what was found on a site; its name may stand behind its alerts."""
    for found, reason in alerts:
        found.hints = tuple(x for x in (host, name) if x)
        found.urls = found.urls or tuple(x for x in [web_address(name)] if x)
        if reason:
            context.drop(found.name, reason)
        else:
            context.keep(found)


def _left_out(alert: Any) -> str:
    """Why an alert is no open finding; empty if it is one."""
    if _digit(alert, "confidence") == _FALSE:
        return "false positive"
    return "informational" if _digit(alert, "riskcode") == "0" else ""


def _digit(alert: Any, key: str) -> str:
    value = alert.get(key) if isinstance(alert, Mapping) else None
    return str(value).strip()[:1] if isinstance(value, str | int) else ""


def _finding(alert: Any) -> Finding:
    instances = alert.get("instances") if isinstance(alert, Mapping) else None
    urls = [web_address(text_of(x, "uri")) for x in instances] if isinstance(instances, list) else []
    urls = list(dict.fromkeys(x for x in urls if x))
    rule = text_of(alert, "alertRef") or text_of(alert, "pluginid")
    title = text_of(alert, "name") or text_of(alert, "alert") or rule or "no name"
    cwe = alert.get("cweid") if isinstance(alert, Mapping) else None
    return Finding(
        tool="dast",
        source="ZAP",
        title=short(title),
        rule=f"zap:{rule or short(title)}",
        called=short(title, 80),
        cwes=cwe_numbers(cwe),
        severity=_RISK.get(_digit(alert, "riskcode")),
        urls=tuple(urls[:_MOST_URLS]),
    )
