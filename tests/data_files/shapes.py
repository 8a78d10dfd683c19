"""Small files in the forms that tools write, to be varied."""

from __future__ import annotations

import gzip
import json
from typing import Any

__all__ = ["alert", "audit", "bom", "disclosure", "epss", "kev", "packed", "result", "rule", "run", "sarif", "zap"]


def result(name: Any = "R1", uri: Any = "src/a.py", line: Any = 3, **more: Any) -> dict[str, Any]:
    """A result of a run; a key with the value None is left out."""
    place = {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}
    row = {"ruleId": name, "message": {"text": "bad"}, "locations": [{"physicalLocation": place}], **more}
    return {key: value for key, value in row.items() if value is not None}


def rule(name: str = "R1", **properties: Any) -> dict[str, Any]:
    return {"id": name, "properties": properties}


def run(*results: Any, tool: str = "Scan", rules: Any = (), **more: Any) -> dict[str, Any]:
    return {"tool": {"driver": {"name": tool, "rules": list(rules)}}, "results": list(results), **more}


def sarif(*runs: Any, **more: Any) -> bytes:
    return json.dumps({"version": "2.1.0", "runs": list(runs), **more}).encode()


def disclosure(name: str = "CVE-2024-1000", ref: str = "a", **more: Any) -> dict[str, Any]:
    row = {"id": name, "description": "hole", "affects": [{"ref": ref}], "ratings": [{"severity": "high"}], **more}
    return {key: value for key, value in row.items() if value is not None}


def bom(*vulnerabilities: Any, components: Any = None, **more: Any) -> bytes:
    """A bill of materials of one package, ``pkg:pypi/lib@1.0``, unless told otherwise."""
    own = [{"type": "library", "bom-ref": "a", "name": "lib", "version": "1.0", "purl": "pkg:pypi/lib@1.0"}]
    told = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": own if components is None else components}
    return json.dumps({**told, "vulnerabilities": list(vulnerabilities), **more}).encode()


def alert(**more: Any) -> dict[str, Any]:
    told = {"pluginid": "40012", "name": "Cross Site Scripting", "riskcode": "3", "confidence": "2", "cweid": "79"}
    return {**told, "instances": [{"uri": "https://shop.example/search?q=1", "method": "GET"}], **more}


def zap(*alerts: Any, **site: Any) -> bytes:
    told = {"@name": "https://shop.example", "@host": "shop.example", "alerts": list(alerts), **site}
    return json.dumps({"@programName": "ZAP", "@version": "2.15.0", "site": [told]}).encode()


def audit(*dependencies: Any) -> bytes:
    return json.dumps({"dependencies": list(dependencies), "fixes": []}).encode()


def kev(*names: str, **more: Any) -> bytes:
    rows = [{"cveID": name, "vendorProject": "v", "product": "p", "dateAdded": "2024-01-01"} for name in names]
    return json.dumps({"title": "KEV", "catalogVersion": "2026.11.27", "vulnerabilities": rows, **more}).encode()


def epss(*lines: str, head: str = "cve,epss,percentile", comment: bool = True, end: str = "\n") -> bytes:
    first = ["#model_version:v2025.03.14,score_date:2026-11-27T00:00:00+0000"] if comment else []
    return (end.join([*first, head, *lines]) + end).encode()


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)
