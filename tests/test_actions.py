"""What an action may be, by every route: continuous ones are clipped, what is no number is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

import spiral_env
from spiral_env.tuple_env import TupleEnv

ID = "spiral_env/SingleRole-v0"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.full(5, np.nan), "must be numbers, got nan"),
        (np.full(5, 0.5 + 0j), "must be real numbers, got dtype complex128"),
        (np.full(5, "high"), "must be real numbers, got dtype <U4"),
        (np.full(5, "2020-01-01", dtype="datetime64[D]"), "must be real numbers, got dtype datetime64"),
        (np.ones(5, dtype=np.bool_), "must be real numbers, got dtype bool"),
        (np.full(5, None), "must be real numbers, got dtype object"),
    ],
)
def test_a_continuous_action_that_is_no_number_is_named(action: np.ndarray, message: str) -> None:
    env = spiral_env.parallel_env(action_mode="continuous")
    env.reset(seed=0)
    good = {agent: np.full(5, 0.5) for agent in env.agents}
    with pytest.raises(ValueError, match=f"action of sme_2 {message}"):
        env.step(good | {"sme_2": action})
    batch = spiral_env.vector_env(action_mode="continuous")
    batch.reset(seed=0)
    joint = {role: np.full((1, n, 5), 0.5) for role, n in batch.num_agents_of.items()}
    with pytest.raises(ValueError, match=f"actions of it {message}"):
        batch.step(joint | {"it": action.reshape(1, 1, 5)})


def _actors() -> dict[str, tuple[Any, Callable[[float], Any]]]:
    """Environment and the joint action in which every lever has one value."""
    parallel = spiral_env.parallel_env(action_mode="continuous")
    batch = spiral_env.vector_env(num_envs=2, action_mode="continuous")
    counts = batch.num_agents_of
    return {
        "parallel_env": (parallel, lambda x: {agent: np.full(5, x) for agent in parallel.possible_agents}),
        "vector_env": (batch, lambda x: {role: np.full((2, n, 5), x) for role, n in counts.items()}),
        "SingleRole-v0": (gymnasium.make(ID, action_mode="continuous").unwrapped, lambda x: np.full(5, x)),
        "SingleRole-v0, a batch": (
            gymnasium.make_vec(ID, num_envs=2, action_mode="continuous", vectorization_mode="vector_entry_point"),
            lambda x: np.full((2, 5), x),
        ),
        "Tuple-v0": (TupleEnv(action_mode="continuous"), lambda x: [np.full(5, x)] * 11),
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
