"""A run as pictures: learning curve beside what untrained teams reach, and how the levers are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.files import check_writable, write_atomically
from spiral_env.roles import ROLES
from spiral_env.training.reports.figures import CURVES, as_bytes, learning_curve, lever_use
from spiral_env.training.reports.material import REFERENCES, curve_of, run_world
from spiral_env.training.runs.moved import moved_words, unlike_average

__all__ = ["TEAMS", "Pictures", "plot_run"]

TEAMS = len(REFERENCES) + 1
"""Teams that are played: those that do not learn, and the run's."""


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
    paths = [folder / "learning_curve.png", folder / "lever_use.png"]
    for path in paths:
        check_writable(path)
    world, curve = run_world(folder), curve_of("in training", [folder])
    if curve is None:
        raise ValueError(f"run folder {folder} has no finished episode to plot")
    names = (*REFERENCES, str(folder))
    tables = {n: run_episodes(world, {r: load_policy(n, r) for r in ROLES}, episodes, progress=progress) for n in names}
    own = tables.pop(str(folder))
    moved = unlike_average(own)
    words = moved_words(moved, episodes)
    means = {name: {m: float(table.metrics[m].mean()) for m in CURVES} for name, table in tables.items()}
    title = f"Learning on {world.id} (dashed: mean of {episodes} episodes of teams that do not learn)"
    figures = [
        learning_curve([curve], means, title),
        lever_use(own.lever_use, f"Lever use of the trained team on {world.id}\n{words}"),
    ]
    for path, figure in zip(paths, figures, strict=True):
        write_atomically(path, as_bytes(figure, "png"))
    return Pictures(paths, moved, words)
