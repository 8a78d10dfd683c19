"""What a policy must do to be scored, tried before it is handed in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spiral_env.evaluation.rollout import run_episodes
from spiral_env.policy import Policy, PolicyError, StatusQuo
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario

__all__ = ["CHECKS", "Check", "check_submission"]

CHECKS = (
    "it can be imported and made for the role",
    "reset(keys) and act(observation) end without an error, within the time limit",
    "it gives finite efforts in [0, 1], one for each lever of each agent",
    "it does the same when the same episodes come again, in this process and in a fresh one",
    "it does the same when an episode is played alone",
    "it leaves the environment, other processes and files outside of its folder alone",
)
"""What is tried of a policy in a process of its own."""
_OWN = ("it gives finite efforts in [0, 1], one for each lever of each agent",)
"""What is tried of policies of this package and of networks that it runs: they cannot do the rest."""


@dataclass(frozen=True)
class Check:
    """How a policy did in one role.

    Attributes:
        failure: what is wrong, in a line; empty where nothing is.
        episodes: played.
        seconds: of it, the simulator's and the checks' included.
        checks: what was tried.
    """

    failure: str
    episodes: int
    seconds: float
    checks: tuple[str, ...]

    def lines(self, role: str) -> Iterator[str]:
        """For people."""
        if self.failure:
            yield f"{role}: FAILED: {self.failure}"
            return
        yield f"{role}: passed, {self.episodes} episodes in {self.seconds:.1f} s"
        yield from (f"  {check}" for check in self.checks)

    def as_result(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "checks": list(self.checks)}


def check_submission(policy: Policy, role: str, scenario: str | Path | Scenario, episodes: int) -> Check:
    """Play a policy beside the average firm.

    Raises:
        ValueError: the scenario or the number of episodes is wrong.
    """
    team: dict[str, Policy] = {name: StatusQuo(name) for name in ROLES} | {role: policy}
    world, began, failure = load_scenario(scenario), time.monotonic(), ""
    try:
        run_episodes(world, team, episodes)
    except PolicyError as error:
        failure = str(error)
    checks = CHECKS if hasattr(policy, "verify") else _OWN
    return Check(failure, episodes, time.monotonic() - began, checks)
