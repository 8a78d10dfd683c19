"""What a team would do first in a world of one's own, beside the same team that patches by CVSS alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spiral_env.checks import check_count
from spiral_env.evaluation.statistics import Interval, mean_interval, paired_difference
from spiral_env.policy import Policy, ask_policy, episode_keys, reset_policy
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.given import OpenFinding
from spiral_env.stages.resource_aggregation.cybersecurity import ISOLATED, PATCHED
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["MEASURES", "Advice", "Lived", "advise", "demand_backlog", "uncertain"]

MEASURES = {
    "loss_first": ("expected loss, month 1", "k$"),
    "loss": ("expected loss, all months", "k$"),
    "cost_first": ("postures, tools and patches, month 1", "k$"),
    "cost": ("postures, tools and patches, all months", "k$"),
    "hours_first": ("hours agreed on, month 1", "h"),
    "patched_first": ("findings patched, month 1", ""),
    "patched": ("findings patched, all months", ""),
    "exploited_open": ("known exploited left open after month 1", ""),
}
"""What is compared: name -> words and unit. Loss is the platform's through a breach, before insurance."""
_TRIAGE = next(k for k, lever in enumerate(LEVERS["it"]) if lever.name == "triage")


@dataclass(frozen=True)
class Lived:
    """What one team did in the episodes ``[E]``.

    Attributes:
        postures: of the tiers in month 1, 0 defer, 1 batch, 2 now, int ``[E, 3]``.
        landed: month in which each finding was patched or taken off the net, 0 if never, int ``[E, B]``.
        totals: measure -> ``[E]``.
    """

    postures: np.ndarray
    landed: np.ndarray
    totals: dict[str, np.ndarray]


@dataclass(frozen=True)
class Advice:
    """The team's own way and the same team by CVSS, in the same episodes.

    Attributes:
        scenario: the world.
        months: that were lived.
        own: by the team's own triage.
        by_cvss: with triage by CVSS alone.
    """

    scenario: Scenario
    months: int
    own: Lived
    by_cvss: Lived

    @property
    def order(self) -> list[int]:
        """Findings in the order in which the team mends them: most often this month first, then the sooner."""
        return _order(self.own)

    @property
    def order_by_cvss(self) -> list[int]:
        """The same of the team that goes by CVSS."""
        return _order(self.by_cvss)

    def share(self, lived: Lived) -> np.ndarray:
        """Share of the episodes in which each finding is mended in month 1, ``[B]``."""
        return np.asarray((lived.landed == 1).mean(0))

    def within(self, lived: Lived) -> np.ndarray:
        """Share of the episodes in which each finding is mended within all months, ``[B]``."""
        return np.asarray((lived.landed > 0).mean(0))

    def posture_shares(self, lived: Lived) -> np.ndarray:
        """Tier by posture, share of the episodes ``[3, 3]``."""
        return np.stack([(lived.postures == mode).mean(0) for mode in range(3)], axis=1)

    def compared(self, measure: str) -> tuple[Interval, Interval, Interval]:
        """Means of a measure: of the team's own way, by CVSS, and of the paired difference."""
        a, b = self.own.totals[measure], self.by_cvss.totals[measure]
        return mean_interval(a), mean_interval(b), paired_difference(a, b)


