"""Links between files of the repository, which people follow there, as links between pages of the site."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["COPIES", "on_read", "relinked"]

COPIES: dict[str, str] = {
    "MODEL.md": "generated/model.md",
    "results/README.md": "generated/results.md",
    "results/claims.md": "generated/claims.md",
    "results/game.md": "generated/game.md",
    "results/gpu.md": "generated/gpu_results.md",
    "results/bench.md": "generated/bench.md",
    "results/studies.md": "generated/studies.md",
    "results/import_inputs.md": "generated/import_inputs.md",
    "agents/README.md": "generated/teams.md",
    "agents/baseline-v1-es/README.md": "generated/team_card.md",
    "train/README.md": "generated/recipes.md",
    "CONTRIBUTING.md": "generated/contributing.md",
    "CHANGELOG.md": "generated/changelog.md",
}
"""Files outside of ``docs/`` that are pages of the site, and where."""
_LINK = re.compile(r"(!?)\[([^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\]\(([^()\s]+)\)")


def on_read(docs: Path, name: str, source: list[str]) -> None:
    """Mend the links of a page of ``docs/`` as Sphinx reads it."""
    if not name.startswith(("generated/", "notebooks/")):
        source[0] = relinked(source[0], docs.parent, Path("docs") / f"{name}.md", f"{name}.md")


def relinked(text: str, root: Path, file: Path, page: str) -> str:
    """The text of ``file``, in the repository ``root``, as that of the site's ``page``.

    A link to a file that is a page leads there; one to any other file outside of ``docs/`` becomes its words.
    """

    def mended(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        path, mark, anchor = target.partition("#")
        if ":" in path or not path:
            return found.group()
        aim = os.path.normpath(root / file.parent / path)
        inside = os.path.relpath(aim, root)
        if inside in COPIES or inside.startswith("docs" + os.sep):
            there = COPIES.get(inside) or os.path.relpath(inside, "docs")
            return f"{image}[{words}]({os.path.relpath(there, os.path.dirname(page) or '.')}{mark}{anchor})"
        return words

    return _LINK.sub(mended, text)
