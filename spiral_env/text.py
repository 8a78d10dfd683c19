"""Plain text for people: names made visible on one line, and tables in which nothing is clipped."""

from __future__ import annotations

import csv
import io
import re
import textwrap
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["Table", "csv_text", "folded", "is_utf8", "one_line", "spoken", "told_reason"]

_GAP = "  "
_NUMBER = re.compile(r"[-+]?[\d.]")
_LEAST_WRAPPED = 20
"""Columns of text are not wrapped narrower than this."""


def one_line(text: object, width: int | None = None) -> str:
    """``text`` with control characters and line ends shown as escapes, cut in the middle to ``width`` characters."""
    line = str(text)
    if width is not None and len(line) > width:
        tail = (width - 5) // 3
        line = f"{line[: width - 5 - tail]} ... {line[len(line) - tail :]}"
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def spoken(name: str) -> str:
    """A name of code as people say it: ``return_it`` is "return IT"."""
    said = name.replace("_", " ")
    return re.sub(r"\b(it|smes?|esg)\b", lambda found: found[0].upper().replace("SMES", "SMEs"), said)


def folded(text: str, width: int | None) -> str:
    """Lines that are longer than ``width`` folded at spaces, under their own start; a command stays one line."""
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int | None) -> str:
    start = line[: len(line) - len(line.lstrip())]
    if width is None or len(line) <= width or line.startswith(f"{start}spiral "):
        return line
    return textwrap.fill(
        line.strip(),
        width,
        initial_indent=start,
        subsequent_indent=f"{start}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def is_utf8(text: object) -> bool:
    """Whether a name can be written in UTF-8: that of a file may hold any bytes."""
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; a cell that a spreadsheet would take for a formula is quoted with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name, "")) for name in columns])
    return out.getvalue()


def _cell(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int | float) else text


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


def told_reason(error: BaseException) -> str:
    """Kind and first line of an error, and the line of the user's file that it came from."""
    lines = str(error).splitlines() or [""]
    reason = f"{type(error).__name__}: {lines[0]:.200}".removesuffix(": ")
    frames = [x for x in traceback.extract_tb(error.__traceback__) if not _is_ours(x.filename)]
    if not frames:
        return reason
    line = [frame.lineno for frame in frames if frame.filename == frames[0].filename][-1]
    return f"{reason} ({Path(frames[0].filename).name}, line {line})"


def _is_ours(file: str) -> bool:
    return file.startswith(str(Path(__file__).parent)) or "importlib" in file


@dataclass
class Table:
    """Rows under headings.

    Attributes:
        columns: headings; the first column names the row.
        rows: one cell a column; a column of numbers stands right.
        title: line above.
        notes: lines below, folded at spaces.
        units: one a column, shown below its heading; none for a table without.
    """

    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    title: str = ""
    notes: Sequence[str] = ()
    units: Sequence[str] = ()

    def add_row(self, *cells: object) -> None:
        """One more row."""
        self.rows.append(cells)

    def chosen(self, columns: Sequence[str]) -> Table:
        """The table with some of its columns, in that order; their names are those of the headings.

        Raises:
            ValueError: there is no such column, or one is named twice.
        """
        for k, name in enumerate(columns):
            if name not in self.columns:
                raise ValueError(f"columns must be among {', '.join(self.columns)}, or all, got {name!r}")
            if name in columns[:k]:
                raise ValueError(f"columns must name {name} once, got it twice")
        places = [list(self.columns).index(name) for name in columns]
        return replace(
            self,
            columns=list(columns),
            rows=[[row[k] for k in places] for row in self.rows],
            units=[self.units[k] for k in places] if self.units else (),
        )

    def text(self, width: int | None = None) -> str:
        """Every cell in full: one line a row, or what fits ``width``, the columns in several blocks one below another.

        A last column of text is wrapped to the width.
        """
        heads = (self.columns, self.units) if any(self.units) else (self.columns,)
        cells = [[one_line(x) for x in row] for row in (*heads, *self.rows)]
        sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
        right = [self._is_numeric(k) for k in range(len(sizes))]
        blocks = [
            "\n".join(_lines([[row[k] for k in block] for row in cells], [right[k] for k in block], width))
            for block in _blocks(sizes, right, width)
        ]
        title = [folded(one_line(self.title), width)] if self.title else []
        return "\n".join([*title, "\n\n".join(blocks), *(folded(note, width) for note in self.notes)])

    def _is_numeric(self, column: int) -> bool:
        cells = [text for row in self.rows if (text := str(row[column]))]
        return bool(cells) and all(_NUMBER.match(text) for text in cells)


def _blocks(sizes: list[int], right: list[bool], width: int | None) -> Iterator[list[int]]:
    """Places of the columns that stand side by side; each block starts with the first column."""
    block, used = [0], sizes[0]
    for k in range(1, len(sizes)):
        # A last column of text gives way.
        least = min(sizes[k], _LEAST_WRAPPED) if k == len(sizes) - 1 and not right[k] else sizes[k]
        if width is not None and used + len(_GAP) + least > width and len(block) > 1:
            yield block
            block, used = [0], sizes[0]
        block.append(k)
        used += len(_GAP) + sizes[k]
    yield block


def _lines(cells: list[list[str]], right: list[bool], width: int | None) -> Iterator[str]:
    sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
    start = sum(sizes[:-1]) + len(_GAP) * (len(sizes) - 1)
    for row in cells:
        last = [row[-1]]
        if width is not None and not right[-1] and start + sizes[-1] > width >= start + _LEAST_WRAPPED:
            last = textwrap.wrap(row[-1], width - start, break_on_hyphens=False) or [""]
        fixed = [x.rjust(size) if r else x.ljust(size) for x, size, r in zip(row, sizes, right, strict=True)][:-1]
        yield _GAP.join([*fixed, last[0].rjust(sizes[-1]) if right[-1] else last[0]]).rstrip()
        yield from (" " * start + rest for rest in last[1:])
