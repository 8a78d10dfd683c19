"""What an action may be, by every route: continuous ones are clipped, what is no number is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

import spiral_env
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS
from spiral_env.tuple_env import TupleEnv

ID = "spiral_env/SingleRole-v0"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.nan, "must be numbers, got nan"),
        (0.5 + 0j, "must be real numbers, got dtype complex128"),
        ("high", "must be real numbers, got dtype <U4"),
        (np.datetime64("2020-01-01"), "must be real numbers, got dtype datetime64"),
        (True, "must be real numbers, got dtype bool"),
        (None, "must be real numbers, got dtype object"),
    ],
)
def test_a_continuous_action_that_is_no_number_is_named(action: Any, message: str) -> None:
    env = spiral_env.parallel_env("small-v1", action_mode="continuous")
    env.reset(seed=0)
    good = {agent: np.full(env.action_space(agent).shape, 0.5) for agent in env.agents}
    with pytest.raises(ValueError, match=f"action of sme_2 {message}"):
        env.step(good | {"sme_2": np.full(good["sme_2"].shape, action)})
    batch = spiral_env.vector_env("small-v1", action_mode="continuous")
    batch.reset(seed=0)
    joint = {role: np.full((1, n, NUM_LEVERS[role]), 0.5) for role, n in batch.num_agents_of.items()}
    with pytest.raises(ValueError, match=f"actions of it {message}"):
        batch.step(joint | {"it": np.full(joint["it"].shape, action)})


def _actors() -> dict[str, tuple[Any, Callable[[float], Any]]]:
    """Environment and the joint action in which every lever has one value."""
    parallel = spiral_env.parallel_env("small-v1", action_mode="continuous")
    batch = spiral_env.vector_env("small-v1", num_envs=2, action_mode="continuous")
    counts, levers = batch.num_agents_of, NUM_LEVERS["it"]
    shapes = {agent: space.shape for agent, space in parallel.action_spaces.items()}
    return {
        "parallel_env": (parallel, lambda x: {agent: np.full(shape, x) for agent, shape in shapes.items()}),
        "vector_env": (batch, lambda x: {role: np.full((2, n, NUM_LEVERS[role]), x) for role, n in counts.items()}),
        "SingleRole-v0": (
            gymnasium.make(ID, scenario="small-v1", action_mode="continuous").unwrapped,
            lambda x: np.full(levers, x),
        ),
        "SingleRole-v0, a batch": (
            gymnasium.make_vec(
                ID, scenario="small-v1", num_envs=2, action_mode="continuous", vectorization_mode="vector_entry_point"
            ),
            lambda x: np.full((2, levers), x),
        ),
        "Tuple-v0": (TupleEnv("small-v1", action_mode="continuous"), lambda x: [np.full(MAX_LEVERS, x)] * 11),
    }


@pytest.mark.parametrize("name", list(_actors()))
def test_continuous_actions_are_clipped_to_the_box(name: str) -> None:
    env, joint = _actors()[name]

    def rewards(value: float) -> Any:
        env.reset(seed=1)
        paid = env.step(joint(value))[1]
        return {key: np.copy(x) for key, x in paid.items()} if isinstance(paid, dict) else np.copy(paid)

    for beyond, bound in ((1.0000001, 1.0), (7.5, 1.0), (np.inf, 1.0), (-0.3, 0.0), (-np.inf, 0.0)):
        np.testing.assert_equal(rewards(beyond), rewards(bound))
    assert str(rewards(0.0)) != str(rewards(1.0))
