"""The losses of PPO, as pure functions of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["categorical_terms", "gaussian_terms", "policy_loss", "value_loss"]

_LOG_2PI = math.log(2.0 * math.pi)


def categorical_terms(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability ``[B]`` of integer actions ``[B, L]`` under logits ``[B, L, K]``, and the entropy ``[B]``."""
    log_p = torch.log_softmax(logits, dim=-1)
    chosen = log_p.gather(-1, actions.long().unsqueeze(-1)).squeeze(-1).sum(-1)
    return chosen, -(log_p.exp() * log_p).sum((-1, -2))


def gaussian_terms(mean: Tensor, log_std: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Log-density ``[B]`` of actions ``[B, L]`` under independent normals, and the entropy ``[B]``."""
    z = (actions - mean) * torch.exp(-log_std)
    log_p = -0.5 * (z * z + _LOG_2PI) - log_std
    entropy = (0.5 + 0.5 * _LOG_2PI + log_std).expand_as(mean)
    return log_p.sum(-1), entropy.sum(-1)


def policy_loss(log_p: Tensor, old_log_p: Tensor, advantages: Tensor, clip_coef: float) -> tuple[Tensor, Tensor]:
    """Clipped surrogate (Schulman et al. 2017, eq. 7), summed, and the summed estimate of KL(old, new)."""
    log_ratio = log_p - old_log_p
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)
    with torch.no_grad():
        kl = (ratio - 1.0 - log_ratio).sum()
    return -torch.minimum(ratio * advantages, clipped * advantages).sum(), kl


def value_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Half the squared error, summed."""
    return 0.5 * (values - targets).square().sum()
