"""What makes the world a game worth learning: ``python -m tests.benchmarks.game``.

Trains several seeds under cooperative, selfish and mixed rewards (runs that exist go on where they stopped), then
measures the six points of ``results/README.md``: order of teams, share of the best constant, dilemma, roles, levers,
edges. Intervals of trained teams are Student's over training seeds, of all others over episodes.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.agents import load_policy
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.evaluation.game import best_constant, constant_share, lever_ends
from spiral_env.evaluation.statistics import Interval, mean_interval, paired_difference
from spiral_env.files import write_atomically
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario

RECIPE = Path(__file__).parents[2] / "train" / "baseline-v0-es.toml"
MODES = ("cooperative", "selfish", "mixed")
EDGES = ("edge_aggregation_governance", "edge_governance_value", "edge_value_aggregation")
VALUE, HEIGHT = "ecosystem_value", "spiral_height"
_LABELS = ("ecosystem value, k$ a month", "spiral height, levels")
Runs = Mapping[str, list[Path]]


def train_all(folder: Path, seeds: int, options: list[str], jobs: int) -> Runs:
    """Train what is not done yet, ``jobs`` runs at a time, each with one thread."""
    runs = {mode: [folder / f"{mode}-{seed}" for seed in range(seeds)] for mode in MODES}

    def one(job: tuple[str, int]) -> None:
        mode, seed = job
        out = runs[mode][seed]
        command = [sys.executable, "-m", "spiral_env", "train", "--json", "--out", str(out)]
        command += ["--resume"] if (out / "config.json").exists() else ["--config", str(RECIPE)]
        command += ["--reward-mode", mode, "--seed", str(seed), "--max-seconds", "36000", "--set", "env_threads=1"]
        subprocess.run([*command, *options], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        print(f"trained {out}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, [(mode, seed) for seed in range(seeds) for mode in MODES]))
    return runs


def play(world: Scenario, episodes: int, specs: Mapping[str, str]) -> EpisodeTable:
    """Episodes of one team, a policy per role."""
    return run_episodes(world, {role: load_policy(spec, role) for role, spec in specs.items()}, episodes)


def team(spec: str) -> dict[str, str]:
    """The same policy for every role."""
    return dict.fromkeys(ROLES, spec)


def over_seeds(tables: list[EpisodeTable], measure: str) -> Interval:
    """Mean over training seeds of each seed's mean."""
    return mean_interval(np.array([t.metrics[measure].mean() for t in tables]))


def gap(tables: list[EpisodeTable], other: EpisodeTable, measure: str) -> Interval:
    """Paired difference to another team, over training seeds."""
    return mean_interval(np.array([(t.metrics[measure] - other.metrics[measure]).mean() for t in tables]))


def switched(world: Scenario, edge: str) -> Scenario:
    """The world with one feedback edge off."""
    return world.model_copy(update={"params": {**world.params, edge: 0.0}})


def measure(world: Scenario, runs: Runs, episodes: int) -> dict[str, Any]:
    """All six points as one report."""
    base = {name: play(world, episodes, team(name)) for name in ("uniform", "status_quo", "scripted")}
    found = best_constant(world)
    specs = {role: f"constant:{','.join(f'{x:g}' for x in found.efforts[role])}" for role in ROLES}
    base["constant"] = play(world, episodes, specs)
    trained = {mode: [play(world, episodes, team(str(run))) for run in runs[mode]] for mode in MODES}
    return {
        "scenario": world.id,
        "episodes": episodes,
        "training_seeds": len(runs["cooperative"]),
        "constant": specs,
        "constants_tried": found.tried,
        "teams": _teams(base, trained),
        "gaps": _gaps(base, trained),
        "constant_share": mean_interval(_shares(base, trained["cooperative"])),
        "selfish_over_cooperative": mean_interval(_ratios(trained)),
        "role_replaced_by_uniform": {role: _replaced(world, runs, trained, role, episodes) for role in ROLES},
        "levers": _levers(trained["cooperative"]),
        "edges": {edge: _edge(switched(world, edge), runs, base, trained, episodes) for edge in EDGES},
    }


