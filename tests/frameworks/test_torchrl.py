from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule, TensorDictSequential
from torchrl.envs import EnvBase, ParallelEnv, PettingZooWrapper, SerialEnv
from torchrl.envs.utils import ExplorationType, check_env_specs, set_exploration_type
from torchrl.modules import MLP, NormalParamExtractor, ProbabilisticActor
from torchrl.record.loggers import CSVLogger

import spiral_env
from frameworks.checks import (
    Record,
    all_distinct,
    chosen,
    episodes,
    learned_then_judged,
    replay,
    run_example,
    speeds,
    worlds_opened,
)
from spiral_env.adapters.torchrl import SpiralEnv, outcomes
from spiral_env.metrics import HEADLINES, METRICS
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios.seeds import row_seeds

FRAMEWORK = {"title": "TorchRL", "package": "torchrl", "adapter": "spiral_env.adapters.torchrl"}
MODES = ("multi_discrete", "discrete", "continuous")
torch.set_num_threads(1)


def _policy(env: EnvBase) -> TensorDictSequential:
    """A network a role that draws from all joint actions."""
    actors = []
    for role in ROLES:
        width = env.observation_spec[role, "observation"].shape[-1]
        logits = TensorDictModule(
            MLP(width, 3 ** NUM_LEVERS[role], num_cells=[64, 64]),
            in_keys=[(role, "observation")],
            out_keys=[(role, "logits")],
        )
        actor = ProbabilisticActor(
            logits,
            in_keys={"logits": (role, "logits")},
            out_keys=[(role, "action")],
            distribution_class=torch.distributions.Categorical,
        )
        actors.append(actor)
    return TensorDictSequential(*actors)


def _paid(months: TensorDictBase) -> np.ndarray:
    """Rewards of all groups, ``[..., T, agents]``."""
    return torch.cat([months["next", role, "reward"] for role in ROLES], dim=months.batch_dims).numpy()[..., 0]


def test_the_example_trains(record: Record) -> None:
    # The policy is built after the losses it is made of.
    with worlds_opened() as opened:
        ran = run_example(
            "torchrl", weights=lambda names: (names["policy"], dict(names["losses"].named_parameters()))[1]
        )
    record.trained(ran.before, ran.after)
    learned_then_judged(opened, 5 * 16, 16)
    assert ran.names["scores"]["ecosystem_value"] > 0.0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("return_state", [False, True])
def test_specs_hold(mode: str, return_state: bool) -> None:
    env = SpiralEnv("small-v1", num_envs=3, action_mode=mode, return_state=return_state, max_cycles=2)
    check_env_specs(env, break_when_any_done="both")
    check_env_specs(env, seed=3)
    env.close()


@pytest.mark.parametrize("mode", MODES)
def test_one_group_holds_all_agents_in_order(mode: str) -> None:
    env = SpiralEnv("small-v1", num_envs=2, action_mode=mode, homogenize=True, one_group=True, seed=9)
    check_env_specs(env)
    env.set_seed(9)
    months = env.rollout(20)
    seed = row_seeds(9, 2, "train")[1]
    ours = replay(seed, months["agents", "action"][1].numpy(), action_mode=mode, homogenize=True, split="train")
    np.testing.assert_array_equal(months["next", "agents", "reward"][1, ..., 0].numpy(), ours.astype(np.float32))
    with pytest.raises(ValueError, match="homogenize must be True"):
        SpiralEnv("small-v1", one_group=True)


def test_specs_of_the_pettingzoo_wrapper_hold() -> None:
    check_env_specs(PettingZooWrapper(spiral_env.parallel_env("small-v1")))


@pytest.mark.parametrize("mode", MODES)
def test_rewards_equal_ours_over_two_episodes_of_two_ecosystems(mode: str, record: Record) -> None:
    env = SpiralEnv("small-v1", num_envs=2, action_mode=mode, seed=7)
    length = env.batch.max_cycles
    months = env.rollout(2 * length, break_when_any_done=False)
    rewards = _paid(months)
    for ecosystem in range(2):
        ended = episodes(months["next", "done"][ecosystem, :, 0])
        assert len(ended) >= 2
        for episode, part in enumerate(ended):
            seed = row_seeds(7, 2, "train")[ecosystem]
            ours = replay(seed, chosen(months[ecosystem, part]), episode, action_mode=mode, split="train")
            record.same_returns(rewards[ecosystem, part], ours)


