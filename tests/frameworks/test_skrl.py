from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skrl.envs.wrappers.torch import wrap_env
from skrl.utils import set_seed

import spiral_env
from frameworks.checks import Record, replay, run_example, speeds

FRAMEWORK = {"title": "skrl", "package": "skrl"}


def test_the_example_trains_and_its_team_is_paid_what_ours_is(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_example("skrl", weights=lambda names: names["team"].models)
    record.trained(ran.before, ran.after)
    team = ran.names["team"]
    set_seed(5)
    env = wrap_env(spiral_env.parallel_env("baseline-v0"), wrapper="pettingzoo")
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
