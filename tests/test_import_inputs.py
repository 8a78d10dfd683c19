"""Odd and broken files: what an import makes of each is recorded in `results/import_inputs.md`.

Where a change is meant, rewrite the record with

    python -m tests.test_import_inputs --write
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from spiral_env.data import import_files, input_of
from spiral_env.files import write_atomically
from tests.data_files.broken_inputs import BROKEN, Broken
from tests.data_files.odd_inputs import ODD, Odd, outcome

RECORD = Path(__file__).resolve().parent.parent / "results" / "import_inputs.md"
REWRITE = "if that is meant: python -m tests.test_import_inputs --write"
_LONGEST = 320


def imported(files: tuple[str, ...], services: bool) -> str:
    """What happens to the files of the working directory."""
    table = "services.csv" if services else None
    return outcome(import_files([input_of(name) for name in files], "odd-v1", services=table))


def odd(case: Odd) -> str:
    for name, content in case.files.items():
        Path(name.rpartition("=")[2].rpartition(":")[2]).write_bytes(content)
    if case.services:
        Path("services.csv").write_text(case.services)
    return imported(tuple(case.files), bool(case.services))


def broken(case: Broken) -> str:
    """The one line of the error."""
    case.make(Path())
    if case.services:
        Path("services.csv").write_bytes(case.services)
    try:
        told = imported(case.files, bool(case.services))
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{case.what} was read: {told}")


def row(what: str, happens: str) -> str:
    cut = happens if len(happens) <= _LONGEST else f"{happens[:_LONGEST]} ..."
    return f"| {what} | {cut.replace('|', '·')} |"


@cache
def record() -> dict[str, str]:
    """Input -> its row."""
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.what)
def test_an_odd_file_is_read_as_recorded(case: Odd, folder: Path) -> None:
    assert row(case.what, odd(case)) == record()[case.what], REWRITE


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.what)
def test_a_broken_file_ends_in_the_recorded_line(case: Broken, folder: Path) -> None:
    line = broken(case)
    assert row(case.what, line) == record()[case.what], REWRITE
    assert line.isprintable()
    assert len(line) < 400


def test_there_are_as_many_inputs_as_promised_and_none_twice() -> None:
    assert len(ODD) >= 60
    assert len(BROKEN) >= 40
    names = [case.what for case in (*ODD, *BROKEN)]
    assert len(set(names)) == len(names)
    assert set(names) == set(record()) - {"input", "---"}


def page() -> str:
    """The whole record."""
    head = "| input | what happens |\n| --- | --- |"
    rows: dict[str, list[str]] = {"odd": [], "broken": []}
    start = os.getcwd()
    for kind, case in [*(("odd", x) for x in ODD), *(("broken", x) for x in BROKEN)]:
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            rows[kind].append(row(case.what, odd(case) if isinstance(case, Odd) else broken(case)))
            os.chdir(start)
    return "\n".join(
        [
            "# What `spiral import` makes of odd and of broken files",
            "",
            "Written by `python -m tests.test_import_inputs --write`; the same test holds every line to it.",
            "The files are made in `tests/data_files/`.",
            "",
            f"## {len(ODD)} odd but valid inputs",
            "",
            "An open finding is told with its CVSS and how that came about, its EPSS where a file has it, and whether",
            "there is a fix; 5.5 (level warning) is a SARIF level alone.",
            "",
            head,
            *rows["odd"],
            "",
            f"## {len(BROKEN)} broken or hostile inputs",
            "",
            "Each ends in this one line and exit code 2.",
            "",
            head,
            *rows["broken"],
            "",
        ]
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.test_import_inputs --write")
    write_atomically(RECORD, page())
    print(f"wrote {RECORD}")
