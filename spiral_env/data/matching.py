"""Which service a finding is of, and which findings of several tools are one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from spiral_env.data.findings import Finding
from spiral_env.data.identity import Package
from spiral_env.data.services_table import OwnService

__all__ = ["Merged", "Owners", "merge"]


@dataclass
class Merged:
    """One thing to mend: the findings that mean it, the first of them the most telling.

    Attributes:
        parts: what was merged.
        because: on what the tools agree, for each that was merged.
    """

    parts: list[Finding]
    because: list[str]


class Owners:
    """Tells the service that a finding is of."""

    def __init__(self, services: Sequence[OwnService], components: dict[str, set[Package]]) -> None:
        """From the user's table, and the packages of every application that a bill of materials tells."""
        self._services = services
        self._by_name = {x.name.lower(): x.name for x in services}
        self._by_package: dict[Hashable, str] = {}
        for owner, packages in components.items():
            name = self._by_name.get(owner.lower())
            for package in packages if name is not None else ():
                for key in _package_keys(package):
                    self._by_package.setdefault(key, name or "")

    def of(self, finding: Finding) -> str:
        """Name of its service; empty if nothing tells it.

        In this order: what the user said of its file; the first pattern of the table that fits; a service named as
        its application, its host or a folder of its path; the service whose bill of materials holds its package.
        """
        if finding.service:
            return finding.service
        texts = list(_texts(finding))
        for service in self._services:
            if any(_fits(text, pattern) for pattern in service.match for text in texts):
                return service.name
        for word in _words(finding):
            if word in self._by_name:
                return self._by_name[word]
        keys = _package_keys(finding.package) if finding.package is not None else []
        return next((self._by_package[key] for key in keys if key in self._by_package), "")


def _package_keys(package: Package) -> list[Hashable]:
    """By type and name, or by its name alone where it has no type."""
    bare = package.name.rsplit("/", 1)[-1]
    return [(package.kind, package.name), ("", bare)] if package.kind else [("", bare)]


def _texts(finding: Finding) -> Iterable[str]:
    yield from (x.lower() for x in (finding.path, *finding.urls, *finding.hints) if x)
    if finding.package is not None:
        yield str(finding.package).lower()
        yield finding.package.name


def _fits(text: str, pattern: str) -> bool:
    """A pattern with ``*`` and ``?``, of the whole text or of its end from a ``/`` on; ``folder/`` is all in it."""
    low = pattern.lower()
    low = f"{low}*" if low.endswith("/") else low
    return fnmatchcase(text, low) or fnmatchcase(text, f"*/{low}")


def _words(finding: Finding) -> Iterable[str]:
    for hint in finding.hints:
        host = urlsplit(hint).hostname if "://" in hint else hint
        yield hint.lower()
        yield (host or "").lower()
        yield (host or "").split(".")[0].lower()
    for url in finding.urls:
        host = urlsplit(url).hostname or ""
        yield host
        yield host.split(".")[0]
    yield from reversed([x.lower() for x in finding.path.split("/")[:-1]])


class _Groups:
    """Findings that mean the same, as a forest (union-find)."""

    def __init__(self, count: int) -> None:
        self.above = list(range(count))
        self.because: dict[int, set[str]] = defaultdict(set)

    def root(self, k: int) -> int:
        while self.above[k] != k:
            self.above[k] = self.above[self.above[k]]
            k = self.above[k]
        return k

    def join(self, one: int, other: int, because: str) -> None:
        a, b = sorted((self.root(one), self.root(other)))
        if a != b:
            self.above[b] = a
            self.because[a] |= {because} | self.because.pop(b, set())


def merge(findings: Sequence[Finding]) -> list[Merged]:
    """Findings of one service that mean the same are one.

    Known vulnerabilities: the same identifier, or one that a third calls an alias, in the same package whatever its
    version; one without a package is that of the only package. Code: the same file and line, and the same rule or
    weakness. Addresses: the same address, and the same rule or weakness.
    """
    groups = _Groups(len(findings))
    _join_known(findings, groups)
    _join_code(findings, groups)
    _join_by(findings, groups, _web_keys, "address and weakness")
    sets: dict[int, list[int]] = defaultdict(list)
    for k in range(len(findings)):
        sets[groups.root(k)].append(k)
    out = []
    for root, members in sets.items():
        parts = sorted((findings[k] for k in members), key=_telling)
        out.append(Merged(parts, sorted(groups.because.get(root, ()))))
    return out


