"""The views Gymnasium makes by id: a batch of one role, and all agents with Tuple spaces."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import middle
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeAwareObservation
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import spiral_env
from spiral_env.metrics import MONTH_KEYS, OUTCOME_KEYS, spending
from spiral_env.policy import StatusQuo, Uniform
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.single_role_vector_env import SingleRoleVectorEnv

ID = "spiral_env/SingleRole-v0"


def _batch(num_envs: int = 3, mode: str = "next_step", **options: Any) -> Any:
    kind = {"vectorization_mode": "vector_entry_point", "autoreset_mode": mode}
    return gymnasium.make_vec(ID, scenario="small-v1", num_envs=num_envs, **kind, **options)


def _assert_same(left: Any, right: Any) -> None:
    """Equal infos, nested as Gymnasium nests them."""
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            _assert_same(left[key], right[key])
    elif left.dtype == object:
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
@pytest.mark.parametrize("partners", ["status_quo", "uniform"])
@pytest.mark.parametrize("role", ROLES)
def test_the_batch_is_gymnasiums_own_vector_of_single_environments(role: str, partners: str, mode: str) -> None:
    options = {"role": role, "partners": partners, "max_cycles": 5}
    ours = _batch(mode=mode, **options)
    theirs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(ID, scenario="small-v1", **options)] * 3, autoreset_mode=ours.metadata["autoreset_mode"]
    )
    assert (ours.single_observation_space, ours.observation_space, ours.single_action_space, ours.action_space) == (
        (theirs.single_observation_space, theirs.observation_space, theirs.single_action_space, theirs.action_space)
    )
    for a, b in zip(ours.reset(seed=7), theirs.reset(seed=7), strict=True):
        _assert_same(a, b)
    ours.action_space.seed(0)
    for _ in range(13):
        actions = ours.action_space.sample()
        for a, b in zip(ours.step(actions), theirs.step(actions), strict=True):
            _assert_same(a, b)


def test_a_row_that_ends_early_reopens_alone() -> None:
    """Where collapses end episodes at different months, rows are out of step; so are their partners."""
    rows = np.array([2, 5, 9])
    ours = _batch(mode="disabled", partners={"sme": "uniform", "business": Uniform("business")})
    singles = [
        gymnasium.make(ID, scenario="small-v1", partners={"sme": "uniform", "business": Uniform("business")})
        for _ in rows
    ]
    ours.reset(seed=3)
    for i, env in enumerate(singles):
        env.reset(seed=3 + i)
    action = np.ones((3, NUM_LEVERS["it"]), dtype=np.int64)
    for month in range(12):
        due = rows == month
        if due.any():
            seen, _ = ours.reset(options={"reset_mask": due})
            for row in np.flatnonzero(due):
                np.testing.assert_array_equal(singles[row].reset()[0], seen[row])
        seen, paid, *_ = ours.step(action)
        for row, env in enumerate(singles):
            observation, reward, *_ = env.step(action[row])
            np.testing.assert_array_equal(observation, seen[row])
            assert reward == paid[row]


def test_the_seed_of_the_batch_decides() -> None:
    env = _batch()
    first = env.reset(seed=1)[0]
    assert not np.array_equal(first, env.reset(seed=2)[0])
    np.testing.assert_array_equal(first, env.reset(seed=[1, 2, 3])[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autoreset_mode": "never"}, "autoreset_mode must be one of"),
        ({"render_mode": "hologram"}, "render_mode must be None or one of ansi, rgb_array, human, got 'hologram'"),
        ({"role": "cfo"}, "role must be one of"),
        ({"partners": "friendly"}, "must be one of status_quo, uniform"),
    ],
)
def test_a_wrong_option_of_the_batch_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gymnasium.make_vec(ID, scenario="small-v1", num_envs=2, vectorization_mode="vector_entry_point", **options)


@pytest.mark.parametrize("name", ["spiral_env/SingleRole-v0"])
def test_a_single_role_refuses_to_be_homogenised(name: str) -> None:
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(ValueError, match="homogenize must be left out for a single role, got True"):
            make(name, homogenize=True)


def test_a_mask_of_the_wrong_length_and_a_seed_past_the_last_are_named() -> None:
    batch = SingleRoleVectorEnv(num_envs=2)
    for rows in (1, 3):
        with pytest.raises(ValueError, match=r"reset_mask must have shape \(2,\)"):
            batch.reset(seed=0, options={"reset_mask": np.ones(rows, dtype=np.bool_)})
    for env in (batch, spiral_env.vector_env("small-v1", 2)):
        with pytest.raises(ValueError, match=r"seed must be in \[0, 2\^63\), got 9223372036854775808"):
            env.reset(seed=2**63 - 1)


def test_rows_that_end_keep_the_rewards_of_their_last_month() -> None:
    same, plain = (
        spiral_env.vector_env("small-v1", 2, autoreset_mode=m, max_cycles=2) for m in ("same_step", "disabled")
    )
    for env in (same, plain):
        env.reset(seed=3)
        for _ in range(2):
            env.step(middle(env))
    for role, vectors in plain.reward_vectors().items():
        assert np.abs(vectors).sum() > 0.0
        np.testing.assert_array_equal(same.reward_vectors()[role], vectors)


def test_actions_of_the_wrong_shape_are_named() -> None:
    env, levers = _batch(), NUM_LEVERS["it"]
    with pytest.raises(RuntimeError, match="needs a reset"):
        env.step(np.ones((3, levers), dtype=np.int64))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"actions must have shape \(3, {levers}\), got \(2, {levers}\)"):
        env.step(np.ones((2, levers), dtype=np.int64))


@pytest.mark.parametrize("mode", ["discrete", "multi_discrete", "continuous"])
def test_gymnasium_accepts_the_batch_of_one_role_alone(mode: str) -> None:
    env = gymnasium.make(ID, scenario="small-v1", action_mode=mode, partners={"it": StatusQuo("it")})
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
def test_the_info_that_ends_an_episode_holds_its_outcomes(mode: str) -> None:
    batch, single = _batch(mode=mode, max_cycles=3), gymnasium.make(ID, scenario="small-v1", max_cycles=3)
    batch.reset(seed=7)
    single.reset(seed=8)
    action = np.ones(NUM_LEVERS["it"], dtype=np.int64)
    for month in range(3):
        *_, infos = batch.step(np.stack([action] * 3))
        *_, info = single.step(action)
        assert (set(info) == set(MONTH_KEYS)) == (month < 2)
    assert set(info) == {*MONTH_KEYS, *OUTCOME_KEYS.values()}
    assert {name: info[key] for name, key in OUTCOME_KEYS.items()} == single.unwrapped.inner.metrics()
    final = infos["final_info"] if mode == "same_step" else infos
    assert {key: final[key][1] for key in info} == info
    assert all(final[f"_{key}"].all() for key in info)


def test_gymnasiums_statistics_stand_beside_the_outcomes() -> None:
    envs = RecordEpisodeStatistics(_batch(max_cycles=2))
    envs.reset(seed=0)
    for _ in range(2):
        *_, infos = envs.step(np.ones((3, NUM_LEVERS["it"]), dtype=np.int64))
    np.testing.assert_allclose(infos["episode"]["r"], infos["outcome_return_it"])


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
@pytest.mark.parametrize("limit", [3, 5, 9])
def test_a_shorter_limit_on_episodes_is_gymnasiums_time_limit(mode: str, limit: int) -> None:
    options = {"max_cycles": 5, "max_episode_steps": limit, "num_envs": 3}
    ours = _batch(mode=mode, **options)
    kind = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": ours.metadata["autoreset_mode"]}}
    theirs = gymnasium.make_vec(ID, scenario="small-v1", **kind, **options)
    for a, b in zip(ours.reset(seed=7), theirs.reset(seed=7), strict=True):
        _assert_same(a, b)
    for _ in range(13):
        actions = np.ones((3, NUM_LEVERS["it"]), dtype=np.int64)
        for a, b in zip(ours.step(actions), theirs.step(actions), strict=True):
            _assert_same(a, b)


@pytest.mark.parametrize("name", [ID, "spiral_env/Tuple-v0"])
def test_the_spec_names_the_horizon_and_no_second_limit_cuts(name: str) -> None:
    env = gymnasium.make(name, scenario="small-v1", max_cycles=7)
    assert env.spec.max_episode_steps == 7
    assert "TimeLimit" not in str(env)
    assert gymnasium.make(name, scenario="small-v1", max_episode_steps=4).spec.max_episode_steps == 4
    again = gymnasium.make(env.spec)
    again.reset(seed=0)
    action = again.action_space.sample()
    ends = [again.step(action)[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(False, True)]


def test_the_batch_names_the_horizon_and_is_made_again_from_its_spec() -> None:
    batch = _batch(max_cycles=7)
    assert batch.spec.max_episode_steps == 7
    assert gymnasium.make_vec(batch.spec).horizon == 7
    assert gymnasium.make_vec(gymnasium.make(ID, scenario="small-v1", max_cycles=7).spec, num_envs=2).horizon == 7
    for wrong in (0, True, 1.5):
        with pytest.raises((TypeError, ValueError), match=r"max_episode_steps must be (in \[1|an integer)"):
            _batch(max_episode_steps=wrong)


def test_gymnasiums_wrappers_of_time_and_frames_find_what_they_read() -> None:
    env = TimeAwareObservation(gymnasium.make(ID, scenario="small-v1"), flatten=True)
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    for name in (ID, "spiral_env/Tuple-v0"):
        assert gymnasium.make(name, scenario="small-v1").metadata["render_fps"] > 0
    assert _batch().metadata["render_fps"] > 0
    assert spiral_env.parallel_env("small-v1").metadata["render_fps"] > 0


@pytest.mark.parametrize("homogenize", [True, False])
def test_the_tuple_view_is_the_parallel_environment(homogenize: bool) -> None:
    view = gymnasium.make("spiral_env/Tuple-v0", scenario="small-v1", homogenize=homogenize, max_cycles=6)
    plain = spiral_env.parallel_env("small-v1", action_mode="discrete", homogenize=homogenize, max_cycles=6)
    names = plain.possible_agents
    view.unwrapped.seed(4)
    for seed in (4, None):
        seen, _ = view.reset()
        plain_seen, _ = plain.reset(seed=seed)
        assert view.observation_space.contains(seen)
        for month in range(6):
            actions = [(31 * month + 7 * k) % 3 ** min(NUM_LEVERS.values()) for k in range(view.unwrapped.n_agents)]
            for k, name in enumerate(names):
                np.testing.assert_array_equal(seen[k], plain_seen[name])
            seen, paid, ended, cut, info = view.step(actions)
            plain_seen, plain_paid, *_ = plain.step(dict(zip(names, actions, strict=True)))
            assert paid == list(plain_paid.values())
            assert (ended, cut) == (False, month == 5)
        assert info == {**spending(plain.engine.states[0]), "episode_limit": True, **plain.metrics()}


def test_the_tuple_view_names_a_wrong_number_of_actions() -> None:
    view = gymnasium.make("spiral_env/Tuple-v0", scenario="small-v1", num_smes=2)
    view.reset(seed=0)
    with pytest.raises(ValueError, match="action must hold 5 actions, got 4"):
        view.step([0, 0, 0, 0])


def test_epymarls_wrapper_finds_what_it_reads() -> None:
    """It makes the id, module first, under its own time limit, pads by ``n`` and ``shape``, seeds, steps with ints."""
    view = gymnasium.make("spiral_env:spiral_env/Tuple-v0", max_episode_steps=60, scenario="one-month-pool-v1")
    base = view.unwrapped
    assert max(space.n for space in view.action_space) == 3**MAX_LEVERS
    assert len({space.shape for space in view.observation_space}) == 1
    assert len(view.action_space) == len(view.observation_space) == base.n_agents
    base.seed(3)
    seen, _ = view.reset()
    again, _ = view.reset(seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(seen, again, strict=True))
    _, rewards, ended, cut, info = view.step([121] * base.n_agents)
    assert [type(x) for x in (rewards, ended, cut)] == [list, bool, bool]
    assert all(isinstance(x, float) for x in rewards)
    assert all(isinstance(x, bool | float) for x in info.values()), "EPyMARL adds infos up"
