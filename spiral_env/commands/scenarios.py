"""`spiral scenarios`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from spiral_env.commands._completion import worlds
from spiral_env.commands._headings import Headings
from spiral_env.commands._options import AsJson, Columns
from spiral_env.commands._output import chosen, emit
from spiral_env.text import Table

scenarios = typer.Typer(cls=Headings, rich_markup_mode=None, help="List, show and validate worlds.")


@scenarios.command("list")
def _list(columns: Columns = None, as_json: AsJson = False) -> None:
    """Every scenario of the package."""
    from spiral_env.scenarios import load_scenario, scenario_ids

    rows = {name: load_scenario(name) for name in scenario_ids()}
    said = "Use an id wherever a scenario is asked for; spiral scenarios show ID lists the numbers of one."
    table = Table(("id", "SMEs", "title", "description"), notes=("", said))
    for name, s in rows.items():
        table.add_row(name, s.num_smes, s.title, " ".join(s.description.split()))
    about = ("title", "description", "num_smes", "max_cycles")
    emit(as_json, {name: {key: getattr(s, key) for key in about} for name, s in rows.items()}, chosen(table, columns))


@scenarios.command("show")
def _show(
    scenario: Annotated[str, typer.Argument(help="Scenario id or TOML file.", autocompletion=worlds)],
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """Every number in force, with unit, range, meaning and source, and whether the scenario sets it itself."""
    from spiral_env.core.params import PARAMETERS
    from spiral_env.scenarios import load_scenario
    from spiral_env.scenarios.meanings import MEANINGS

    world = load_scenario(scenario)
    heads = ("name", "value", "set_by", "range", "group", "unit", "meaning", "source")
    said = f"{len(PARAMETERS)} parameters; a file of yours sets them in [params], or draws them from [ranges]."
    table = Table(heads, title=f"{world.id}: {world.title}", notes=("", said))
    data = {}
    for q in PARAMETERS:
        value = world.value(q.name)
        set_by = "ranges" if q.name in world.ranges else "scenario" if q.name in world.params else "default"
        data[q.name] = {"value": value, "set_by": set_by, "unit": q.unit, "range": [q.low, q.high]}
        data[q.name] |= {"meaning": MEANINGS[q.name], "source": q.source}
        shown = " ".join(f"{x:.12g}" for x in value) if isinstance(value, tuple) else f"{value:.12g}"
        table.add_row(q.name, shown, set_by, f"{q.low:g} .. {q.high:g}", q.group, q.unit, MEANINGS[q.name], q.source)
    named = _named(world)
    emit(as_json, data | {key: rows for key, (_, rows) in named.items()}, chosen(table, columns), *_told(named))


def _named(world: Any) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Key of a file -> title and rows of what the world names itself, all columns in each row."""
    titles = {"services": "Services of its own", "backlog": "Open findings of its own"}
    rows = {key: [_of_file(row) for row in getattr(world, key)] for key in titles}
    return {key: (titles[key], found) for key, found in rows.items() if found}


def _of_file(row: Any) -> dict[str, Any]:
    """A row under the keys of a file."""
    return {"class" if key == "kind" else key: value for key, value in row._asdict().items()}


def _told(named: dict[str, tuple[str, list[dict[str, Any]]]]) -> list[Table]:
    tables = []
    for title, rows in named.values():
        tables.append(Table(tuple(rows[0]), title=title))
        for row in rows:
            tables[-1].add_row(*map(_cell, row.values()))
    return tables


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else " ".join(value) if isinstance(value, tuple) else str(value)


@scenarios.command("validate")
def _validate(
    files: Annotated[list[str], typer.Argument(help="Scenario ids or TOML files.")], as_json: AsJson = False
) -> None:
    """Check scenario files; exit 2 with one line at the first fault."""
    from spiral_env.scenarios import load_scenario

    names = [load_scenario(name).id for name in files]
    emit(as_json, {"valid": names}, "\n".join(f"{name}: valid" for name in names))


@scenarios.command("seeds")
def scenarios_seeds(
    scenario: Annotated[str, typer.Argument(help="Scenario id or TOML file.")], as_json: AsJson = False
) -> None:
    """The published seeds of a world: those that scores stand on, and from which on one may choose."""
    from spiral_env.scenarios import load_scenario
    from spiral_env.scenarios.seeds import SELECTION_SEED, TEST_EPISODES

    world = load_scenario(scenario)
    low, high = world.held_out_seeds
    test = world.evaluation_seeds(0, min(TEST_EPISODES, high - low))
    data = {"id": world.id, "hash": world.hash, "test": test, "selection_from": low + SELECTION_SEED}
    data |= {"held_out_seeds": list(world.held_out_seeds), "train_seeds": list(world.train_seeds)}
    rows: list[Sequence[object]] = [
        ("test", f"{test[0]} to {test[-1]}", "scores stand on them"),
        ("selection", f"from {low + SELECTION_SEED} on", "to choose on: constant teams, hyperparameters, the best run"),
        ("held-out", f"{low} to {high - 1}", "all that evaluation may play"),
        ("train", f"{world.train_seeds[0]} to {world.train_seeds[1] - 1}", "training draws from them"),
    ]
    emit(as_json, data, Table(("list", "seeds", "for"), rows, title=f"{world.id} ({world.hash})"))
