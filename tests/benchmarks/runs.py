"""Kinds of trainings behind the tables, and what every report about them asks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spiral_env.questions.report import Part, Report, command_line
from spiral_env.questions.runs import Kind, Runs
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.training import parse_override

__all__ = ["KINDS", "RECIPES", "arguments", "basis", "told", "world_of"]

Conclude = Callable[[Mapping[str, Any]], tuple[Any, str]]

RECIPES = Path(__file__).parents[2] / "train"


def _kind(recipe: str, **differs: Any) -> Kind:
    return Kind(RECIPES / f"baseline-v1-{recipe}.toml", differs)


KINDS: dict[str, Kind] = {
    "cooperative": _kind("es", reward_mode="cooperative"),
    "selfish": _kind("es", reward_mode="selfish"),
    "mixed": _kind("es", reward_mode="mixed"),
    "linear": _kind("es", reward_mode="cooperative", layers=0, es_sigma=0.3, learning_rate=0.15),
    "ippo": _kind("ippo", reward_mode="cooperative"),
    "mappo": _kind("mappo", reward_mode="cooperative"),
    "gru": _kind("ippo", reward_mode="cooperative", recurrent="it,business,finance,sme"),
    "mappo-gru": _kind("mappo", reward_mode="cooperative", recurrent="it,business,finance,sme"),
    "sb3": _kind("sb3-ppo", reward_mode="cooperative"),
    "myopic": _kind("ippo", reward_mode="cooperative", gamma=1e-9, gae_lambda=0.0),
}
"""Kind of run -> the recipe it starts from, and what differs from it."""


def arguments(description: str | None, name: str) -> argparse.ArgumentParser:
    """What a report asks."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="baseline-v1")
    parser.add_argument("--max-cycles", type=int, default=None, help="months of an episode, for the scenario's")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--runs", type=Path, default=Path("results/runs") / name)
    parser.add_argument("--timesteps", type=int, default=60_000_000, help="agent-steps of each training")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    parser.add_argument("--set", action="append", default=[], help="hyperparameter=value of every training")
    parser.add_argument("--only", default="", help="parts, comma-separated")
    parser.add_argument("--out", type=Path, default=Path("results"))
    return parser


def world_of(options: argparse.Namespace) -> Scenario:
    """The world as asked for."""
    world = load_scenario(options.scenario)
    return world if options.max_cycles is None else world.model_copy(update={"max_cycles": options.max_cycles})


def basis(options: argparse.Namespace) -> dict[str, Any]:
    """World, episodes and trainings as asked for."""
    overrides = dict(parse_override(x) for x in options.set)
    runs = Runs(options.runs, options.timesteps, options.jobs, overrides, KINDS)
    return {"world": world_of(options), "episodes": options.episodes, "runs": runs}


def told(
    parts: Mapping[str, Part], name: str, context: Any, options: argparse.Namespace, conclude: Conclude | None = None
) -> Report:
    """Measure what was asked for of ``tests.benchmarks.<name>``, write and print it part by part."""
    command = command_line(f"python -m tests.benchmarks.{name}", sys.argv[1:])
    report = Report(parts, name, options.out, command, f"{context.world.id} {context.world.hash}", conclude)
    for section in report.write(context, options.only):
        print(section, flush=True)
    return report
