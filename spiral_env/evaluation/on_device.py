"""Episodes of given policies where world and trained networks are on one device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from spiral_env.evaluation.rollout import FIXED
from spiral_env.policy import Policy, ask_policy, reset_policy
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["OnDevice", "play"]


class OnDevice(Protocol):
    """A policy that can act on tensors of a device."""

    def to(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """What gives efforts ``[E, A, L]`` for observations ``[E, A, O]`` of new episodes, both on the device."""


def play(
    world: Scenario,
    policies: Mapping[str, Policy],
    seeds: np.ndarray,
    keys: np.ndarray,
    options: Mapping[str, Any],
    device: str,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, dict[str, bool]]]:
    """Play whole episodes side by side.

    Networks of a run act on the device; any other policy is asked on the host, as everywhere.

    Returns:
        Outcome measures ``[episodes]``; role -> decisions by thirds ``[L, 3]``; of ``FIXED``, role -> whether all
        decisions were that.
    """
    env: Any = SpiralVectorEnv(
        world, len(seeds), autoreset_mode="disabled", action_mode="continuous", device=device, **options
    )
    seen, _ = env.reset(seed=seeds.tolist())
    players = {role: _player(policies[role], role, keys, env.device) for role in ROLES}
    alive = torch.ones(len(seeds), dtype=torch.bool, device=env.device)
    noted = {role: _Noted(role, env.device) for role in ROLES}
    for _ in range(env.max_cycles):
        efforts = {role: players[role](seen[role]) for role in ROLES}
        for role in ROLES:
            noted[role].take(efforts[role], alive)
        seen, _, terminations, truncations, _ = env.step(efforts)
        alive &= ~(terminations | truncations)
    metrics = {name: x.cpu().numpy() for name, x in env.metrics().items()}
    env.close()
    use = {role: x.use.cpu().numpy() for role, x in noted.items()}
    return metrics, use, {kind: {role: bool(x.always[kind]) for role, x in noted.items()} for kind in FIXED}


def _player(policy: Policy, role: str, keys: np.ndarray, device: torch.device) -> Callable[[Tensor], Tensor]:
    if callable(getattr(policy, "to", None)):
        return cast(OnDevice, policy).to(device)
    reset_policy(policy, role, keys)

    def ask(seen: Tensor) -> Tensor:
        return torch.from_numpy(ask_policy(policy, role, seen.cpu().numpy())).to(device)

    return ask


class _Noted:
    """What a role decided, on the device."""

    def __init__(self, role: str, device: torch.device) -> None:
        self.use = torch.zeros((NUM_LEVERS[role], 3), dtype=torch.float64, device=device)
        self.always = {kind: torch.ones((), dtype=torch.bool, device=device) for kind in FIXED}
        self._fixed = {
            kind: torch.tensor(efforts[role], dtype=torch.float64, device=device) for kind, efforts in FIXED.items()
        }

    def take(self, efforts: Tensor, alive: Tensor) -> None:
        """Count efforts ``[E, A, L]`` of the episodes that go on."""
        counts = alive.view(-1, 1, 1)
        thirds = (efforts * 3.0).long().clamp_(max=2)
        self.use += torch.stack([((thirds == k) & counts).sum((0, 1)) for k in range(3)], 1)
        for kind, fixed in self._fixed.items():
            self.always[kind] &= ((efforts == fixed) | ~counts).all()
