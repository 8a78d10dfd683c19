"""`spiral report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson
from spiral_env.commands._output import emit, wrapped
from spiral_env.commands._progress import progress


def report(
    given: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|SWEEP|RESULT...",
            help="Runs or folders of runs, of which those that differ only in their seed are one; a sweep; or a file "
            "of evaluate --out.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write.  [default: report in the first, or beside a file]"),
    ] = None,
    picture_format: Annotated[str, typer.Option("--format", help="Of the pictures: svg, pdf or png.")] = "svg",
    episodes: Annotated[int, typer.Option(min=2, max=10_000, help="Held-out episodes of every team.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Runs, a sweep or an evaluation as HTML and Markdown, with pictures for a paper."""
    from spiral_env.checks import check_choice
    from spiral_env.files import check_writable
    from spiral_env.training.reports import FORMATS, gather, write_report

    check_choice("format", picture_format, FORMATS)
    first = given[0]
    folder = out or (first.parent / f"{first.stem}-report" if first.is_file() else first / "report")
    check_writable(folder / "report.html")
    with progress("report") as shown:
        material = gather(given, episodes, shown.reach)
        written = write_report(material, folder, picture_format)
    files = [str(path) for path in written.files]
    emit(as_json, {"files": files, "says": written.words}, "\n".join([*wrapped([f"{written.words}."]), *files]))
