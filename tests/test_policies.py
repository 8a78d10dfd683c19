"""Policies get nothing of the evaluator's, and whatever they answer is efforts or one clear line."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.policy import StatusQuo, Uniform, ask_policy, episode_keys, reset_policy
from spiral_env.roles import FEATURES, NUM_LEVERS, ROLES
from spiral_env.single_role_env import SingleRoleEnv


class Kept:
    """The average firm; keeps all that it is given and all that it answers."""

    name = "kept"

    def __init__(self, role: str) -> None:
        """For one role."""
        self.inner, self.keys, self.seen, self.answers = StatusQuo(role), [], [], []

    def reset(self, keys: np.ndarray) -> None:
        """Keep the keys."""
        self.keys.append(keys)

    def act(self, observation: np.ndarray) -> Any:
        """Keep observation and answer."""
        self.seen.append(observation)
        self.answers.append(self.inner.act(observation))
        return self.answers[-1]


class Vandal(Kept):
    """Writes to whatever it can reach."""

    def reset(self, keys: np.ndarray) -> None:
        """Overwrite the keys, and what they may be a view of."""
        super().reset(keys)
        while isinstance(keys, np.ndarray):
            keys[:] = 7
            keys = keys.base

    def act(self, observation: np.ndarray) -> Any:
        """Overwrite the observation and the last answer."""
        answer = super().act(observation)
        observation[:] = 9.0
        for old in self.answers[:-1]:
            old[:] = 1.0
        return answer


class Answers:
    """Answers what a function makes of the right shape."""

    name = "answers"

    def __init__(self, make: Callable[[tuple[int, ...]], Any], role: str = "sme") -> None:
        """With the function."""
        self.make, self.levers = make, NUM_LEVERS[role]

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> Any:
        """Whatever the function makes."""
        return self.make((*observation.shape[:2], self.levers))


def _team(role: str, policy: Any) -> dict[str, Any]:
    return {r: StatusQuo(r) for r in ROLES} | {role: policy}


def _same(a: EpisodeTable, b: EpisodeTable) -> bool:
    return a.seeds.tolist() == b.seeds.tolist() and all(
        np.array_equal(x, b.metrics[name], equal_nan=True) for name, x in a.metrics.items()
    )


def test_a_policy_that_writes_to_all_it_is_given_changes_nothing() -> None:
    honest = run_episodes("small-v1", _team("it", StatusQuo("it")) | {"sme": Uniform("sme")}, 6, num_envs=4)
    vandal = run_episodes("small-v1", _team("it", Vandal("it")) | {"sme": Uniform("sme")}, 6, num_envs=4)
    assert _same(honest, vandal)
    assert vandal.seeds.tolist() == list(range(6))


def test_a_policy_is_given_arrays_of_its_own() -> None:
    policy = Kept("it")
    run_episodes("small-v1", _team("it", policy), 5, num_envs=2, max_cycles=3)
    given = [*policy.keys, *policy.seen]
    assert len(given) == 3 + 9
    assert all(x.base is None and x.flags.owndata and x.flags.writeable for x in given)
    assert not any(np.shares_memory(a, b) for a in given for b in given if a is not b)


def test_keys_follow_from_the_place_in_the_evaluation_and_not_from_the_world() -> None:
    def keys(seed: int, num_envs: int) -> list[int]:
        policy = Kept("it")
        run_episodes("small-v1", _team("it", policy), 5, seed, num_envs=num_envs, max_cycles=1)
        return np.concatenate(policy.keys).tolist()

    first = keys(0, 5)
    assert len(set(first)) == 5
    assert keys(0, 2) == keys(1_000_000, 3) == first
    assert not set(first) & set(range(100))


def test_keys_are_fixed_and_cannot_be_told_from_each_other_by_their_numbers() -> None:
    keys = episode_keys(range(4000))
    assert keys.dtype == np.int64
    assert (keys >= 0).all()
    assert len(set(keys.tolist())) == 4000
    np.testing.assert_array_equal(episode_keys([3, 1]), keys[[3, 1]])
    assert abs(np.corrcoef(np.arange(4000), keys.astype(float))[0, 1]) < 0.05
    assert abs(float(np.mean(keys / 2.0**63)) - 0.5) < 0.02


@pytest.mark.parametrize("num_envs", [1, 4, 7])
def test_chunks_do_not_change_what_random_policies_do(num_envs: int) -> None:
    team = {role: Uniform(role) for role in ROLES}
    whole = run_episodes("procedural-v1", team, 7, seed=3, num_envs=64, max_cycles=12)
    assert _same(whole, run_episodes("procedural-v1", team, 7, seed=3, num_envs=num_envs, max_cycles=12))


def test_partners_of_a_single_role_get_keys_and_copies() -> None:
    partner = Vandal("sme")
    env = SingleRoleEnv("it", {"sme": partner}, "small-v1")
    plain = SingleRoleEnv("it", {"sme": StatusQuo("sme")}, "small-v1")
    for seed in (11, None):
        np.testing.assert_array_equal(env.reset(seed=seed)[0], plain.reset(seed=seed)[0])
        for _ in range(5):
            got, want = (x.step(np.ones(NUM_LEVERS["it"], dtype=int)) for x in (env, plain))
            np.testing.assert_array_equal(got[0], want[0])
            assert got[1] == want[1]
    assert len(partner.keys) == 2


def test_partners_keys_are_no_seeds_and_those_of_the_batch() -> None:
    partner, rows = Kept("sme"), 3
    env = SingleRoleEnv("it", {"sme": partner}, "small-v1")
    for seed in (11, 12, 13):
        env.reset(seed=seed)
    keys = np.concatenate(partner.keys).tolist()
    assert len(set(keys)) == rows
    assert not set(keys) & {11, 12, 13}
    batch = gymnasium.make_vec(
        "spiral_env/SingleRole-v0", scenario="small-v1", num_envs=rows, role="it", partners={"sme": partner}
    )
    batch.reset(seed=11)
    copies = batch.unwrapped._partners["sme"]._rows
    assert [int(x.keys[-1][0]) for x in copies] == keys


def test_a_partner_that_gives_no_efforts_is_named_in_a_batch_too() -> None:
    partners = {"sme": Answers(lambda shape: np.full(shape, 2.0))}
    batch = gymnasium.make_vec(
        "spiral_env/SingleRole-v0", scenario="small-v1", num_envs=2, role="it", partners=partners
    )
    batch.reset(seed=0)
    with pytest.raises(ValueError, match=r"policy answers of sme must give efforts in \[0, 1\]"):
        batch.step(np.ones((2, NUM_LEVERS["it"]), dtype=int))


RIGHT: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "lists": lambda shape: np.full(shape, 0.5).tolist(),
    "float32": lambda shape: np.full(shape, 0.5, dtype=np.float32),
    "integers": lambda shape: np.ones(shape, dtype=np.int64),
    "truths": lambda shape: np.ones(shape, dtype=np.bool_),
    "rounding": lambda shape: np.full(shape, 1.0 + 1e-7),
    "read-only": lambda shape: np.broadcast_to(0.5, shape),
}


class Odd:
    """Cannot be read as an array."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise KeyError("odd")


