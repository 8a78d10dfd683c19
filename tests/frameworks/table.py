"""The tables of both READMEs from ``results/frameworks/``: ``python -m tests.frameworks.table``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spiral_env.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
RESULTS = ROOT / "results" / "frameworks"
SPEEDS = ROOT / "results" / "README.md"
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
    """The compatibility table as Markdown."""
    return "\n".join([*HEAD, *(_line(page, row) for page, row in rows().items())])


def routes() -> str:
    """Agent-steps/s of every measured route as Markdown."""
    lines = ["| framework | route | agent-steps/s |", "|---|---|---:|"]
    for row in rows().values():
        found = row.get("routes", {})
        lines += [f"| {row['title']} | {name} | {rate:,} |" for name, rate in found.items()]
    return "\n".join(lines)


def with_table(text: str, made: str) -> str:
    """The text with the section between the markers replaced by ``made``."""
    before, rest = text.split(START)
    return "\n".join([before + START, made, END]) + rest.split(END)[1]


def main() -> None:
    """Rewrite the sections."""
    for path, made in ((README, table()), (SPEEDS, routes())):
        write_atomically(path, with_table(path.read_text(encoding="utf-8"), made))


if __name__ == "__main__":
    main()
