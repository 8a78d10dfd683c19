"""The command line of the ecosystem: its worlds, episodes, training, evaluation and measurements."""

from __future__ import annotations

from typing import Annotated

import typer

from spiral_env import __version__
from spiral_env.commands._errors import exit_code
from spiral_env.commands._headings import Headings
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

# No markup in help: what is written in brackets is shown, and rich need not be loaded.
app = typer.Typer(
    cls=Headings,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=__doc__,
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"spiral_env {__version__}")
        raise typer.Exit


@app.callback()
def _spiral(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.add_typer(scenarios_app, name="scenarios", rich_help_panel="Worlds")
for _heading, _commands in {
    "Worlds": (info, rollout),
    "Learning": (train, sweep, plot),
    "Comparing": (evaluate, game),
    "Checking": (calibrate, bench),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_heading)(_command)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    raise SystemExit(exit_code(app))
