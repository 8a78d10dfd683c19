from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skrl.envs.wrappers.torch import wrap_env
from skrl.utils import set_seed
from skrl.utils.model_instantiators.torch import gaussian_model
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import spiral_env
from frameworks.checks import Ran, Record, learned_then_judged, replay, run_example, speeds, worlds_opened
from spiral_env.adapters.skrl import SkrlEnv
from spiral_env.metrics import HEADLINES, METRICS

FRAMEWORK = {"title": "skrl", "package": "skrl", "adapter": "spiral_env.adapters.skrl"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    with pytest.MonkeyPatch.context() as patch, worlds_opened() as opened:
        patch.chdir(tmp_path_factory.mktemp("skrl"))
        made = run_example("skrl", weights=lambda names: names["team"].models)
        made.names |= {"opened": opened, "logs": Path.cwd()}
    return made


def test_the_example_trains_in_worlds_that_its_evaluation_does_not_see(record: Record, ran: Ran) -> None:
    record.trained(ran.before, ran.after)
    learned_then_judged(ran.names["opened"], 3, 2)


def test_skrls_logger_shows_the_outcome_of_training_and_of_evaluation(ran: Ran) -> None:
    found: dict[str, int] = {}
    for path in ran.names["logs"].rglob("events.out.*"):
        events = EventAccumulator(str(path)).Reload()
        for tag in events.Tags()["scalars"]:
            found[tag] = found.get(tag, 0) + len(events.Scalars(tag))
    assert all(found[f"Info / {name}"] >= 3 for name in HEADLINES)


def test_infos_hold_an_outcome_in_the_step_that_ends_an_episode_alone() -> None:
    env = SkrlEnv("small-v1", max_cycles=2)
    env.reset(seed=1)
    actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}
    assert "episode" not in env.step(actions)[-1]
    last = env.step(actions)[-1]["episode"]
    assert last.keys() == METRICS.keys()
    assert last["ecosystem_value"].item() == pytest.approx(env.metrics()["ecosystem_value"])
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_a_default_gaussian_policy_lives_through_an_episode() -> None:
    env = wrap_env(SkrlEnv("small-v1", action_mode="continuous", max_cycles=5), wrapper="pettingzoo")
    layers = [{"name": "net", "input": "OBSERVATIONS", "layers": [8], "activations": "tanh"}]
    policies = {
        name: gaussian_model(
            observation_space=env.observation_space(name),
            action_space=env.action_space(name),
            network=layers,
            output="ACTIONS",
        )
        for name in env.possible_agents
    }
    for policy in policies.values():
        policy.init_state_dict()
    observations, _ = env.reset()
    beyond = 0
    while env.agents:
        with torch.no_grad():
            actions = {a: policies[a].act({"observations": x}, role="policy")[0] for a, x in observations.items()}
        beyond += sum(int(((x < 0) | (x > 1)).sum()) for x in actions.values())
        observations, rewards, *_ = env.step(actions)
        assert all(torch.isfinite(x).all() for x in rewards.values())
    assert beyond > 0


def test_its_team_is_paid_what_ours_is(record: Record, ran: Ran) -> None:
    team = ran.names["team"]
    set_seed(5)
    env = wrap_env(spiral_env.parallel_env("small-v1"), wrapper="pettingzoo")
    months: list[dict[str, np.ndarray]] = []
    paid: list[list[float]] = []

    def play() -> int:
        observations, _ = env.reset()
        months.clear()
        paid.clear()
        while env.agents:
            with torch.no_grad():
                actions, _ = team.act(observations, env.state(), timestep=0, timesteps=1)
            observations, rewards, *_ = env.step(actions)
            months.append({agent: action.numpy().reshape(-1) for agent, action in actions.items()})
            paid.append([rewards[agent].item() for agent in env.possible_agents])
        return len(paid) * len(env.possible_agents)

    play()
    record.same_returns(paid, replay(5, months))
    record.speed(speeds({"skrl": play})["skrl"])
