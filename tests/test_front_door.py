"""``import spiral_env`` is light, and yet everything public is there."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import ModuleType

import pytest

import spiral_env

HEAVY = ("numpy", "numba", "gymnasium", "pettingzoo", "pydantic", "rich", "torch")


def _run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert _run(f"import sys, spiral_env; print([x for x in {HEAVY} if x in sys.modules])") == "[]"


@pytest.mark.parametrize("first", ["spiral_env, gymnasium, pettingzoo", "gymnasium, pettingzoo, spiral_env"])
def test_ids_are_registered_whatever_is_imported_first(first: str) -> None:
    program = f"""
import {first}
print([x for x in gymnasium.registry if x.startswith("spiral_env/")])
print([x for x in getattr(pettingzoo, "parallel_registry", ["spiral_env/Spiral-v0"]) if x.startswith("spiral_env/")])
"""
    assert _run(program).splitlines() == [
        "['spiral_env/SingleRole-v0', 'spiral_env/Tuple-v0']",
        "['spiral_env/Spiral-v0']",
    ]


def test_a_function_is_not_hidden_by_its_module() -> None:
    program = """
from spiral_env.vector_env import SpiralVectorEnv
from spiral_env.parallel_env import SpiralParallelEnv
import spiral_env
from spiral_env import parallel_env, vector_env
print(callable(spiral_env.vector_env), callable(spiral_env.parallel_env), callable(parallel_env), callable(vector_env))
"""
    assert _run(program) == "True True True True"


def test_every_public_name_is_there_and_listed() -> None:
    assert set(spiral_env.__all__) <= set(dir(spiral_env))
    found = {name: getattr(spiral_env, name) for name in spiral_env.__all__}
    assert not any(isinstance(value, ModuleType) for value in found.values())
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        spiral_env.nothing  # noqa: B018


def test_the_package_pickles_by_name_as_functions_that_use_it_are_sent_to_workers() -> None:
    assert pickle.loads(pickle.dumps(spiral_env)) is spiral_env
