"""`spiral what-if`."""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spiral_env.commands._options import AsJson, World
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress
from spiral_env.text import Table

if TYPE_CHECKING:
    from spiral_env.questions.what_if import Question

_WIDTH = 100
_DETAILED = 6
"""Changes whose sentences the terminal shows; of more the table tells."""


def what_if(
    scenario: World = "baseline-v1",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the world, name=value; several make one change.", show_default=False),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(help="name=low:high:count or name=a,b,c: a change a point.", show_default=False),
    ] = None,
    policies: Annotated[
        Path | None, typer.Option(help="TOML file of named policies, a table each.", show_default=False)
    ] = None,
    team: Annotated[
        str, typer.Option(help="uniform, status_quo, scripted, a run's folder or file.py:Class.")
    ] = "status_quo",
    episodes: Annotated[int, typer.Option(min=2, help="Held-out episodes, the same in every world.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="First of them.")] = 0,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="Outcome measures, first the one that matters.  [default: value, height and others]"),
    ] = None,
    adapt: Annotated[bool, typer.Option("--adapt", help="Also with agents that adapt by further training.")] = False,
    adapt_steps: Annotated[int, typer.Option(min=1, help="Agent-steps of each such training.")] = 10_000_000,
    adapt_algo: Annotated[str, typer.Option(help="es or ippo.")] = "es",
    adapt_seeds: Annotated[int, typer.Option(min=1, help="Trainings in each world.")] = 2,
    adapt_set: Annotated[
        list[str] | None, typer.Option(help="Hyperparameter of these trainings, name=value.", show_default=False)
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="New folder that keeps the adapted teams.  [default: none is kept]")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Trainings side by side; 0 for a core each.")] = 0,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Does the answer hang on assumed numbers? Morris, then Sobol.")
    ] = False,
    trajectories: Annotated[int, typer.Option(min=2, help="Of Morris.")] = 4,
    sobol: Annotated[int, typer.Option(min=2, help="N of Sobol, a power of 2.")] = 64,
    few: Annotated[int, typer.Option(min=1, help="Parameters that go on to Sobol.")] = 5,
    point_episodes: Annotated[int, typer.Option(min=2, help="Episodes at every point of these.")] = 8,
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write, .html, or its first picture, .png.  [default: in results/what-if]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask what a change of rules does: on the same luck, for agents as they are and that adapt, and who pays."""
    from spiral_env.files import check_writable
    from spiral_env.questions.adaptation import Adaptation, check_start
    from spiral_env.questions.changes import changes_of, parse_grid, parse_settings, read_policies
    from spiral_env.questions.sensitivity import Screening, check_screening
    from spiral_env.questions.what_if import MEASURES, Question
    from spiral_env.scenarios import load_scenario
    from spiral_env.training import parse_override

    world = load_scenario(scenario)
    grids = [parse_grid(text) for text in grid or []]
    named = None if policies is None else read_policies(policies)
    changes = changes_of(world, parse_settings(set_ or []), grids, named)
    how = None
    if adapt:
        how = Adaptation(adapt_steps, adapt_algo, adapt_seeds, dict(map(parse_override, adapt_set or [])), jobs)
        check_start(team, how)
    question = Question(world, changes, team, episodes, seed, tuple(dict.fromkeys(measure or MEASURES)), how)
    screening = Screening(trajectories, few, sobol, point_episodes)
    if sensitivity:
        check_screening(question, screening)
    path = out or Path("results/what-if") / f"{world.id}-{_slug(changes[0].name)}.html"
    if path.suffix not in (".html", ".png"):
        raise ValueError(f"--out must end in .html or .png, got {str(path)!r}")
    check_writable(out)
    with _folder(runs, how is not None) as folder:
        data = _answered(question, folder)
    if sensitivity:
        _add_sensitivity(data, question, screening)
    data["command"] = shlex.join(["spiral", *sys.argv[1:]])
    _write(path, data)
    emit(as_json, data | {"page": str(path)}, *_told(data), f"page: {path}")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower())[:60].strip("-.")


@contextmanager
def _folder(runs: Path | None, needed: bool) -> Iterator[Path | None]:
    if not needed or runs is not None:
        if needed and runs is not None and runs.exists() and any(runs.iterdir()):
            raise ValueError(f"--runs must be a new folder, {runs} holds something")
        yield runs
        return
    with tempfile.TemporaryDirectory(prefix="spiral-what-if-") as folder:
        yield Path(folder)


def _write(path: Path, data: dict[str, Any]) -> None:
    """The page, or its first picture alone."""
    from spiral_env.files import write_atomically
    from spiral_env.questions.page import page
    from spiral_env.questions.pictures import change_figure, overview_figure, png

    first, *others = data["changes"]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        write_atomically(path, page(data, "What if" if others else f"What if: {first['name']}"))
    else:
        write_atomically(path, png(overview_figure(data) if others else change_figure(first, data["base"])))


def _answered(question: Question, folder: Path | None) -> dict[str, Any]:
    from spiral_env.questions.what_if import answer

    with progress("what if", question.work, "episodes") as shown:
        how = question.adapt
        if how is None:
            return answer(question, played=shown.advance)
        total = how.seeds * (1 + len(question.changes))
        done = [0]

        def trained(count: int) -> None:
            done[0] += count
            shown.reach(shown.done, f"{done[0]} of {total} trainings")

        return answer(question, folder, played=shown.advance, trained=trained)


def _add_sensitivity(data: dict[str, Any], question: Question, screening: Any) -> None:
    from spiral_env.questions.sensitivity import sensitivity, work

    first = question.measures[0]
    answers = [x["ways"]["fixed"]["measures"][first]["difference"] for x in data["changes"]]
    with progress("sensitivity", work(question, screening), "episodes") as shown:
        found = sensitivity(question, answers, screening, first, shown.advance)
    for change, of_change in zip(data["changes"], found, strict=True):
        change["sensitivity"] = of_change
        change["sentences"].append(of_change["sentence"])


def _told(data: dict[str, Any]) -> Iterator[Table | str]:
    import textwrap

    from spiral_env.questions.sentences import WAYS, signed

    ways, measures = list(data["base"]), list(data["units"])
    if len(data["changes"]) == 1:
        (change,) = data["changes"]
        table = Table(["measure", "unit", *(f"{x}: change" for x in map(WAYS.get, ways))], title=change["name"])
        for name in measures:
            found = [signed(change["ways"][way]["measures"][name]["difference"]) for way in ways]
            table.add_row(name, data["units"][name], *found)
    else:
        table = Table(["change", *(f"{name} ({WAYS[way]})" for name in measures[:2] for way in ways)])
        for change in data["changes"]:
            found = [signed(change["ways"][w]["measures"][n]["difference"]) for n in measures[:2] for w in ways]
            table.add_row(change["name"], *found)
    first, last = data["seeds"]
    table.title += f"{': ' if table.title else ''}{data['episodes']} paired episodes, seeds {first} to {last}, 95 %"
    yield table
    for change in data["changes"][:_DETAILED]:
        head = [] if len(data["changes"]) == 1 else [change["name"]]
        lines = [textwrap.fill(x, _WIDTH, initial_indent="* ", subsequent_indent="  ") for x in change["sentences"]]
        yield "\n".join([*head, *lines])
