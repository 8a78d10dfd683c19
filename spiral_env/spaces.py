"""Spaces of the roles, the options every interface shares, and the way from an action to an effort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from spiral_env.checks import check_choice, check_count, check_flag
from spiral_env.roles import FEATURES, LEVERS, MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.simulator.engine import REWARD_MODES

__all__ = ["ACTION_MODES", "REWARD_BASES", "Options", "agent_names", "agent_role", "padded_width"]

ACTION_MODES = ("multi_discrete", "continuous", "discrete")
REWARD_BASES = ("expected", "realised")
_LONGEST = max(len(table) for table in FEATURES.values())


def padded_width() -> int:
    """Length of homogenised observations: the longest of any role, and a one-hot of the role behind it."""
    return _LONGEST + len(ROLES)


def agent_names(num_smes: int) -> list[str]:
    """``it_0, business_0, finance_0, sme_0 ...``."""
    return ["it_0", "business_0", "finance_0", *(f"sme_{i}" for i in range(num_smes))]


def agent_role(agent: str) -> str:
    """Role of an agent's name."""
    return agent.rsplit("_", 1)[0]


@dataclass(frozen=True)
class Options:
    """How agents act and what they are paid for; validated on construction."""

    action_mode: str = "multi_discrete"
    levels: int = 3
    homogenize: bool = False
    reward_mode: str = "mixed"
    reward_basis: str = "expected"

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option is not allowed.
        """
        checked = {
            "action_mode": check_choice("action_mode", self.action_mode, ACTION_MODES),
            "levels": check_count("levels", self.levels, 2, 101),
            "homogenize": check_flag("homogenize", self.homogenize),
            "reward_mode": check_choice("reward_mode", self.reward_mode, REWARD_MODES),
            "reward_basis": check_choice("reward_basis", self.reward_basis, REWARD_BASES),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.action_mode == "discrete" and self.levels != 3:
            raise ValueError(f"levels must be 3 with action_mode='discrete', got {self.levels}")

    def num_levers(self, role: str) -> int:
        """Length of one agent's action: the role's levers; homogenised the most a role has, the rest unused."""
        return MAX_LEVERS if self.homogenize else NUM_LEVERS[role]

    def counts(self, role: str) -> np.ndarray:
        """Number of values of each lever, int64 ``[L]``."""
        if self.homogenize:
            return np.full(MAX_LEVERS, max(3, self.levels), dtype=np.int64)
        return np.array([self.levels if x.kind == "graded" else 3 for x in LEVERS[role]], dtype=np.int64)

    @staticmethod
    def width(role: str) -> int:
        """Number of the role's own features."""
        return len(FEATURES[role])

    def action_space(self, role: str) -> spaces.Space:
        """Space of one agent's action."""
        if self.action_mode == "continuous":
            return spaces.Box(0.0, 1.0, (self.num_levers(role),), np.float32)
        if self.action_mode == "discrete":
            return spaces.Discrete(3 ** self.num_levers(role))
        return spaces.MultiDiscrete(self.counts(role))

    def observation_space(self, role: str) -> spaces.Box:
        """Space of one agent's observation: its features, or padded with a one-hot of the role."""
        low = np.array([f.low for f in FEATURES[role]], dtype=np.float32)
        high = np.array([f.high for f in FEATURES[role]], dtype=np.float32)
        if not self.homogenize:
            return spaces.Box(low, high, dtype=np.float32)
        wide_low = np.full(_LONGEST + len(ROLES), -4.0, dtype=np.float32)
        wide_high = np.full(_LONGEST + len(ROLES), 4.0, dtype=np.float32)
        wide_low[_LONGEST:], wide_high[_LONGEST:] = 0.0, 1.0
        return spaces.Box(wide_low, wide_high, dtype=np.float32)

    def pad(self, role: str, observation: np.ndarray) -> np.ndarray:
        """``[..., O]`` features to the common ``[..., L + 4]``: zero-padded, with the role's one-hot."""
        width = observation.shape[-1]
        out = np.zeros((*observation.shape[:-1], _LONGEST + len(ROLES)), dtype=np.float32)
        out[..., :width] = observation
        out[..., _LONGEST + ROLES.index(role)] = 1.0
        return out

    def efforts(self, role: str, actions: np.ndarray) -> np.ndarray:
        """Actions ``[..., L]`` (or ``[...]`` flat discrete) to efforts ``[..., levers of the role]`` in [0, 1].

        Continuous actions are clipped to the Box, as a Gaussian policy goes beyond it.

        Raises:
            ValueError: a discrete value is outside the space, or a continuous one is no real number.
        """
        if self.action_mode == "continuous":
            return _clipped(role, actions)[..., : NUM_LEVERS[role]]
        if not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"actions of {role} must be integers, got dtype {actions.dtype}")
        if self.action_mode == "discrete":
            last = 3 ** self.num_levers(role) - 1
            if actions.size and not (actions.min() >= 0 and actions.max() <= last):
                raise ValueError(f"actions of {role} must be in [0, {last}], got {_worst(actions, 0, last)}")
            digits = 3 ** np.arange(self.num_levers(role) - 1, -1, -1)
            return (actions[..., None] // digits[: NUM_LEVERS[role]] % 3) / 2.0
        top = self.counts(role) - 1
        wrong = np.argwhere((actions < 0) | (actions > top))
        if len(wrong):
            lever, value = wrong[0][-1], actions[tuple(wrong[0])]
            name = LEVERS[role][lever].name if lever < NUM_LEVERS[role] else f"padding {lever}"
            raise ValueError(f"actions of {role}: {name} must be in [0, {top[lever]}], got {value}")
        return (actions / top)[..., : NUM_LEVERS[role]]

    def action_shape(self, role: str) -> tuple[int, ...]:
        """Shape of one agent's action."""
        return () if self.action_mode == "discrete" else (self.num_levers(role),)


def _clipped(role: str, actions: np.ndarray) -> np.ndarray:
    if actions.dtype.kind not in "fiu":
        raise ValueError(f"actions of {role} must be real numbers, got dtype {actions.dtype}")
    efforts = np.clip(actions.astype(np.float64), 0.0, 1.0)
    if np.isnan(efforts).any():
        raise ValueError(f"actions of {role} must be numbers, got nan")
    return efforts


def _worst(values: np.ndarray, low: float, high: float) -> object:
    bad = values[~((values >= low) & (values <= high))]
    return bad.reshape(-1)[0].item()
