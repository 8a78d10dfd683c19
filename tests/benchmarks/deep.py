"""Deep against simple: every trainer at equal agent-steps and at equal seconds, ``python -m tests.benchmarks.deep``.

Each algorithm trains a team a seed, with cooperative and with mixed rewards; all teams play the same held-out episodes.
``steps`` gives all the same number of agent-steps, ``seconds`` the agent-steps that each lives in the same time on one
core: its rate is measured first, by a short training, and kept beside the runs, so that a run can go on another day.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.evaluation import EpisodeTable
from spiral_env.evaluation.statistics import mean_interval, paired_difference
from spiral_env.files import write_atomically
from spiral_env.questions.report import Part, measured
from spiral_env.questions.runs import Kind, Run, Runs
from spiral_env.questions.teams import HEIGHT, VALUE, play, team
from spiral_env.scenarios import Scenario
from tests.benchmarks.game import table
from tests.benchmarks.runs import KINDS, arguments, basis, told
from tests.benchmarks.teams import mean_of

ALGORITHMS = {
    "ES, linear": "linear",
    "ES, hidden layer": "cooperative",
    "IPPO": "ippo",
    "MAPPO": "mappo",
    "MAPPO with GRU": "mappo-gru",
    "SB3 PPO": "sb3",
}
"""Name in the table -> kind of run."""
SIMPLE = "ES, linear"
MODES = ("cooperative", "mixed")


@dataclass(eq=False)
class Race:
    """What the parts need to know.

    Attributes:
        world: where all train and play.
        episodes: held-out episodes of every team, the same for all.
        runs: trainings at equal agent-steps.
        seeds: training seeds.
        seconds: of a training at equal seconds.
        probe: seconds that a rate is measured for.
    """

    world: Scenario
    episodes: int
    runs: Runs
    seeds: int
    seconds: float
    probe: float

    def played(self, runs: Runs, kind: str) -> list[EpisodeTable]:
        """The held-out episodes of a kind's teams, one a seed."""
        folders = runs.trained(Run(kind, seed, self.world) for seed in range(self.seeds))
        return [play(self.world, team(str(x)), self.episodes) for x in folders]

    def of_mode(self, mode: str) -> Runs:
        """Trainings under a kind of rewards."""
        kinds = {name: Kind(x.config, {**x.differs, "reward_mode": mode}) for name, x in KINDS.items()}
        return replace(self.runs, folder=self.runs.folder / mode, kinds=kinds)

    def rate(self, kind: str) -> float:
        """Agent-steps a second of a kind on one core, measured once."""
        file = self.runs.folder / "rates.json"
        rates = json.loads(file.read_text()) if file.exists() else {}
        if kind not in rates:
            short = replace(
                self.of_mode(MODES[0]),
                folder=self.runs.folder / "rates",
                timesteps=10**9,
                jobs=1,
                overrides={**self.runs.overrides, "max_seconds": self.probe},
            )
            [folder] = short.trained([Run(kind, 0, self.world)])
            with (folder / "progress.csv").open() as lines:
                rows = list(csv.DictReader(lines))
            half = len(rows) // 2  # the first iterations compile and allocate
            first, last = rows[half - 1] if half else {"agent_steps": 0, "seconds": 0.0}, rows[-1]
            lived = float(last["agent_steps"]) - float(first["agent_steps"])
            rates[kind] = lived / (float(last["seconds"]) - float(first["seconds"]))
            write_atomically(file, json.dumps(rates, indent=1) + "\n")
        return float(rates[kind])


def steps(race: Race, mode: str) -> dict[str, Any]:
    """All with the same number of agent-steps."""
    runs = race.of_mode(mode)
    tables = {name: race.played(runs, kind) for name, kind in ALGORITHMS.items()}
    return {"rows": _rows(tables), "agent-steps": runs.timesteps}


def seconds(race: Race, mode: str) -> dict[str, Any]:
    """All with the agent-steps that they live in the same time on one core."""
    base, tables, lived = race.of_mode(mode), {}, {}
    for name, kind in ALGORITHMS.items():
        lived[name] = int(race.rate(kind) * race.seconds)
        runs = replace(base, folder=base.folder / f"{race.seconds:g}-seconds" / kind, timesteps=lived[name])
        tables[name] = race.played(runs, kind)
    rows = _rows(tables)
    for name, row in rows.items():
        row["agent-steps"] = lived[name]
    return {"rows": rows, "seconds": race.seconds}


def _rows(tables: Mapping[str, list[EpisodeTable]]) -> dict[str, dict[str, Any]]:
    """V and H over training seeds, and V against the linear evolution strategy over paired episodes."""
    simple = mean_of(tables[SIMPLE]).metrics[VALUE]
    rows = {}
    for name, played in tables.items():
        row: dict[str, Any] = {
            "V": mean_interval(np.array([x.metrics[VALUE].mean() for x in played])),
            "H": mean_interval(np.array([x.metrics[HEIGHT].mean() for x in played])),
            "V, worst seed": float(min(x.metrics[VALUE].mean() for x in played)),
            "V, best seed": float(max(x.metrics[VALUE].mean() for x in played)),
        }
        row[f"V against {SIMPLE}"] = paired_difference(mean_of(played).metrics[VALUE], simple)
        rows[name] = row
    return rows


PARTS: dict[str, Part] = {
    f"{name}_{mode}": Part(f"At equal {title}, {mode} rewards", partial(measure, mode=mode), table)
    for name, title, measure in (("steps", "agent-steps", steps), ("seconds", "seconds on one core", seconds))
    for mode in MODES
}


def draw(stored: Mapping[str, Any], path: Path) -> None:
    """A dot and its interval over seeds for each algorithm, a panel for each part that was measured."""
    from matplotlib.figure import Figure

    names = [name for name in PARTS if name in stored]
    figure = Figure(figsize=(8.0, 2.8 * -(-len(names) // len(MODES))), layout="constrained")
    axes = figure.subplots(-(-len(names) // len(MODES)), len(MODES), sharex=True, sharey=True, squeeze=False)
    for panel, name in zip(axes.flat, names, strict=False):
        rows = stored[name]["figures"]["rows"]
        panel.set_title(PARTS[name].title, fontsize=9)
        for k, algorithm in enumerate(reversed(rows)):
            mean, low, high = rows[algorithm]["V"]
            panel.plot([low, high], [k, k], color="#0072B2", linewidth=2)
            panel.plot(mean, k, "o", color="#0072B2")
        panel.set_yticks(range(len(rows)), list(reversed(rows)), fontsize=8)
        panel.grid(axis="x", alpha=0.3)
        panel.set_xlabel("ecosystem value, k$ a month; 95 % over training seeds", fontsize=8)
    for panel in axes.flat[len(names) :]:
        panel.set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Train what is missing, measure, write the parts and the figure."""
    parser = arguments(__doc__, "deep")
    parser.set_defaults(timesteps=3_000_000)
    parser.add_argument("--seeds", type=int, default=5, help="training seeds")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each training at equal seconds")
    parser.add_argument("--probe", type=float, default=10.0, help="seconds to measure a rate for")
    options = parser.parse_args()
    try:
        measured(PARTS, options.only)
        race = Race(**basis(options), seeds=options.seeds, seconds=options.seconds, probe=options.probe)
    except ValueError as error:
        parser.error(str(error))
    draw(told(PARTS, "deep", race, options).stored(), options.out / "deep.svg")


if __name__ == "__main__":
    main()
