"""Broken and hostile files: rows of ``BROKEN``. Each ends in one line, which ``results/import_inputs.md`` holds."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.data_files.shapes import bom, disclosure, epss, kev, packed, result, run, sarif

__all__ = ["BROKEN", "Broken"]

Make = Callable[[Path], Any]
_GOOD = sarif(run(result()))


class Broken(NamedTuple):
    """One input.

    Attributes:
        what: in words.
        make: writes ``a.json`` into a folder.
        services: the table of services, if one is given.
        files: as on the command line.
    """

    what: str
    make: Make
    services: bytes = b""
    files: tuple[str, ...] = ("a.json",)


def _holds(content: bytes | str) -> Make:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / "a.json").write_bytes(data)


def _nothing(folder: Path) -> None:
    """Leave the folder as it is."""


def _loop(folder: Path) -> None:
    (folder / "a.json").symlink_to("a.json")


def _sparse(folder: Path) -> None:
    with (folder / "a.json").open("wb") as file:
        file.truncate(2**28 + 1)


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../etc/cron.d/x", "x")
    return out.getvalue()


def _bomb(start: bytes, unit: bytes) -> bytes:
    """A few hundred thousand bytes that unpack to more than a file may have: the same member many times over."""
    return packed(start) + packed(unit * (2**24 // len(unit))) * 17


def _nested(opening: str, count: int) -> str:
    return f'{{"runs": {opening * count}'


def _many_keys() -> str:
    return f'{{"runs": [{{"results": [{{{", ".join(f"{chr(34)}{k}{chr(34)}: 1" for k in range(100_001))}}}]}}]}}'


_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<OWASPZAPReport>&c;</OWASPZAPReport>"""
_OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><bom>&f;</bom>'
_DOUBLE = '{"runs": [], "version": "2.1.0", "version": "2.1.0"}'
_INNER = '{"runs": [{"results": [{"ruleId": "a", "level": "none", "level": "error"}]}]}'
_HEAD = b"name,tier,criticality,calls\n"


def _services(text: str) -> bytes:
    return _HEAD + text.encode()


