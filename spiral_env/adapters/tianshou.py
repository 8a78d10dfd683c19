"""Outcome measures for tianshou's collectors, whose statistics its trainers log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spiral_env.metrics import HEADLINES, OUTCOME_KEYS

try:
    from tianshou.data import CollectStats
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[tianshou]'") from None

__all__ = ["OutcomeStats"]


@dataclass(kw_only=True)
class OutcomeStats(CollectStats):
    """For ``Collector(..., collect_stats_class=OutcomeStats)``.

    Attributes:
        outcome: measure -> mean over the episodes that were collected; loggers show it as ``outcome/<measure>``.
    """

    outcome: dict[str, float] = field(default_factory=dict)

    def update_at_episode_done(self, episode_batch: Any, *args: Any, **kwargs: Any) -> None:
        """Count an episode in."""
        super().update_at_episode_done(episode_batch, *args, **kwargs)
        for name in HEADLINES:
            value, mean = float(episode_batch.info[OUTCOME_KEYS[name]][-1]), self.outcome.get(name, 0.0)
            self.outcome[name] = mean + (value - mean) / self.n_collected_episodes
