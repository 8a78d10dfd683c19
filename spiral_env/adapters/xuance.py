"""The environment as XuanCe wants it: registered by name, built from a configuration."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np
from gymnasium import spaces

from spiral_env.metrics import HEADLINES, OUTCOME_KEYS
from spiral_env.parallel_env import SpiralParallelEnv

try:
    from xuance.common import MultiAgentBaseCallback
    from xuance.environment import REGISTRY_MULTI_AGENT_ENV, RawMultiAgentEnv
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[xuance]'") from None

__all__ = ["NAME", "LogOutcomes", "XuanCeEnv"]

NAME = "spiral_env"


class LogOutcomes(MultiAgentBaseCallback):
    """Gives XuanCe's logger ``Train-Results/Outcome/<measure>`` of every episode that ends in training.

    Attributes:
        team: the agents that it was given to, whose logger it writes to; set it when they are built.
    """

    team: Any = None

    def on_train_episode_info(self, *_args: Any, env_id: int, infos: Any, current_step: int, **_given: Any) -> None:
        """Log one episode.

        Raises:
            ValueError: ``team`` was not set.
        """
        if self.team is None:
            raise ValueError("LogOutcomes.team must be set to the agents that the callback was given to, got None")
        said = next(iter(infos[env_id]["infos"].values()))
        told = {f"Train-Results/Outcome/{name}": said[OUTCOME_KEYS[name]] for name in HEADLINES}
        self.team.log_infos(told, current_step)


class XuanCeEnv(RawMultiAgentEnv):
    """``env_name: spiral_env``, ``env_id`` a scenario; spaces are homogenised, actions Discrete or Box.

    Attributes:
        agent_groups: names by role, for algorithms with a network per group.
    """

    def __init__(self, config: Namespace) -> None:
        """Build the world; ``config.env_options`` are options of ``parallel_env``, of which ``split`` is "train" here.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        super().__init__()
        mode = "continuous" if getattr(config, "continuous_action", False) else "discrete"
        options = {"action_mode": mode, "homogenize": True, "split": "train", **getattr(config, "env_options", {})}
        self.env = SpiralParallelEnv(config.env_id, **options)
        self.agents = self.env.possible_agents
        self.num_agents = len(self.agents)
        self.agent_groups = [[a for a in self.agents if a.startswith(role)] for role in _roles(self.agents)]
        self.observation_space = self.env.observation_spaces
        self.action_space = self.env.action_spaces
        self.state_space = self.env.state_space
        self.max_episode_steps = self.env.max_cycles
        self._next_seed: int | None = config.env_seed
        self._returns: dict[str, float] = {}

    def reset(self, **kwargs: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Open an episode: the first with the configured seed, then the next of its series."""
        observations, infos = self.env.reset(seed=self._next_seed)
        self._next_seed = None
        self._returns = dict.fromkeys(self.agents, 0.0)
        return observations, {"infos": infos, "individual_episode_rewards": self._returns}

    def step(
        self, action_dict: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], bool, dict[str, Any]]:
        """Live one month; truncation is one flag for all agents, as XuanCe has it."""
        actions = self._typed(action_dict)
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        for agent, reward in rewards.items():
            self._returns[agent] += reward
        info = {"infos": infos, "individual_episode_rewards": self._returns}
        return observations, rewards, terminations, any(truncations.values()), info

    def _typed(self, action_dict: dict[str, Any]) -> dict[str, Any]:
        """XuanCe hands over discrete actions as floats; the environment clips those of a Box."""
        if self.env.options.action_mode == "continuous":
            return action_dict
        return {agent: np.asarray(action, dtype=np.int64) for agent, action in action_dict.items()}

    def state(self) -> np.ndarray:
        """Everything but single backlog slots, float32 ``[D]``."""
        return self.env.state()

    def avail_actions(self) -> dict[str, np.ndarray] | None:
        """Every action is always allowed; ``None`` where actions are continuous."""
        if not isinstance(next(iter(self.action_space.values())), spaces.Discrete):
            return None
        return super().avail_actions()

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """The month as the options ask for it."""
        return self.env.render()

    def close(self) -> None:
        """Nothing is held open."""
        self.env.close()


def _roles(agents: list[str]) -> list[str]:
    return list(dict.fromkeys(agent.rsplit("_", 1)[0] for agent in agents))


REGISTRY_MULTI_AGENT_ENV[NAME] = XuanCeEnv
