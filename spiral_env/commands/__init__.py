"""The command line of the ecosystem: its worlds, episodes, training, evaluation and measurements."""

from __future__ import annotations

import os
import sys

import typer

from spiral_env.commands.bench import bench
from spiral_env.commands.calibrate import calibrate
from spiral_env.commands.evaluate import evaluate
from spiral_env.commands.game import game
from spiral_env.commands.info import info
from spiral_env.commands.plot import plot
from spiral_env.commands.rollout import rollout
from spiral_env.commands.scenarios import scenarios_app
from spiral_env.commands.sweep import sweep
from spiral_env.commands.train import train

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(scenarios_app, name="scenarios")
for _command in (info, calibrate, rollout, train, sweep, bench, plot, evaluate, game):
    app.command()(_command)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    sys.path.append(os.getcwd())
    try:
        app()
    except (ValueError, TypeError, ImportError, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        print(f"error: {lines[0]}", file=sys.stderr)
        raise SystemExit(2) from None
