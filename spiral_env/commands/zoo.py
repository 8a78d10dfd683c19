"""`spiral zoo`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spiral_env.commands._headings import Headings
from spiral_env.commands._options import AsJson, load_team
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress
from spiral_env.text import Table

if TYPE_CHECKING:
    from spiral_env.agents.zoo import Card
    from spiral_env.scenarios import Scenario

zoo = typer.Typer(cls=Headings, rich_markup_mode=None, help="List and show trained teams; add one of your own.")
_LARGEST = 10_000_000
_SCORED = ("ecosystem_value", "spiral_height", "return_it", "return_business", "return_finance", "return_sme")
"""Measures on a card."""


@zoo.command("list")
def zoo_list(as_json: AsJson = False) -> None:
    """Every team of the zoo: named as zoo:NAME wherever a policy is asked for."""
    from dataclasses import asdict

    from spiral_env.agents.zoo import read_card, zoo_names

    cards = [read_card(name) for name in zoo_names()]
    table = Table(("name", "scenario", "algo", "rewards", "seed", "agent-steps", "hours", "partner", "title"))
    for x in cards:
        steps, hours = f"{x.agent_steps:,}", f"{x.hours:.2f}"
        table.add_row(x.name, x.scenario, x.algo, x.reward_mode, x.seed, steps, hours, x.partner or "-", x.title)
    notes = [f"note: {x.name} was trained in another {x.scenario} than today's" for x in cards if _is_of_old(x)]
    data = [{k: v for k, v in asdict(x).items() if k != "config"} | {"of_old": _is_of_old(x)} for x in cards]
    emit(as_json, data, table, *(["\n".join(notes)] if notes else []))


def _is_of_old(card: Card) -> bool:
    """Whether the world it was trained in has changed since, or is gone."""
    from spiral_env.scenarios import load_scenario

    try:
        return load_scenario(card.scenario).hash != card.scenario_hash
    except ValueError:
        return True


@zoo.command("show")
def zoo_show(name: Annotated[str, typer.Argument(help="Name of a team.")], as_json: AsJson = False) -> None:
    """The card of a team: where it comes from, and its scores beside the average firm's."""
    from dataclasses import asdict

    from spiral_env.agents.zoo import read_card

    card = asdict(read_card(name.removeprefix("zoo:")))
    about = Table(("what", "is"), title=f"zoo:{card['name']}: {card['title']}")
    for key, value in card.items():
        if isinstance(value, str | int | float) and key not in ("name", "title"):
            about.add_row(key, value)
    config = Table(("config", "value"), list(card["config"].items()))
    emit(as_json, card, about, _score_table(card["scores"]), config)


@zoo.command("add")
def zoo_add(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    name: Annotated[str, typer.Option(help="What it is called in the zoo.")],
    title: Annotated[str, typer.Option(help="What it is, in a line.")] = "",
    partner: Annotated[
        str, typer.Option(help="seen or held_out: a co-player of held-out evaluations, met in training or never.")
    ] = "",
    episodes: Annotated[
        int, typer.Option(min=2, help="Held-out episodes of its world that its scores stand on.")
    ] = 100,
    into: Annotated[Path | None, typer.Option(help="Folder of the zoo.  [default: that of the package]")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a team of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy what a run learned into the zoo, with a card: config, seed, commit, hours and scores."""
    from dataclasses import asdict

    from spiral_env.agents.zoo import ZOO, add_team, check_free

    where = ZOO if into is None else into
    check_free(name, where, replace)
    card = _card(run, name, title, partner, episodes)
    folder = add_team(run, card, where, replace=replace)
    emit(as_json, asdict(card), f"zoo:{name} stored in {folder}", _score_table(card.scores))


def _card(run: Path, name: str, title: str, partner: str, episodes: int) -> Card:
    """What the run's folder says of it, and how its team does in its own world."""
    from dataclasses import asdict

    from spiral_env.agents.zoo import Card
    from spiral_env.files import parse_json, read_file
    from spiral_env.training.runs.folder import status, stored_config

    config = stored_config(run)
    lived, world = status(run, config), config.world
    about = parse_json(read_file(run / "config.json", _LARGEST, "config"), f"config of run {run}")
    versions = {str(key): str(value) for key, value in about.get("versions", {}).items()}
    return Card(
        name=name,
        title=title or f"{config.algo} under {config.reward_mode} rewards in {world.id}",
        scenario=world.id,
        scenario_hash=world.hash,
        algo=config.algo,
        reward_mode=config.reward_mode,
        seed=config.seed,
        agent_steps=lived.agent_steps,
        hours=round(lived.seconds / 3600.0, 4),
        commit=versions.get("commit", ""),
        partner=partner,
        config=asdict(config) | {"scenario": world.id},
        versions=versions,
        scores=_scores(run, world, episodes),
    )


def _scores(run: Path, world: Scenario, episodes: int) -> dict[str, Any]:
    from spiral_env.evaluation import compare
    from spiral_env.evaluation.report import measure_interval
    from spiral_env.roles import ROLES

    teams = {name: load_team(dict.fromkeys(ROLES, name)) for name in ("status_quo", str(run))}
    with progress("scores", episodes * len(teams), "episodes") as shown:
        tables = compare(world, teams, episodes, progress=shown.advance).tables
    found = {}
    for measure in _SCORED:
        mean, low, high = measure_interval(measure, tables[str(run)].metrics[measure])
        average = float(tables["status_quo"].metrics[measure].mean())
        found[measure] = {"mean": mean, "interval95": [low, high], "average_firm": average, "episodes": episodes}
    return found


def _score_table(scores: Mapping[str, Any]) -> Table:
    table = Table(("measure", "mean", "95 % interval", "average firm"))
    for name, x in scores.items():
        low, high = x["interval95"]
        table.add_row(name, f"{x['mean']:.4g}", f"[{low:.4g}, {high:.4g}]", f"{x['average_firm']:.4g}")
    return table
