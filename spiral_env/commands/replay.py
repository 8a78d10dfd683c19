"""`spiral replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import MOST_SEED, AsJson, World, load_team
from spiral_env.commands._output import emit, wrapped
from spiral_env.commands.evaluate import team_specs


def replay(
    team: Annotated[
        str | None,
        typer.Argument(
            help="Who plays: uniform, status_quo (the average firm), scripted, constant:e1,e2,.., a run's folder, "
            "module:Class or file.py:Class.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(help="Two such teams, with a comma between.", show_default=False)
    ] = None,
    scenario: World = "baseline-v1",
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MOST_SEED, help="Seed of the world.  [default: the first that nobody trains on]"),
    ] = None,
    num_smes: Annotated[int | None, typer.Option(min=1, help="Instead of the scenario's.")] = None,
    max_cycles: Annotated[int | None, typer.Option(min=1, help="Months, instead of the scenario's.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("replay.html"),
    as_json: AsJson = False,
) -> None:
    """An episode as a page that opens offline: one team, or two side by side on the same seed (--compare A,B)."""
    from spiral_env.agents import team_of
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.render.replay import page_of, record, told

    specs = _specs(team, compare)
    check_writable(out)
    teams = {spec: load_team(team_of(spec)) for spec in specs}
    played = record(scenario, teams, seed, num_smes=num_smes, max_cycles=max_cycles)
    asked = {"scenario": scenario, "seed": played.seed, "num-smes": num_smes, "max-cycles": max_cycles}
    given = [f"--{name} {x}" for name, x in asked.items() if x is not None]
    who = f"--compare {','.join(specs)}" if len(specs) > 1 else specs[0]
    page = page_of(played, " ".join(["spiral replay", who, *given])).encode()
    write_atomically(out, page)
    measures = {x.name: x.metrics for x in played.teams}
    data = {"file": str(out), "bytes": len(page), "scenario": played.world.id, "seed": played.seed, "teams": measures}
    where = f"{out}: {len(page) / 1e6:.1f} MB, open it in a browser"
    emit(as_json, data | {"told": told(played)}, "\n".join([*wrapped(told(played)), where]))


def _specs(team: str | None, compare: list[str] | None) -> list[str]:
    """The teams named: one, or two to compare."""
    if (team is None) == (compare is None):
        got = "neither" if team is None else "both"
        raise ValueError(f"replay must be given a team, or two with --compare A,B, got {got}")
    if team is not None:
        return [team]
    specs = team_specs(compare or [])
    if len(specs) != 2:
        raise ValueError(f"--compare must name two teams, got {len(specs)}")
    return specs
