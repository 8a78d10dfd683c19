from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.utils import TensorboardLogger
from torch.utils.tensorboard import SummaryWriter

from frameworks.checks import Ran, Record, all_distinct, learned_then_judged, replay, run_example, speeds, worlds_opened
from spiral_env.metrics import HEADLINES

FRAMEWORK = {"title": "tianshou", "package": "tianshou", "adapter": "spiral_env.adapters.tianshou"}
AGENTS = 11


@pytest.fixture(scope="module")
def ran() -> Ran:
    with worlds_opened() as opened:
        made = run_example("tianshou", weights=lambda names: names["team"].policy)
    made.names["opened"] = opened
    return made


def _episode(ran: Ran, seed: int) -> Any:
    """The buffer of one episode of the trained team: a row a turn, 11 turns a month."""
    buffer = VectorReplayBuffer(1000, 1)
    collector = Collector(ran.names["team"], DummyVectorEnv([ran.names["make"]]), buffer)
    collector.reset(gym_reset_kwargs={"seed": seed})
    collector.collect(n_episode=1)
    return buffer


def test_the_example_trains_every_role(record: Record, ran: Ran) -> None:
    record.trained(ran.before, ran.after)
    assert all(not np.array_equal(x, ran.after[name]) for name, x in ran.before.items())


def test_the_example_trains_in_worlds_of_their_own_that_its_evaluation_does_not_see(ran: Ran) -> None:
    learned_then_judged(ran.names["opened"], 8, 4)


def test_seeded_copies_share_no_world(ran: Ran) -> None:
    with worlds_opened() as opened:
        envs = DummyVectorEnv([ran.names["make"]] * 6)
        envs.seed(3)
        envs.reset()
    all_distinct(opened[6:], "train", 6)


def test_tianshous_logger_shows_the_outcome_of_the_episodes_collected(ran: Ran, tmp_path: Path) -> None:
    collector = Collector(ran.names["team"], DummyVectorEnv([ran.names["make"]] * 2), **ran.names["stats"])
    collector.reset()
    stats = collector.collect(n_episode=2)
    told = stats.outcome
    writer = SummaryWriter(str(tmp_path))
    TensorboardLogger(writer).log_test_data(asdict(stats), 1)
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    shown = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    for name in HEADLINES:
        assert shown[f"test/outcome/{name}"] == pytest.approx(told[name], rel=1e-5)
    returns = stats.returns.sum(0) / 2
    assert told["return_it"] == pytest.approx(returns[0], rel=1e-4)
    assert told["return_sme"] == pytest.approx(returns[3:].mean(), rel=1e-4)


def test_its_collector_is_paid_what_our_environment_pays(record: Record, ran: Ran) -> None:
    turns = _episode(ran, seed=5)
    actions = turns.act[: len(turns)].reshape(-1, AGENTS)
    paid = turns.rew[: len(turns)].reshape(-1, AGENTS, AGENTS)
    assert not paid[:, :-1].any(), "a month pays once, in its last turn"
    record.same_returns(paid[:, -1], replay(5, actions, action_mode="discrete", split="train"))


def test_the_agent_that_acts_first_learns_from_what_its_month_paid(ran: Ran) -> None:
    """Its own turn's reward is zero: the horizon of as many turns as agents brings the month's in."""
    turns = _episode(ran, seed=6)
    algorithm = ran.names["team"].get_algorithm("it_0")
    own = np.arange(0, len(turns), AGENTS)
    rewards, turns._meta.rew = turns.rew[: len(turns)], turns.rew[:, 0]
    batch = algorithm.compute_nstep_return(
        batch=turns[own[:-1]],
        buffer=turns,
        indices=own[:-1],
        target_q_fn=lambda buffer, indices: torch.zeros((len(indices), 1)),
        gamma=algorithm.gamma,
        n_step=AGENTS,
    )
    month = rewards.reshape(-1, AGENTS, AGENTS)[:-1, -1, 0]
    np.testing.assert_allclose(batch.returns.ravel(), month * algorithm.gamma ** (AGENTS - 1), rtol=1e-5)


def test_speed(record: Record, ran: Ran) -> None:
    collector = Collector(ran.names["team"], DummyVectorEnv([ran.names["make"]] * 4), VectorReplayBuffer(4 * 660, 4))
    collector.reset()
    record.speed(speeds({"tianshou": lambda: int(collector.collect(n_step=1320).n_collected_steps)})["tianshou"])
