"""Whether training has moved the greedy policy from where it starts: what the average firm does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spiral_env.agents import load_policy
from spiral_env.evaluation import EpisodeTable, run_episodes
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario

__all__ = ["EPISODES", "moved_share", "moved_words", "unlike_average"]

EPISODES = 4
"""Held-out episodes that are looked at."""


def moved_share(folder: Path, world: Scenario, device: str | None = None) -> float:
    """Share of the greedy policy's decisions in ``EPISODES`` held-out episodes that are not the average firm's.

    They are played on ``device``, as of ``run_episodes``.
    """
    team = {role: load_policy(str(folder), role) for role in ROLES}
    low, high = world.held_out_seeds
    return unlike_average(run_episodes(world, team, min(EPISODES, high - low), device=device))


def unlike_average(table: EpisodeTable) -> float:
    """Share of the decisions of a team's episodes that lie in another third than the average firm's."""
    shares = []
    for role in ROLES:
        thirds = np.minimum((np.array(STATUS_QUO[role]) * 3.0).astype(int), 2)
        shares.append(1.0 - table.lever_use[role][np.arange(len(thirds)), thirds])
    return float(np.mean(np.concatenate(shares)))


def moved_words(share: float, episodes: int = EPISODES) -> str:
    """The share as a line for people."""
    seen = f"greedy policy, {episodes} held-out episodes"
    if share == 0.0:
        return f"{seen}: always the average firm; train longer"
    return f"{seen}: {100.0 * share:.3g} % of decisions unlike the average firm"
