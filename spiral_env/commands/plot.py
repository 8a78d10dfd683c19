"""`spiral plot`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from spiral_env.commands._options import AsJson
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress

_EPISODES = 50
"""Of each team beside which the curve is drawn."""


def plot(run: Annotated[Path, typer.Argument(help="The run's folder.")], as_json: AsJson = False) -> None:
    """Draw a run's learning curve and the lever use of its policy as PNG files in its folder."""
    if not os.path.lexists(run / "policy.json"):
        raise ValueError(f"run must be the folder of a trained run, got {run}")
    from spiral_env.training.runs.plot import TEAMS, plot_run

    with progress("plot", _EPISODES * TEAMS, "episodes") as shown:
        drawn = plot_run(run, _EPISODES, shown.advance)
    files = [str(path) for path in drawn.files]
    data = {"files": files, "unlike_average_firm": drawn.unlike_average_firm}
    emit(as_json, data, "\n".join([*files, drawn.words]))
