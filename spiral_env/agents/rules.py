"""The base of policies that are rules: features by name in the units of their table, efforts by the name of a lever."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spiral_env.policy import check_role
from spiral_env.roles import FEATURES, LEVERS

__all__ = ["Rules"]


class Rules:
    """A policy whose subclass says what it does where it sees what; a lever without a rule is the average firm's.

    Attributes:
        name: what ``load_policy`` calls it.
        roles: roles it plays.
    """

    name = "rules"
    roles: tuple[str, ...] = tuple(LEVERS)

    def __init__(self, role: str) -> None:
        """For one role.

        Raises:
            ValueError: it does not play this role.
        """
        self._role = check_role(role)
        if role not in self.roles:
            raise ValueError(f"policy {self.name} plays {' and '.join(self.roles)}, not {role}")

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, L]`` from observations ``[E, A, O]``."""
        table = enumerate(FEATURES[self._role])
        see = {x.name: observation[..., k].astype(np.float64) * x.scale for k, x in table}
        chosen = self.choose(see)
        columns = [chosen.get(lever.name, lever.average) for lever in LEVERS[self._role]]
        return np.stack([np.broadcast_to(c, observation.shape[:2]) for c in columns], axis=-1).astype(np.float64)

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """Lever -> effort, one for all or ``[E, A]``.

        Args:
            see: feature -> what is seen ``[E, A]``, in the unit of the role's table.
        """
        return {}
