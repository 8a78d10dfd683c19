"""The paper's claims, measured: ``python -m tests.benchmarks.claims``.

Parts, each alone by ``--only``: ``switches`` (every mechanism off and every policy lever on, for the average firm, the
scripted and a trained team), ``retrained`` (teams trained in the switched world), ``draws`` (signs of the edges where
the assumed numbers are others), ``alone`` (the pressures without responses), ``marginal`` (one SME leaves or shares
nothing), ``sizes`` (value by SME over their number). Runs that exist are not trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spiral_env.scenarios import load_scenario
from spiral_env.training import parse_override
from tests.benchmarks import draws, marginal, report, switches
from tests.benchmarks.report import Part
from tests.benchmarks.runs import Runs
from tests.benchmarks.switches import Claims

PARTS: dict[str, Part] = {
    "switches": Part("Mechanisms off, policy levers on", switches.switches, switches.table),
    "retrained": Part("The same, retrained in the switched world", switches.retrained, switches.table),
    "draws": Part("Edges off where the assumed numbers are others", draws.draws, draws.draws_table),
    "alone": Part("Pressures without responses", draws.alone, draws.alone_table),
    "marginal": Part("One SME does otherwise, k$ a month", marginal.marginal, marginal.marginal_table),
    "sizes": Part("Value by SME, k$ a month", marginal.sizes, marginal.sizes_table),
}


def arguments(description: str | None, name: str) -> argparse.ArgumentParser:
    """What all reports ask."""
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


def basis(options: argparse.Namespace) -> dict[str, Any]:
    """World, episodes and trainings as asked for."""
    world = load_scenario(options.scenario)
    if options.max_cycles is not None:
        world = world.model_copy(update={"max_cycles": options.max_cycles})
    overrides = dict(parse_override(x) for x in options.set)
    runs = Runs(options.runs, options.timesteps, options.jobs, overrides)
    return {"world": world, "episodes": options.episodes, "runs": runs}


def main() -> None:
    """Measure and write the parts."""
    parser = arguments(__doc__, "claims")
    parser.add_argument("--seeds", type=int, default=1, help="training seeds")
    parser.add_argument("--trained", default="", help="folder of a run to look at in place of trainings of our own")
    parser.add_argument("--retrain", default="edge off", help="switches or groups whose world is trained in, or all")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--draw-episodes", type=int, default=8)
    options = parser.parse_args()
    try:
        report.measured(PARTS, options.only)
        claims = Claims(
            **basis(options),
            seeds=options.seeds,
            trained=options.trained,
            retrain=switches.named(options.retrain),
            draws=options.draws,
            draw_episodes=options.draw_episodes,
        )
    except ValueError as error:
        parser.error(str(error))
    report.write(PARTS, claims, options, "claims", f"{claims.world.id} {claims.world.hash}")


if __name__ == "__main__":
    main()
