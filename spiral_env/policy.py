"""The Policy protocol, and the two policies that need nothing: the status quo and uniform play."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from spiral_env.roles import LEVERS, NUM_LEVERS, ROLES

__all__ = ["STATUS_QUO", "Policy", "StatusQuo", "Uniform", "check_role"]

STATUS_QUO: dict[str, tuple[float, ...]] = {
    "it": (0.5, 0.5, 0.5, 0.5, 0.5),
    "business": (0.5, 0.5, 0.5, 0.5, 0.5),
    "finance": (0.5, 0.5, 0.5, 0.5, 0.5),
    "sme": (0.5, 0.5, 0.0, 0.5, 0.5),
}
"""The average firm of the calibration: graded levers at their middle, ``batch``, the basic tier, ESG ``none``."""


def check_role(role: str) -> str:
    """The role, if it is one."""
    if role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}, got {role!r}")
    return role


@runtime_checkable
class Policy(Protocol):
    """Plays one role in a batch of environments."""

    name: str

    def reset(self, seeds: np.ndarray) -> None:
        """Clear memory for new episodes; int64 ``[E]``, one episode seed per environment."""
        ...

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Float32 ``[E, A, O]`` (the role's own features) to efforts float64 ``[E, A, 5]`` in [0, 1]."""
        ...


class StatusQuo:
    """The average firm: one constant joint action."""

    name = "status_quo"

    def __init__(self, role: str) -> None:
        """For one role."""
        self._efforts = np.array(STATUS_QUO[check_role(role)])

    def reset(self, seeds: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The same efforts always."""
        return np.broadcast_to(self._efforts, (*observation.shape[:2], NUM_LEVERS)).copy()


class Uniform:
    """Every action of the default space with equal probability, keyed by episode seed and month."""

    name = "uniform"

    def __init__(self, role: str, levels: int = 3) -> None:
        """For one role; ``levels`` values a graded lever."""
        self._role = ROLES.index(check_role(role))
        self._top = np.array([levels if x.kind == "graded" else 3 for x in LEVERS[role]]) - 1
        self._generators: list[np.random.Generator] = []

    def reset(self, seeds: np.ndarray) -> None:
        """One generator per environment."""
        self._generators = [np.random.default_rng((int(seed), self._role)) for seed in seeds]

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Independent draws for every agent and lever."""
        shape = (observation.shape[1], NUM_LEVERS)
        return np.stack([g.integers(0, self._top + 1, size=shape) / self._top for g in self._generators])
