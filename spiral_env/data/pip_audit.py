"""The JSON of pip-audit, which tells what its CycloneDX leaves out: aliases, and versions with a fix (SCA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spiral_env.data.findings import Context, Finding, short, text_of
from spiral_env.data.identity import package_of, vulnerability_ids
from spiral_env.data.json_parts import END, parts
from spiral_env.data.sources import Bounded

__all__ = ["read"]


def read(stream: Bounded, context: Context) -> None:
    """Read the vulnerabilities of all dependencies.

    Raises:
        SourceError: it is no report that can be used.
        ValueError: too many findings.
    """
    context.report.tools.append("pip-audit")
    for _, row in parts(stream, ("dependencies.item",)):
        if row is END or not isinstance(row, Mapping):
            continue
        if text_of(row, "skip_reason"):
            context.report.notes.append(short(f"skipped by pip-audit: {text_of(row, 'name')}"))
        vulnerabilities = row.get("vulns")
        for found in vulnerabilities if isinstance(vulnerabilities, list) else []:
            _vulnerability(row, found, context)


def _vulnerability(row: Mapping[str, Any], found: Any, context: Context) -> None:
    told = found if isinstance(found, Mapping) else {}
    aliases, fixes = told.get("aliases"), told.get("fix_versions")
    ids = vulnerability_ids(text_of(told, "id"), *(aliases if isinstance(aliases, list) else []))
    package = package_of("", row.get("name"), row.get("version"))
    finding = Finding(
        tool="sca",
        source="pip-audit",
        title=short(text_of(told, "description") or text_of(told, "id") or "no description"),
        ids=ids,
        package=package._replace(kind="pypi") if package is not None else None,
        fix=bool(fixes) if isinstance(fixes, list) else None,
    )
    if ids:
        context.keep(finding)
    else:
        context.drop(finding.name, "no identifier")
