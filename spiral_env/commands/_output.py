"""What commands print."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from spiral_env.text import Table, one_line

__all__ = ["as_json_text", "emit"]

_NUMBERS = re.compile(r"\[\n\s+([^\[\]{}\"]*?)\n\s*\]")
"""A list of numbers over several lines; line ends inside of texts are written as escapes."""


def emit(as_json: bool, data: Any, *shown: Table | str) -> None:
    """Print ``data`` as JSON, or else what is ``shown``, with empty lines between."""
    print(as_json_text(data) if as_json else _as_text(shown))


def _as_text(shown: Sequence[Table | str]) -> str:
    width = _width()
    return "\n\n".join(x.text(width) if isinstance(x, Table) else _visible(x) for x in shown)


def _width() -> int | None:
    """On a terminal tables fit its width; in a pipe or a file, which have none, each row is one line."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def _visible(text: str) -> str:
    """Names in it may hold anything."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def as_json_text(data: Any) -> str:
    """JSON, lists of numbers on one line; what is not finite, which JSON does not know, as null."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: plain(value) for key, value in x.items()}
        if isinstance(x, list | tuple):
            return [plain(value) for value in x]
        return None if isinstance(x, float) and not math.isfinite(x) else x

    text = json.dumps(plain(data), indent=1, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
