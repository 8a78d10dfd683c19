"""`spiral evaluate`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson, Engine, RayAddress, Spec, World, load_team, spread_over
from spiral_env.commands._output import as_json_text, emit

_SPEC = re.compile(r"constant:[^\s,]*(?:,[.\d][^\s,]*)*|[^\s,]+")


def evaluate(
    scenario: World = "baseline-v0",
    compare: Annotated[str, typer.Option(help="Whole-team policies, separated by spaces or commas.")] = "",
    it: Spec = "status_quo",
    business: Spec = "status_quo",
    finance: Spec = "status_quo",
    sme: Spec = "status_quo",
    episodes: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    everything: Annotated[bool, typer.Option(help="All outcome measures.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Outcome measures over paired seeds: of teams (--compare), or of a mix (--it ... --sme ...)."""
    from spiral_env.evaluation import run_episodes
    from spiral_env.evaluation.report import as_dict, as_table
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.roles import ROLES

    check_writable(out)
    mix = {"it": it, "business": business, "finance": finance, "sme": sme}
    teams = {spec: dict.fromkeys(ROLES, spec) for spec in _SPEC.findall(compare)} or {"mix": mix}
    loaded = {name: load_team(specs) for name, specs in teams.items()}
    with spread_over(engine, ray_address) as spread:
        tables = {name: run_episodes(scenario, team, episodes, seed, spread=spread) for name, team in loaded.items()}
    data = as_dict(tables)
    if out is not None:
        write_atomically(out, as_json_text({"scenario": scenario, "teams": data}) + "\n")
    emit(as_json, data, as_table(tables, everything=everything))
