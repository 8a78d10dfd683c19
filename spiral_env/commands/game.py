"""`spiral game`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson, World, load_team
from spiral_env.commands._output import as_json_text, emit
from spiral_env.commands._progress import progress
from spiral_env.text import Table


def game(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    scenario: World = "baseline-v1",
    episodes: Annotated[int, typer.Option(min=2, help="Held-out episodes of every team.")] = 200,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, with every episode.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at the game: uniform, average firm, best constant, scripted and a trained run; share of levers at an end."""
    from spiral_env.evaluation import compare
    from spiral_env.evaluation.game import best_constant, constant_share, lever_ends
    from spiral_env.evaluation.report import as_result, as_text
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.roles import ROLES

    check_writable(out)
    specs = {"uniform": "uniform", "average_firm": "status_quo", "scripted": "scripted", "trained": str(run)}
    teams = {name: load_team(dict.fromkeys(ROLES, spec)) for name, spec in specs.items()}
    with progress("search of the best constant team") as shown:
        best = best_constant(scenario, progress=shown.reach)
    constant = {r: f"constant:{','.join(f'{x:g}' for x in e)}" for r, e in best.efforts.items()}
    teams["constant"] = load_team(constant)
    with progress("episodes", episodes * len(teams), "episodes") as shown:
        found = compare(scenario, teams, episodes, progress=shown.advance)
    share, levers = constant_share(found.tables), lever_ends(found.tables["trained"])
    more = {"constant": constant, "constants_tried": best.tried, "constant_share": share, "levers": levers}
    asked = {"scenario": scenario, "run": str(run), "episodes": episodes, "seed": 0}
    data = as_result(found, "game", asked, **more)
    if out is not None:
        write_atomically(out, as_json_text(data) + "\n")
    use = Table(("role", "lever", "low", "middle", "high", "stuck"), title="share of the trained team's decisions")
    for row in levers:
        use.add_row(*row.values())
    emit(as_json, data, as_text(found), use, f"constant share of what is gained over uniform: {share:.2f}")
