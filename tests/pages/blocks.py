"""The code blocks of the pages that people read.

A comment on the line above a block says how it is run at small size, or why it is not run here:

    <!-- run with: 10000000 -> 70000, --episodes 100 -> --episodes 4 -->
    <!-- not run here: needs a GPU -->

A python or toml block that begins with ``# name.py`` or ``# name.toml`` is a file of that name, which later blocks use.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["REASONS", "Block", "blocks_of", "pages"]

ROOT = Path(__file__).resolve().parents[2]
REASONS = ("needs a GPU", "needs a checkout and minutes", "needs hours")
"""Why a block may be left out."""
_BLOCK = re.compile(r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# (?:file: )?([\w-]+\.(?:py|toml))\n")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: what follows the fence.
        text: as it is run.
        line: where it stands.
        file: the file that it is, or nothing.
        reason: why it is not run here, or nothing.
    """

    language: str
    text: str
    line: int
    file: str
    reason: str


def pages() -> list[Path]:
    """Pages whose blocks are run by the tests of this folder; those of frameworks run in environments of their own."""
    own = [ROOT / "README.md", ROOT / "agents/README.md", ROOT / "train/README.md", ROOT / "CONTRIBUTING.md"]
    written = [
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if "generated" not in page.relative_to(ROOT).parts and not _has_session(page)
    ]
    return own + written


def _has_session(page: Path) -> bool:
    tests = ROOT / "tests" / "frameworks"
    return page.parent.name == "frameworks" and (tests / f"test_{page.stem.replace('-', '_')}.py").exists()


@cache
def blocks_of(text: str) -> tuple[Block, ...]:
    """Blocks of a page in their order.

    Raises:
        ValueError: a comment above a block changes nothing, or gives no reason that counts.
    """
    return tuple(_block(found, text) for found in _BLOCK.finditer(text))


def _block(found: re.Match[str], page: str) -> Block:
    line = page[: found.start("text")].count("\n") + 1
    code, reason, note = found["text"], "", found["note"] or ""
    if note.startswith("run with: "):
        for change in note.removeprefix("run with: ").split(", "):
            old, _, new = change.partition(" -> ")
            if old not in code:
                raise ValueError(f"line {line}: there is no {old!r} to run with {new!r}")
            code = code.replace(old, new)
    elif note.startswith("not run here: "):
        reason = note.removeprefix("not run here: ")
        if reason not in REASONS:
            raise ValueError(f"line {line}: a block is left out for one of {REASONS}, got {reason!r}")
    file = _FILE.match(code)
    return Block(found["language"], code, line, file[1] if file else "", reason)
