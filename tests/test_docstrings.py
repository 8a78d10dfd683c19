"""What ``help()`` tells of the public interface: every argument by name, from one source."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import spiral_env
from spiral_env.agents import load_policy
from spiral_env.evaluation import compare, run_episodes
from spiral_env.policy import Policy
from spiral_env.single_role_vector_env import SingleRoleVectorEnv
from spiral_env.training import train
from spiral_env.tuple_env import TupleEnv

MADE_BY = {"parallel_env": "SpiralParallelEnv", "env": "SpiralParallelEnv", "vector_env": "SpiralVectorEnv"}
CLASSES = [
    *(spiral_env.SpiralParallelEnv, spiral_env.SpiralVectorEnv, spiral_env.SingleRoleEnv),
    *(SingleRoleVectorEnv, TupleEnv, Policy),
]
METHODS = [
    pytest.param(method, id=f"{kind.__name__}.{method.__name__}")
    for kind in CLASSES
    for method in vars(kind).values()
    if inspect.isfunction(method) and not method.__name__.startswith("_") and method.__name__ != "close_extras"
]
# Beside the front door, what people call in a script of their own.
CALLED = [SingleRoleVectorEnv, TupleEnv, compare, load_policy, run_episodes, train]


def told(thing: Any) -> str:
    """Its docstring, and of a class the constructor's too."""
    return (inspect.getdoc(thing) or "") + (inspect.getdoc(thing.__init__) or "" if inspect.isclass(thing) else "")


def untold(thing: Any, text: str) -> list[str]:
    """Parameters that no line ``name: what it is`` explains."""
    names = [name for name in inspect.signature(thing).parameters if name != "self"]
    return [name for name in names if not re.search(rf"^\s+\**{name}: \S", text, re.M)]


@pytest.mark.parametrize(
    "thing", [*(getattr(spiral_env, x) for x in spiral_env.__all__), *CALLED], ids=lambda x: x.__name__
)
def test_every_public_name_explains_each_of_its_arguments(thing: Any) -> None:
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
