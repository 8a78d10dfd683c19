"""Advantages and returns, as pure functions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spiral_env.training.learning.compiled import gae_columns

__all__ = ["gae", "gae_tensors"]


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
    shape = values.shape
    columns = [np.asarray(x, np.float64).reshape(shape[0], -1) for x in (rewards, values, end_values)]
    advantages = np.empty_like(columns[1])
    gae_columns(
        columns[0],
        columns[1],
        np.array(last_values, np.float64).reshape(-1),
        np.asarray(ends).reshape(shape[0], -1),
        columns[2],
        gamma,
        gae_lambda,
        advantages,
    )
    return advantages.reshape(shape), (advantages + columns[1]).reshape(shape)


@torch.no_grad()
def gae_tensors(
    rewards: Tensor,
    values: Tensor,
    last_values: Tensor,
    ends: Tensor,
    end_values: Tensor,
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """``gae`` of tensors on any device, in their own precision."""
    after = torch.cat([values[1:], last_values.unsqueeze(0)])
    advantages = rewards + gamma * torch.where(ends, end_values, after) - values
    kept = (~ends).to(values.dtype) * (gamma * gae_lambda)
    for t in range(len(advantages) - 2, -1, -1):
        advantages[t].addcmul_(kept[t], advantages[t + 1])
    return advantages, advantages + values
