"""A run as pictures: learning curve beside what untrained teams reach, and how the levers are used."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from spiral_env.agents import load_policy
from spiral_env.agents.checkpoint import read_policy
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.files import check_writable, write_atomically
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.training.runs.folder import progress_rows
from spiral_env.training.runs.moved import moved_words, unlike_average

__all__ = ["TEAMS", "Pictures", "plot_run"]

_REFERENCES = {"uniform": "#999999", "status_quo": "#e69f00", "scripted": "#0072b2"}
TEAMS = len(_REFERENCES) + 1
"""Teams that are played: those that do not learn, and the run's."""
_NAMES = {"uniform": "uniform", "status_quo": "average firm", "scripted": "scripted"}
_THIRDS = ("#d0d7de", "#7aa6c2", "#1f4e79")
_CURVES = {"ecosystem_value": "ecosystem value, k$ a month", "spiral_height": "spiral height, levels"}


class Pictures(NamedTuple):
    """What was drawn.

    Attributes:
        files: paths of the pictures.
        unlike_average_firm: share of the greedy policy's decisions that are not the average firm's.
        words: that, as a line for people.
    """

    files: list[Path]
    unlike_average_firm: float
    words: str


def plot_run(folder: Path, episodes: int = 50, progress: Callable[[int], None] | None = None) -> Pictures:
    """Write ``learning_curve.png`` and ``lever_use.png`` into the run's folder.

    ``progress`` is told of the episodes played, ``episodes`` for each of ``TEAMS``.

    Raises:
        ValueError: the folder holds no run.
    """
    world = _world(folder)
    rows = _progress(folder)
    names, pictures = (*_REFERENCES, str(folder)), [folder / "learning_curve.png", folder / "lever_use.png"]
    for path in pictures:
        check_writable(path)
    tables = {n: run_episodes(world, {r: load_policy(n, r) for r in ROLES}, episodes, progress=progress) for n in names}
    references, own = {name: tables[name] for name in _REFERENCES}, tables[str(folder)]
    moved = unlike_average(own)
    words = moved_words(moved, episodes)
    curve, use = _learning_curve(rows, references, world.id, episodes), _lever_use(own, world.id, words)
    files = [_save(curve, pictures[0]), _save(use, pictures[1])]
    return Pictures(files, moved, words)


def _world(folder: Path) -> Scenario:
    """The run's own world; of a checkpoint alone, the one it names.

    Raises:
        ValueError: it is not the world that the policy was trained in.
    """
    _, header = read_policy(folder)
    own = folder / "scenario.toml"
    world = load_scenario(own if own.exists() else str(header.get("scenario", "baseline-v1")))
    trained = header.get("scenario_hash", world.hash)
    if world.hash != trained:
        where = own if own.exists() else world.id
        raise ValueError(
            f"world of run {folder} must be as it was trained in, of hash {trained}, is {world.hash} in {where}"
        )
    return world


def _progress(folder: Path) -> dict[str, np.ndarray]:
    rows = [row for row in progress_rows(folder) if row["ecosystem_value"] and row["spiral_height"]]
    if not rows:
        raise ValueError(f"run folder {folder} has no finished episode to plot")
    return {name: np.array([float(row[name]) for row in rows]) for name in ("agent_steps", *_CURVES)}


def _learning_curve(
    rows: Mapping[str, np.ndarray], references: Mapping[str, EpisodeTable], scenario: str, episodes: int
) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, 2)
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
    figure.suptitle(
        f"Learning on {scenario} (dashed: mean of {episodes} episodes of teams that do not learn)", fontsize=11
    )
    return figure


def _lever_use(table: EpisodeTable, scenario: str, words: str) -> Figure:
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    axes = figure.subplots(2, 2)
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
    figure.suptitle(f"Lever use of the trained team on {scenario}\n{words}", fontsize=11)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=130, format="png")
    write_atomically(path, drawn.getvalue())
    return path
