"""Rollouts, statistics and reports; evaluation owns the environment that it scores and never trains."""

from __future__ import annotations

from spiral_env.evaluation.aggregates import (
    mean_of_strata,
    performance_profile,
    pooled_iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from spiral_env.evaluation.comparison import Comparison, compare, notes
from spiral_env.evaluation.rollout import EpisodeTable, run_episodes
from spiral_env.evaluation.scoring import Score, Scoring, find_reference, score
from spiral_env.evaluation.statistics import Interval, bootstrap_interval, iqm, mean_interval, paired_difference

__all__ = [
    "Comparison",
    "EpisodeTable",
    "Interval",
    "Score",
    "Scoring",
    "bootstrap_interval",
    "compare",
    "find_reference",
    "iqm",
    "mean_interval",
    "mean_of_strata",
    "notes",
    "paired_difference",
    "performance_profile",
    "pooled_iqm",
    "probability_of_improvement",
    "run_episodes",
    "score",
    "stratified_bootstrap",
]
