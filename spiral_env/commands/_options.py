"""Options and set-up that commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer

from spiral_env.commands._completion import among, worlds

__all__ = [
    "POLICIES",
    "AsJson",
    "Columns",
    "Engine",
    "RayAddress",
    "Seed",
    "Spec",
    "TimeLimit",
    "World",
    "load_team",
    "spread_over",
]

MOST_SEED = 2**63 - 1
POLICIES = among("uniform", "status_quo", "scripted", "constant:")
World = Annotated[str, typer.Option("--scenario", help="Scenario id or TOML file.", autocompletion=worlds)]
Seed = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of the world and of all its draws.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="A,B,..", help="Columns to show and their order, or all.")
]
Engine = Annotated[str | None, typer.Option(help="local, or ray: on a Ray cluster.  [default: local]")]
RayAddress = Annotated[str | None, typer.Option(help="Ray cluster to join.  [default: one on this machine]")]
Spec = Annotated[
    str,
    typer.Option(
        help="uniform, status_quo, scripted, constant:e1,e2,.., a run's folder or file.py:Class.",
        autocompletion=POLICIES,
    ),
]


TimeLimit = Annotated[
    float, typer.Option(min=0.01, max=3600.0, help="Seconds that a policy of your own may take for one call.")
]


def load_team(specs: dict[str, str], time_limit: float | None = None) -> dict[str, Any]:
    """A policy for each role; with a time limit those of the user's own code in processes of their own."""
    from spiral_env.agents import Limits, load_policy

    limits = None if time_limit is None else Limits(call=time_limit)
    return {role: load_policy(spec, role, limits) for role, spec in specs.items()}


@contextmanager
def spread_over(engine: str | None, address: str | None) -> Iterator[Callable[..., list[Any]] | None]:
    """How jobs are spread: None plays them here, in turn."""
    if engine not in (None, "local", "ray"):
        raise ValueError(f"engine must be one of local, ray, got {engine!r}")
    if engine != "ray" and address is not None:
        raise ValueError(f"--ray-address must be left out without --engine ray, got {address!r}")
    if engine != "ray":
        yield None
        return
    from spiral_env.training.cluster import cluster, fan_out

    # Ray tells of dead nodes, to its very end, on the standard output, which is for results.
    with redirect_stdout(sys.stderr), cluster(address or ""):
        yield fan_out
