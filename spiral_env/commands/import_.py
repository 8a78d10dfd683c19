"""`spiral import`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress

Files = Annotated[
    list[str],
    typer.Argument(
        help="SARIF, CycloneDX, ZAP, pip-audit and KEV JSON, EPSS CSV, also gzipped. service=FILE says whose it is, "
        "sast:, dast:, sca: or iast: before it what kind of scanner wrote it.",
        show_default=False,
    ),
]


def import_(
    files: Files,
    services: Annotated[
        Path | None,
        typer.Option(help="CSV of name, tier (edge, core, internal), criticality, calls, match.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Scenario file to write; a CSV of every finding lies beside it.")] = Path(
        "imported-v1.toml"
    ),
    base: Annotated[str, typer.Option(help="Scenario whose other numbers hold.")] = "baseline-v1",
    default_service: Annotated[
        str | None, typer.Option(help="Takes findings that match no service.", show_default=False)
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the scenario.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a scenario of one's own scanner files: services and an open backlog, merged and ranked."""
    from spiral_env.data import import_files, input_of
    from spiral_env.data.report import as_csv, as_data, as_tables
    from spiral_env.files import check_writable, write_atomically

    if out.suffix != ".toml":
        raise ValueError(f"out must end in .toml, got {out}")
    listed = out.with_suffix(".findings.csv")
    for path in (out, listed):
        check_writable(path)
    inputs = [input_of(text) for text in files]
    with progress("import", len(inputs), "files") as shown:
        found = import_files(
            inputs,
            _id(out.stem),
            services=services,
            base=base,
            default_service=default_service,
            title=title,
            progress=shown.advance,
        )
    write_atomically(out, found.scenario.to_toml())
    write_atomically(listed, as_csv(found))
    written = f"Wrote {out} (a scenario: train, evaluate, rollout, advise) and {listed} (every finding)."
    emit(as_json, as_data(found) | {"written": [str(out), str(listed)]}, *as_tables(found), written)


def _id(stem: str) -> str:
    """A scenario's id from the name of its file."""
    low = re.sub(r"[^a-z0-9-]+", "-", stem.lower()).strip("-")[:80] or "imported"
    return low if re.search(r"-v\d{1,6}$", low) else f"{low}-v1"
