"""What commands print and where they write."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["as_json_text", "check_writable", "emit"]


def emit(as_json: bool, data: Any, show: Any) -> None:
    if as_json:
        print(as_json_text(data))
        return
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 160).print(show)


def as_json_text(data: Any) -> str:
    """JSON; what is not finite, which JSON does not know, as null."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: plain(value) for key, value in x.items()}
        if isinstance(x, list | tuple):
            return [plain(value) for value in x]
        return None if isinstance(x, float) and not math.isfinite(x) else x

    return json.dumps(plain(data), indent=1, allow_nan=False)


def check_writable(path: Path | None) -> None:
    """Refuse an output that cannot be written, before long work."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output {path} cannot be written: {error.strerror} ({error.filename})") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"output {path} cannot be written")
