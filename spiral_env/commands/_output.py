"""What commands print."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from spiral_env.text import Table, folded, one_line

__all__ = ["as_json_text", "chosen", "emit", "wrapped"]

_COLUMNS = 80
"""What sentences are wrapped to."""


def as_json_text(data: Any) -> str:
    """What a file of ``data`` holds."""
    from spiral_env.files import as_json_text as text  # help waits for no more than it needs

    return text(data)


def emit(as_json: bool, data: Any, *shown: Table | str) -> None:
    """Print ``data`` as JSON, or else what is ``shown``, with empty lines between."""
    print(as_json_text(data) if as_json else _as_text(shown))


def chosen(table: Table, columns: str | None, usual: Sequence[str] = ()) -> Table:
    """The columns that ``--columns`` names, or all; without it the ``usual`` ones, and a line on the others.

    Raises:
        ValueError: one is named that the table does not have.
    """
    if columns is not None:
        return table if columns == "all" else table.chosen([name.strip() for name in columns.split(",")])
    others = [name for name in table.columns if name not in usual]
    if not usual or not others:
        return table
    few = table.chosen(usual)
    few.notes = ["", f"More with --columns all, or some of: {', '.join(others)}.", *few.notes]
    return few


def wrapped(lines: Iterable[str]) -> list[str]:
    """Sentences broken at spaces; a name that is longer than a line stays whole."""
    broken = textwrap.TextWrapper(_COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [broken.fill(one_line(line)) for line in lines]


def _as_text(shown: Sequence[Table | str]) -> str:
    width = _width()
    return "\n\n".join(x.text(width) if isinstance(x, Table) else folded(_visible(x), width) for x in shown)


def _width() -> int | None:
    """On a terminal tables fit its width; in a pipe or a file, which have none, each row is one line."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def _visible(text: str) -> str:
    """Names in it may hold anything."""
    return "\n".join(one_line(line) for line in text.split("\n"))
