"""What a team could gain that knew the future: a trained team's actions, bettered by plans in the true world.

A plan holds some levers of all agents of a role at 0, .5 or 1 for some months, over what the trained team does; after
it the trained team plays on to the episode's end, which is simulated from a snapshot with the true draws. The best plan
of a cross-entropy search is lived for its first months, then another is made. Since the unchanged team is always among
the plans, no episode ends below the trained team's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spiral_env.policy import ask_policy, episode_keys, reset_policy
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv
from tests.benchmarks.search import PARTS, WIDTH
from tests.benchmarks.teams import VALUE, Team

__all__ = ["Planning", "planned"]

_CHOICES = np.array([np.nan, 0.0, 0.5, 1.0])
"""Of a lever in a plan: as the team does, or an effort."""
_KEEP = 0.85
"""Share of levers that a first plan leaves as they are."""


@dataclass(frozen=True)
class Planning:
    """How much is searched.

    Attributes:
        horizon: months a plan lasts.
        stride: months of it that are lived.
        plans: looked at in each round.
        rounds: of the search for one plan.
    """

    horizon: int = 8
    stride: int = 4
    plans: int = 48
    rounds: int = 3


class _Copies:
    """Many copies of some ecosystems, a block of ``plans`` rows for each, and the trained team in all of them."""

    def __init__(self, world: Scenario, players: Team, seeds: list[int], plans: int) -> None:
        self.players, self.plans, self.count = players, plans, len(seeds)
        rows = len(seeds) * plans
        self.env = SpiralVectorEnv(world, rows, 1, "disabled", action_mode="continuous")
        self.env.reset(seed=list(np.repeat(seeds, plans)))
        for role in ROLES:
            reset_policy(players[role], role, episode_keys(range(rows)))
        self.efforts = np.zeros((rows, self.env.num_agents, MAX_LEVERS))

    def live(self, months: int, plan: np.ndarray | None) -> None:
        """Some months under a plan ``[rows, levers]``, or under none."""
        for _ in range(months):
            for k, role in enumerate(ROLES):
                last = k + 1 if k < len(ROLES) - 1 else None
                own = ask_policy(self.players[role], role, self.env.engine.observations[role])
                if plan is not None:
                    wish = plan[:, None, PARTS[role]]
                    own = np.where(np.isnan(wish), own, wish)
                self.efforts[:, k:last, : NUM_LEVERS[role]] = own
            self.env.engine.step(self.efforts)

    def values(self) -> np.ndarray:
        """Ecosystem value of the episodes so far, ``[ecosystems, plans]``."""
        return np.asarray(self.env.metrics()[VALUE].reshape(self.count, self.plans))


def planned(
    world: Scenario, players: Team, episodes: int, planning: Planning, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ecosystem value ``[episodes]`` of the trained team, and with plans, on the first held-out seeds.

    The team must have no memory of its own: it is set back with its world.
    """
    rng = np.random.default_rng([seed, 7])
    copies = _Copies(world, players, world.evaluation_seeds(0, episodes), planning.plans)
    months = copies.env.max_cycles
    start = copies.env.engine.save()
    copies.live(months, None)
    before = copies.values()[:, 0]
    copies.env.engine.load(*start)
    for month in range(0, months, planning.stride):
        best = _plan(copies, months - month, planning, rng)
        copies.live(min(planning.stride, months - month), np.repeat(best, planning.plans, axis=0))
    after = copies.values()[:, 0]
    copies.env.close()
    return before, after


def _plan(copies: _Copies, left: int, planning: Planning, rng: np.random.Generator) -> np.ndarray:
    """The best plan found for each ecosystem ``[ecosystems, levers]``; the worlds are as they were."""
    here = copies.env.engine.save()
    chance = np.full((copies.count, WIDTH, len(_CHOICES)), (1.0 - _KEEP) / (len(_CHOICES) - 1))
    chance[..., 0] = _KEEP
    best, best_value = np.full((copies.count, WIDTH), np.nan), np.full(copies.count, -np.inf)
    elites = max(2, planning.plans // 8)
    for _ in range(planning.rounds):
        edges = chance.cumsum(-1)[:, None, :, :-1]
        picks = (rng.random((copies.count, planning.plans, WIDTH, 1)) > edges).sum(-1)
        plans = _CHOICES[picks]
        plans[:, 0], plans[:, 1] = np.nan, best
        copies.env.engine.load(*here)
        rows = plans.reshape(-1, WIDTH)
        ahead = min(planning.horizon, left)
        copies.live(ahead, rows)
        copies.live(left - ahead, None)
        values = copies.values()
        order = np.argsort(-values, axis=1, kind="stable")[:, :elites]
        for k in range(copies.count):
            if values[k, order[k, 0]] > best_value[k]:
                best[k], best_value[k] = plans[k, order[k, 0]], values[k, order[k, 0]]
            share = (picks[k, order[k]][..., None] == np.arange(len(_CHOICES))).mean(0)
            chance[k] = 0.3 * chance[k] + 0.7 * share
    copies.env.engine.load(*here)
    return best
