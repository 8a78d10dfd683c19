"""`spiral train`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, Engine, RayAddress, missing_extra
from spiral_env.commands._output import emit


def train(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    scenario: Annotated[str | None, typer.Option(help="Scenario id or TOML file.  [default: baseline-v0]")] = None,
    algo: Annotated[str | None, typer.Option(help="ippo, mappo, es or sb3-ppo.  [default: ippo]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run.  [default: 0]")] = None,
    timesteps: Annotated[int | None, typer.Option(min=1, help="Agent-months in all.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Stop after this time.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.  [default: cpu]")] = None,
    policy: Annotated[str | None, typer.Option(help="sb3-ppo: shared or per_role.")] = None,
    reward_mode: Annotated[str | None, typer.Option(help="mixed, selfish or cooperative.")] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of hyperparameters.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="name=value, any hyperparameter.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train one policy per role on the batched engine, PPO of stable-baselines3, or RLlib's on a Ray cluster."""
    try:
        import spiral_env.training as training
        from spiral_env.training.runs.run import stored_config
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None
    given: dict[str, Any] = {"scenario": scenario, "algo": algo, "seed": seed, "timesteps": timesteps}
    given |= {"max_seconds": max_seconds, "device": device, "policy": policy, "reward_mode": reward_mode}
    given |= {"engine": engine, "ray_address": ray_address}
    values = {name: value for name, value in given.items() if value is not None}
    values |= dict(training.parse_override(text) for text in set_ or [])
    if resume and config is not None:
        raise ValueError(f"--config must be left out with --resume, got {config}: the run keeps its own")
    resolved = training.load_config(config, values)
    if resume:
        resolved = replace(stored_config(out), **values)
    try:
        folder = training.train(resolved, out, resume=resume, quiet=as_json)
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None
    except KeyboardInterrupt:
        print(f"stopped; what was learned is in {out}; go on with: spiral train --out {out} --resume", file=sys.stderr)
        raise SystemExit(130) from None
    emit(as_json, {"run": str(folder)}, f"run stored in {folder}")
