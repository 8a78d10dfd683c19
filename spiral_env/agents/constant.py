"""One joint action, always."""

from __future__ import annotations

import numpy as np

from spiral_env.roles import NUM_LEVERS
from spiral_env.text import one_line

__all__ = ["Constant"]


class Constant:
    """One fixed effort in [0, 1] for every lever of the role."""

    def __init__(self, role: str, efforts: str) -> None:
        """Efforts as text: one for every lever (``"0.5,1,0,0.5,1"``), or one for all (``"0.5"``)."""
        try:
            values = [float(x) for x in efforts.split(",")]
        except ValueError:
            values = []
        if len(values) == 1:
            values *= NUM_LEVERS[role]
        if len(values) != NUM_LEVERS[role] or not all(0.0 <= x <= 1.0 for x in values):
            got = one_line(repr(efforts), 80)
            raise ValueError(f"constant policy of {role} must be {NUM_LEVERS[role]} numbers in [0, 1], got {got}")
        self.name = f"constant:{efforts}"
        self._efforts = np.array(values)

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The same efforts for all: ``[E, A, L]``."""
        return np.broadcast_to(self._efforts, (*observation.shape[:2], len(self._efforts))).copy()
