"""`spiral info`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson, World
from spiral_env.commands._output import emit
from spiral_env.text import Table


def info(
    role: Annotated[str | None, typer.Option(help="Show this role's levers and observations instead.")] = None,
    state: Annotated[bool, typer.Option("--state", help="Show what the numbers of state() are instead.")] = False,
    world: World = "baseline-v0",
    as_json: AsJson = False,
) -> None:
    """Versions, cache folder and which extras are present; or what a role may do and see, or the whole state."""
    if role is not None and state:
        raise ValueError(f"--state must be left out with --role, got --role {role}")
    if state:
        _state_info(world, as_json)
        return
    if role is not None:
        _role_info(role, as_json)
        return
    from importlib.metadata import PackageNotFoundError, version

    from spiral_env.core._jit import cache_folder

    data: dict[str, str] = {"compile cache": str(cache_folder() or "none"), "cores": str(os.cpu_count())}
    for name in ("spiral-env", "numpy", "numba", "gymnasium", "pettingzoo", "torch", "stable-baselines3"):
        try:
            data[name] = version(name)
        except PackageNotFoundError:
            data[name] = "absent (extra train)"
    emit(as_json, data, "\n".join(f"{k:<20} {v}" for k, v in data.items()))


def _role_info(role: str, as_json: bool) -> None:
    from spiral_env.policy import check_role
    from spiral_env.roles import FEATURES, LEVERS

    check_role(role)
    columns = ("lever", "kind", "low", "middle", "high", "unit", "what it does")
    levers = Table(columns, title=f"levers of {role}")
    seen = Table(
        ("feature", "low", "high", "1 stands for"), title=f"observation of {role}, float32 [{len(FEATURES[role])}]"
    )
    for x in LEVERS[role]:
        levers.add_row(x.name, x.kind, *x.options, x.unit, x.note)
    for f in FEATURES[role]:
        seen.add_row(f.name, f"{f.low:g}", f"{f.high:g}", f.one)
    data = {"levers": [x._asdict() for x in LEVERS[role]], "observation": [f._asdict() for f in FEATURES[role]]}
    emit(as_json, data, levers, seen)


def _state_info(world: str, as_json: bool) -> None:
    from spiral_env.parallel_env import SpiralParallelEnv

    env = SpiralParallelEnv(world)
    named = list(zip(env.state_names, env.state_units, strict=True))
    table = Table(("index", "name", "unit"), title=f"state() of {env.scenario.id}, float32 [{len(named)}]")
    for k, (name, unit) in enumerate(named):
        table.add_row(str(k), name, unit)
    emit(as_json, {"state": [{"name": name, "unit": unit} for name, unit in named]}, table)
