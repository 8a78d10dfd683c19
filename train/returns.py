"""Advantages and returns, as pure functions."""

from __future__ import annotations

import numpy as np

__all__ = ["gae"]


def gae(
    rewards: np.ndarray,
    values: np.ndarray,
    last_values: np.ndarray,
    ends: np.ndarray,
    end_values: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Generalised advantage estimation (Schulman et al. 2016).

    Args:
        rewards: ``[T, ...]``.
        values: value of the observation acted on, ``[T, ...]``.
        last_values: value of what follows the last step, ``[...]``.
        ends: whether the episode ended in this step, bool ``[T, ...]``.
        end_values: value of the last observation of an episode that was truncated, 0 of one that terminated,
            ``[T, ...]``; read only where ``ends``.
        gamma: discount a step.
        gae_lambda: 0 is one-step TD, 1 is Monte Carlo.

    Returns:
        Advantages and value targets (advantage + value), each ``[T, ...]``.
    """
    advantages = np.zeros_like(values)
    following, carry = last_values, np.zeros_like(last_values)
    for t in range(len(rewards) - 1, -1, -1):
        after = np.where(ends[t], end_values[t], following)
        delta = rewards[t] + gamma * after - values[t]
        carry = delta + gamma * gae_lambda * np.where(ends[t], 0.0, carry)
        advantages[t] = carry
        following = values[t]
    return advantages, advantages + values
