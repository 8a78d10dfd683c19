"""`spiral claims`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, World
from spiral_env.commands._output import emit

_WIDTH = 100


def claims(
    scenario: World = "baseline-v1",
    only: Annotated[
        str,
        typer.Option(
            help="Parts, with commas, for all: switches, retrained, adapted, draws, interplay, alone, marginal, sizes.",
            show_default=False,
        ),
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder of claims.json and claims.md, which grow part by part.")] = Path(
        "results"
    ),
    episodes: Annotated[int, typer.Option(min=2, help="Held-out episodes of every team.")] = 200,
    trained: Annotated[
        str, typer.Option(help="Folder of a trained team, in place of trainings of one's own.", show_default=False)
    ] = "",
    retrain: Annotated[
        str, typer.Option(help="Switches, groups or all: in whose world teams are trained. claims: all that one needs.")
    ] = "claims",
    draws: Annotated[int, typer.Option(min=2, help="Worlds with other assumed numbers.")] = 200,
    draw_episodes: Annotated[int, typer.Option(min=1, help="Episodes in each of them.")] = 8,
    runs: Annotated[Path, typer.Option(help="Folder of trainings; those that ended there are taken over.")] = Path(
        "results/runs/claims"
    ),
    config: Annotated[Path, typer.Option(help="TOML file of hyperparameters of the trainings.")] = Path(
        "train/baseline-v1-es.toml"
    ),
    timesteps: Annotated[int, typer.Option(min=1, help="Agent-steps of each training.")] = 60_000_000,
    adapt_steps: Annotated[int, typer.Option(min=1, help="Agent-steps of a team that is trained on.")] = 4_000_000,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings in each world.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings side by side.")] = 2,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Hyperparameter of all trainings, name=value.")
    ] = None,
    max_cycles: Annotated[int | None, typer.Option(min=1, help="Months, instead of the scenario's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put the paper's claims to the test: mechanisms off, policy levers on, agents retrained, other assumed numbers."""
    from spiral_env.questions.claims import PARTS, Claims, named, report_of
    from spiral_env.questions.claims.conclusions import conclude
    from spiral_env.questions.claims.paper import claimed
    from spiral_env.questions.report import command_line, measured
    from spiral_env.questions.runs import Kind, Runs
    from spiral_env.scenarios import load_scenario
    from spiral_env.training import parse_override

    measured(PARTS, only)
    world = load_scenario(scenario)
    if max_cycles is not None:
        world = world.model_copy(update={"max_cycles": max_cycles})
    kind = Kind(config, {"reward_mode": "cooperative"})
    asked = Claims(
        world,
        episodes,
        Runs(runs, timesteps, jobs, dict(map(parse_override, set_ or [])), {"cooperative": kind}),
        seeds,
        trained,
        named(",".join(claimed()) if retrain == "claims" else retrain),
        draws,
        draw_episodes,
        adapt_steps,
    )
    report = report_of(asked, out, command_line("spiral", sys.argv[1:]))
    for part in report.write(asked, only):
        print(f"measured: {part.splitlines()[0].strip('# ')}", file=sys.stderr, flush=True)
    stored = report.stored()
    emit(as_json, stored, _told(conclude(stored)[0]), f"written: {report.path} and {report.path.with_suffix('.md')}")


def _told(conclusions: list[dict[str, Any]]) -> str:
    import textwrap

    lines = []
    for x in conclusions:
        lines += [f"{x['claim']}: {x['says']}"]
        lines += [textwrap.fill(x["sentence"], _WIDTH, initial_indent="  ", subsequent_indent="  ")]
    return "\n".join(lines)
