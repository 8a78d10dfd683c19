"""`spiral scenarios`."""

from __future__ import annotations

import typer

from spiral_env.commands._headings import Headings
from spiral_env.commands._options import AsJson
from spiral_env.commands._output import emit
from spiral_env.text import Table

scenarios_app = typer.Typer(cls=Headings, rich_markup_mode=None, help="List, show and validate worlds.")


@scenarios_app.command("list")
def scenarios_list(as_json: AsJson = False) -> None:
    """Every scenario of the package."""
    from spiral_env.scenarios import load_scenario, scenario_ids

    rows = {name: load_scenario(name) for name in scenario_ids()}
    text = "\n".join(f"{name:<22} {s.num_smes:>4} SMEs  {s.title}" for name, s in rows.items())
    emit(as_json, {name: s.title for name, s in rows.items()}, text)


@scenarios_app.command("show")
def scenarios_show(scenario: str, as_json: AsJson = False) -> None:
    """Every number in force, with unit, range and source."""
    from spiral_env.core.params import PARAMETERS
    from spiral_env.scenarios import load_scenario

    world = load_scenario(scenario)
    table = Table(("group", "name", "value", "unit", "range", "source"), title=f"{world.id}: {world.title}")
    data = {}
    for q in PARAMETERS:
        value = world.value(q.name)
        data[q.name] = {"value": value, "unit": q.unit, "range": [q.low, q.high], "source": q.source}
        shown = f"{value}" + ("*" if q.name in world.params else "")
        table.add_row(q.group, q.name, shown, q.unit, f"{q.low:g} .. {q.high:g}", q.source)
    emit(as_json, data, table)


@scenarios_app.command("validate")
def scenarios_validate(files: list[str], as_json: AsJson = False) -> None:
    """Check scenario files; exit 2 with one line at the first fault."""
    from spiral_env.scenarios import load_scenario

    names = [load_scenario(name).id for name in files]
    emit(as_json, {"valid": names}, "\n".join(f"{name}: valid" for name in names))
