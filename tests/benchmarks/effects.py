"""The columns of measured effects of MODEL.md, from ``results/claims.json``: ``python -m tests.benchmarks.effects``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spiral_env.files import write_atomically
from spiral_env.questions.teams import HEIGHT, VALUE

ROOT = Path(__file__).parents[2]
PAGE, CLAIMS = ROOT / "MODEL.md", ROOT / "results/claims.json"
TABLE = re.compile(r"(<!-- effects: results/claims\.json -->\n\n)((?:\|.*\n)+)")
TEAMS = {"average firm": "switches", "scripted": "switches", "trained": "switches", "retrained": "retrained"}
"""Team -> part of the claims that looks at it."""
_SWITCH = 2
"""Column that names the switches."""


def effect(claims: Mapping[str, Any], switch: str) -> str:
    """Mean change of value and height when off, a number for each team that was looked at; "" if none was."""
    found = []
    for team, part in TEAMS.items():
        rows = claims.get(part, {}).get("figures", {}).get("switches", [])
        found += [row["teams"][team] for row in rows if _is(row, switch) and team in row["teams"]]
    if not found:
        return ""
    value, height = (
        " / ".join(f"{x[name][0]:+{form}}" for x in found) for name, form in ((VALUE, ".0f"), (HEIGHT, ".2f"))
    )
    return f"V {value}; H {height}"


def _is(row: Mapping[str, Any], switch: str) -> bool:
    """Whether a row of the claims is the switch, by its name or by the one parameter it sets."""
    return row["name"] == switch or list(row["params"]) == [switch]


def filled(page: str, claims: Mapping[str, Any]) -> str:
    """The page with its effects; a row none of whose switches was measured stays as it is."""
    return TABLE.sub(
        lambda found: found[1] + "".join(_row(x, claims) for x in found[2].splitlines(keepends=True)), page
    )


def _row(line: str, claims: Mapping[str, Any]) -> str:
    cells = line.strip().strip("|").split(" | ")
    names = [name for x in cells[_SWITCH:-1] for name in re.findall(r"`([^`]+)`", x)]
    told = {name: found for name in names if (found := effect(claims, name))}
    if not told:
        return line
    last = "; ".join(found if len(names) == 1 else f"{name}: {found}" for name, found in told.items())
    return f"| {' | '.join([*(x.strip() for x in cells[:-1]), last])} |\n"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    write_atomically(PAGE, filled(page, json.loads(CLAIMS.read_text(encoding="utf-8"))))
