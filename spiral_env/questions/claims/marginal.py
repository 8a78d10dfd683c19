"""SMEs at the margin: what one firm's leaving or sharing nothing does, and what a firm is worth among many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_env.evaluation.statistics import mean_interval, paired_difference
from spiral_env.policy import Policy, ask_policy, episode_keys, reset_policy
from spiral_env.questions.claims.draws import CARELESS
from spiral_env.questions.claims.switches import Claims
from spiral_env.questions.report import Row
from spiral_env.questions.teams import VALUE, Team, held, play, team
from spiral_env.roles import FEATURES, LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Apart", "marginal", "marginal_table", "sizes", "sizes_table"]

_SIZE = [x.name for x in FEATURES["sme"]].index("size")
CHANGES: dict[str, dict[str, float]] = {
    "leaves": {"module_tier": 0.0},
    "shares nothing": {"data_sharing": 0.0},
    "checks nothing it gives": {"curation": 0.0},
}
NUMBERS = (4, 8, 16, 32, 64)


class Apart:
    """One firm of each episode, the median by its size at the opening, does otherwise; the rest play on.

    Attributes:
        chosen: index of the firm in each episode ``[E]``, known from the first month on.
    """

    def __init__(self, policy: Policy, efforts: Mapping[str, float]) -> None:
        """``efforts``: lever -> what the one firm does."""
        names = [x.name for x in LEVERS["sme"]]
        self.policy, self.name = policy, f"apart {policy.name}"
        self._efforts = {names.index(name): x for name, x in efforts.items()}
        self.chosen = np.zeros(0, dtype=np.int64)

    def reset(self, keys: np.ndarray) -> None:
        """Choose anew with the next view."""
        self.policy.reset(keys)
        self.chosen = np.zeros(0, dtype=np.int64)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The team's efforts but for the one firm's."""
        if len(self.chosen) != len(observation):
            order = observation[..., _SIZE].argsort(1, kind="stable")
            self.chosen = order[:, observation.shape[1] // 2]
        efforts = np.array(self.policy.act(observation), dtype=np.float64)
        rows = np.arange(len(efforts))
        for lever, effort in self._efforts.items():
            efforts[rows, self.chosen, lever] = effort
        return efforts


def _of_one(world: Scenario, players: Team, episodes: int, efforts: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Measures of each episode, and ``own``: the one firm's payoff, k$ a month ``[E]``."""
    apart = Apart(players["sme"], efforts)
    everyone: dict[str, Policy] = {**players, "sme": apart}
    env = SpiralVectorEnv(world, episodes, 1, "disabled", action_mode="continuous")
    seen, _ = env.reset(seed=world.evaluation_seeds(0, episodes))
    for role in ROLES:
        reset_policy(everyone[role], role, episode_keys(range(episodes)))
    own, alive = np.zeros(episodes), np.ones(episodes, dtype=np.bool_)
    while alive.any():
        efforts_of = {role: ask_policy(everyone[role], role, seen[role]) for role in ROLES}
        seen, _, terminated, truncated, _ = env.step(efforts_of)
        payoff = env.reward_vectors()["sme"].sum(2)[np.arange(episodes), apart.chosen]
        own += np.where(alive, payoff, 0.0)
        alive &= ~(terminated | truncated)
    out = {**env.metrics(), "own": own / env.max_cycles}
    env.close()
    return out


def marginal(claims: Claims) -> dict[str, Any]:
    """Change of the firm's own payoff and of the ecosystem's value, governed and careless."""
    rows = {}
    for name, (trained, *_) in claims.teams().items():
        for care, players in {"governed": trained, "careless": held(trained, CARELESS)}.items():
            if name == "trained" and care == "careless":
                continue
            base = _of_one(claims.world, players, claims.episodes, {})
            for change, efforts in CHANGES.items():
                after = _of_one(claims.world, players, claims.episodes, efforts)
                rows[f"{name}, {care}: {change}"] = {
                    "own": paired_difference(after["own"], base["own"]),
                    "ecosystem": paired_difference(after[VALUE], base[VALUE]),
                    "others": paired_difference(after[VALUE] - after["own"], base[VALUE] - base["own"]),
                }
    return {"episodes": claims.episodes, "smes": claims.world.num_smes, "careless": CARELESS, "rows": rows}


def marginal_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a team and change."""
    head = ["one SME, the median by size", "its own payoff", "ecosystem value", "ecosystem without its payoff"]
    return head, [[name, *x.values()] for name, x in figures["rows"].items()]


def sizes(claims: Claims) -> dict[str, Any]:
    """Ecosystem value by firm over the number of SMEs."""
    rows: dict[str, Any] = {}
    teams = {name: x[0] for name, x in claims.teams().items()} | {"careless": held(team("scripted"), CARELESS)}
    for name, players in teams.items():
        each = {n: play(claims.world, players, claims.episodes, num_smes=n).metrics[VALUE] / n for n in NUMBERS}
        rows[name] = {str(n): mean_interval(x) for n, x in each.items()}
        rows[name]["most against fewest"] = paired_difference(each[NUMBERS[-1]], each[NUMBERS[0]])
    return {"episodes": claims.episodes, "rows": rows}


def sizes_table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a team, a column a number of SMEs."""
    head = ["V by SME", *map(str, NUMBERS), f"{NUMBERS[-1]} against {NUMBERS[0]}"]
    return head, [[name, *x.values()] for name, x in figures["rows"].items()]
