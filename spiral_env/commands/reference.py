"""`spiral reference`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spiral_env.commands._options import AsJson, load_team
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress
from spiral_env.text import Table

if TYPE_CHECKING:
    from spiral_env.scenarios import Scenario
    from spiral_env.scenarios.references import Reference

_RULES = ("scripted", "vigilant")
"""Teams of rules among which the best known is looked for, beside the zoo."""
_SECONDS = 60.0
"""That a candidate of one's own may take for a call."""


def reference(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Scenario ids or TOML files.  [default: all of the package]")
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            help="Who may be the best known, by repeating the option.  [default: scripted, vigilant, the whole zoo]",
            show_default=False,
        ),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Search the best constant team too, minutes a world.")
    ] = False,
    episodes: Annotated[int | None, typer.Option(min=2, help="Held-out episodes of each.  [default: 100]")] = None,
    out: Annotated[Path | None, typer.Option(help="File to store them in.  [default: the package's own]")] = None,
    write: Annotated[bool, typer.Option("--write", help="Store them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the ends of the normalised score: the average firm, 0, and the best known of the candidates, 1."""
    from dataclasses import asdict

    from spiral_env.files import check_writable
    from spiral_env.scenarios import load_scenario, scenario_ids
    from spiral_env.scenarios.references import write_references
    from spiral_env.scenarios.seeds import TEST_EPISODES

    check_writable(out)
    count = TEST_EPISODES if episodes is None else episodes
    notes: list[str] = []
    teams = {spec: _team(spec) for spec in candidates or _RULES}
    if not candidates:
        teams |= _zoo(notes)
    found: dict[str, Reference] = {}
    table = Table(("scenario", "hash", "0: average firm", "1: best known", "who"), title=f"{count} held-out episodes")
    for name in scenarios or scenario_ids():
        world = load_scenario(name)
        x = _measured(world, {**teams, **(_searched(world) if search else {})}, count)
        if x is None:
            notes.append(f"{world.id}: no candidate is above the average firm, so there are no ends")
            continue
        found[world.hash] = x
        table.add_row(x.scenario, x.hash, f"{x.zero:.4g}", f"{x.one:.4g}", x.best)
    if write:
        write_references(found, out)
    data = {"references": [asdict(x) for x in found.values()], "notes": notes}
    emit(as_json, data, table, *(f"note: {line}" for line in dict.fromkeys(notes)))


def _zoo(notes: list[str]) -> dict[str, dict[str, Any]]:
    """Teams of the zoo that fit the model as it is."""
    from spiral_env.agents.zoo import PREFIX, zoo_names

    teams = {}
    for spec in (f"{PREFIX}{name}" for name in zoo_names()):
        try:
            teams[spec] = _team(spec)
        except ValueError as error:
            notes.append(f"left out: {error}")
    return teams


def _measured(world: Scenario, candidates: dict[str, dict[str, Any]], episodes: int) -> Reference | None:
    """Play the average firm and all candidates on the same episodes; None where none of them is above it."""
    from spiral_env.evaluation import compare
    from spiral_env.provenance import file_hash, versions
    from spiral_env.scenarios.references import MEASURE, Reference

    teams = {"status_quo": _team("status_quo"), **candidates}
    with progress(f"reference of {world.id}", episodes * len(teams), "episodes") as shown:
        tables = compare(world, teams, episodes, progress=shown.advance).tables
    values = {name: table.metrics[MEASURE] for name, table in tables.items()}
    best = max(values, key=lambda name: float(values[name].mean()))
    zero = values["status_quo"]
    if best == "status_quo":
        return None
    digests = sorted({str(getattr(policy, "digest", "")) for policy in teams[best].values()} - {""})
    return Reference(
        scenario=world.id,
        hash=world.hash,
        measure=MEASURE,
        episodes=episodes,
        zero=float(zero.mean()),
        one=float(values[best].mean()),
        best=best,
        best_hash=file_hash("".join(digests).encode()) if len(digests) > 1 else "".join(digests),
        probe=float(zero[0]),
        versions=versions(),
    )


def _searched(world: Scenario) -> dict[str, dict[str, Any]]:
    """The best constant team, under a name that says what it does."""
    from spiral_env.evaluation.game import best_constant

    with progress(f"best constant team of {world.id}") as shown:
        efforts = best_constant(world, progress=shown.reach).efforts
    words = {role: f"constant:{','.join(f'{x:g}' for x in e)}" for role, e in efforts.items()}
    return {"; ".join(f"{role} {spec}" for role, spec in words.items()): load_team(words, _SECONDS)}


def _team(spec: str) -> dict[str, Any]:
    from spiral_env.agents import team_of

    return load_team(team_of(spec), _SECONDS)
