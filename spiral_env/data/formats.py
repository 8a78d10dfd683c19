"""Which format a file is of, told by what it holds."""

from __future__ import annotations

from spiral_env.data import exploitation
from spiral_env.data.json_parts import outer_keys
from spiral_env.data.sources import Bounded, SourceError

__all__ = ["FORMS", "form_of"]

FORMS = {
    "sarif": "SARIF",
    "cyclonedx": "CycloneDX",
    "zap": "ZAP",
    "pip-audit": "pip-audit",
    "kev": "KEV",
    "epss": "EPSS",
}
"""Formats by their short name, and what reports call them."""
_SURE = {"runs": "sarif", "bomFormat": "cyclonedx", "site": "zap", "catalogVersion": "kev"}
"""Keys of the outermost table that one format alone has."""
_ELSE = {
    b"<": "is XML: export the report as JSON (XML is not read, so no entity is expanded)",
    b"[": "is a JSON list: SARIF, CycloneDX, ZAP, pip-audit and KEV reports are tables",
}


def form_of(stream: Bounded) -> str:
    """The format of a file: a key of ``FORMS``. The stream is used up by this.

    Raises:
        SourceError: it is none that is read.
    """
    start = stream.pending.lstrip()[:1]
    if start == b"{":
        return _of_json(stream)
    if start in _ELSE:
        raise SourceError(_ELSE[start])
    if exploitation.looks_like_epss(stream.pending[:4096].decode(errors="replace")):
        return "epss"
    raise SourceError("is neither a JSON report nor a file of EPSS (a table of services goes to --services)")


def _of_json(stream: Bounded) -> str:
    found = set()
    for key in outer_keys(stream):
        if key in _SURE:
            return _SURE[key]
        found.add(key)
    if "dependencies" in found:
        return "pip-audit"
    raise SourceError("is JSON, but no SARIF, CycloneDX, ZAP, pip-audit or KEV report")
