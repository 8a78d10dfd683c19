"""`spiral info`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from spiral_env.commands._completion import among, worlds
from spiral_env.commands._options import AsJson
from spiral_env.commands._output import emit
from spiral_env.text import Table


def info(
    role: Annotated[
        str | None,
        typer.Option(
            help="Show this role's levers and observations instead.",
            autocompletion=among("it", "business", "finance", "sme"),
        ),
    ] = None,
    state: Annotated[bool, typer.Option("--state", help="Show what the numbers of state() are instead.")] = False,
    hyperparameters: Annotated[
        bool, typer.Option("--hyperparameters", help="Show what spiral train --set takes instead.")
    ] = False,
    scenario: Annotated[
        str | None,
        typer.Option(help="With --state: scenario id or TOML file.  [default: baseline-v1]", autocompletion=worlds),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Versions, cache folder and which extras are present; or what a role may do and see, the state, or training."""
    given = {"--role": role is not None, "--state": state, "--hyperparameters": hyperparameters}
    asked = [name for name, there in given.items() if there]
    if len(asked) > 1:
        raise ValueError(f"{asked[1]} must be left out with {asked[0]}")
    if scenario is not None and not state:
        raise ValueError(f"--scenario must be left out without --state, got {scenario!r}")
    if role is not None:
        _role_info(role, as_json)
    elif state:
        _state_info("baseline-v1" if scenario is None else scenario, as_json)
    elif hyperparameters:
        _hyperparameter_info(as_json)
    else:
        _installation_info(as_json)


def _installation_info(as_json: bool) -> None:
    from importlib.metadata import PackageNotFoundError, version

    from spiral_env import __version__
    from spiral_env.core._jit import cache_folder
    from spiral_env.threads import cores

    data = {"compile cache": str(cache_folder() or "none"), "cores": str(cores()), "spiral-env": __version__}
    for name in ("numpy", "numba", "gymnasium", "pettingzoo", "torch", "stable-baselines3"):
        try:
            data[name] = version(name)
        except PackageNotFoundError:
            data[name] = "absent (extra train)"
    emit(as_json, data, Table(("what", "is"), list(data.items())))


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


def _hyperparameter_info(as_json: bool) -> None:
    from spiral_env.training.runs.config import ALGO_DEFAULTS, hyperparameters

    table = Table(("name", "type", "default", "allowed", "meaning"), title="hyperparameters of spiral train")
    data = {}
    for x in hyperparameters():
        own = {algo: values[x.name] for algo, values in ALGO_DEFAULTS.items() if x.name in values}
        default = "; ".join([_as_toml(x.default), *(f"{algo}: {_as_toml(value)}" for algo, value in own.items())])
        table.add_row(x.name, x.kind.__name__, default, x.allowed, x.meaning)
        about = {"type": x.kind.__name__, "default": x.default, "default_of": own}
        data[x.name] = about | {"allowed": x.allowed, "meaning": x.meaning}
    emit(as_json, data, table)


def _as_toml(value: object) -> str:
    return json.dumps(value)
