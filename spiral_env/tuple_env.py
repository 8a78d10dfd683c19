"""All agents as one Gymnasium environment with Tuple spaces, the form EPyMARL's ``gymma`` wrapper reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from spiral_env.checks import check_options, shown
from spiral_env.horizon import HorizonSpec
from spiral_env.metrics import spending
from spiral_env.parallel_env import SpiralParallelEnv
from spiral_env.render.view import RENDER_FPS, RENDER_MODES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed

__all__ = ["TupleEnv"]

Observations = tuple[np.ndarray, ...]


class TupleEnv(HorizonSpec, gymnasium.Env[Observations, Any]):
    """Entry ``k`` of observations, actions and rewards is the agent ``possible_agents[k]``.

    Infos say what each role's levers asked for and what was paid (``spiral_env.metrics.SPENDING_KEYS``, k$). That of
    the step that ends an episode also holds its outcome measures and ``episode_limit``, true where the horizon ended
    it: EPyMARL bootstraps there and logs the measures.

    Attributes:
        n_agents: number of agents.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v1",
        action_mode: str = "discrete",
        homogenize: bool = True,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Build the world.

        Args:
            scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
            action_mode: "discrete", "multi_discrete" or "continuous", as of ``spiral_env.parallel_env``.
            homogenize: give all roles one space, as of ``spiral_env.parallel_env``.
            render_mode: None, "ansi", "rgb_array" or "human", as of ``spiral_env.parallel_env``.
            **options: the other options of ``spiral_env.parallel_env``.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        self.inner = SpiralParallelEnv(
            scenario, action_mode=action_mode, homogenize=homogenize, render_mode=render_mode, **options
        )
        self.render_mode = self.inner.render_mode
        self.horizon = self.inner.max_cycles
        self.n_agents = len(self.inner.possible_agents)
        self.observation_space = spaces.Tuple(list(self.inner.observation_spaces.values()))
        self.action_space = spaces.Tuple(list(self.inner.action_spaces.values()))
        self._next_seed: int | None = None

    def seed(self, seed: int | None = None) -> list[int]:
        """Set the seed of the next ``reset`` that is given none.

        Args:
            seed: in [0, 2^63); None draws one.

        Returns:
            The seed, in a list.
        """
        self._next_seed = check_seed(seed)
        return [self._next_seed]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Open an episode, as ``SpiralParallelEnv.reset``.

        Args:
            seed: in [0, 2^63), or None for that of ``seed()`` or the next of the series.
            options: not used.

        Returns:
            Each agent's observation, and an empty info.
        """
        check_options(options)
        chosen = self._next_seed if seed is None else check_seed(seed)
        self._next_seed = None
        super().reset(seed=None if chosen is None else check_seed(chosen))
        observations, _ = self.inner.reset(seed=chosen)
        return tuple(observations.values()), {}

    def step(self, action: Sequence[Any]) -> tuple[Observations, list[float], bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Live one month under one action per agent; rewards are a list.

        Args:
            action: one for each of ``possible_agents``, in that order.

        Raises:
            TypeError: not a sequence.
            ValueError: not one action per agent, or an action outside its space.
        """
        try:
            actions = list(action)
        except TypeError:
            raise TypeError(f"action must hold {self.n_agents} actions, got {shown(action)}") from None
        if len(actions) != self.n_agents:
            raise ValueError(f"action must hold {self.n_agents} actions, got {len(actions)}")
        joint = dict(zip(self.inner.possible_agents, actions, strict=True))
        observations, rewards, terminations, truncations, _ = self.inner.step(joint)
        ended, cut = any(terminations.values()), any(truncations.values())
        info: dict[str, Any] = spending(self.inner.engine.states[0])
        if ended or cut:
            info |= {"episode_limit": cut, **self.inner.metrics()}
        return tuple(observations.values()), list(rewards.values()), ended, cut, info

    def render(self) -> Any:
        """The month, as of ``SpiralParallelEnv.render``."""
        return self.inner.render()

    def close(self) -> None:
        """Close the window, if one is open."""
        self.inner.close()