WRONG: dict[str, tuple[Callable[[tuple[int, ...]], Any], str]] = {
    "nan": (lambda shape: np.full(shape, np.nan), "got edge nan"),
    "infinite": (lambda shape: np.full(shape, np.inf), "got edge inf"),
    "above": (lambda shape: np.full(shape, 1.1), "got edge 1.1"),
    "below": (lambda shape: np.full(shape, -0.5), "got edge -0.5"),
    "one lever": (lambda shape: 3.0 * np.eye(shape[-1])[None, :1], "got edge 3"),
    "short": (lambda shape: np.full(shape, 0.5)[..., :2], "got shape (1, 1, 2)"),
    "flat": (lambda shape: np.full(7, 0.5), "got shape (7,)"),
    "number": (lambda shape: 0.5, "got shape ()"),
    "none": (lambda shape: None, "got NoneType of object"),
    "ragged": (lambda shape: [[[0.5] * 4, [0.5]]], "ValueError"),
    "text": (lambda shape: np.full(shape, "0.5"), "got ndarray of <U3"),
    "complex": (lambda shape: np.full(shape, 0.5 + 0j), "got ndarray of complex128"),
    "dates": (lambda shape: np.full(shape, np.datetime64("2026-01-01")), "got ndarray of datetime64"),
    "dictionary": (lambda shape: {"edge": 1.0}, "got dict of object"),
    "no array": (lambda shape: Odd(), "KeyError: 'odd'"),
    "ends the process": (lambda shape: sys.exit(3), "failed in act(): SystemExit: 3"),
    "fails": (lambda shape: 1 / 0, "failed in act(): ZeroDivisionError: division by zero (test_policies.py, line "),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_what_can_be_read_as_efforts_is(make: Callable[[tuple[int, ...]], Any]) -> None:
    seen = np.zeros((2, 3, len(FEATURES["sme"])), dtype=np.float32)
    efforts = ask_policy(Answers(make), "sme", seen)
    assert efforts.dtype == np.float64
    assert efforts.shape == (2, 3, NUM_LEVERS["sme"])
    assert ((efforts >= 0.0) & (efforts <= 1.0)).all()


@pytest.mark.parametrize(("make", "named"), WRONG.values(), ids=WRONG)
def test_what_is_no_effort_is_one_line_that_names_role_and_policy(
    make: Callable[[tuple[int, ...]], Any], named: str
) -> None:
    with pytest.raises(ValueError, match=r"^policy answers of it ") as caught:
        ask_policy(Answers(make, "it"), "it", np.zeros((1, 1, len(FEATURES["it"])), dtype=np.float32))
    line = str(caught.value)
    assert named in line
    assert "\n" not in line
    assert len(line) < 300


def test_a_policy_that_fails_to_open_an_episode_is_named() -> None:
    policy = Answers(lambda shape: 0)
    policy.reset = lambda keys: copy.deepcopy(keys)[10]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"policy answers of sme failed in reset\(\): IndexError: .* line \d+\)$"):
        reset_policy(policy, "sme", episode_keys([1]))


@pytest.mark.parametrize("what", [None, "scripted", StatusQuo, object()])
def test_what_is_no_policy_is_refused(what: Any) -> None:
    with pytest.raises(TypeError, match=r"policy of it must be an object with name, reset\(\) and act\(\), got "):
        run_episodes("small-v1", _team("it", what), 1)


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="role must be one of"):
        run_episodes("small-v1", _team("auditor", StatusQuo("it")), 1)
