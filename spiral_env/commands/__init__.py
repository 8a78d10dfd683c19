"""The command line of the ecosystem: its worlds, episodes, training, evaluation and measurements."""

from __future__ import annotations

from typing import Annotated

import typer

from spiral_env import __version__
from spiral_env.commands._errors import exit_code
from spiral_env.commands._lazy import LazyCommands

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = {
    "info": "Worlds",
    "scenarios": "Worlds",
    "rollout": "Worlds",
    "import": "Worlds",
    "train": "Learning",
    "sweep": "Learning",
    "plot": "Learning",
    "advise": "Comparing",
    "evaluate": "Comparing",
    "reproduce": "Comparing",
    "submit-check": "Comparing",
    "reference": "Comparing",
    "zoo": "Comparing",
    "replay": "Comparing",
    "report": "Comparing",
    "game": "Comparing",
    "leaderboard": "Comparing",
    "what-if": "Asking",
    "claims": "Asking",
    "calibrate": "Checking",
    "bench": "Checking",
}
"""Every command and the heading of help under which it stands.

``name-of-it`` is loaded, when it is asked for, from ``name_of_it.py`` of this package: the function ``name_of_it``, or
a ``typer.Typer`` of that name with commands of its own. A word of Python has an underscore behind it there.
"""

# No markup in help: what is written in brackets is shown, and rich need not be loaded.
app = typer.Typer(
    cls=LazyCommands.of(__name__, COMMANDS),
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


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    raise SystemExit(exit_code(app))
