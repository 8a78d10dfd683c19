"""Worlds whose best decision is known without learning: that decision, and by how much a policy misses it.

An answer is about some levers of one role, and holds while all others stand as its ``Answer`` says. ``regret`` lets a
policy move these levers alone, beside the best known and the worst constant decision on the same seeds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spiral_env.core.params import limited_mean
from spiral_env.evaluation import Interval, mean_interval, paired_difference, run_episodes
from spiral_env.policy import Policy
from spiral_env.roles import FEATURES, LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario

__all__ = ["ANSWERS", "Answer", "BestHygiene", "Regret", "regret"]


@dataclass(frozen=True)
class Answer:
    """What is known to be best.

    Attributes:
        role: that decides.
        levers: that it is about.
        others: role -> lever -> effort of what stands still; nothing where none is named.
        best: makes the policy of the levers that is best.
        why: in a few words.
    """

    role: str
    levers: tuple[str, ...]
    others: Mapping[str, Mapping[str, float]]
    best: Callable[[Scenario], Policy]
    why: str


@dataclass(frozen=True)
class Regret:
    """What a policy misses, k$ a month of its role's payoff (an SME's where there are several).

    Attributes:
        answer: what is known.
        reached: by the policy's levers.
        best: by the best known decision, on the same seeds.
        missed: best less reached, paired.
        share: of the way from the worst constant decision to the best.
    """

    answer: Answer
    reached: Interval
    best: Interval
    missed: Interval
    share: float

    def line(self) -> str:
        """The regret in one line."""
        levers = f"{', '.join(self.answer.levers)} of {self.answer.role}"
        regret = f"{self.missed.mean:.4g} [{self.missed.low:.4g}, {self.missed.high:.4g}] k$ a month"
        share = f"{100.0 * self.share:.1f} % of the way from the worst constant decision to the best known"
        return f"known answer: {self.answer.why}; {levers}: regret {regret}, {share}"


class _Still:
    """Fixed efforts but for some levers, which another policy moves."""

    def __init__(self, role: str, efforts: Mapping[str, float], moved: tuple[str, ...] = (), by: Any = 0.0) -> None:
        """``by``: a policy that moves the levers ``moved``, or one effort for them."""
        self.name = f"{role} of the known answer"
        self._by, names = by, [x.name for x in LEVERS[role]]
        self._efforts = np.array([efforts.get(name, 0.0) for name in names])
        self._moved = [names.index(name) for name in moved]

    def reset(self, keys: np.ndarray) -> None:
        if not isinstance(self._by, float):
            self._by.reset(keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        out = np.tile(self._efforts, (*observation.shape[:2], 1))
        by = self._by if isinstance(self._by, float) else np.asarray(self._by.act(observation))[..., self._moved]
        out[..., self._moved] = by
        return out


class BestHygiene:
    """The efforts that cost all SMEs least in spending and expected loss, by dynamic programming over hygiene.

    Backward induction on the closed-form law (no lesson, no proof, no growth, all SMEs alike): month by month, on a
    grid of hygiene of one firm or two, over efforts on a grid.
    """

    name = "best hygiene"

    def __init__(self, world: Scenario) -> None:
        """Solve a world.

        Raises:
            ValueError: it has more than two SMEs.
        """
        built = world.world()
        if built.num_smes > 2:
            raise ValueError(f"num_smes must be 1 or 2, got {built.num_smes}")
        self._p, self._firms, self._months = built.base()[0], built.num_smes, built.max_cycles
        points, levels = (1001, 41) if self._firms == 1 else (81, 5)
        self._grid = np.linspace(0.0, 1.0, points)
        self._choices = np.array(list(itertools.product(np.linspace(0.0, 1.0, levels), repeat=self._firms)))
        self._policy = self._solve()
        names = [x.name for x in FEATURES["sme"]]
        self._hygiene, self._left = names.index("hygiene"), names.index("months_left")

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The best effort in the place of the lever ``patching``, nothing elsewhere, ``[E, A, L]``."""
        month = np.rint((1.0 - observation[:, 0, self._left]) * self._months).astype(int)
        near = np.rint(observation[..., self._hygiene] * (len(self._grid) - 1)).astype(int)
        chosen = self._choices[self._policy[(month, *near.T)]]
        out = np.zeros((*observation.shape[:2], NUM_LEVERS["sme"]))
        out[..., [x.name for x in LEVERS["sme"]].index("patching")] = chosen
        return out

    def moved(self, stock: Any, effort: Any) -> Any:
        """A stock, of hygiene or of modules, after a month of effort."""
        p = self._p
        return stock + p["stock_gain"] * effort * (1.0 - stock) - p["stock_decay"] * stock * (1.0 - effort)

    def losses(self, hygiene: np.ndarray, modules: float) -> np.ndarray:
        """Expected loss of a month of each firm, k$, at hygiene ``[..., firms]``: own, and through the platform."""
        p = self._p
        revenue = np.exp(p["sme_revenue_mu"])
        loss = limited_mean(float(p["sme_loss_mu"]) - np.log(1000.0), float(p["sme_loss_sigma"]), 12.0 * revenue)
        own = p["sme_hazard"] * p["hygiene_ratio"] ** (p["hygiene_reference"] - hygiene)
        spread = p["sme_participation"] * (1.0 - p["module_isolation"] * modules) / p["isolation_reference"]
        entry = own.sum(-1, keepdims=True) * p["member_entry"] * p["sme_scale"] * spread
        spilt = (1.0 - np.exp(-entry)) * np.minimum(1.0, p["spill"] * spread)
        return np.asarray((1.0 - (1.0 - own) * (1.0 - spilt)) * loss)

    def spending(self, efforts: np.ndarray) -> np.ndarray:
        """Cost of a month's efforts ``[..., firms]`` of each firm, k$."""
        p = self._p
        scale = (np.exp(p["sme_revenue_mu"]) / p["sme_revenue_reference"]) ** 0.5
        return np.asarray(scale * np.interp(efforts, (0.0, 0.5, 1.0), p["cost_hygiene"]))

    def _solve(self) -> np.ndarray:
        """Index of the best choice of the month at each point of the grid ``[months, points, ..]``."""
        spending = self.spending(self._choices).sum(-1)
        modules = [float(self._p["start_stock"])]
        for _ in range(self._months):
            modules.append(float(self.moved(modules[-1], _MODULES)))
        points = np.stack(np.meshgrid(*[self._grid] * self._firms, indexing="ij"), -1)
        after = [self.moved(points, effort) for effort in self._choices]
        cost, policy = np.zeros(points.shape[:-1]), np.zeros((self._months, *points.shape[:-1]), dtype=np.int64)
        for month in reversed(range(self._months)):
            totals = np.stack(
                [
                    self.losses(x, modules[month + 1]).sum(-1) + spent + _between(cost, x)
                    for x, spent in zip(after, spending, strict=True)
                ]
            )
            policy[month], cost = totals.argmin(0), totals.min(0)
        return policy


