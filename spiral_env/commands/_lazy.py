"""Commands that are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from keyword import iskeyword
from typing import Any

import typer

from spiral_env.commands._headings import Headings

__all__ = ["LazyCommands"]


class LazyCommands(Headings):
    """A group whose commands are the modules of a package, each loaded at its first use."""

    package = ""
    headings: Mapping[str, str] = {}

    @classmethod
    def of(cls, package: str, headings: Mapping[str, str]) -> type[LazyCommands]:
        """The group of ``package``, whose commands' names are the keys of ``headings``."""
        return type(cls.__name__, (cls,), {"package": package, "headings": headings})

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": {}})
        self.commands = _Loaded(self.package, self.headings)


class _Loaded(MutableMapping[str, Any]):
    """Name -> command; the names are known at once."""

    def __init__(self, package: str, headings: Mapping[str, str]) -> None:
        self.package, self.headings = package, headings
        self.found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.found and name in self.headings:
            self.found[name] = _command(self.package, name, self.headings[name])
        return self.found[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self.found[name] = command

    def __delitem__(self, name: str) -> None:
        del self.found[name]

    def __contains__(self, name: object) -> bool:
        return name in self.headings

    def __iter__(self) -> Iterator[str]:
        return iter(self.headings)

    def __len__(self) -> int:
        return len(self.headings)


def _command(package: str, name: str, heading: str) -> Any:
    own = name.replace("-", "_")
    own += "_" if iskeyword(own) else ""
    found = getattr(import_module(f"{package}.{own}"), own)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
    else:
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command()(found)
        command = typer.main.get_command(single)
    command.name, command.rich_help_panel = name, heading
    return command
