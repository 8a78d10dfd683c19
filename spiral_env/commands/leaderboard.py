"""`spiral leaderboard`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spiral_env.commands._options import AsJson, Engine, RayAddress, TimeLimit, load_team, spread_over
from spiral_env.commands._output import as_json_text, emit
from spiral_env.commands._progress import progress
from spiral_env.commands._teams import team_words
from spiral_env.text import Table

if TYPE_CHECKING:
    from spiral_env.evaluation.leaderboard import Board, Outcome, Settings

_LARGEST = 2**26
_GAME, _TRUE_FUTURE = Path("results/game.json"), "the true future"
_SHOWN = 10
"""Differences that are told one by one."""


def leaderboard(
    out: Annotated[
        Path, typer.Option(help="Folder of leaderboard.json, leaderboard.md and leaderboard.png, written anew.")
    ] = Path("results/leaderboard"),
    entry: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=POLICY, or NAME='it POLICY; sme POLICY': an entry of your own, in processes of its own. "
            "May be repeated.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file of worlds, episodes and entries.  [default: the package's own]")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="leaderboard.json to play again, anew, and compare to the printed digits; writes nothing."),
    ] = None,
    cells: Annotated[Path, typer.Option(help="Folder in which every cell is kept as soon as it is played.")] = Path(
        "results/runs/leaderboard"
    ),
    fresh: Annotated[bool, typer.Option("--fresh", help="Play cells again that are kept.")] = False,
    planner: Annotated[
        Path | None,
        typer.Option(
            help="game.json with the part planner, for the best known team's share of the planner's upper bound.  "
            "[default: results/game.json, where it has one]"
        ),
    ] = None,
    time_limit: TimeLimit = 10.0,
    engine: Engine = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Rank every baseline, the zoo and your own entries, in named worlds and in worlds and company that nobody met.

    Ended and started again it goes on where it was. A policy that fails is a failed row and costs the others nothing;
    the exit code is then 1.
    """
    from spiral_env.evaluation.leaderboard import read_settings, settings_of
    from spiral_env.files import parse_json, read_file

    if check is not None:
        stored = _checked(
            parse_json(read_file(check, _LARGEST, "leaderboard of --check"), f"leaderboard {check}"), check
        )
        what = f"settings of {check}"
        with tempfile.TemporaryDirectory() as folder, spread_over(engine, ray_address) as spread:
            how = _How(Path(folder), True, time_limit, spread)
            again = _played(settings_of(stored["settings"], what), stored["entries"], how)
        _compare(stored, again, as_json)
        return
    asked = read_settings(settings)
    entries = _entries(asked, entry or [])
    planned = _planned(planner)
    with spread_over(engine, ray_address) as spread:
        _writable(out)
        result = _played(asked, entries, _How(cells, fresh, time_limit, spread), planned)
    _write(result, out)
    emit(as_json, result, *_shown(result), f"written: {out}/leaderboard.json, .md and .png")
    if any("failed" in row for table in result["tables"] for row in table["rows"]):
        raise typer.Exit(1)


def _entries(settings: Settings, own: list[str]) -> dict[str, str]:
    """Name -> team as text: the named baselines, the zoo, those of the settings, and one's own."""
    from spiral_env.agents import NAMED
    from spiral_env.agents.zoo import PREFIX, zoo_names

    names = [*(NAMED if settings.named else ()), *(f"{PREFIX}{x}" for x in (zoo_names() if settings.zoo else ()))]
    found = {name: name for name in names} | dict(settings.entries)
    for text in own:
        name, equals, policy = text.partition("=")
        if not equals or not name.strip() or not policy.strip():
            raise ValueError(f"--entry must be NAME=POLICY, got {text!r}")
        if name in found:
            raise ValueError(f"--entry must have a name of its own, got {name!r}")
        found[name] = policy
    if not found:
        raise ValueError("leaderboard must have an entry: of the settings or of --entry")
    return found


def _checked(stored: dict[str, Any], path: Path) -> dict[str, Any]:
    """A leaderboard that was stored, if it is one that can be played again."""
    from spiral_env.evaluation.leaderboard_table import FORMAT, VERSION

    try:
        rows = [row for table in stored["tables"] for row in table["rows"] if table["name"]]
        whole = all(row["entry"] and ("failed" in row or len(row["printed"]) > 1) for row in rows)
        named = stored["settings"].keys() and all(isinstance(team, str) for team in stored["entries"].values())
        known = (stored["format"], stored["version"]) == (FORMAT, VERSION)
    except (KeyError, AttributeError, TypeError):
        whole = named = known = False
    if not (whole and named and known):
        raise ValueError(f"leaderboard {path} must be what spiral leaderboard wrote, {FORMAT} of version {VERSION}")
    return stored


