from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agilerl.logger import CSVLogger
from agilerl.training.train_multi_agent_on_policy import train_multi_agent_on_policy
from agilerl.vector import AsyncPettingZooVecEnv, PzDummyVecEnv

import spiral_env
from frameworks.checks import Ran, Record, all_distinct, replay, run_example, speeds, worlds_opened
from spiral_env.adapters.agilerl import AgileVecEnv, LoggedIPPO
from spiral_env.metrics import HEADLINES
from spiral_env.roles import ROLES
from spiral_env.scenarios.seeds import row_seeds

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
    assert np.isfinite(ran.names["score"])


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_no_two_rows_or_episodes_of_any_copy_share_a_world(split: str, ran: Ran) -> None:
    with worlds_opened() as opened:
        for seed in (1, 2, None):
            env = AgileVecEnv("small-v1", num_envs=4, split=split, max_cycles=3)
            _months(env, ran.names["population"][0], 7, seed=seed)
            ran.names["population"][0].test(env, loop=2)
    all_distinct(opened, split, 3 * 4 * 6)


def test_infos_hold_the_outcome_of_the_rows_that_ended(ran: Ran) -> None:
    env = AgileVecEnv("small-v1", num_envs=2, max_cycles=3)
    _, returned = _months(env, ran.names["population"][0], 3)
    assert returned[1][4] == {name: {} for name in env.agents}
    info = returned[2][4]["sme_3"]
    assert info["_outcome_return_sme"].all()
    assert info["outcome_return_sme"] == pytest.approx([x["return_sme"] for x in env.ended])


def _outcome_of(row: dict[str, str], kind: str = "mean_") -> dict[str, float]:
    prefix = f"train/{kind}outcome_"
    return {key.removeprefix(prefix): float(value) for key, value in row.items() if key.startswith(prefix)}


def test_agilerls_csv_shows_the_outcome_of_the_episodes_of_training(tmp_path: Path, ran: Ran) -> None:
    """Of all of them: the last step of a block is an episode's last, and no action is asked for after it."""
    env = AgileVecEnv("small-v1", num_envs=2, max_cycles=10)
    spaces = ran.names["spaces"]
    agents = [LoggedIPPO(**spaces, agent_ids=env.agents, index=k, batch_size=20, learn_step=20) for k in range(2)]
    # As a tournament makes them: the metrics of a clone are new.
    agents[1] = agents[0].clone(index=1)
    taken: list[dict[str, float]] = []
    learn = LoggedIPPO.learn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoggedIPPO, "learn", lambda agent, *x: (taken.extend(agent._ended or ()), learn(agent, *x))[1])
        logger = CSVLogger(tmp_path / "progress.csv")
        patch.setattr("agilerl.training.train_multi_agent_on_policy.init_loggers", lambda **_: [logger])
        train_multi_agent_on_policy(env, "w", "IPPO", agents, max_steps=40, evo_steps=40, eval_steps=10, verbose=False)
    assert len(taken) == 2 * 4
    with (tmp_path / "progress.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    shown = _outcome_of(row)
    for role in ROLES:
        assert shown[f"return/{role}"] == pytest.approx(np.mean([x[f"return_{role}"] for x in taken]))
        for name in HEADLINES:
            if not name.startswith("return_"):
                assert shown[f"{name}/{role}"] == pytest.approx(np.mean([x[name] for x in taken]))
    assert _outcome_of(row, "agent_1/").keys() == shown.keys()


def test_a_row_is_paid_what_our_environment_pays(record: Record, ran: Ran) -> None:
    env = AgileVecEnv("small-v1", num_envs=3, max_cycles=30)
    acted, returned = _months(env, ran.names["population"][0], 30, seed=5)
    own = [{name: x[2] for name, x in month.items()} for month in acted]
    paid = [[rewards[name][2] for name in env.agents] for _, rewards, *_ in returned]
    record.same_returns(paid, replay(row_seeds(5, 3, "train")[2], own, max_cycles=30, split="train"))


def test_the_batch_is_agilerls_own_vector_of_one(ran: Ran) -> None:
    ours, theirs = (
        AgileVecEnv("small-v1", max_cycles=4),
        PzDummyVecEnv(spiral_env.parallel_env("small-v1", max_cycles=4, split="train")),
    )
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
    batched, usual = AgileVecEnv("small-v1", num_envs=16), AsyncPettingZooVecEnv([spiral_env.parallel_env] * 16)

    def route(env: Any) -> Callable[[], int]:
        return lambda: len(_months(env, agent, 20)[0]) * 16 * 11

    rates = speeds({"batched": route(batched), "pettingzoo": route(usual)})
    usual.close()
    record.speed(rates["batched"], rates["batched"] / rates["pettingzoo"], rates)
