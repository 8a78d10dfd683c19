"""A Gymnasium view of one role: the others are played by given policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from spiral_env.parallel_env import SpiralParallelEnv
from spiral_env.policy import Policy, StatusQuo, Uniform, ask_policy, check_role, episode_keys, reset_policy
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed, check_split
from spiral_env.spaces import Options

__all__ = ["SingleRoleEnv", "partner_policies", "single_role_options"]

_NAMED: dict[str, Callable[[str], Policy]] = {"status_quo": StatusQuo, "uniform": Uniform}


def _partner(role: str, policy: str | Policy) -> Policy:
    if isinstance(policy, str):
        if policy not in _NAMED:
            raise ValueError(f"partners[{role!r}] must be one of {', '.join(_NAMED)} or a Policy, got {policy!r}")
        return _NAMED[policy](role)
    if not isinstance(policy, Policy):
        raise TypeError(f"partners[{role!r}] must be a Policy with reset() and act(), got {policy!r}")
    return policy


def single_role_options(action_mode: str, levels: int, options: Mapping[str, Any]) -> Options:
    """How the one agent acts.

    Raises:
        ValueError: an option is not allowed.
    """
    if "homogenize" in options:
        raise ValueError(f"homogenize must be left out for a single role, got {options['homogenize']!r}")
    return Options(action_mode, levels)


def partner_policies(partners: str | Mapping[str, str | Policy] | None) -> dict[str, Policy]:
    """A policy for every role from what the user gave; those not given play the status quo.

    Raises:
        TypeError: a partner is neither a Policy nor a name.
        ValueError: a partner's role or name is not allowed.
    """
    policies: dict[str, Policy] = {name: StatusQuo(name) for name in ROLES}
    given = dict.fromkeys(ROLES, partners) if isinstance(partners, str) else partners or {}
    for name, policy in given.items():
        policies[check_role(name)] = _partner(name, policy)
    return policies


class SingleRoleEnv(gymnasium.Env[np.ndarray, Any]):
    """One agent learns; ``role="sme"`` is SME 0 and the other SMEs are played by the partner ``"sme"``."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}

    def __init__(
        self,
        role: str = "it",
        partners: str | Mapping[str, str | Policy] | None = None,
        scenario: str | Path | Scenario = "baseline-v0",
        action_mode: str = "multi_discrete",
        levels: int = 3,
        render_mode: str | None = None,
        split: str | None = None,
        **options: Any,
    ) -> None:
        """Partners are policies by role, each a Policy, "status_quo" or "uniform"; one name stands for all.

        Those not given play the status quo.

        Raises:
            TypeError: a partner is neither a Policy nor a name.
            ValueError: the role, a partner's role or name, or an option is not allowed.
        """
        self.role = check_role(role)
        self.options = single_role_options(action_mode, levels, options)
        self.partners = partner_policies(partners)
        self.render_mode = render_mode
        self.split = check_split(split)
        self.inner = SpiralParallelEnv(scenario, action_mode="continuous", render_mode=render_mode, **options)
        self.agent = f"{role}_0"
        self.observation_space = self.options.observation_space(role)
        self.action_space = self.options.action_space(role)
        self._seed = 0
        self._episode = -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Open an episode; partners are reset with a key of its own."""
        super().reset(seed=seed)
        if seed is not None or self._episode < 0:
            self._seed, self._episode = check_seed(seed), 0
        else:
            self._episode += 1
        episode = self.inner.scenario.episode_seed(self._seed, self._episode, self.split)
        observations, infos = self.inner.reset(seed=episode)
        for role, policy in self.partners.items():
            reset_policy(policy, role, episode_keys([episode]))
        return observations[self.agent], infos[self.agent]

    def _joint(self, action: Any) -> dict[str, np.ndarray]:
        efforts = []
        for role in ROLES:
            efforts.append(ask_policy(self.partners[role], role, self.inner.engine.observations[role])[0])
        joint = dict(zip(self.inner.possible_agents, np.concatenate(efforts), strict=True))
        given = np.asarray(action)
        if given.shape != self.options.action_shape():
            raise ValueError(f"action must have shape {self.options.action_shape()}, got {given.shape}")
        joint[self.agent] = self.options.efforts(self.role, given)
        return joint

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Live one month: own action, partners' from what they see."""
        observations, rewards, terminations, truncations, infos = self.inner.step(self._joint(action))
        a = self.agent
        return observations[a], rewards[a], terminations[a], truncations[a], infos[a]

    def render(self) -> str | None:  # type: ignore[override]
        """The month as text with ``render_mode="ansi"``."""
        return self.inner.render()
