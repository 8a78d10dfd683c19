"""`spiral bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson, missing_extra
from spiral_env.commands._output import emit


def bench(
    only: Annotated[list[str] | None, typer.Option(help="One part; may be given again.  [default: all]")] = None,
    out: Annotated[Path, typer.Option(help="JSON file; its table is written beside it.")] = Path("results/bench.json"),
    peers: Annotated[Path | None, typer.Option(help="Folder of the peers' virtual environments.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure speed beside limits taken in the same run: the simulator, the trainers, other packages."""
    from spiral_env.files import check_writable

    try:
        from tests.benchmarks.bench import bench as measure
        from tests.benchmarks.bench import markdown
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None
    check_writable(out)
    report = measure(only or [], out, peers)
    emit(as_json, report, markdown(report))
