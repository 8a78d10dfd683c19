"""What ``help()`` tells of the public interface: every argument by name, from one source."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import spiral_env

MADE_BY = {"parallel_env": "SpiralParallelEnv", "env": "SpiralParallelEnv", "vector_env": "SpiralVectorEnv"}
CLASSES = ("SpiralParallelEnv", "SpiralVectorEnv", "SingleRoleEnv")
METHODS = [
    pytest.param(method, id=f"{name}.{method.__name__}")
    for name in CLASSES
    for method in vars(getattr(spiral_env, name)).values()
    if inspect.isfunction(method) and not method.__name__.startswith("_")
]


def told(thing: Any) -> str:
    """Its docstring, and of a class the constructor's too."""
    return (inspect.getdoc(thing) or "") + (inspect.getdoc(thing.__init__) or "" if inspect.isclass(thing) else "")


def untold(thing: Any, text: str) -> list[str]:
    """Parameters that no line ``name: what it is`` explains."""
    names = [name for name in inspect.signature(thing).parameters if name != "self"]
    return [name for name in names if not re.search(rf"^\s+\**{name}: \S", text, re.M)]


@pytest.mark.parametrize("name", spiral_env.__all__)
def test_every_public_name_explains_each_of_its_arguments(name: str) -> None:
    thing = getattr(spiral_env, name)
    assert told(thing)
    assert untold(thing, told(thing)) == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_each_of_its_arguments(method: Any) -> None:
    assert untold(method, told(method)) == []


def test_an_argument_without_a_line_is_found() -> None:
    def make(known: int, forgotten: int) -> None:
        """Make.

        Args:
            known: a number.
        """

    assert untold(make, told(make)) == ["forgotten"]


@pytest.mark.parametrize(("function", "kind"), MADE_BY.items())
def test_a_function_shows_the_arguments_of_what_it_makes(function: str, kind: str) -> None:
    made, maker = getattr(spiral_env, kind), getattr(spiral_env, function)
    assert inspect.signature(maker).parameters == inspect.signature(made).parameters
    assert told(maker).endswith(told(made)[told(made).index("Args:") :].rstrip())
