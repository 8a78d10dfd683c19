"""`spiral advise`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, load_team, worlds
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress

_PLANNER = "planner"


def advise(
    scenario: Annotated[
        str,
        typer.Argument(help="Scenario with findings of its own, as spiral import writes it.", autocompletion=worlds),
    ],
    policy: Annotated[
        str, typer.Option(help="scripted, planner (tries all postures over scripted), hybrid_risk, a run's folder, ..")
    ] = "scripted",
    episodes: Annotated[int, typer.Option(min=2, help="Episodes over which it is uncertain.")] = 40,
    months: Annotated[int, typer.Option(min=1, help="Months that are looked ahead.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="First of the held-out episodes.")] = 0,
    top: Annotated[int, typer.Option(min=1, help="Findings that are shown; files hold all.")] = 15,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .csv (every finding) or .md (a page).", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Which postures and which findings first this month, beside CVSS-first, with loss, cost and hours."""
    from spiral_env.evaluation.advice import advise as advised
    from spiral_env.evaluation.advice import demand_backlog
    from spiral_env.evaluation.advice_report import as_csv, as_data, as_markdown, as_tables
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.scenarios import load_scenario

    if out is not None and out.suffix not in (".csv", ".md"):
        raise ValueError(f"out must end in .csv or .md, got {out}")
    check_writable(out)
    world = demand_backlog(load_scenario(scenario))
    team = _team(world, policy, months)
    with progress("advise", 2 * months, "months") as shown:
        found = advised(world, team, episodes, months, seed, shown.advance)
    if out is not None:
        write_atomically(out, as_csv(found) if out.suffix == ".csv" else as_markdown(found, policy, top))
    emit(as_json, as_data(found, policy), *as_tables(found, policy, top))


def _team(world: Any, policy: str, months: int) -> Callable[[], dict[str, Any]]:
    """Gives role -> policy, fresh at every call."""
    from spiral_env.agents import team_of
    from spiral_env.agents.first_months import Held, plan_first_months

    specs = team_of("scripted" if policy == _PLANNER else policy)
    if policy != _PLANNER:
        return lambda: load_team(specs)
    plan = plan_first_months(world, lambda: load_team(specs), min(months, world.max_cycles))

    def planned() -> dict[str, Any]:
        team = load_team(specs)
        return team | {"it": Held(team["it"], plan)}

    return planned
