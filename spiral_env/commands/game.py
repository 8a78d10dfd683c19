"""`spiral game`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spiral_env.commands._options import AsJson, TimeLimit, World, load_team
from spiral_env.commands._output import as_json_text, emit
from spiral_env.commands._progress import progress
from spiral_env.commands._teams import team_words
from spiral_env.text import Table

if TYPE_CHECKING:
    from spiral_env.evaluation import Comparison
    from spiral_env.scenarios import Scenario

_NAMED = {"average_firm": "status_quo", "uniform": "uniform", "scripted": "scripted"}
_TEAMS = "teams"


def game(
    team: Annotated[
        str,
        typer.Argument(
            help="One policy for all roles that it plays, or 'it POLICY; sme POLICY', others being the average firm."
        ),
    ],
    scenario: World = "baseline-v1",
    episodes: Annotated[int, typer.Option(min=2, help="Held-out episodes of every team.")] = 100,
    only: Annotated[
        str,
        typer.Option(
            help="Parts, with commas: teams (beside others, the best constant among them), responses, anarchy, roles, "
            "fairness, rogue.  [default: all]",
            show_default=False,
        ),
    ] = "",
    best: Annotated[
        str | None, typer.Option(help="Best known team.  [default: that of the scenario's stored score, or the team]")
    ] = None,
    selfish: Annotated[
        str | None,
        typer.Option(
            help="Selfish team.  [default: the zoo's of this world, else where best responses lead to from the team]"
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of best responses, every role once in each.")] = 2,
    budget: Annotated[int, typer.Option(min=1, help="Episodes of each search.")] = 3000,
    time_limit: TimeLimit = 10.0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, with every episode.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at a team as a game: gaps to best responses, price of anarchy, what roles add, fairness, rogues, levers."""
    from spiral_env.evaluation.game_report import PARTS, Game, as_texts, measure, wrapped
    from spiral_env.evaluation.game_search import Budget
    from spiral_env.evaluation.report import as_result
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.scenarios import load_scenario

    check_writable(out)
    chosen = _chosen(only, (_TEAMS, *PARTS))
    parts = {name: PARTS[name] for name in chosen if name in PARTS}
    world = load_scenario(scenario)
    words = {name: team_words(spec) for name, spec in {**_NAMED, "team": team}.items()}
    teams = {name: load_team(x, time_limit) for name, x in words.items()}
    known = {name: teams[name] for name in _NAMED if words[name] != words["team"]}
    asked = Game(
        world=world,
        team=teams["team"],
        episodes=episodes,
        budget=Budget(episodes=budget),
        known=known,
        responders=known | _zoo(team),
        best=_best(world, best, team, time_limit),
        selfish=_selfish(world, selfish, time_limit),
        rounds=rounds,
    )
    found, more, shown = _compared(world, teams, episodes, _TEAMS in chosen)
    with progress("game", max(1, sum(part.work(asked) for part in parts.values())), "episodes") as bar:
        measures = measure(asked, parts, bar.advance)
    options = {"scenario": scenario, "team": words["team"], "episodes": episodes, "seed": 0, "parts": chosen}
    options |= {
        "best": asked.best[0],
        "selfish": asked.selfish and asked.selfish[0],
        "rounds": rounds,
        "budget": budget,
    }
    data = as_result(found, "game", options, **more, measures=measures)
    if out is not None:
        write_atomically(out, as_json_text(data) + "\n")
    title = f"{world.id}: {team}, {episodes} held-out episodes; intervals are 95 %, differences paired"
    emit(as_json, data, wrapped(title), *shown, *as_texts(measures))


def _chosen(only: str, parts: tuple[str, ...]) -> list[str]:
    from spiral_env.checks import check_choice

    return [check_choice("only", name.strip(), parts) for name in only.split(",") if name.strip()] or list(parts)


def _zoo(team: str) -> dict[str, Any]:
    """Trained teams whose policies may be better responses."""
    from spiral_env.agents.zoo import PREFIX, zoo_names

    names = [f"{PREFIX}{name}" for name in zoo_names() if f"{PREFIX}{name}" != team]
    return {name: load_team(team_words(name)) for name in names}


def _best(world: Scenario, best: str | None, team: str, time_limit: float) -> tuple[str, Any]:
    """Name and team of the best known."""
    from spiral_env.evaluation import find_reference

    if best is None:
        reference, _ = find_reference(world)
        best = team if reference is None else reference.best
    return best, load_team(team_words(best), time_limit)


def _selfish(world: Scenario, selfish: str | None, time_limit: float) -> tuple[str, Any] | None:
    """Name and team of those that care for themselves; None where none is named and the zoo has none of this world."""
    from spiral_env.agents.zoo import PREFIX, read_card, zoo_names

    cards = [read_card(name) for name in zoo_names()] if selfish is None else []
    trained = [x.name for x in cards if (x.reward_mode, x.scenario_hash) == ("selfish", world.hash)]
    name = f"{PREFIX}{trained[0]}" if trained else selfish
    return None if name is None else (name, load_team(team_words(name), time_limit))


def _compared(
    world: Scenario, teams: Mapping[str, Any], episodes: int, with_constant: bool
) -> tuple[Comparison, dict[str, Any], list[Table | str]]:
    """The teams on the same episodes; with the best constant team and where levers stand, and as text, if so asked."""
    from spiral_env.evaluation import compare
    from spiral_env.evaluation.game import best_constant, constant_share, lever_ends
    from spiral_env.evaluation.report import as_text

    constant, tried = {}, 0
    if with_constant:
        with progress("search of the best constant team") as shown:
            best = best_constant(world, progress=shown.reach)
        constant = {r: f"constant:{','.join(f'{x:g}' for x in e)}" for r, e in best.efforts.items()}
        teams, tried = {**teams, "constant": load_team(constant)}, best.tried
    with progress("episodes", episodes * len(teams), "episodes") as shown:
        found = compare(world, teams, episodes, progress=shown.advance)
    if "team" in found.failures:
        raise ValueError(found.failures["team"])
    if not with_constant:
        return found, {}, []
    share, rows = constant_share(found.tables), lever_ends(found.tables["team"])
    use = Table(("role", "lever", "low", "middle", "high", "stuck"), title="share of the team's decisions")
    for row in rows:
        use.add_row(*row.values())
    more = {"constant": constant, "constants_tried": tried, "constant_share": share, "levers": rows}
    return found, more, [as_text(found), use, f"constant share of what is gained over uniform: {share:.2f}"]