def test_rewards_of_the_pettingzoo_wrapper_equal_ours(record: Record) -> None:
    env = PettingZooWrapper(spiral_env.parallel_env("small-v1"))
    env.set_seed(7)
    months = env.rollout(1000)
    # Seeding is a reset of its own, so the rollout is the second episode.
    ours = replay(7, chosen(months), episode=1)
    record.same_returns(_paid(months), ours)


def test_a_partial_reset_opens_the_next_episode_of_those_rows_only() -> None:
    env = SpiralEnv("small-v1", num_envs=3, seed=5)
    first = env.reset()
    chosen = torch.tensor([[False], [True], [False]])
    again = env.reset(first.clone().set("_reset", chosen))
    plain = spiral_env.parallel_env("small-v1", split="train")
    plain.reset(seed=row_seeds(5, 3, "train")[1])
    observations, _ = plain.reset()
    np.testing.assert_array_equal(again["it", "observation"][1, 0].numpy(), observations["it_0"])
    for row in (0, 2):
        assert torch.equal(again["sme", "observation"][row], first["sme", "observation"][row])


def test_the_same_seed_gives_the_same_rollout_and_another_seed_another() -> None:
    actions = SpiralEnv("small-v1", num_envs=2).rand_action()

    def opened(seed: int) -> torch.Tensor:
        env = SpiralEnv("small-v1", num_envs=2)
        env.set_seed(seed)
        return env.step(env.reset().update(actions))["next", "sme", "observation"]

    assert torch.equal(opened(3), opened(3))
    assert not torch.equal(opened(3), opened(4))


def test_random_actions_use_every_level_of_every_lever_equally() -> None:
    env = SpiralEnv("small-v1", num_envs=500, levels=4)
    drawn = env.rand_action()
    for role in ROLES:
        levels = drawn[role, "action"].flatten(0, 1)
        for lever, count in enumerate(env.batch.options.counts(role)):
            shares = torch.bincount(levels[:, lever], minlength=count) / len(levels)
            assert len(shares) == count
            assert (shares - 1 / count).abs().max() < 0.1


def _gaussian(env: EnvBase) -> TensorDictSequential:
    """TorchRL's plain Gaussian a role, which knows no bounds."""
    actors = []
    for role in ROLES:
        width = env.observation_spec[role, "observation"].shape[-1]
        net = torch.nn.Sequential(MLP(width, 2 * NUM_LEVERS[role], num_cells=[8]), NormalParamExtractor())
        parameters = [(role, "loc"), (role, "scale")]
        module = TensorDictModule(net, in_keys=[(role, "observation")], out_keys=parameters)
        keys = {"loc": parameters[0], "scale": parameters[1]}
        actors.append(
            ProbabilisticActor(module, keys, [(role, "action")], distribution_class=torch.distributions.Normal)
        )
    return TensorDictSequential(*actors)


def test_a_default_gaussian_policy_plays_and_is_clipped_to_the_bounds() -> None:
    env = SpiralEnv("small-v1", num_envs=2, action_mode="continuous", seed=3)
    with torch.no_grad(), set_exploration_type(ExplorationType.RANDOM):
        months = env.rollout(20, _gaussian(env))
    actions = chosen(months[0])
    assert min(x.min() for month in actions for x in month) < 0.0
    assert max(x.max() for month in actions for x in month) > 1.0
    assert not env.action_spec.is_in(months.select(*env.action_keys)[:, 0])
    seed = row_seeds(3, 2, "train")[0]
    clipped = [[x.clip(0.0, 1.0) for x in month] for month in actions]
    ours = replay(seed, clipped, action_mode="continuous", split="train")
    np.testing.assert_array_equal(_paid(months)[0], ours.astype(np.float32))


