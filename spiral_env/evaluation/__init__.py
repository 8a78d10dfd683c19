"""Rollouts, statistics and reports; evaluation owns the environment that it scores and never trains."""

from __future__ import annotations

from spiral_env.evaluation.comparison import Comparison, compare, notes
from spiral_env.evaluation.rollout import EpisodeTable, run_episodes
from spiral_env.evaluation.statistics import Interval, bootstrap_interval, iqm, mean_interval, paired_difference

__all__ = [
    "Comparison",
    "EpisodeTable",
    "Interval",
    "bootstrap_interval",
    "compare",
    "iqm",
    "mean_interval",
    "notes",
    "paired_difference",
    "run_episodes",
]
