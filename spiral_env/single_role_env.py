"""A Gymnasium view of one role: the others are played by given policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from spiral_env.checks import as_array, check_choice, check_options, shown
from spiral_env.horizon import HorizonSpec
from spiral_env.metrics import MONTH_KEYS, OUTCOME_KEYS
from spiral_env.parallel_env import SpiralParallelEnv
from spiral_env.policy import Policy, StatusQuo, Uniform, ask_policy, check_role, episode_keys, reset_policy
from spiral_env.render.view import RENDER_FPS, RENDER_MODES
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed, check_split
from spiral_env.spaces import Options

__all__ = ["SingleRoleEnv", "partner_policies", "single_role_options"]

_NAMED: dict[str, Callable[[str], Policy]] = {"status_quo": StatusQuo, "uniform": Uniform}


def _partner(role: str, policy: str | Policy) -> Policy:
    if isinstance(policy, str):
        if policy not in _NAMED:
            names = ", ".join(_NAMED)
            raise ValueError(f"partners[{role!r}] must be one of {names} or a Policy, got {shown(policy)}")
        return _NAMED[policy](role)
    if isinstance(policy, type) or not isinstance(policy, Policy):
        raise TypeError(f"partners[{role!r}] must be a Policy with reset() and act(), got {shown(policy)}")
    return policy


def single_role_options(action_mode: str, levels: int, options: Mapping[str, Any]) -> Options:
    """How the one agent acts.

    Raises:
        ValueError: an option is not allowed.
    """
    if "homogenize" in options:
        raise ValueError(f"homogenize must be left out for a single role, got {shown(options['homogenize'])}")
    return Options(action_mode, levels)


def partner_policies(partners: str | Mapping[str, str | Policy] | None) -> dict[str, Policy]:
    """A policy for every role from what the user gave; those not given play the status quo.

    Raises:
        TypeError: a partner is neither a Policy nor a name.
        ValueError: a partner's role or name is not allowed.
    """
    policies: dict[str, Policy] = {name: StatusQuo(name) for name in ROLES}
    given = dict.fromkeys(ROLES, partners) if isinstance(partners, str) else {} if partners is None else partners
    if not isinstance(given, Mapping):
        raise TypeError(f"partners must be a name or a dictionary from role to policy, got {shown(partners)}")
    for name, policy in given.items():
        role = check_choice("role of partners", name, ROLES)
        policies[role] = _partner(role, policy)
    return policies


class SingleRoleEnv(HorizonSpec, gymnasium.Env[np.ndarray, Any]):
    """One agent learns; ``role="sme"`` is SME 0 and the other SMEs are played by the partner ``"sme"``.

    Infos hold ``spiral_env.metrics.MONTH_KEYS``; the info of the step that ends an episode also holds its outcome
    measures, under ``spiral_env.metrics.OUTCOME_KEYS``.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}

    def __init__(
        self,
        role: str = "it",
        partners: str | Mapping[str, str | Policy] | None = None,
        scenario: str | Path | Scenario = "baseline-v1",
        action_mode: str = "multi_discrete",
        levels: int = 3,
        render_mode: str | None = None,
        split: str | None = None,
        **options: Any,
    ) -> None:
        """Build the world with the partners in it.

        Args:
            role: "it", "business", "finance" or "sme".
            partners: who plays the others: role -> a ``Policy``, "status_quo" or "uniform"; one name stands for all.
                Roles not given play the status quo.
            scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
            action_mode: "multi_discrete", "continuous" or "discrete", as of ``spiral_env.parallel_env``.
            levels: values of a graded lever, in [2, 101].
            render_mode: None, "ansi", "rgb_array" or "human", as of ``spiral_env.parallel_env``.
            split: None, "train" or "held_out": which worlds a seed opens, see ``spiral_env.scenarios.seeds``.
            **options: ``num_smes``, ``reward_mode``, ``reward_basis`` and ``max_cycles`` of
                ``spiral_env.parallel_env``.

        Raises:
            ImportError: a window is asked for, and what draws it is not installed.
            TypeError: a partner is neither a Policy nor a name.
            ValueError: the role, a partner's role or name, or an option is not allowed.
        """
        self.role = check_role(role)
        self.options = single_role_options(action_mode, levels, options)
        self.partners = partner_policies(partners)
        self.split = check_split(split)
        self.inner = SpiralParallelEnv(scenario, action_mode="continuous", render_mode=render_mode, **options)
        self.render_mode = self.inner.render_mode
        self.horizon = self.inner.max_cycles
        self.agent = f"{role}_0"
        self.observation_space = self.options.observation_space(role)
        self.action_space = self.options.action_space(role)
        self._seed = 0
        self._episode = -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Open an episode; partners are reset with a key of its own.

        Args:
            seed: in [0, 2^63), or None for the next episode of the series; see ``spiral_env.scenarios.seeds``.
            options: not used.

        Returns:
            The agent's observation, float32 ``[O]``, and its info.

        Raises:
            TypeError: the seed is no integer, or the options are no dictionary.
            ValueError: the seed is out of range.
        """
        check_options(options)
        fresh = seed is not None or self._episode < 0
        chosen = check_seed(seed) if fresh else None
        super().reset(seed=None if seed is None else chosen)
        if chosen is not None:
            self._seed, self._episode = chosen, 0
        else:
            self._episode += 1
        episode = self.inner.scenario.episode_seed(self._seed, self._episode, self.split)
        observations, infos = self.inner.reset(seed=episode)
        for role, policy in self.partners.items():
            reset_policy(policy, role, episode_keys([episode]))
        return observations[self.agent], self._info(infos)

    def _info(self, infos: dict[str, dict[str, float]]) -> dict[str, Any]:
        return {key: infos[self.agent][key] for key in MONTH_KEYS}

    def _joint(self, action: Any) -> dict[str, np.ndarray]:
        efforts: list[np.ndarray] = []
        for role in ROLES:
            efforts.extend(ask_policy(self.partners[role], role, self.inner.engine.observations[role])[0])
        joint = dict(zip(self.inner.possible_agents, efforts, strict=True))
        given = as_array("action", action, self.options.action_shape(self.role))
        joint[self.agent] = self.options.efforts(self.role, given)
        return joint

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Live one month: own action, partners' from what they see.

        Args:
            action: the agent's, of ``action_space``.

        Returns:
            Observation, reward, whether the ecosystem collapsed, whether time was up, and the info.

        Raises:
            ValueError: the action is outside its space, or a partner failed.
        """
        observations, rewards, terminations, truncations, infos = self.inner.step(self._joint(action))
        a, info = self.agent, self._info(infos)
        if terminations[a] or truncations[a]:
            info |= {OUTCOME_KEYS[name]: value for name, value in self.inner.metrics().items()}
        return observations[a], rewards[a], terminations[a], truncations[a], info

    def render(self) -> Any:
        """The month, as of ``SpiralParallelEnv.render``."""
        return self.inner.render()

    def close(self) -> None:
        """Close the window, if one is open."""
        self.inner.close()
