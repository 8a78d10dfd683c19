"""A run as pictures: learning curve beside what untrained teams reach, and how the levers are used."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from spiral_env.agents import load_policy
from spiral_env.agents.checkpoint import read_policy
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.files import write_atomically
from spiral_env.roles import LEVERS, ROLES

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

__all__ = ["plot_run"]

_REFERENCES = {"uniform": "#999999", "status_quo": "#e69f00", "scripted": "#0072b2"}
_NAMES = {"uniform": "uniform", "status_quo": "average firm", "scripted": "scripted"}
_THIRDS = ("#d0d7de", "#7aa6c2", "#1f4e79")
_CURVES = {"ecosystem_value": "ecosystem value, k$ a month", "spiral_height": "spiral height, levels"}


def plot_run(folder: Path, episodes: int = 50) -> list[Path]:
    """Write ``learning_curve.png`` and ``lever_use.png`` into the run's folder; returns their paths.

    Raises:
        ValueError: the folder holds no run.
    """
    _, header = read_policy(folder)
    scenario = str(header.get("scenario", "baseline-v0"))
    rows = _progress(folder)
    names = (*_REFERENCES, str(folder))
    tables = {n: run_episodes(scenario, {r: load_policy(n, r) for r in ROLES}, episodes) for n in names}
    references = {name: tables[name] for name in _REFERENCES}
    curve, use = _learning_curve(rows, references, scenario), _lever_use(tables[str(folder)], scenario)
    return [_save(curve, folder / "learning_curve.png"), _save(use, folder / "lever_use.png")]


def _progress(folder: Path) -> dict[str, np.ndarray]:
    try:
        with (folder / "progress.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["ecosystem_value"]]
    except (OSError, KeyError) as error:
        raise ValueError(f"run folder {folder} has no readable progress.csv: {error}") from None
    if not rows:
        raise ValueError(f"run folder {folder} has no finished episode to plot")
    return {name: np.array([float(row[name]) for row in rows]) for name in ("agent_steps", *_CURVES)}


def _learning_curve(rows: Mapping[str, np.ndarray], references: Mapping[str, EpisodeTable], scenario: str) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for axis, (name, label) in zip(axes, _CURVES.items(), strict=True):
        axis.plot(rows["agent_steps"] / 1e6, rows[name], color="#d55e00", label="in training", linewidth=1.8)
        for reference, colour in _REFERENCES.items():
            mean = float(references[reference].metrics[name].mean())
            axis.axhline(mean, color=colour, linestyle="--", linewidth=1.2, label=f"{_NAMES[reference]} {mean:.3g}")
        axis.set_xlabel("agent-steps lived, millions")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False)
    figure.suptitle(f"Learning on {scenario} (dashed: mean of 50 episodes of teams that do not learn)", fontsize=11)
    return figure


def _lever_use(table: EpisodeTable, scenario: str) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(11, 5.6), layout="constrained")
    for axis, role in zip(axes.flat, ROLES, strict=True):
        names = [lever.name.replace("_", " ") for lever in LEVERS[role]]
        left = np.zeros(len(names))
        for k, (third, colour) in enumerate(zip(("low", "middle", "high"), _THIRDS, strict=True)):
            share = table.lever_use[role][:, k]
            axis.barh(names, share, left=left, color=colour, label=third)
            left += share
        axis.set_title(role, fontsize=10)
        axis.set_xlim(0, 1)
        axis.invert_yaxis()
    axes[1, 0].set_xlabel("share of decisions")
    axes[1, 1].set_xlabel("share of decisions")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Lever use of the trained team on {scenario}", fontsize=11)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=130, format="png")
    plt.close(figure)
    write_atomically(path, drawn.getvalue())
    return path