def _teams(base: Mapping[str, EpisodeTable], trained: Mapping[str, list[EpisodeTable]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, table in base.items():
        rows[name] = {m: mean_interval(table.metrics[m]) for m in (VALUE, HEIGHT, "sme_participation", "trust")}
    for mode, tables in trained.items():
        rows[f"trained, {mode}"] = {m: over_seeds(tables, m) for m in (VALUE, HEIGHT, "sme_participation", "trust")}
    return rows


def _gaps(base: Mapping[str, EpisodeTable], trained: Mapping[str, list[EpisodeTable]]) -> dict[str, Any]:
    order = ("uniform", "status_quo", "scripted")
    best = trained["cooperative"]
    out: dict[str, Any] = {}
    for lower, higher in itertools.pairwise(order):
        out[f"{higher} - {lower}"] = {
            m: paired_difference(base[higher].metrics[m], base[lower].metrics[m]) for m in (VALUE, HEIGHT)
        }
    for name in ("scripted", "status_quo", "constant"):
        out[f"trained - {name}"] = {m: gap(best, base[name], m) for m in (VALUE, HEIGHT)}
    average = float(base["status_quo"].metrics[HEIGHT].mean())
    out["trained / status_quo"] = {HEIGHT: mean_interval(np.array([t.metrics[HEIGHT].mean() / average for t in best]))}
    for mode in ("selfish", "mixed"):
        out[f"{mode} - uniform"] = {VALUE: gap(trained[mode], base["uniform"], VALUE)}
    return out


def _shares(base: Mapping[str, EpisodeTable], tables: list[EpisodeTable]) -> np.ndarray:
    """(best constant - uniform) / (trained - uniform) per training seed."""
    return np.array([constant_share({**base, "trained": table}, VALUE) for table in tables])


def _ratios(trained: Mapping[str, list[EpisodeTable]]) -> np.ndarray:
    pairs = zip(trained["selfish"], trained["cooperative"], strict=True)
    return np.array([s.metrics[VALUE].mean() / c.metrics[VALUE].mean() for s, c in pairs])


def _replaced(
    world: Scenario, runs: Runs, trained: Mapping[str, list[EpisodeTable]], role: str, episodes: int
) -> Interval:
    """Change of ecosystem value when one trained role plays at random."""
    changes = []
    for run, whole in zip(runs["cooperative"], trained["cooperative"], strict=True):
        table = play(world, episodes, team(str(run)) | {role: "uniform"})
        changes.append((table.metrics[VALUE] - whole.metrics[VALUE]).mean())
    return mean_interval(np.array(changes))


def _levers(tables: list[EpisodeTable]) -> list[dict[str, Any]]:
    """Use of every lever, mean over training seeds; in how many of them it is stuck at an end."""
    rows = [lever_ends(t) for t in tables]
    out: list[dict[str, Any]] = []
    for k, first in enumerate(rows[0]):
        use = {x: round(float(np.mean([float(r[k][x]) for r in rows])), 3) for x in ("low", "middle", "high")}
        stuck = sum(bool(r[k]["stuck"]) for r in rows)
        out.append({"role": first["role"], "lever": first["lever"], **use, "seeds_stuck": stuck})
    return out


def _edge(
    world: Scenario,
    runs: Runs,
    base: Mapping[str, EpisodeTable],
    trained: Mapping[str, list[EpisodeTable]],
    episodes: int,
) -> dict[str, dict[str, Interval]]:
    """What an edge is worth: change when it is off, of the average firm, and of teams trained with it on."""
    average = play(world, episodes, team("status_quo"))
    without = [play(world, episodes, team(str(run))) for run in runs["cooperative"]]
    out = {}
    for m in (HEIGHT, VALUE):
        pairs = zip(without, trained["cooperative"], strict=True)
        changes = [float((a.metrics[m] - b.metrics[m]).mean()) for a, b in pairs]
        out[m] = {
            "status_quo": paired_difference(average.metrics[m], base["status_quo"].metrics[m]),
            "trained": mean_interval(np.array(changes)),
        }
    return out


def _curve(run: Path, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Agent-steps and the measure of a run's log."""
    with (run / "progress.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[measure]]
    return np.array([float(x["agent_steps"]) for x in rows]), np.array([float(x[measure]) for x in rows])


def draw(runs: Runs, report: Mapping[str, Any], path: Path) -> None:
    """Learning curves of all runs, a colour a mode, beside the teams that do not learn."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for axis, measure, label in zip(axes, (VALUE, HEIGHT), _LABELS, strict=True):
        for mode, colour in zip(MODES, ("#0072b2", "#d55e00", "#009e73"), strict=True):
            for k, run in enumerate(runs[mode]):
                steps, values = _curve(run, measure)
                axis.plot(steps / 1e6, values, color=colour, lw=1, alpha=0.8, label=mode if k == 0 else None)
        for name, style in (("uniform", ":"), ("status_quo", "--"), ("scripted", "-.")):
            level = report["teams"][name][measure][0]
            axis.axhline(level, color="#555555", ls=style, lw=1, label=name.replace("status_quo", "average firm"))
        axis.set(xlabel="agent-steps, millions", ylabel=label)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=9)
    figure.suptitle(f"{report['scenario']}: evolution strategy, {len(runs[MODES[0]])} seeds a reward mode", fontsize=11)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train what is missing, measure, write the report and the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="baseline-v0")
    parser.add_argument("--runs", type=Path, default=Path("results/runs/learning"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/game.json"))
    arguments, options = parser.parse_known_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds must be >= 2, got {arguments.seeds}: there is no interval over one")
    runs = train_all(arguments.runs, arguments.seeds, options, arguments.jobs)
    report = measure(load_scenario(arguments.scenario), runs, arguments.episodes)
    write_atomically(arguments.out, json.dumps(report, indent=1) + "\n")
    draw(runs, report, arguments.out.with_suffix(".png"))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
