"""Streams of what a user's file holds: of plain files only, unpacked and decoded on the way, within limits."""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from spiral_env.files import open_plain
from spiral_env.text import one_line

__all__ = ["MAX_BYTES", "Bounded", "named", "opened"]

MAX_BYTES = 2**28
"""Bytes of one file, and of what it unpacks to."""
MAX_QUIET = 2**22
"""Bytes without a quotation mark or a line end: a text, which holds neither, is no longer than this."""
_CHUNK = 2**16
_WIDTH = 120
_STARTS = {
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"BZh": "is packed with bzip2: unpack it first",
    b"\xfd7zXZ": "is packed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "is packed with zstd: unpack it first",
    b"\x1f\x9d": "is packed with compress: unpack it first",
    b"%PDF": "is a PDF: export the report as JSON",
    b"SQLite format 3": "is a database: export the report as JSON",
    b"\x7fELF": "is a program",
}
_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
    b"\xef\xbb\xbf": "utf-8",
}
"""Marks of the byte order; what Windows shells redirect into a file is UTF-16."""


def named(path: str | os.PathLike[str]) -> str:
    """A file as errors and reports call it: its path on one line."""
    return one_line(os.fspath(path), _WIDTH)


@contextmanager
def opened(path: str | os.PathLike[str], limit: int = MAX_BYTES, what: str = "file") -> Iterator[Bounded]:
    """The content of a file as UTF-8 without a mark, at most ``limit`` bytes of it, whatever ``what`` is packed in.

    Raises:
        ValueError: it cannot be read, is no plain file, is too large or damaged; one line that names it.
    """
    try:
        with open_plain(path, limit, what) as file:
            yield Bounded(_unpacked(file), limit)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError(f"{what} {named(path)} is damaged: it cannot be unpacked to its end") from None
    except OSError as error:
        raise ValueError(f"{what} {named(path)} cannot be read: {error.strerror or error}") from None
    except SourceError as error:
        raise ValueError(f"{what} {named(path)} {error}") from None


class SourceError(Exception):
    """What is wrong with a file, to stand behind its name."""


class Bounded:
    """A stream that refuses to grow without end: ``read`` gives UTF-8."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        """Look at the first bytes: some files are told by them."""
        self._stream, self._limit = stream, limit
        self._total = self._quiet = 0
        head = stream.read(_CHUNK)
        for start, what in _STARTS.items():
            if head.startswith(start):
                raise SourceError(what)
        mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
        encoding = _MARKS.get(mark, "utf-8")
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
        self.pending = self._taken(head[len(mark) :])
        if not self.pending.strip() and len(head) < _CHUNK:
            raise SourceError("is empty")

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; none at the end.

        Raises:
            SourceError: it is too large, or no text.
        """
        size = _CHUNK if size < 0 else size
        while not self.pending:
            chunk = self._stream.read(_CHUNK)
            self.pending = self._taken(chunk)
            if not chunk:
                break
        out, self.pending = self.pending[:size], self.pending[size:]
        return out

    def lines(self, most: int = 2**16) -> Iterator[str]:
        """Lines of text, without their ends.

        Raises:
            SourceError: one is longer than ``most`` bytes, or no UTF-8.
        """
        rest = b""
        while True:
            chunk = self.read(_CHUNK)
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole if chunk else [*whole, rest]:
                yield _as_text(line.removesuffix(b"\r"))
            if len(rest) > most:
                raise SourceError(f"has a line of more than {most:,} bytes")
            if not chunk:
                return

    def _taken(self, chunk: bytes) -> bytes:
        if self._decoder is not None:
            try:
                chunk = self._decoder.decode(chunk, not chunk).encode()
            except UnicodeError:
                raise SourceError("is no text in the encoding that its first bytes tell") from None
        self._total += len(chunk)
        if self._total > self._limit:
            raise SourceError(f"must have at most {self._limit:,} bytes, unpacks to more")
        last = max(chunk.rfind(b'"'), chunk.rfind(b"\n"))
        self._quiet = len(chunk) - last - 1 if last >= 0 else self._quiet + len(chunk)
        if self._quiet > MAX_QUIET:
            raise SourceError(f"has a text or a line of more than {MAX_QUIET:,} bytes: no report is like that")
        return chunk


def _as_text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise SourceError("must be UTF-8") from None


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The stream itself, or what it unpacks to."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
