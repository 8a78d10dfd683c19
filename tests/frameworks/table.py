"""The README's compatibility table from ``results/frameworks/``: ``python -m tests.frameworks.table``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
RESULTS = ROOT / "results" / "frameworks"
START, END = "<!-- frameworks: start -->", "<!-- frameworks: end -->"
HEAD = (
    "| framework | version | adapter | agent-steps/s | x its PettingZoo route | trained | return equal |",
    "|---|---|---|---:|---:|---|---|",
)


def rows() -> dict[str, dict[str, Any]]:
    """Page -> its stored row, in the order of the titles."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: item[1]["title"].lower()))


def _line(page: str, row: dict[str, Any]) -> str:
    name = f"[{row['title']}](docs/frameworks/{page}.md)"
    if "reason" in row:
        return f"| {name} | {row['version']} | cannot work: {row['reason']} | | | no | no |"
    yes = {True: "yes", False: "no"}
    adapter = row["adapter"] if row["adapter"] == "none" else f"`{row['adapter']}`"
    speed = f"{row['agent_steps_per_second']:,}" if "agent_steps_per_second" in row else ""
    ratio = row.get("over_pettingzoo_route", "")
    return (
        f"| {name} | {row['version']} | {adapter} | {speed} | {ratio} | {yes[row['trained']]} | "
        f"{yes[row['return_equal']]} |"
    )


def table() -> str:
    """The table as Markdown, markers included."""
    return "\n".join([START, *HEAD, *(_line(page, row) for page, row in rows().items()), END])


def with_table(readme: str) -> str:
    """The README's text with the section between the markers replaced."""
    before, rest = readme.split(START)
    return before + table() + rest.split(END)[1]


def main() -> None:
    """Rewrite the README's section."""
    temporary = README.with_name(README.name + ".tmp")
    temporary.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    os.replace(temporary, README)


if __name__ == "__main__":
    main()
