"""What commands print and where they write."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

__all__ = ["as_json_text", "emit"]


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
