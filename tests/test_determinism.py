"""A seed fixes the whole episode, bit for bit, however it is run."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from episodes import digest, episode, joint, keyed_efforts, keyed_levels, months_of, opened, world

import spiral_env
from spiral_env.core.state import FIELDS
from spiral_env.roles import NUM_LEVERS, ROLES

TESTS = Path(__file__).resolve().parent


@pytest.mark.parametrize("scenario", ["small-v1", "procedural-v1", "greenwash-boom-v1"])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_instances_live_the_same_episode(scenario: str, seed: int) -> None:
    first, second = spiral_env.parallel_env(scenario), spiral_env.parallel_env(scenario)
    assert episode(first, seed) == episode(second, seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_reset_with_the_same_seed_lives_the_same_episode_again(seed: int) -> None:
    env = spiral_env.parallel_env("small-v1")
    first = episode(env, seed)
    other = episode(env, seed + 5)
    assert episode(env, seed) == first
    assert other != first


def test_a_reset_in_the_middle_leaves_no_trace() -> None:
    env = spiral_env.parallel_env("small-v1")
    whole = episode(env, 4)
    env.reset(seed=9)
    list(months_of(env, 3, count=17))
    assert episode(env, 4) == whole


def test_unseeded_resets_after_a_seed_repeat_the_series_and_never_the_episode() -> None:
    first, second = spiral_env.parallel_env("small-v1"), spiral_env.parallel_env("small-v1")
    series = [episode(first, seed) for seed in (6, None, None)]
    assert series == [episode(second, seed) for seed in (6, None, None)]
    assert len({digest(entries) for entries in series}) == 3


def test_seeds_zero_and_one_differ_from_the_first_observation_on() -> None:
    env = spiral_env.parallel_env("small-v1")
    zero, one = episode(env, 0), episode(env, 1)
    assert zero[0] != one[0]
    assert digest(zero) != digest(one)


def test_without_a_seed_each_environment_and_each_reset_differs() -> None:
    first, second = spiral_env.parallel_env("small-v1"), spiral_env.parallel_env("small-v1")
    openings = [episode(env, None)[0] for env in (first, first, second, second)]
    assert len(set(openings)) == 4


@pytest.mark.parametrize("options", [{}, {"homogenize": True, "reward_mode": "cooperative"}])
def test_a_pickled_environment_goes_on_as_if_nothing_had_happened(options: dict) -> None:
    env = spiral_env.parallel_env("small-v1", **options)
    env.reset(seed=2)
    list(months_of(env, 7, count=23))
    twin = pickle.loads(pickle.dumps(env))
    assert twin.agents == env.agents
    assert list(months_of(twin, 7, first=23)) == list(months_of(env, 7, first=23))
    assert episode(twin, None) == episode(env, None)


def test_a_restored_snapshot_goes_on_exactly_and_is_not_worn_out() -> None:
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=2)
    list(months_of(env, 7, count=23))
    saved = env.snapshot()
    ahead = list(months_of(env, 7, first=23))
    assert env.agents == []
    for _ in range(2):
        env.restore(saved)
        assert list(months_of(env, 7, first=23)) == ahead
    other = spiral_env.parallel_env("small-v1")
    other.restore(saved)
    assert list(months_of(other, 7, first=23)) == ahead


def test_a_snapshot_before_the_first_reset_is_refused() -> None:
    for env in (spiral_env.parallel_env("small-v1"), spiral_env.vector_env("small-v1")):
        with pytest.raises(RuntimeError, match=r"snapshot\(\) needs a reset\(\) first"):
            env.snapshot()


@pytest.mark.parametrize(
    "options",
    [
        {"num_smes": 7},
        {"num_smes": 9},
        {"max_cycles": 59},
        {"scenario": "strict-privacy-v1"},
        {"scenario": "fragmented-v1"},
    ],
)
def test_a_snapshot_of_another_world_is_refused_and_leaves_no_trace(options: dict) -> None:
    for make in (spiral_env.parallel_env, spiral_env.vector_env):
        env, other = make(), make(**options)
        env.reset(seed=3)
        other.reset(seed=3)
        before = env.engine.states.tobytes()
        with pytest.raises((TypeError, ValueError)) as caught:
            env.restore(other.snapshot())
        assert "\n" not in str(caught.value)
        assert env.engine.states.tobytes() == before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_smes", 9, r"state field num_smes of row 0 must be in \[8, 8\], got 9"),
        ("month", 10**9, "state field month of row 0 must be in"),
        ("stage", 77, "state field stage of row 0 must be in"),
        ("posture", 10**10, "state field posture of row 0 must be in"),
        ("callee", 120, "state field callee of row 0 must be in"),
        ("num_open", 100_000, "state field num_open of row 0 must be in"),
        ("calls_end", 0, "state field"),
        ("trust", np.nan, "state field trust of row 0 must be in .* got nan"),
        ("sme_revenue", 0.0, "state field sme_revenue of row 0 must be in"),
        ("done", 1, "state field done must be 1 exactly where"),
        ("patched", 200, "state field patched must be how many"),
    ],
)
def test_a_damaged_record_is_named_by_its_field_also_in_a_pickle(field: str, value: float, message: str) -> None:
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=3)
    list(months_of(env, 7, count=9))
    saved = env.snapshot()
    saved["state"][field] = value
    if field == "calls_end":
        saved["state"][field][:, 0] = 40
    with pytest.raises(ValueError, match=message):
        env.restore(saved)
    env.engine.states[:] = saved["state"]
    with pytest.raises(ValueError, match=message):
        pickle.loads(pickle.dumps(env))


def test_numbers_without_an_end_of_their_own_are_refused_where_sums_of_them_would_not_be_finite() -> None:
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=3)
    saved = env.snapshot()
    for field in [x for x in FIELDS if x.kind == "f8" and not x.high]:
        largest = copy.deepcopy(saved)
        largest["state"][field.name][..., :1] = 9e23
        env.restore(largest)
        observations, rewards, *_ = env.step(
            {agent: np.ones_like(env.action_space(agent).sample()) for agent in env.agents}
        )
        assert np.isfinite(env.state()).all()
        assert all(env.observation_space(agent).contains(x) for agent, x in observations.items())
        assert np.isfinite(list(rewards.values())).all()
        largest["state"][field.name][..., :1] = 1e25
        with pytest.raises(ValueError, match=f"state field {field.name} of row 0 must be in"):
            env.restore(largest)


def test_a_restored_snapshot_gives_the_observations_of_that_month() -> None:
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=5)
    observations, *_ = env.step(joint(env, 1, 0))
    saved = env.snapshot()
    list(months_of(env, 1, first=1, count=5))
    again = env.restore(saved)
    assert all((observations[a] == again[a]).all() for a in observations)


def test_hash_randomisation_leaves_no_trace() -> None:
    program = (
        "import spiral_env; from episodes import digest, episode;"
        "print(digest(episode(spiral_env.parallel_env('procedural-v1'), 3)))"
    )
    printed = []
    for salt in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=True)
        printed.append(done.stdout.strip())
    assert set(printed) == {digest(episode(spiral_env.parallel_env("procedural-v1"), 3))}


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("num_envs", [1, 3, 17])
def test_a_row_of_a_batch_is_the_single_environment(num_envs: int, num_threads: int) -> None:
    first = 20
    batch = spiral_env.vector_env("procedural-v1", num_envs, num_threads, "disabled", copy=True)
    observed, _ = batch.reset(seed=first)
    log = [(observed, None, batch.state())]
    for month in range(batch.max_cycles):
        table = np.stack([keyed_levels(first + e, month, batch.num_agents) for e in range(num_envs)])
        parts = dict(zip(ROLES, np.split(table, [1, 2, 3], axis=1), strict=True))
        actions = {role: part[..., : NUM_LEVERS[role]] for role, part in parts.items()}
        observed, rewards, *_ = batch.step(actions)
        log.append((observed, rewards, batch.state()))
    batch.close()
    for row in {0, num_envs // 2, num_envs - 1}:
        env = spiral_env.parallel_env("procedural-v1")
        alone = episode(env, first + row, first + row)
        assert [_row(entry, row) for entry in log[: len(alone)]] == alone


def _row(entry: tuple, row: int) -> bytes:
    observed, rewards, state = entry
    seen = b"".join(observed[role][row].tobytes() for role in ROLES)
    paid = b"".join(rewards[role][row].tobytes() for role in ROLES) if rewards else b""
    return seen + paid + state[row].tobytes()


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("scenario", ["small-v1", "strict-privacy-v1"])
def test_the_order_of_the_domains_leaves_no_bit_of_difference(scenario: str, order: tuple[int, ...]) -> None:
    seeds = range(8)
    plain, turned = opened(world(scenario), seeds), opened(world(scenario), seeds)
    for month in range(40):
        efforts = keyed_efforts(seeds, month, plain.num_agents)
        plain.step(efforts)
        turned.step(efforts, np.array(order))
    assert plain.states.tobytes() == turned.states.tobytes()
    assert plain.scalars.tobytes() == turned.scalars.tobytes()


def test_every_seed_draws_other_events() -> None:
    engine = opened(world(), range(64))
    assert len({row.tobytes() for row in engine.states["sme_start_revenue"]}) == 64
    assert len(set(engine.states["mean_reach"])) == 64
