from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frameworks.checks import Ran, Record, learned_then_judged, replay, run_example, speeds, worlds_opened
from spiral_env.adapters.xuance import LogOutcomes, XuanCeEnv
from spiral_env.metrics import HEADLINES
from spiral_env.roles import MAX_LEVERS

FRAMEWORK = {"title": "XuanCe", "package": "xuance", "adapter": "spiral_env.adapters.xuance"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("xuance"))
        with worlds_opened() as opened:
            made = run_example("xuance", weights=lambda names: names["team"].policy)
        made.names["opened"] = opened
        made.names["logs"] = Path.cwd()
        return made


def _play(ran: Ran, months: int) -> tuple[list[Any], list[Any]]:
    """Actions of the trained team in XuanCe's own vector, and the rewards, month by month."""
    envs, team = ran.names["envs"], ran.names["team"]
    observations, _ = envs.reset()
    acted, paid = [], []
    for _ in range(months):
        actions = team.get_actions(observations)["actions"]
        observations, rewards, *_ = envs.step(actions)
        acted.append(actions)
        paid.append(rewards)
    return acted, paid


def test_the_example_trains(record: Record, ran: Ran) -> None:
    record.trained(ran.before, ran.after)


def test_no_copy_of_a_training_or_a_test_shares_a_world(ran: Ran) -> None:
    learned_then_judged(ran.names["opened"], 4 * 6, 4)


def test_xuances_logger_shows_the_outcome_of_every_episode_of_training(ran: Ran) -> None:
    found: dict[str, int] = {}
    for path in ran.names["logs"].rglob("events.out.*"):
        events = EventAccumulator(str(path)).Reload()
        found |= {tag: len(events.Scalars(tag)) for tag in events.Tags()["scalars"] if "/Outcome/" in tag}
    assert found.keys() == {f"Train-Results/Outcome/{name}" for name in HEADLINES}
    assert min(found.values()) >= 6


def test_a_callback_without_its_team_is_refused() -> None:
    with pytest.raises(ValueError, match=r"LogOutcomes\.team must be set"):
        LogOutcomes().on_train_episode_info(env_id=0, infos=[], current_step=0)


def test_its_vector_is_paid_what_our_environment_pays(record: Record, ran: Ran) -> None:
    make, config = ran.names["make_envs"], ran.names["config"]
    config.env_seed = 8
    played = Ran({**ran.names, "envs": make(config)}, {}, {})
    acted, paid = _play(played, 20)
    agents = played.names["envs"].agents
    theirs = [[month[2][agent] for agent in agents] for month in paid]
    ours = [{agent: int(month[2][agent]) for agent in agents} for month in acted]
    record.same_returns(theirs, replay(10, ours, action_mode="discrete", homogenize=True, split="train"))


def test_speed(record: Record, ran: Ran) -> None:
    record.speed(speeds({"xuance": lambda: len(_play(ran, 50)[0]) * 4 * 11})["xuance"])


@pytest.mark.parametrize("continuous", [True, False])
def test_the_environment_is_what_xuance_asks_for(continuous: bool) -> None:
    config = Namespace(env_id="small-v1", env_seed=3, continuous_action=continuous, env_options={"max_cycles": 3})
    env = XuanCeEnv(config)
    assert env.agent_groups == [["it_0"], ["business_0"], ["finance_0"], [f"sme_{i}" for i in range(8)]]
    assert env.get_groups_info()["num_agents_groups"] == [1, 1, 1, 8]
    assert (env.avail_actions() is None) == continuous
    first, _ = env.reset()
    beyond = np.full(MAX_LEVERS, 1.5) if continuous else np.int64(3**MAX_LEVERS - 1)
    flags = []
    for _ in range(3):
        observations, rewards, terminations, truncated, info = env.step(dict.fromkeys(env.agents, beyond))
        flags.append(truncated)
    assert flags == [False, False, True]
    assert not any(terminations.values())
    assert all(env.observation_space[agent].contains(x) for agent, x in observations.items())
    assert info["individual_episode_rewards"].keys() == rewards.keys() == set(env.agents)
    second, _ = env.reset()
    assert any(not np.array_equal(first[agent], second[agent]) for agent in env.agents)
