"""The batch with tensors: the numbers of the batch with arrays, in every mode, and nothing looked at in a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import spiral_env
from spiral_env.scenarios.seeds import series
from spiral_env.tensor_vector_env import TensorVectorEnv
from tests.benchmarks.gpu import levels

ROWS = 3


def pair(world: str = "small-v1", **options: Any) -> tuple[Any, Any]:
    """A batch with arrays and one with tensors, both just opened."""
    envs = [spiral_env.vector_env(world, ROWS, device=d, **options) for d in (None, "cpu")]
    for env in envs:
        env.reset(seed=5)
    return envs[0], envs[1]


def same(tensors: dict[str, torch.Tensor], arrays: dict[str, np.ndarray]) -> bool:
    return tensors.keys() == arrays.keys() and all(np.array_equal(tensors[k], arrays[k]) for k in arrays)


def played(env: Any, mode: str, month: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(month)
    if mode == "continuous":
        return {r: rng.uniform(-0.1, 1.1, (ROWS, n, env.options.num_levers(r))) for r, n in env.num_agents_of.items()}
    if mode == "discrete":
        return {r: rng.integers(0, env.single_action_space[r].n, (ROWS, n)) for r, n in env.num_agents_of.items()}
    return levels(env, month)


@pytest.mark.parametrize("autoreset", ["next_step", "same_step", "disabled"])
@pytest.mark.parametrize(
    ("world", "options"),
    [
        ("small-v1", {"action_mode": "multi_discrete", "copy": True}),
        ("small-v1", {"action_mode": "continuous", "reward_mode": "cooperative"}),
        ("small-v1", {"action_mode": "discrete", "reward_basis": "realised"}),
        ("procedural-v1", {"split": "train", "reward_mode": "selfish"}),
        ("procedural-v1", {"split": "held_out", "action_mode": "continuous"}),
    ],
)
def test_tensors_hold_what_the_arrays_hold(autoreset: str, world: str, options: dict[str, Any]) -> None:
    arrays, tensors = pair(world, autoreset_mode=autoreset, max_cycles=4, **options)
    ends = 0
    for month in range(11):
        actions = played(arrays, options.get("action_mode", ""), month)
        seen, paid, fallen, cut, info = arrays.step(actions)
        got = tensors.step({role: torch.as_tensor(x) for role, x in actions.items()})
        assert same(got[0], seen)
        assert same(got[1], paid)
        assert np.array_equal(got[2], fallen)
        assert np.array_equal(got[3], cut)
        assert same(tensors.reward_vectors(), arrays.reward_vectors())
        assert same(tensors.spending(), arrays.spending())
        ended = info.get("_final_metrics", np.zeros(ROWS, dtype=bool))
        assert np.array_equal(got[4]["_final_metrics"], ended)
        ends += ended.sum()
        for name, values in info.get("final_metrics", {}).items():
            assert got[4]["final_metrics"][name].numpy()[ended] == pytest.approx(values[ended], rel=1e-12, abs=1e-12)
        for role, values in info.get("final_obs", {}).items():
            assert np.array_equal(got[4]["final_obs"][role].numpy()[ended], values[ended])
    assert ends >= (ROWS if autoreset == "disabled" else 2 * ROWS)
    assert np.array_equal(tensors.state(), arrays.state())
    for name, values in arrays.metrics().items():
        assert tensors.metrics()[name].numpy() == pytest.approx(values, rel=1e-12, abs=1e-12)


def test_homogenised_spaces_are_the_same() -> None:
    arrays, tensors = pair(homogenize=True, levels=5)
    actions = {r: np.ones((ROWS, n, arrays.options.num_levers(r)), np.int64) for r, n in arrays.num_agents_of.items()}
    seen, *_ = arrays.step(actions)
    got, *_ = tensors.step({role: torch.as_tensor(x) for role, x in actions.items()})
    assert same(got, seen)
    assert tensors.single_observation_space == arrays.single_observation_space


def test_a_snapshot_goes_on_with_arrays_and_with_tensors() -> None:
    arrays, tensors = pair("procedural-v1", split="train", max_cycles=3)
    for month in range(3):
        arrays.step(levels(arrays, month))
    taken = arrays.snapshot()
    assert same(tensors.restore(taken), arrays.restore(tensors.snapshot()))
    for month in range(3, 6):
        actions = levels(arrays, month)
        assert same(tensors.step({r: torch.as_tensor(x) for r, x in actions.items()})[0], arrays.step(actions)[0])
    damaged = dict(taken, states=taken["states"][:1])
    with pytest.raises(ValueError, match="states of a snapshot must be bytes of shape"):
        tensors.restore(damaged)


def test_masked_rows_are_opened_alone() -> None:
    arrays, tensors = pair(split="train")
    for env in (arrays, tensors):
        env.step({r: torch.as_tensor(x) for r, x in levels(env, 0).items()} if env is tensors else levels(env, 0))
    mask = np.array([True, False, True])
    seen, _ = arrays.reset(seed=9, options={"reset_mask": mask})
    assert same(tensors.reset(seed=9, options={"reset_mask": torch.as_tensor(mask)})[0], seen)
    seen, _ = arrays.reset(options={"reset_mask": ~mask})
    assert same(tensors.reset(options={"reset_mask": ~mask})[0], seen)


def test_a_series_of_seeds_is_the_same_for_integers_and_tensors() -> None:
    seeds, numbers = [0, 1, 2**62 + 5, 2**63 - 1], [0, 1, 7, 10**6]
    whole = series(torch.tensor(seeds), torch.tensor(numbers), (2**32, 2**62))
    assert whole.tolist() == [series(s, n, (2**32, 2**62)) for s, n in zip(seeds, numbers, strict=True)]
    assert series(1, 2, (0, 2**62)) == 196268158620989534


def test_what_is_no_tensor_of_the_device_is_refused_in_one_line() -> None:
    _, env = pair()
    actions = {role: torch.as_tensor(x) for role, x in levels(env, 0).items()}
    with pytest.raises(ValueError, match=r"^actions of it must be a tensor \(3, 1, \d\) on cpu, got an array of i8"):
        env.step(dict(actions, it=levels(env, 0)["it"]))
    with pytest.raises(ValueError, match=r"^actions must name every role, 'sme' is missing$"):
        env.step({role: x for role, x in actions.items() if role != "sme"})
    with pytest.raises(ValueError, match=r"^actions of sme must be integers, got dtype torch.float32$"):
        env.step(dict(actions, sme=actions["sme"].float()))
    for bad in (3, -1):
        with pytest.raises(ValueError, match=r"^actions of sme: .* must be inside MultiDiscrete"):
            env.step(dict(actions, sme=torch.full_like(actions["sme"], bad)))
    env.step(actions)


def test_nothing_is_asked_of_the_device_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that refuse to be looked at: truth, numbers, lists, arrays of the host."""
    _, env = pair("procedural-v1", split="train", max_cycles=3)
    actions = {role: torch.as_tensor(x) for role, x in levels(env, 0).items()}
    # The engine of the processor takes arrays; what a GPU's does is held to this in tests/test_cuda.py.
    monkeypatch.setattr(env.engine, "step", lambda: None)
    monkeypatch.setattr(env.engine, "reset", lambda *_: None)
    monkeypatch.setattr(env, "check", lambda: None)

    def looked_at(*_: Any) -> Any:
        raise AssertionError("a step waited for the device")

    for name in ("__bool__", "__int__", "__float__", "__index__", "item", "tolist", "numpy", "cpu", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, looked_at)
    for _ in range(5):
        env.step(actions)


def test_the_class_for_tensors_is_chosen_by_the_device() -> None:
    assert type(spiral_env.SpiralVectorEnv()) is spiral_env.SpiralVectorEnv
    assert type(spiral_env.SpiralVectorEnv(device="cpu")) is TensorVectorEnv


def test_a_batch_on_a_device_refuses_to_be_drawn() -> None:
    with pytest.raises(ValueError, match="render_mode must be None with a device, got 'rgb_array'"):
        spiral_env.vector_env("small-v1", device="cpu", render_mode="rgb_array")
