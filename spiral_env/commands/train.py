"""`spiral train`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spiral_env.commands._completion import among, worlds
from spiral_env.commands._options import AsJson, Engine, RayAddress
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress

if TYPE_CHECKING:
    from spiral_env.training import TrainConfig
    from spiral_env.training.runs.folder import Status

_FILES = {
    "policy.safetensors": "the policy, with policy.json",
    "progress.csv": "figures of every iteration, as in tensorboard/",
    "config.json": "what was run; scenario.toml is its world",
    "state.safetensors": "what --resume goes on from",
}
"""What a run's folder holds, for people."""


def train(
    out: Annotated[
        str | None, typer.Option(help="The run's folder; without it results/runs/<scenario>-<algo>-<seed>.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="Scenario id or TOML file (baseline-v1).", autocompletion=worlds)
    ] = None,
    algo: Annotated[
        str | None,
        typer.Option(help="ippo, mappo, es or sb3-ppo (ippo).", autocompletion=among("ippo", "mappo", "es", "sb3-ppo")),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the run (0).")] = None,
    timesteps: Annotated[
        int | None, typer.Option(help="Agent-steps in all, agents x months (24 million; es: 100).")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Stop after this time (480).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1: all of it there (cpu).")] = None,
    policy: Annotated[str | None, typer.Option(help="sb3-ppo: shared or per_role (shared).")] = None,
    reward_mode: Annotated[
        str | None,
        typer.Option(
            help="mixed, selfish or cooperative (mixed).", autocompletion=among("mixed", "selfish", "cooperative")
        ),
    ] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of hyperparameters.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="name=value, as spiral info --hyperparameters lists.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train one policy per role on the batched engine, PPO of stable-baselines3, or RLlib's on a Ray cluster."""
    import spiral_env.training as training
    from spiral_env.training.runs.folder import check_new, check_same, status, stored_config, world_note

    given: dict[str, Any] = {"scenario": scenario, "algo": algo, "seed": seed, "timesteps": timesteps}
    given |= {"max_seconds": max_seconds, "device": device, "policy": policy, "reward_mode": reward_mode}
    given |= {"engine": engine, "ray_address": ray_address}
    values = _given_once({name: value for name, value in given.items() if value is not None}, set_ or [])
    if resume and config is not None:
        raise ValueError(f"--config must be left out with --resume, got {config}: the run keeps its own")
    if resume:
        folder = _folder(out, None)
        training.check_names(values, "config")
        resolved = replace(stored_config(folder), **values)
        _say(world_note(folder) if scenario is None else None)
        check_same(folder, resolved)
        if status(folder, resolved).finished:
            _end(folder, resolved, status(folder, resolved), as_json, "was finished before, nothing was done")
            return
    else:
        resolved = training.load_config(config, values)
        folder = _folder(out, resolved)
        check_new(folder)
    # Needed by all that trains: missing, it is said before anything else is.
    for needed in ("torch", "safetensors"):
        import_module(needed)
    training.trainer_module(resolved)
    training.check_memory(resolved)
    if not as_json:
        _say(_plan(folder, resolved, resume))
    try:
        # What this says of compiling comes before the bar.
        training.warm_up(resolved)
        with _shown(as_json) as report:
            training.train(resolved, folder, resume=resume, report=report)
    except KeyboardInterrupt:
        _say(f"stopped; what was learned is in {folder}; go on with: {_again(folder)}")
        raise SystemExit(130) from None
    now = status(folder, resolved)
    _end(folder, resolved, now, as_json, None if now.finished else f"was stopped after {resolved.max_seconds:g} s")


def _given_once(values: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Options and what ``--set`` says; nothing may be said twice."""
    from spiral_env.training import parse_override

    for text in settings:
        name, value = parse_override(text)
        if name in values:
            raise ValueError(f"{name[:60]} must be given once, got it twice")
        values[name] = value
    return values


def _folder(out: str | None, config: TrainConfig | None) -> Path:
    if out is not None:
        if not out:
            raise ValueError("--out must name a folder, got ''")
        return Path(out)
    if config is None:
        raise ValueError("--resume needs the run's folder: --out results/runs/<run>")
    return Path("results/runs") / f"{config.world.id}-{config.algo}-{config.seed}"


def _plan(folder: Path, config: TrainConfig, resume: bool) -> str:
    """What is about to happen, a fact a line."""
    each, unit = config.steps_per_iteration, "generation" if config.algo == "es" else "rollout"
    count = config.num_iterations
    title = f"{'going on with' if resume else 'training'} {config.algo} on {config.world.id} in {folder}"
    size = f"{count:,} {unit}{'s' * (count != 1)} of {each:,} agent-steps"
    lines = [title, f"{size}: {count * each:,} in all, at most {config.max_seconds:g} s"]
    if count * each != config.timesteps:
        lines.append(f"{config.timesteps:,} were asked for; the nearest whole {unit} ends the run")
    if config.on_device:
        lines.append(f"{config.num_envs:,} ecosystems side by side on {config.device}")
    agents = f"{config.world.num_smes + 3} agents, {config.reward_mode} rewards, seed {config.seed}"
    lines.append(f"{agents}; Ctrl-C stops, and keeps what is learned")
    return "\n".join(lines)


@contextmanager
def _shown(as_json: bool) -> Iterator[Callable[[float, dict[str, float]], bool] | None]:
    """What a run reports to, with ``--json`` nothing."""
    if as_json:
        yield None
        return
    with progress("training") as bar:
        first: list[float] = []

        def report(share: float, figures: dict[str, float]) -> bool:
            note = f"{figures['agent_steps_per_second'] / 1000:,.0f}k agent-steps/s"
            if "outcome/ecosystem_value" in figures:
                first.append(figures["outcome/ecosystem_value"])
                note += f", value {first[-1]:,.0f} k$ a month (first {first[0]:,.0f})"
            bar.reach(share, note)
            return False

        yield report


def _end(folder: Path, config: TrainConfig, now: Status, as_json: bool, why: str | None) -> None:
    """Say where things are, what was learned and what comes next."""
    from spiral_env.training.runs.moved import moved_share, moved_words

    device = config.device if config.on_device else None
    share = moved_share(folder, config.world, device) if now.iteration else 0.0
    data = {"run": str(folder), "agent_steps": now.agent_steps, "timesteps": config.timesteps}
    data |= {"seconds": round(now.seconds, 1), "finished": now.finished, "unlike_average_firm": share}
    lived = f"{now.agent_steps:,} agent-steps, {now.seconds:,.0f} s"
    lines = [f"run stored in {folder} ({lived})"]
    if why is not None:
        lines.append(f"the run {why}")
    lines.append(moved_words(share))
    lines += [f"  {name:<20}{what}" for name, what in _FILES.items() if (folder / name).exists()]
    commands = [] if now.finished else [_again(folder)]
    commands += [_compare(folder, config), _command("plot", str(folder))]
    lines.append("\n  ".join(["next:", *commands]))
    emit(as_json, data, "\n".join(lines))


def _compare(folder: Path, config: TrainConfig) -> str:
    """The command that scores the run in its own world, which is named by its id where that is one of ours."""
    from spiral_env.scenarios import load_scenario, scenario_ids

    world, text = config.world, str(folder)
    ours = world.id in scenario_ids() and load_scenario(world.id).hash == world.hash
    named = () if ours and world.id == "baseline-v1" else ("--scenario", world.id if ours else f"{text}/scenario.toml")
    plain = re.fullmatch(r"[\w./-]+", text) is not None
    teams = ("--compare", f"status_quo,{text}") if plain else ("--compare", "status_quo", "--compare", text)
    return _command("evaluate", *named, *teams)


def _again(folder: Path) -> str:
    return _command("train", "--out", str(folder), "--resume")


def _command(*words: str) -> str:
    return shlex.join(("spiral", *words))


def _say(line: str | None) -> None:
    if line is not None:
        print(line, file=sys.stderr, flush=True)
