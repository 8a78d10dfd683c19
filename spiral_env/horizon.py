"""The horizon as Gymnasium's wrappers look for it: ``spec.max_episode_steps``."""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["HorizonSpec"]


class HorizonSpec:
    """A ``spec`` that names the months after which an episode is cut.

    They are the scenario's, so the registry cannot name them; ``gymnasium.make`` sets ``spec`` once the world is built.
    Named there, Gymnasium would also wrap the environment in a time limit of its own.

    Attributes:
        horizon: months until an episode is cut.
    """

    horizon: int
    _spec: Any = None

    @property
    def spec(self) -> Any:
        """How the environment was made, or ``None``."""
        return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        if spec is not None and spec.max_episode_steps is None:
            spec = copy.copy(spec)
            spec.max_episode_steps = self.horizon
        self._spec = spec