def _between(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values on the even grid of ``[0, 1]`` in one dimension or two, linear between its points, at ``[..., dims]``."""
    place = at * (values.shape[0] - 1)
    low = np.minimum(place.astype(int), values.shape[0] - 2)
    part, total = place - low, np.zeros(at.shape[:-1])
    for corner in itertools.product((0, 1), repeat=at.shape[-1]):
        weight = np.prod(np.where(corner, part, 1.0 - part), axis=-1)
        total += weight * values[tuple(np.moveaxis(low + np.array(corner), -1, 0))]
    return total


_SOLVED: dict[str, BestHygiene] = {}


def _best_hygiene(world: Scenario) -> BestHygiene:
    """Solved once for a world."""
    if world.hash not in _SOLVED:
        _SOLVED[world.hash] = BestHygiene(world)
    return _SOLVED[world.hash]


_MODULES = 0.5
_BASIC = {"module_tier": 0.5}
_TOOLS = ("edge", "core", "internal", "scanning", "threat_intel")

ANSWERS: dict[str, Answer] = {
    "zero_threat": Answer(
        *("it", _TOOLS, {"finance": {"security_budget": 0.5}, "sme": _BASIC}),
        lambda world: _Still("it", {}),
        "nothing attacks, so nothing should be spent",
    ),
    "one_month_pool": Answer(
        *("sme", ("data_sharing",), {"business": {"privacy_budget": 1.0}, "sme": _BASIC}),
        lambda world: _Still("sme", {}),
        "a pool of one month is worse than an own model, so nothing should be shared",
    ),
    "patching_dilemma": Answer(
        *("sme", ("patching",), {"business": {"modules": _MODULES}, "sme": _BASIC}, _best_hygiene),
        "least spending and expected loss of both firms, by dynamic programming",
    ),
    "gordon_loeb": Answer(
        *("sme", ("patching",), {}, _best_hygiene),
        "least spending and expected loss, by dynamic programming",
    ),
}
"""``known_answer`` of a scenario -> what is known."""


def regret(
    scenario: str | Scenario, policy: Policy, episodes: int = 30, seed: int = 0, **options: Any
) -> Regret | None:
    """What a policy of the answer's role misses; None where nothing is known of the world.

    Args:
        scenario: the world.
        policy: who moves the levers that the answer is about (``ANSWERS[world.known_answer].role`` is its role).
        episodes: how many.
        seed: which of the held-out seeds is the first.
        **options: other options of ``run_episodes``.
    """
    world = load_scenario(scenario)
    if not world.known_answer:
        return None
    answer = ANSWERS[world.known_answer]

    def payoff(by: Any) -> np.ndarray:
        efforts = {role: answer.others.get(role, {}) for role in ROLES}
        team: dict[str, Policy] = {role: _Still(role, efforts[role]) for role in ROLES}
        team[answer.role] = _Still(answer.role, efforts[answer.role], answer.levers, by)
        return run_episodes(world, team, episodes, seed, **options).metrics[f"payoff_{answer.role}"]

    reached, best = payoff(policy), payoff(answer.best(world))
    worst = min((payoff(end) for end in (0.0, 1.0)), key=np.mean)
    share = float((reached.mean() - worst.mean()) / (best.mean() - worst.mean()))
    return Regret(answer, mean_interval(reached), mean_interval(best), paired_difference(best, reached), share)
