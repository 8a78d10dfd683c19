"""What two tools must agree on to mean the same: identifiers, weaknesses, packages, files and addresses."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = [
    "Package",
    "cwe_numbers",
    "file_path",
    "first_cve",
    "package_of",
    "rule_key",
    "vulnerability_ids",
    "web_address",
]

_ID = re.compile(
    r"\b(?:CVE-\d{4}-\d{4,19}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d{1,9}|RUSTSEC-\d{4}-\d{4}"
    r"|GO-\d{4}-\d{4,9}|MAL-\d{4}-\d{1,9}|SNYK-[A-Z0-9]+-[A-Z0-9-]+)\b",
    re.IGNORECASE,
)
_CWE = re.compile(r"\bCWE[-_ ]?0*(\d{1,5})\b", re.IGNORECASE)
_DRIVE = re.compile(r"^/?[A-Za-z]:/")
_LONGEST = 2000


class Package(NamedTuple):
    """A software package.

    Attributes:
        kind: type of its purl, as ``pypi``; empty where no purl is given.
        name: with its namespace, as its registry compares it.
        version: empty where none is given.
    """

    kind: str
    name: str
    version: str

    def __str__(self) -> str:
        kind = f"{self.kind}/" if self.kind else ""
        return f"{kind}{self.name}{'@' if self.version else ''}{self.version}"


def vulnerability_ids(*texts: Any) -> tuple[str, ...]:
    """Identifiers of known vulnerabilities in texts, in capitals, CVEs first."""
    found = {x.upper() for text in texts if isinstance(text, str) for x in _ID.findall(text[:_LONGEST])}
    return tuple(sorted(found, key=lambda x: (not x.startswith("CVE-"), x)))


def cwe_numbers(*values: Any) -> tuple[int, ...]:
    """Numbers of weaknesses: of texts such as ``CWE-079`` or ``external/cwe/cwe-79``, and of numbers."""
    found: dict[int, None] = {}
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000:
            found[value] = None
        elif isinstance(value, str):
            text = value[:_LONGEST].replace("external/cwe/", "")
            plain = [value] if value.isascii() and value.isdigit() and len(value) < 6 else _CWE.findall(text)
            found |= {int(x): None for x in plain if int(x) > 0}
    return tuple(sorted(found))


def package_of(purl: Any, name: Any = "", version: Any = "", group: Any = "") -> Package | None:
    """The package of a purl, or of a name where there is none that can be read; None if neither tells one.

    Raises:
        ImportError: the package that reads purls is missing.
    """
    from packageurl import PackageURL

    if isinstance(purl, str) and len(purl) <= _LONGEST:
        try:
            found = PackageURL.from_string(purl.strip())
        except ValueError:
            pass
        else:
            full = "/".join(x for x in (found.namespace, found.name) if x)
            return Package(found.type, _as_compared(found.type, full), found.version or "")
    if not isinstance(name, str) or not name.strip():
        return None
    parts = [x.strip() for x in (group, name) if isinstance(x, str) and x.strip()]
    return Package("", _as_compared("", "/".join(parts))[:200], version if isinstance(version, str) else "")


def _as_compared(kind: str, name: str) -> str:
    low = name.lower()
    return re.sub(r"[-_.]+", "-", low) if kind in ("pypi", "") else low


def file_path(uri: Any, base: str = "") -> str:
    """A file's path with ``/``, without scheme, escapes, ``.`` and ``..``; only compared, never opened."""
    if not isinstance(uri, str):
        return ""
    text = uri[:_LONGEST].replace("\\", "/")
    absolute = text.startswith("/") or _DRIVE.match(text) is not None
    if text[:5].lower() == "file:":
        text, absolute = _local(text), True
    if not absolute and base:
        text = f"{base.rstrip('/')}/{text}"
    text = _DRIVE.sub("/", unquote(text.split("#")[0]))
    clean = posixpath.normpath(posixpath.join("/", text)) if text else ""
    return clean if text.startswith("/") else clean.lstrip("/")


def _local(uri: str) -> str:
    try:
        return urlsplit(uri).path
    except ValueError:
        return uri[5:].lstrip("/")


def web_address(url: Any) -> str:
    """Scheme, host, port where it is not the scheme's own, and path of an address; empty if it is none."""
    if not isinstance(url, str):
        return ""
    try:
        found = urlsplit(url[:_LONGEST].strip())
        port = found.port
    except ValueError:
        return ""
    if found.scheme.lower() not in ("http", "https", "ws", "wss") or not found.hostname:
        return ""
    usual = {"http": 80, "https": 443, "ws": 80, "wss": 443}[found.scheme.lower()]
    where = f"{found.hostname}{'' if port in (None, usual) else f':{port}'}"
    return f"{found.scheme.lower()}://{where}{unquote(found.path).rstrip('/') or '/'}"


def rule_key(tool: str, rule: str) -> str:
    """A rule as all tools call it that took it from the same source."""
    name = tool.lower()
    if name == "ruff" and re.fullmatch(r"S\d{3}", rule):
        return f"bandit:B{rule[1:]}"
    if name == "bandit":
        return f"bandit:{rule}"
    return f"{name}:{rule}"


def first_cve(ids: Iterable[str]) -> str:
    """The first CVE, or else the first identifier; empty if there is none."""
    found = list(ids)
    return next((x for x in found if x.startswith("CVE-")), found[0] if found else "")
