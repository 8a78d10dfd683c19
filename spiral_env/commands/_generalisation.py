"""Held-out worlds and partners: what `evaluate --split held-out` plays, and `reproduce` again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spiral_env.commands._options import load_team
from spiral_env.commands._progress import progress
from spiral_env.text import Table

__all__ = ["as_text", "play_split"]


def play_split(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Judge every team in all cells, as ``options`` of a result say it; the result.

    Args:
        asked: scenario, teams (name -> role -> policy), episodes of a cell, seed and time_limit.
    """
    from spiral_env.agents import load_policy
    from spiral_env.agents.partners import background_teams
    from spiral_env.evaluation.report import FORMAT, VERSION, policy_row
    from spiral_env.evaluation.splits import KINDS, Judge, cells_of
    from spiral_env.provenance import versions
    from spiral_env.roles import ROLES
    from spiral_env.scenarios import load_scenario

    world = load_scenario(asked["scenario"])
    background = {kind: background_teams(kind) for kind in KINDS}
    cells = {name: cells_of(world, _focal(specs), background) for name, specs in asked["teams"].items()}
    teams = {name: load_team(specs, asked["time_limit"]) for name, specs in asked["teams"].items()}
    judge = Judge(asked["episodes"], load_policy, asked["seed"])
    with progress("evaluate", asked["episodes"] * sum(map(len, cells.values())), "episodes") as shown:
        found = {name: judge.judge(team, cells[name], shown.advance) for name, team in teams.items()}
    rows = {
        name: {"policies": {role: policy_row(teams[name][role]) for role in ROLES}, **x.as_result()}
        for name, x in found.items()
    }
    return {
        **{"format": FORMAT, "version": VERSION, "command": "evaluate", "options": dict(asked)},
        **{"scenario": {"id": world.id, "hash": world.hash, "toml": world.to_toml()}, "versions": versions()},
        "normalised": all(x.normalised for x in found.values() if not x.failure),
        "partners": background,
        "teams": rows,
        "notes": list(dict.fromkeys(note for x in found.values() for note in x.notes)),
    }


def _focal(specs: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Every role that a team does not leave to the average firm, alone; and those roles together."""
    played = [role for role, spec in specs.items() if spec != "status_quo"] or list(specs)
    return [*((role,) for role in played), *([tuple(played)] if len(played) > 1 else [])]


def as_text(data: Mapping[str, Any]) -> str:
    """A table of the quadrants and one of the gaps, a line a team each."""
    asked = data["options"]
    unit = "score: 0 the average firm in the same place, 1 what the best known team gains"
    title = f"{asked['scenario']}, held-out split: {asked['episodes']} episodes a cell, paired with the average firm;"
    first = [title, unit if data["normalised"] else "k$ a month over the average firm in the same place"]
    rows = Table(("worlds, partners", "team", "cells", "mean", "95 % interval", "IQM", "interval"))
    gaps = Table(("lost from seen to held-out", "team", "mean", "95 % interval"))
    for number, (name, x) in enumerate(data["teams"].items(), 1):
        played = {role: spec for role, spec in asked["teams"][name].items() if spec != "status_quo"}
        who = name if set(played.values()) <= {name} else ", ".join(f"{role} {spec}" for role, spec in played.items())
        first.append(f"team {number}: {who}" + (f" FAILED: {x['failed']}" if "failed" in x else ""))
        for quadrant, found in x.get("quadrants", {}).items():
            cells = (quadrant, number, found["cells"])
            rows.add_row(
                *cells, *_shown(found["mean"], found["interval95"]), *_shown(found["iqm"], found["iqm_interval95"])
            )
        for gap, found in x.get("gaps", {}).items():
            gaps.add_row(gap, number, *_shown(found["mean"], found["interval95"]))
    notes = [f"note: {line}" for line in data["notes"]]
    tables = [x.text() for x in (rows, gaps) if x.rows]
    return "\n\n".join(["\n".join(first), *tables, *(["\n".join(notes)] if notes else [])])


def _shown(value: float, interval: list[float]) -> tuple[str, str]:
    return f"{value:.3g}", f"[{interval[0]:.3g}, {interval[1]:.3g}]"
