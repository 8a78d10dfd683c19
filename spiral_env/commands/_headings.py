"""Commands listed under headings, each with its whole first sentence."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

__all__ = ["Headings"]


class Headings(TyperGroup):
    """A group whose help lists commands by the panel they were registered under."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Without arguments, show the help."""
        return super().parse_args(ctx, args or ["--help"])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the lists."""
        commands = [self.commands[name] for name in self.list_commands(ctx)]
        for heading in dict.fromkeys(_heading(command) for command in commands):
            with formatter.section(heading):
                rows = [(x.name, _first_paragraph(x.help or "")) for x in commands if _heading(x) == heading]
                formatter.write_dl(rows)


def _heading(command: Any) -> str:
    # Without one, typer keeps a placeholder.
    found = getattr(command, "rich_help_panel", None)
    return found if isinstance(found, str) else "Commands"


def _first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())