def advise(
    scenario: str | Path | Scenario,
    team: Callable[[], Mapping[str, Policy]],
    episodes: int = 40,
    months: int = 12,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Advice:
    """Play the first months of a world twice under the same draws.

    Args:
        scenario: a world that names its findings.
        team: gives role -> policy, fresh for each way.
        episodes: how many, from the ``seed``-th of the scenario's held-out seeds on.
        months: that are lived.
        seed: which of the held-out seeds is the first.
        progress: told after every month of each way.

    Raises:
        ValueError: the world names no findings, or a number is out of range.
    """
    world = demand_backlog(load_scenario(scenario))
    episodes = check_count("episodes", episodes, 2, 10_000)
    months = check_count("months", months, 1, world.max_cycles)
    seeds = np.array(world.evaluation_seeds(seed, episodes), dtype=np.int64)
    own, by_cvss = (_live(world, team(), seeds, months, by_cvss=x, progress=progress) for x in (False, True))
    return Advice(world, months, own, by_cvss)


def demand_backlog(world: Scenario) -> Scenario:
    """The world, if it names its findings.

    Raises:
        ValueError: it does not.
    """
    if not world.backlog:
        raise ValueError(f"scenario {world.id} must name a backlog to be advised on: spiral import makes one")
    return world


def _order(lived: Lived) -> list[int]:
    late = np.where(lived.landed == 0, 1_000, lived.landed)
    keys = np.stack([(lived.landed == 1).mean(0), -late.mean(0)], axis=1)
    return sorted(range(lived.landed.shape[1]), key=lambda k: (-keys[k, 0], -keys[k, 1], k))


def _live(
    world: Scenario,
    team: Mapping[str, Policy],
    seeds: np.ndarray,
    months: int,
    *,
    by_cvss: bool,
    progress: Callable[[int], None] | None,
) -> Lived:
    env = SpiralVectorEnv(world, len(seeds), autoreset_mode="disabled", action_mode="continuous", max_cycles=months)
    observations, _ = env.reset(seed=seeds)
    for role in ROLES:
        reset_policy(team[role], role, episode_keys(range(len(seeds))))
    landed = np.zeros((len(seeds), len(world.backlog)), dtype=np.int64)
    totals = {name: np.zeros(len(seeds)) for name in MEASURES}
    postures = np.zeros((len(seeds), 3), dtype=np.int64)
    for month in range(1, months + 1):
        living = np.array(env.engine.states["done"] == 0)
        efforts = {role: ask_policy(team[role], role, observations[role]) for role in ROLES}
        if by_cvss:
            efforts["it"][..., _TRIAGE] = 0.0
        observations, *_ = env.step(efforts)
        states = env.engine.states
        if month == 1:
            postures = states["posture"].astype(np.int64)
        _note_landed(states, landed, month, living)
        _add(states, totals, month, living, world, landed)
        if progress is not None:
            progress(1)
    env.close()
    return Lived(postures, landed, totals)


def _note_landed(states: np.ndarray, landed: np.ndarray, month: int, living: np.ndarray) -> None:
    """Findings are told from later vulnerabilities by their keys, which begin at 0."""
    open_now = np.arange(states["v_uid"].shape[1]) < states["num_open"][:, None]
    mended = np.isin(states["v_fate"], (PATCHED, ISOLATED)) & open_now & living[:, None]
    rows, places = np.nonzero(mended & (states["v_uid"] < landed.shape[1]))
    keys = states["v_uid"][rows, places]
    first = landed[rows, keys] == 0
    landed[rows[first], keys[first]] = month


def _add(
    states: np.ndarray,
    totals: dict[str, np.ndarray],
    month: int,
    living: np.ndarray,
    world: Scenario,
    landed: np.ndarray,
) -> None:
    loss = np.where(living, states["expected_breach"], 0.0)
    cost = np.where(living, states["it_cost"] + states["patching_cost"], 0.0)
    patched = np.where(living, states["patched"], 0)
    totals["loss"] += loss
    totals["cost"] += cost
    totals["patched"] += patched
    if month == 1:
        totals["loss_first"] += loss
        totals["cost_first"] += cost
        totals["patched_first"] += patched
        totals["hours_first"] += states["hours"]
        known = [k for k, finding in enumerate(world.backlog) if finding.kev]
        totals["exploited_open"] += (landed[:, known] == 0).sum(1)


def uncertain(advice: Advice) -> list[str]:
    """Sentences on what the advice depends on."""
    backlog: tuple[OpenFinding, ...] = advice.scenario.backlog
    unscored = sum(x.epss is None and not x.kev for x in backlog)
    unsaid = sum(x.patch is None for x in backlog)
    shares = advice.share(advice.own)
    torn = int(((shares > 0.1) & (shares < 0.9)).sum())
    _, _, difference = advice.compared("loss")
    alike = bool((advice.own.landed == advice.by_cvss.landed).all())
    sure = difference.low > 0.0 or difference.high < 0.0
    notes = [
        f"{unscored} of {len(backlog)} findings have no EPSS: each episode draws one, so their order differs by episode"
        if unscored
        else "",
        f"of {unsaid} no file says whether there is a fix: drawn likewise" if unsaid else "",
        f"{torn} findings are mended in month 1 in more than a tenth and less than nine tenths of the episodes",
        "the team's own order is that of CVSS: both ways are the same"
        if alike
        else f"over {advice.months} months the difference in expected loss is "
        f"{'told apart from none' if sure else 'not told apart from none'} by {len(advice.own.landed)} episodes",
    ]
    return [x for x in notes if x]
