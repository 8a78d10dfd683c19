"""Files that are either the old ones or the new ones, never half of either."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write to a temporary file beside ``path``, then rename; text as UTF-8.

    Raises:
        OSError: it cannot be written; the old file, if any, is as it was.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
