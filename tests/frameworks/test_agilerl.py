from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agilerl.vector import AsyncPettingZooVecEnv, PzDummyVecEnv

import spiral_env
from frameworks.checks import Ran, Record, replay, run_example, speeds
from spiral_env.adapters.agilerl import AgileVecEnv

FRAMEWORK = {"title": "AgileRL", "package": "agilerl", "adapter": "spiral_env.adapters.agilerl"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("agilerl"))
        return run_example("agilerl", weights=lambda names: [[a.actors, a.critics] for a in names["population"]])


def _months(env: Any, agent: Any, months: int, seed: int | None = None) -> tuple[list[dict[str, Any]], list[Any]]:
    """Actions of the agent and what the environment returned, month by month."""
    observations, info = env.reset(seed=seed)
    acted, returned = [], []
    for _ in range(months):
        actions, *_ = agent.get_action(obs=observations, infos=info)
        step = env.step(actions)
        observations, info = step[0], step[4]
        acted.append(actions)
        returned.append(step)
    return acted, returned


def test_the_example_trains(record: Record, ran: Ran) -> None:
    record.trained(ran.before, ran.after)


def test_a_row_is_paid_what_our_environment_pays(record: Record, ran: Ran) -> None:
    env = AgileVecEnv(num_envs=3, max_cycles=30)
    acted, returned = _months(env, ran.names["population"][0], 30, seed=5)
    own = [{name: x[2] for name, x in month.items()} for month in acted]
    paid = [[rewards[name][2] for name in env.agents] for _, rewards, *_ in returned]
    record.same_returns(paid, replay(7, own, max_cycles=30))


def test_the_batch_is_agilerls_own_vector_of_one(ran: Ran) -> None:
    ours, theirs = AgileVecEnv(max_cycles=4), PzDummyVecEnv(spiral_env.parallel_env(max_cycles=4))
    assert ours.possible_agents == theirs.possible_agents
    assert ours._action_spaces == theirs._action_spaces
    acted, ours_returned = _months(ours, ran.names["population"][0], 10, seed=3)
    theirs.reset(seed=3)
    for actions, mine in zip(acted, ours_returned, strict=True):
        for a, b in zip(mine[:4], theirs.step(actions)[:4], strict=True):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])


def test_speed(record: Record, ran: Ran, tmp_path: Path) -> None:
    agent = ran.names["population"][0]
    batched, usual = AgileVecEnv(num_envs=16), AsyncPettingZooVecEnv([spiral_env.parallel_env] * 16)

    def route(env: Any) -> Callable[[], int]:
        return lambda: len(_months(env, agent, 20)[0]) * 16 * 11

    rates = speeds({"batched": route(batched), "pettingzoo": route(usual)})
    usual.close()
    record.speed(rates["batched"], rates["batched"] / rates["pettingzoo"], rates)