BROKEN: tuple[Broken, ...] = (
    # no such thing
    Broken("no file of this name", _nothing),
    Broken("a folder", lambda folder: (folder / "a.json").mkdir()),
    Broken("a pipe that nobody writes to", lambda folder: os.mkfifo(folder / "a.json")),
    Broken("a device without an end", lambda folder: (folder / "a.json").symlink_to("/dev/zero")),
    Broken("a link to itself", _loop),
    Broken("a name with a null byte", _nothing, files=("a\0.json",)),
    Broken("a file of more than 256 MiB", _sparse),
    # no JSON
    Broken("an empty file", _holds(b"")),
    Broken("white space alone", _holds("\n \t\n")),
    Broken("cut off in the middle", _holds(_GOOD[: len(_GOOD) // 2])),
    Broken("cut off before its last brace", _holds(_GOOD[:-1])),
    Broken("something behind the end", _holds(_GOOD + b" x")),
    Broken("two reports in one file", _holds(_GOOD + _GOOD)),
    Broken("comments", _holds(b"// ours\n" + _GOOD)),
    Broken("a comma too many", _holds('{"runs": [],}')),
    Broken("single quotes", _holds("{'runs': []}")),
    Broken("NaN", _holds('{"runs": [{"results": [{"rank": NaN}]}]}')),
    Broken("Infinity", _holds('{"runs": [{"results": [{"rank": -Infinity}]}]}')),
    Broken("a number of 10^400", _holds('{"runs": [{"results": [{"rank": 1e400}]}]}')),
    Broken("a number of 5,000 digits", _holds(f'{{"runs": [{{"results": [{{"rank": {"9" * 5000}}}]}}]}}')),
    Broken("a key twice", _holds(_DOUBLE)),
    Broken("a key twice within a result", _holds(_INNER)),
    Broken("a line break within a text", _holds('{"runs": "a\nb"}')),
    Broken("no UTF-8", _holds(_GOOD.replace(b"bad", b"b\xffd"))),
    Broken("UTF-16 with half a letter at its end", _holds(_GOOD.decode().encode("utf-16")[:-1])),
    Broken("lists, 100,000 deep", _holds(_nested("[", 100_000))),
    Broken("tables, 100,000 deep", _holds(_nested('{"runs":', 100_000))),
    Broken("a text of 5 MiB", _holds('{"runs": "' + "a" * (5 * 2**20) + '"}')),
    Broken("a table of more than 100,000 keys", _holds(_many_keys())),
    Broken("a result of more than 200,000 values", _holds(f'{{"runs": [{{"results": [[{"1," * 200_001}1]]}}]}}')),
    Broken("more than 100,000 results", _holds(f'{{"runs": [{{"results": [{"{}," * 100_001}{{}}]}}]}}')),
    Broken("a list outermost", _holds("[{}]")),
    Broken("a number outermost", _holds("5")),
    Broken("JSON of something else", _holds('{"name": "package", "version": "1.0"}')),
    # no report
    Broken("XML whose entities expand without end", _holds(_LAUGHS)),
    Broken("XML with an entity of another file", _holds(_OUTSIDE)),
    Broken("a web page, as of a login that has ended", _holds("<!doctype html><title>Sign in</title>")),
    Broken("a zip archive with a path out of its folder", _holds(_zip())),
    Broken("a database", _holds(b"SQLite format 3\0" + b"\0" * 100)),
    Broken("a PDF", _holds(b"%PDF-1.7\n")),
    Broken("random bytes", _holds(bytes(range(128, 256)) * 8)),
    Broken("a table of something else", _holds("id,score\n1,2\n")),
    # packed
    Broken("gzip, cut off", _holds(packed(_GOOD)[:-12])),
    Broken("gzip, damaged", _holds(packed(_GOOD)[:-8] + b"\0" * 8)),
    Broken("gzip that unpacks to 272 MiB of spaces", _holds(_bomb(b'{"runs": [', b" "))),
    Broken("gzip that unpacks to 272 MiB of comments", _holds(_bomb(b"cve,epss\n", b'#"' + b"x" * 60_000 + b"\n"))),
    Broken("gzip within gzip", _holds(packed(packed(_GOOD)))),
    Broken("an empty gzip", _holds(gzip.compress(b""))),
    # KEV, EPSS
    Broken("EPSS: a score above 1", _holds(epss("CVE-2024-1000,1.5,0.9"))),
    Broken("EPSS: a score that is no number", _holds(epss("CVE-2024-1000,nan,0.9"))),
    Broken("EPSS: a line without a score", _holds(epss("CVE-2024-1000"))),
    Broken("EPSS: a line of a million bytes", _holds(epss("CVE-2024-1000," + "1" * 10**6))),
    Broken("EPSS: a quotation that does not end", _holds(epss('"CVE-2024-1000,0.5,0.9'))),
    Broken("KEV: cut off", _holds(kev("CVE-2024-1000")[:-3])),
    # services
    Broken("services: no column tier", _holds(_GOOD), b"name\nshop\n"),
    Broken("services: a tier that is none", _holds(_GOOD), _services("shop,middleware,1,\n")),
    Broken("services: a name twice", _holds(_GOOD), _services("shop,edge,1,\nshop,core,1,\n")),
    Broken("services: a call of nobody", _holds(_GOOD), _services("shop,edge,1,pay\n")),
    Broken("services: nothing at the edge", _holds(_GOOD), _services("shop,core,1,\n")),
    Broken("services: a criticality below zero", _holds(_GOOD), _services("shop,edge,-1,\n")),
    Broken("services: a criticality of NaN", _holds(_GOOD), _services("shop,edge,nan,\n")),
    Broken("services: no name", _holds(_GOOD), _services(",edge,1,\n")),
    Broken("services: columns and nothing else", _holds(_GOOD), _HEAD),
    Broken("services: empty", _holds(_GOOD), b"\n"),
    Broken("services: no UTF-8", _holds(_GOOD), _HEAD + b"caf\xe9,edge,1,\n"),
    Broken("services: JSON", _holds(_GOOD), _GOOD),
    Broken("services: findings match none", _holds(_GOOD), _services("shop,edge,1,\n")),
    Broken(
        "services: a file of a service that is not there", _holds(_GOOD), _services("shop,edge,1,\n"), ("pay=a.json",)
    ),
    # names that try something
    Broken("a file of findings as the table of services", _holds(bom(disclosure())), json.dumps({"runs": []}).encode()),
)
