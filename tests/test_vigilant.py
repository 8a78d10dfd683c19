"""The steady team that answers alerts."""

from __future__ import annotations

import numpy as np

import spiral_env
from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import FEATURES, LEVERS, ROLES

ALERTED = [x.name for x in FEATURES["it"]].index("alert_core")


class Deaf:
    """Plays as another does that never sees an alert."""

    def __init__(self, role: str) -> None:
        self.policy, self.name = load_policy("vigilant", role), "deaf"

    def reset(self, keys: np.ndarray) -> None:
        self.policy.reset(keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        seen = observation.copy()
        seen[..., [k for k, x in enumerate(FEATURES["it"]) if x.name.startswith("alert")]] = 0.0
        return self.policy.act(seen)


def test_a_tier_is_put_forward_while_an_alert_names_it() -> None:
    it = load_policy("vigilant", "it")
    seen = np.zeros((2, 1, len(FEATURES["it"])), dtype=np.float32)
    seen[1, 0, ALERTED] = 1.0
    efforts = it.act(seen)
    core = [x.name for x in LEVERS["it"]].index("core")
    assert efforts[:, 0, core].tolist() == [0.5, 1.0]
    assert np.delete(efforts[0, 0], core).tolist() == np.delete(efforts[1, 0], core).tolist()


def test_under_siege_alerts_are_worth_answering() -> None:
    world = spiral_env.load_scenario("siege-v1")
    players = {role: load_policy("vigilant", role) for role in ROLES}
    answered = run_episodes(world, players, 24).metrics["ecosystem_value"]
    unheard = run_episodes(world, players | {"it": Deaf("it")}, 24).metrics["ecosystem_value"]
    assert answered.mean() > 1.2 * unheard.mean()
