"""`spiral game`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson, World, load_team
from spiral_env.commands._output import as_json_text, emit
from spiral_env.text import Table


def game(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    scenario: World = "baseline-v0",
    episodes: Annotated[int, typer.Option(min=2)] = 200,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at the game: uniform, average firm, best constant, scripted and a trained run; share of levers at an end."""
    from spiral_env.evaluation.game import best_constant, compare, constant_share, lever_ends
    from spiral_env.evaluation.report import as_dict, as_table
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.roles import ROLES

    check_writable(out)
    specs = {"uniform": "uniform", "average_firm": "status_quo", "scripted": "scripted", "trained": str(run)}
    teams = {name: load_team(dict.fromkeys(ROLES, spec)) for name, spec in specs.items()}
    found = best_constant(scenario)
    constant = {r: f"constant:{','.join(f'{x:g}' for x in e)}" for r, e in found.efforts.items()}
    teams["constant"] = load_team(constant)
    tables = compare(scenario, teams, episodes)
    share, levers = constant_share(tables), lever_ends(tables["trained"])
    data = {"scenario": scenario, "episodes": episodes, "constant": constant, "constants_tried": found.tried}
    data |= {"constant_share": share, "levers": levers, "teams": as_dict(tables)}
    if out is not None:
        write_atomically(out, as_json_text(data) + "\n")
    use = Table(("role", "lever", "low", "middle", "high", "stuck"), title="share of the trained team's decisions")
    for row in levers:
        use.add_row(*row.values())
    emit(as_json, data, as_table(tables), use, f"constant share of what is gained over uniform: {share:.2f}")
