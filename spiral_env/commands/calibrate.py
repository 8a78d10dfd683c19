"""`spiral calibrate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, World
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress
from spiral_env.text import Table

MOST_EPISODES = 2**16
"""They are played side by side."""


def calibrate(
    scenario: World = "baseline-v1",
    episodes: Annotated[int, typer.Option(min=2, max=MOST_EPISODES, help="Episodes of the average firm.")] = 2048,
    write: Annotated[bool, typer.Option(help="Store the solved values in the package's baseline.")] = False,
    as_json: AsJson = False,
) -> None:
    """Solve the constants that facts fix; print every fact's target beside what is measured."""
    from spiral_env import calibration
    from spiral_env.scenarios import load_scenario

    if write and scenario != "baseline-v1":
        raise ValueError(
            f"write must be left out unless scenario is baseline-v1, which holds the values, got {scenario}"
        )
    months = load_scenario(scenario).max_cycles
    with progress("calibrating", calibration.SOLVED_MONTHS + months, "months") as shown:
        solution = calibration.solve(scenario, episodes, progress=shown.advance)
        facts = calibration.facts(scenario, episodes, solution=solution, progress=shown.advance)
    title = f"facts under the average firm, {episodes} episodes, mean [95 % interval]"
    table = Table(("no.", "fact", "target", "measured", "ok"), title=title)
    rows: list[dict[str, Any]] = []
    for fact in facts:
        m = fact.measured
        rows.append({"number": fact.number, "fact": fact.name, "target": [fact.low, fact.high], "measured": list(m)})
        rows[-1]["ok"] = fact.ok
        interval = f"{m.mean:.4g} [{m.low:.4g}, {m.high:.4g}]"
        table.add_row(
            fact.number, fact.name, f"{fact.low:.4g} .. {fact.high:.4g}", interval, "yes" if fact.ok else "NO"
        )
    solved = Table(("solved", "value"), list(solution.params.items()))
    emit(as_json, {"solved": solution.params, "facts": rows}, solved, table)
    missed = [row["fact"] for row in rows if not row["ok"]]
    if write and missed:
        raise ValueError(f"facts must lie in their targets to be stored, got outside: {'; '.join(missed)}")
    if write:
        calibration.store(solution)
