"""Which worlds a seed opens: no two rows of a training run share one, and evaluation plays none of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import gymnasium
import numpy as np
import pytest

import spiral_env
from spiral_env.scenarios.seeds import SPLITS, row_seeds
from spiral_env.tuple_env import TupleEnv

ID = "spiral_env/SingleRole-v0"
COPIES, ROWS, EPISODES = 2, 16, 3


def world_seeds(env: Any) -> list[int]:
    """The own seeds of the worlds that are open in any of our environments, or in the rows of a vector of them."""
    if hasattr(env, "envs"):
        return list(chain.from_iterable(world_seeds(row) for row in env.envs))
    bare = getattr(env, "unwrapped", env)
    for name in ("inner", "batch"):
        bare = getattr(bare, name, bare)
    return bare.engine.states["seed"].tolist()


def _batch(split: str | None) -> Any:
    return spiral_env.vector_env("small-v1", num_envs=ROWS, split=split)


def _single_role_batch(split: str | None) -> Any:
    return gymnasium.make_vec(
        ID, scenario="small-v1", num_envs=ROWS, split=split, vectorization_mode="vector_entry_point"
    )


SINGLE: dict[str, Callable[[str | None], Any]] = {
    "parallel_env": lambda split: spiral_env.parallel_env("small-v1", split=split),
    "env": lambda split: spiral_env.env("small-v1", split=split),
    "SingleRole-v0": lambda split: gymnasium.make(ID, scenario="small-v1", split=split),
    "Tuple-v0": lambda split: TupleEnv("small-v1", split=split),
}
BATCHES = {"vector_env": _batch, "SingleRole-v0": _single_role_batch}


def _lived(env: Any, seed: int) -> list[int]:
    """Own seeds of the first episodes after ``reset(seed)``."""
    env.reset(seed=seed)
    found = world_seeds(env)
    for _ in range(EPISODES - 1):
        env.reset()
        found += world_seeds(env)
    return found


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", BATCHES)
def test_copies_with_consecutive_seeds_share_no_world(name: str, split: str) -> None:
    """As PufferLib, Ray and Gymnasium's vectors of vectors seed them."""
    copies = [_lived(BATCHES[name](split), 7 + i) for i in range(COPIES)]
    assert len(set(chain.from_iterable(copies))) == COPIES * ROWS * EPISODES


@pytest.mark.parametrize("split", [None, *SPLITS])
@pytest.mark.parametrize("name", SINGLE)
def test_single_environments_with_consecutive_seeds_share_no_world(name: str, split: str | None) -> None:
    lived = [_lived(SINGLE[name](split), 7 + i) for i in range(ROWS)]
    assert len(set(chain.from_iterable(lived))) == ROWS * EPISODES


@pytest.mark.parametrize("split", [None, *SPLITS])
@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_the_rows_of_gymnasiums_vectors_share_no_world(mode: str, split: str | None) -> None:
    envs = gymnasium.make_vec(
        ID, scenario="small-v1", num_envs=ROWS, split=split, vectorization_mode=mode, max_cycles=2
    )
    envs.reset(seed=3)
    found = []
    for _ in range(EPISODES):
        found += world_seeds(envs)
        for _ in range(3):
            envs.step(envs.action_space.sample())
    assert len(set(found)) == ROWS * EPISODES


@pytest.mark.parametrize("name", SINGLE)
def test_a_split_keeps_every_world_in_its_own_range(name: str) -> None:
    scenario = spiral_env.load_scenario("small-v1")
    for split, (low, high) in (("train", scenario.train_seeds), ("held_out", scenario.held_out_seeds)):
        for seed in (0, 5, 2**40):
            assert all(low <= own < high for own in _lived(SINGLE[name](split), seed))
        unseeded = SINGLE[name](split)
        unseeded.reset()
        assert all(low <= own < high for own in world_seeds(unseeded))


@pytest.mark.parametrize("split", [None, *SPLITS])
def test_a_row_is_the_single_environment_with_its_seed(split: str | None) -> None:
    single = [_lived(spiral_env.parallel_env("small-v1", split=split), seed) for seed in (4, 9)]
    batch = spiral_env.vector_env("small-v1", num_envs=2, split=split)
    batch.reset(seed=[4, 9])
    assert world_seeds(batch) == [lived[0] for lived in single]
    batch.reset()
    assert world_seeds(batch) == [lived[1] for lived in single]
    one = spiral_env.vector_env("small-v1", num_envs=1, split=split)
    assert _lived(one, 4) == single[0]


@pytest.mark.parametrize("split", [None, *SPLITS])
def test_a_compiled_batch_and_single_environments_play_the_same_for_one_seed_a_row(split: str | None) -> None:
    batch, single = (
        gymnasium.make_vec(ID, 3, vectorization_mode=m, split=split) for m in ("vector_entry_point", "sync")
    )
    for env in (batch, single):
        env.reset(seed=[8, 3, 5])
    assert world_seeds(batch) == world_seeds(single)


def test_without_a_split_the_seed_is_the_worlds_own() -> None:
    assert _lived(spiral_env.parallel_env("small-v1"), 5)[0] == 5
    assert _lived(_batch(None), 5)[:ROWS] == list(range(5, 5 + ROWS))


def test_the_seed_decides_the_worlds_of_a_split() -> None:
    assert _lived(_batch("train"), 5) == _lived(_batch("train"), 5)
    assert not set(_lived(_batch("train"), 5)) & set(_lived(_batch("train"), 6))


@pytest.mark.parametrize("make", [*SINGLE.values(), *BATCHES.values()])
def test_an_unknown_split_is_named_in_one_line(make: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="split must be None or one of train, held_out, got 'test'"):
        make("test")


@pytest.mark.parametrize("seed", [{1, 2}, {1: 2, 3: 4}, "12", b"12", iter([1, 2]), np.array(5)])
def test_seeds_of_rows_are_a_sequence(seed: Any) -> None:
    with pytest.raises(TypeError, match="seed must be an integer or a sequence of 2 integers, got"):
        row_seeds(seed, 2)


@pytest.mark.parametrize("name", [*SINGLE, "vector_env"])
@pytest.mark.parametrize("seed", [True, 1.5, float("nan"), "7", -1, 2**63, 10**4000, np.float64(2), np.arange(10**6)])
def test_what_is_no_seed_is_one_short_line(name: str, seed: Any) -> None:
    env = SINGLE[name](None) if name in SINGLE else spiral_env.vector_env("small-v1", num_envs=2)
    with pytest.raises((TypeError, ValueError)) as caught:
        env.reset(seed=seed)
    assert str(caught.value).startswith("seed must be ")
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", [True, ["train"], np.array(["train", "held_out"]), "Train", "x" * 10**6])
def test_what_is_no_split_is_one_short_line(split: Any) -> None:
    with pytest.raises(ValueError, match=r"^split must be None or one of train, held_out, got ") as caught:
        spiral_env.parallel_env("small-v1", split=split)
    assert len(str(caught.value)) < 120