@dataclass(frozen=True)
class _How:
    """Where cells are kept, whether they are played anew, the time limit of policies, and how cells are spread."""

    cells: Path
    fresh: bool
    time_limit: float
    spread: Any


def _played(
    settings: Settings, entries: Mapping[str, str], how: _How, planned: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything that is stored."""
    from spiral_env.agents import load_policy
    from spiral_env.agents.partners import background_teams
    from spiral_env.evaluation.leaderboard import boards_of, play_boards
    from spiral_env.evaluation.leaderboard_table import FORMAT, VERSION, ranked
    from spiral_env.provenance import versions

    teams, unplayed = {}, {}
    for name, text in entries.items():
        try:
            teams[name] = load_team(team_words(text), how.time_limit)
        except (ValueError, ImportError) as error:
            unplayed[name] = str(error).splitlines()[0]
    boards = boards_of(settings, background_teams("held_out") if settings.unseen else [], load_policy)
    with progress("leaderboard", len(teams) * sum(board.size for board in boards), "episodes") as shown:
        found = play_boards(
            boards,
            teams,
            how.cells,
            fresh=how.fresh,
            progress=lambda count, note: shown.reach(shown.done + count, note),
            spread=how.spread,
        )
    return {
        **{"format": FORMAT, "version": VERSION, "command": shlex.join(["spiral", *sys.argv[1:]])},
        **{"settings": asdict(settings), "entries": dict(entries), "versions": versions()},
        "tables": ranked(boards, found, unplayed),
        "bound": _bound(boards, found, planned),
    }


def _planned(file: Path | None) -> dict[str, Any] | None:
    """World and episodes of the best plans with the true future that were measured; None where none were."""
    from spiral_env.files import parse_json, read_file

    path = _GAME if file is None else file
    if file is None and not path.is_file():
        return None
    part = parse_json(read_file(path, _LARGEST, "report"), f"report {path}").get("planner", {})
    try:
        values = {name: x["planned"] for name, x in part["figures"]["values"].items() if name.endswith(_TRUE_FUTURE)}
        return {"world": str(part["about"]["world"]), "values": max(values.values(), key=lambda x: sum(x) / len(x))}
    except (KeyError, TypeError, ValueError, AttributeError):
        if file is None:
            return None
        raise ValueError(f"report {path} must hold the part planner with the values of its episodes") from None


def _bound(
    boards: list[Board], found: Mapping[str, Mapping[str, Outcome]], planned: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Best known team against the planner's upper bound, on the episodes that were planned in; None without these."""
    from spiral_env.evaluation.leaderboard_table import share_of_bound

    for board in boards:
        if planned is not None and board.world and planned["world"] == f"{board.world.id} {board.world.hash}":
            values = {name: x.values for name, x in found[board.name].items() if not x.failure}
            return {"world": board.world.id, **share_of_bound(values, planned["values"])} if values else None
    return None


def _writable(out: Path) -> None:
    """Find out before anything is played that the result cannot be drawn or written."""
    import spiral_env.evaluation.leaderboard_figure  # noqa: F401
    from spiral_env.files import check_writable

    out.mkdir(parents=True, exist_ok=True)
    for name in ("json", "md", "png"):
        check_writable(out / f"leaderboard.{name}")


def _write(result: Mapping[str, Any], out: Path) -> None:
    from spiral_env.evaluation.leaderboard_figure import as_png
    from spiral_env.evaluation.leaderboard_table import as_markdown
    from spiral_env.files import write_atomically

    write_atomically(out / "leaderboard.json", as_json_text(result) + "\n")
    write_atomically(out / "leaderboard.md", as_markdown(result))
    write_atomically(out / "leaderboard.png", as_png(result))


def _shown(result: Mapping[str, Any]) -> list[Table | str]:
    from spiral_env.evaluation.leaderboard_table import as_texts

    return [*as_texts(result)]


def _compare(stored: Mapping[str, Any], again: Mapping[str, Any], as_json: bool) -> None:
    from spiral_env.evaluation.leaderboard_table import differences

    compared, lines = differences(stored, again)
    ours, theirs = again["versions"], stored.get("versions", {})
    other = [
        f"{name}: {theirs.get(name, 'none')} stored, {ours.get(name, 'none')} now"
        for name in dict.fromkeys((*theirs, *ours))
        if ours.get(name) != theirs.get(name)
    ]
    told = [f"reproduced: {compared:,} printed cells are equal"]
    if lines:
        told = [f"NOT reproduced: {len(lines):,} of {compared:,} printed cells differ", *lines[:_SHOWN]]
        told += [f"and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    told += [f"note: another version of {line}" for line in other]
    emit(as_json, {"compared": compared, "differences": lines, "versions": other}, "\n".join(told))
    if lines:
        raise typer.Exit(1)
