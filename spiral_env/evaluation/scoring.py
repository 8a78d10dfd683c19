"""Scores: one outcome between the average firm, 0, and the best known, 1, with the aggregates of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spiral_env.evaluation.aggregates import (
    performance_profile,
    pooled_iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from spiral_env.evaluation.comparison import Comparison
from spiral_env.evaluation.rollout import run_episodes
from spiral_env.evaluation.statistics import Interval, mean_interval
from spiral_env.policy import StatusQuo
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.references import MEASURE, Reference, read_references

__all__ = ["Score", "Scoring", "find_reference", "score"]

PROFILE_AT = np.linspace(-0.5, 1.5, 41)
"""Normalised scores at which performance profiles are told."""
_SAME = 1e-9
"""Relative difference of the average firm's first episode that rounding may make."""


@dataclass(frozen=True)
class Score:
    """One team's scores.

    Attributes:
        episodes: score of every episode ``[n]``, normalised where the world has a reference.
        mean: with Student's interval.
        iqm: interquartile mean with a bootstrap interval.
        improvement: probability that an episode of it is better than one of the first team, with a bootstrap
            interval; None for the first team, and where that failed.
    """

    episodes: np.ndarray
    mean: Interval
    iqm: Interval
    improvement: Interval | None

    @property
    def regret(self) -> float:
        """What is left, in the mean, to the best known."""
        return 1.0 - self.mean.mean


@dataclass(frozen=True)
class Scoring:
    """Scores of a comparison.

    Attributes:
        measure: what is scored.
        reference: the ends of the scale; None where scores are in the measure's own unit.
        note: why there is no reference; empty where there is one.
        scores: team -> score, of those that played to the end.
    """

    measure: str
    reference: Reference | None
    note: str
    scores: dict[str, Score]

    def as_result(self) -> dict[str, Any]:
        """As JSON."""
        ends = None
        if self.reference is not None:
            ends = {"zero": self.reference.zero, "one": self.reference.one, "best": self.reference.best}
        teams = {
            name: {
                "mean": x.mean.mean,
                "interval95": list(x.mean[1:]),
                "iqm": x.iqm.mean,
                "iqm_interval95": list(x.iqm[1:]),
                "improvement": None if x.improvement is None else x.improvement.mean,
                "improvement_interval95": None if x.improvement is None else list(x.improvement[1:]),
                "regret": x.regret if ends else None,
            }
            for name, x in self.scores.items()
        }
        profile = {name: performance_profile([x.episodes], PROFILE_AT).tolist() for name, x in self.scores.items()}
        profiles = {"at": PROFILE_AT.tolist(), "share_above": profile} if ends else None
        return {"measure": self.measure, "ends": ends, "note": self.note, "teams": teams, "profiles": profiles}


def find_reference(world: Scenario) -> tuple[Reference | None, str]:
    """The stored ends of a world's score, or None and why there are none that hold."""
    reference = read_references().get(world.hash)
    if reference is None:
        return None, f"{world.id} ({world.hash}) has no stored ends of the score: scores are not normalised"
    probe = average_firm(world, 1)[0]
    if abs(probe - reference.probe) > _SAME * max(1.0, abs(reference.probe)):
        found = f"the average firm's first episode gives {probe:g}, {reference.probe:g} when they were stored"
        return None, f"the model has changed since the ends of {world.id} were stored ({found}): not normalised"
    return reference, ""


def average_firm(world: Scenario, episodes: int, measure: str = MEASURE) -> np.ndarray:
    """A measure of the average firm on the first held-out seeds ``[episodes]``."""
    return run_episodes(world, {role: StatusQuo(role) for role in ROLES}, episodes).metrics[measure]


def score(comparison: Comparison, measure: str = MEASURE) -> Scoring:
    """Score every team that played to the end."""
    reference, note = find_reference(comparison.world) if comparison.tables else (None, "no team played to the end")
    values = {name: table.metrics[measure] for name, table in comparison.tables.items()}
    if reference is not None:
        values = {name: reference.normalised(x) for name, x in values.items()}
    first = next(iter(comparison.teams))
    return Scoring(
        measure, reference, note, {name: _score(x, values.get(first), name == first) for name, x in values.items()}
    )


def _score(values: np.ndarray, first: np.ndarray | None, is_first: bool) -> Score:
    better = None
    if first is not None and not is_first:
        better = stratified_bootstrap(probability_of_improvement, [values], [first])
    return Score(values, mean_interval(values), stratified_bootstrap(pooled_iqm, [values]), better)
