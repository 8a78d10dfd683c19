"""`spiral bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress

_CHECKOUT = Path(__file__).resolve().parents[2]


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="One part: compile, single, batched, threads, growth, profile, floor, trainer, race, peers or gpu; "
            "may be given again.  [default: all, but gpu, and peers only with --peers]"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to which the parts are added; its table is written beside it.")
    ] = None,
    peers: Annotated[Path | None, typer.Option(help="Folder of the peers' virtual environments.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure speed beside limits taken in the same run: the simulator, the trainers, other packages.

    The measurements are no part of the installed package: this needs a checkout of the project.
    """
    from spiral_env.files import check_writable

    if not (_CHECKOUT / "tests" / "benchmarks" / "bench.py").is_file():
        raise ValueError(f"bench needs a checkout of the project, with its tests/benchmarks, got {_CHECKOUT}")
    sys.path.insert(0, str(_CHECKOUT))
    from tests.benchmarks import bench as benchmarks

    check_writable(out)
    names = benchmarks.chosen(only or [], peers)
    with progress("measuring", len(names), "parts") as shown:
        report = benchmarks.bench(names, out, peers, shown.advance)
    emit(as_json, report, benchmarks.markdown(report))