def test_actions_that_carry_gradients_are_taken() -> None:
    env = SpiralEnv("small-v1", num_envs=2, action_mode="continuous")
    chosen = env.rand_action(env.reset())
    for role in ROLES:
        chosen[role, "action"].requires_grad_()
    assert torch.isfinite(env.step(chosen)["next", "sme", "reward"]).all()


def test_specs_hold_the_actions_and_nothing_beyond_their_bounds() -> None:
    env = SpiralEnv("small-v1", num_envs=2, action_mode="continuous")
    for role in ROLES:
        spec = env.action_spec[role, "action"]
        assert (spec.space.low == 0.0).all()
        assert (spec.space.high == 1.0).all()
        assert not env.action_spec_unbatched[role, "action"].is_in(torch.full(spec.shape[1:], 1.01))


@pytest.mark.parametrize("copies", [SerialEnv, ParallelEnv])
def test_no_two_rows_of_any_copy_share_a_world(copies: Any) -> None:
    env = copies(2, lambda: SpiralEnv("small-v1", num_envs=4, max_cycles=2))
    env.set_seed(5)
    openings = [env.reset()["sme", "observation"] for _ in range(3)]
    rows = torch.cat(openings).reshape(2 * 4 * 3, -1)
    assert len(torch.unique(rows, dim=0)) == len(rows)
    env.close()


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_every_episode_is_of_a_world_of_its_own_in_its_split(split: str) -> None:
    with worlds_opened() as opened:
        env = SpiralEnv("small-v1", num_envs=8, max_cycles=3, split=split, seed=1)
        env.rollout(12, break_when_any_done=False)
        env.rollout(12, break_when_any_done=False)
    all_distinct(opened, split, 8 * 8)


def test_torchrls_logger_shows_the_outcome_of_the_episodes_that_ended(tmp_path: Path) -> None:
    env = SpiralEnv("small-v1", num_envs=4, max_cycles=6, seed=2)
    assert outcomes(env.rollout(5)) == {}
    months = env.rollout(6)
    told = env.batch.metrics()
    logger = CSVLogger("run", log_dir=str(tmp_path))
    for name, value in outcomes(months).items():
        logger.log_scalar(f"outcome/{name}", value, step=1)
    written = {path.stem: path.read_text() for path in (tmp_path / "run" / "scalars" / "outcome").glob("*.csv")}
    assert written.keys() == METRICS.keys()
    for name in HEADLINES:
        assert float(written[name].split(",")[1]) == pytest.approx(told[name].mean().item(), rel=1e-5)


def test_a_closed_environment_closes_its_batch() -> None:
    env = SpiralEnv("small-v1", num_envs=2)
    env.close()
    assert env.is_closed


def _wrapper() -> EnvBase:
    return PettingZooWrapper(spiral_env.parallel_env("small-v1", action_mode="discrete"))


def _rollout(env: EnvBase, num_envs: int, months: int) -> Any:
    policy = _policy(env)

    @torch.no_grad()
    def route() -> int:
        env.rollout(months, policy, break_when_any_done=False)
        return months * num_envs * 11

    return route


def test_the_batched_environment_is_five_times_faster_than_pettingzoo_wrappers(record: Record) -> None:
    serial, parallel = SerialEnv(8, _wrapper), ParallelEnv(2, _wrapper)
    routes = {
        "batched, 64": _rollout(SpiralEnv("small-v1", num_envs=64, action_mode="discrete"), 64, 60),
        "wrapper": _rollout(_wrapper(), 1, 60),
        "8 wrappers in series": _rollout(serial, 8, 30),
        "2 wrappers in processes": _rollout(parallel, 2, 60),
    }
    rates = speeds(routes, rounds=3)
    ratio = rates["batched, 64"] / max(rate for name, rate in rates.items() if "wrapper" in name)
    print(f"\nagent-steps/s of rollouts with a network: {rates}, batched over the fastest other: {ratio:.1f}")
    parallel.close()
    record.speed(rates["batched, 64"], ratio, rates)
    assert ratio >= 5.0