def _telling(finding: Finding) -> tuple[bool | str | int, ...]:
    """What tells more comes first; of equals by name, whatever the order of files."""
    vector = finding.severity is not None and "vector" in finding.severity.told_by
    cve = any(x.startswith("CVE-") for x in finding.ids)
    typed = finding.package is not None and bool(finding.package.kind)
    told = (not cve, not vector, finding.severity is None, not typed)
    return (*told, finding.source.lower(), finding.path, finding.line, finding.place, finding.title)


def _join_by(
    findings: Sequence[Finding], groups: _Groups, keys: Callable[[Finding], Iterable[Hashable]], because: str
) -> None:
    first: dict[Hashable, int] = {}
    for k, finding in enumerate(findings):
        for key in keys(finding):
            groups.join(first.setdefault(key, k), k, because)


def _join_known(findings: Sequence[Finding], groups: _Groups) -> None:
    _join_by(findings, groups, _typed_keys, "identifier and package")
    by_name: dict[Hashable, list[int]] = defaultdict(list)
    for k, finding in enumerate(findings):
        for name in finding.ids:
            by_name[finding.service, name].append(k)
    for members in by_name.values():
        _join_untyped(findings, members, groups)


def _typed_keys(finding: Finding) -> Iterable[Hashable]:
    if finding.package is not None:
        for name in finding.ids:
            yield finding.service, name, finding.package.kind, finding.package.name


def _join_untyped(findings: Sequence[Finding], members: list[int], groups: _Groups) -> None:
    """Of one identifier: a package told by its name alone, and none at all, join what they can only mean."""
    typed: dict[str, set[int]] = defaultdict(set)
    for k in members:
        package = findings[k].package
        if package is not None and package.kind:
            typed[package.name.rsplit("/", 1)[-1]].add(groups.root(k))
    untyped: dict[str, int] = {}
    for k in members:
        package = findings[k].package
        if package is not None and not package.kind:
            bare = package.name.rsplit("/", 1)[-1]
            roots = {groups.root(j) for j in typed.get(bare, ())}
            one = next(iter(roots)) if len(roots) == 1 else untyped.setdefault(bare, k)
            groups.join(one, k, "identifier and package")
    placed = {groups.root(k) for k in members if findings[k].package is not None}
    bare_ones = [k for k in members if findings[k].package is None]
    for k in bare_ones:
        groups.join(next(iter(placed)) if len(placed) == 1 else bare_ones[0], k, "identifier")


def _join_code(findings: Sequence[Finding], groups: _Groups) -> None:
    """Buckets of file name, line and what is wrong; in each, paths that may be one file."""
    buckets: dict[tuple[str, str, int, Hashable], list[int]] = defaultdict(list)
    for k, finding in enumerate(findings):
        if finding.path and not finding.ids:
            name = finding.path.rsplit("/", 1)[-1]
            for what in _what(finding):
                buckets[finding.service, name, finding.line, what].append(k)
    for (_, _, _, what), members in buckets.items():
        because = "file, line and rule" if isinstance(what, str) else "file, line and weakness"
        for one, other in _same_files(findings, members):
            groups.join(one, other, because)


def _same_files(findings: Sequence[Finding], members: list[int]) -> Iterable[tuple[int, int]]:
    """Pairs of findings whose paths are equal, or one the only longer path that ends in the other.

    Tools that run in different folders tell paths of different lengths.
    """
    ends: dict[str, int] = {}
    exact: dict[str, int] = {}
    for k in sorted(members, key=lambda k: -len(findings[k].path)):
        path = findings[k].path.strip("/")
        if path in exact:
            yield exact[path], k
            continue
        exact[path] = k
        longer = ends.get(path)
        if longer is not None:
            if longer >= 0:
                yield longer, k
            continue
        folders = path.split("/")
        for start in range(len(folders)):
            end = "/".join(folders[start:])
            ends[end] = _SEVERAL if end in ends else k


_SEVERAL = -1
"""More than one path ends so."""


def _what(finding: Finding) -> Iterable[Hashable]:
    if finding.rule:
        yield finding.rule
    yield from finding.cwes


def _web_keys(finding: Finding) -> Iterable[Hashable]:
    if not finding.ids:
        for url in finding.urls:
            for what in _what(finding):
                yield finding.service, url, what
