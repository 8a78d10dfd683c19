"""`spiral reproduce`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._evaluation import play, result_of
from spiral_env.commands._generalisation import play_split
from spiral_env.commands._options import AsJson
from spiral_env.commands._output import as_json_text, emit

_LARGEST = 2**28
_SHOWN = 10
"""Differences that are told one by one."""


def reproduce(
    result: Annotated[Path, typer.Argument(help="JSON file that evaluate --out wrote.")], as_json: AsJson = False
) -> None:
    """Play an evaluation again and compare every number to the last digit; exit code 1 where one differs.

    World, seeds, options and the names of the policies come from the file; policies that are named by a path are looked
    for from the working directory.
    """
    from spiral_env.evaluation.reproduction import compare_results

    stored = _read(result)
    again = json.loads(as_json_text(_again(stored)))
    found = compare_results(stored, again)
    data = {"compared": found.compared, "differences": found.differences, "versions": found.versions}
    emit(as_json, data, "\n".join(_told(found.compared, found.differences, found.versions)))
    if found.differences:
        raise typer.Exit(1)


def _told(compared: int, differences: list[str], versions: list[str]) -> list[str]:
    if differences:
        lines = [f"NOT reproduced: {len(differences):,} of {compared:,} values differ", *differences[:_SHOWN]]
        lines += [f"and {len(differences) - _SHOWN:,} more"] if len(differences) > _SHOWN else []
    else:
        lines = [f"reproduced: {compared:,} values are equal to the last digit"]
    return [*lines, *(f"note: another version of {line}" for line in versions)]


def _read(path: Path) -> dict[str, Any]:
    from spiral_env.evaluation.report import FORMAT, VERSION
    from spiral_env.files import parse_json, read_file

    data = parse_json(read_file(path, _LARGEST, "result"), f"result {path}")
    if (data.get("format"), data.get("version"), data.get("command")) != (FORMAT, VERSION, "evaluate"):
        raise ValueError(f"result {path} must be of evaluate, in {FORMAT} of version {VERSION}")
    return data


def _again(stored: dict[str, Any]) -> dict[str, Any]:
    from spiral_env.files import parse_toml
    from spiral_env.scenarios import Scenario

    try:
        asked = stored["options"]
        if asked.get("split"):
            return play_split(asked)
        world = Scenario(**parse_toml(stored["scenario"]["toml"], "scenario of the result"))
        return result_of(play(asked, world), asked)
    except (KeyError, AttributeError) as error:
        raise ValueError(f"result lacks what an evaluation holds: {error}") from None
