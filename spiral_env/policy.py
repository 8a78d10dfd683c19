"""The Policy protocol, how a policy is asked, and two policies that need nothing: the status quo and uniform play.

Whoever plays policies does so through ``reset_policy`` and ``ask_policy``: a policy is handed copies alone, and what
it answers is copied and checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import numpy as np

from spiral_env.checks import check_choice
from spiral_env.roles import LEVERS, NUM_LEVERS, ROLES
from spiral_env.text import one_line, told_reason

__all__ = [
    "NEAREST_LEVELS",
    "STATUS_QUO",
    "Policy",
    "PolicyError",
    "StatusQuo",
    "Uniform",
    "ask_policy",
    "check_policy",
    "check_role",
    "close_policy",
    "episode_keys",
    "reset_policy",
    "told_reason",
    "verify_policy",
]

_SLACK = 1e-6
"""What rounding may add to an effort."""

STATUS_QUO: dict[str, tuple[float, ...]] = {role: tuple(x.average for x in LEVERS[role]) for role in ROLES}
"""The average firm of the calibration: graded levers at their middle, ``batch``, the basic tier, ESG ``none``."""


NEAREST_LEVELS: dict[str, tuple[float, ...]] = {
    role: tuple(round(2.0 * x) / 2.0 for x in efforts) for role, efforts in STATUS_QUO.items()
}
"""What a policy of low, middle and high does that is nearest to the average firm: where training starts."""


def check_role(role: str) -> str:
    """The role, if it is one."""
    return check_choice("role", role, ROLES)


class PolicyError(ValueError):
    """A policy failed; in one line that names it, its role and why."""


@runtime_checkable
class Policy(Protocol):
    """Plays one role in a batch of environments.

    Memory is the policy's own: what it keeps between two calls of ``act`` belongs to the episodes that the last
    ``reset`` opened, row by row, and is gone with the next. A policy that has ``close`` is told when an evaluation no
    longer needs it.
    """

    name: str

    def reset(self, keys: np.ndarray) -> None:
        """Clear memory for new episodes.

        Args:
            keys: int64 ``[E]``, a key for the policy's own draws in each of them. They do not tell the seeds of the
                worlds, and the array is the policy's to keep.
        """
        ...

    def act(self, observation: np.ndarray) -> np.ndarray:
        """What the role's agents do this month.

        Args:
            observation: float32 ``[E, A, O]``, the role's own features (``spiral_env.roles.FEATURES``).

        Returns:
            Efforts ``[E, A, L]`` in [0, 1], one for each lever of the role, as an array or lists.
        """
        ...


def episode_keys(numbers: Iterable[int]) -> np.ndarray:
    """A key in [0, 2^63) for each number, by a hash that cannot be turned round: a fresh int64 ``[E]``."""
    digests = (hashlib.sha256(b"key of a policy's draws: %d" % int(number)).digest() for number in numbers)
    return np.array([int.from_bytes(digest[:8], "little") >> 1 for digest in digests], dtype=np.int64)


def check_policy(role: str, policy: Any) -> Policy:
    """The policy, if it is one.

    Raises:
        TypeError: it is not an object with ``name``, ``reset`` and ``act``.
    """
    if isinstance(policy, type) or not isinstance(policy, Policy):
        raise TypeError(
            f"policy of {role} must be an object with name, reset() and act(), got {one_line(repr(policy), 80)}"
        )
    return policy


def reset_policy(policy: Policy, role: str, keys: np.ndarray) -> None:
    """Open episodes of a policy with a copy of ``keys``.

    Raises:
        PolicyError: the policy failed; the line names it, its role and where.
    """
    _call(policy, role, "reset", keys)


def ask_policy(policy: Policy, role: str, observation: np.ndarray) -> np.ndarray:
    """Efforts, float64 ``[E, A, L]`` of our own, for a copy of ``observation`` ``[E, A, O]``.

    Raises:
        PolicyError: the policy failed, or its answer is no array of efforts; the line names it and its role.
    """
    shape = (*observation.shape[:2], NUM_LEVERS[role])
    answer = _call(policy, role, "act", observation)
    try:
        given = np.asarray(answer)
    except Exception as error:
        raise PolicyError(f"{_wanted(policy, role, shape)}: {told_reason(error)}") from None
    if given.dtype.kind not in "biuf":
        raise PolicyError(f"{_wanted(policy, role, shape)}, got {type(answer).__name__} of {given.dtype}")
    if given.shape != shape:
        raise PolicyError(f"{_wanted(policy, role, shape)}, got shape {given.shape}")
    efforts = np.array(given, dtype=np.float64)
    least, most = efforts.min(), efforts.max()
    if least >= 0.0 and most <= 1.0:
        return efforts
    if least >= -_SLACK and most <= 1.0 + _SLACK:
        return efforts.clip(0.0, 1.0)
    wrong = np.argwhere(~((efforts >= -_SLACK) & (efforts <= 1.0 + _SLACK)))[0]
    got = f"{LEVERS[role][wrong[-1]].name} {efforts[tuple(wrong)]:g}"
    raise PolicyError(f"{_wanted(policy, role, shape)}, got {got}")


def verify_policy(policy: Policy, role: str) -> None:
    """Let a policy that can check itself, as one in a process of its own can, say whether it played by the rules.

    Raises:
        PolicyError: it did not.
    """
    if hasattr(policy, "verify"):
        _call(policy, role, "verify")


def close_policy(policy: Policy) -> None:
    """Tell a policy that wants to know that it is no longer needed."""
    close = getattr(policy, "close", None)
    if callable(close):
        with suppress(Exception):
            close()


def _call(policy: Policy, role: str, method: str, *given: np.ndarray) -> Any:
    try:
        return getattr(policy, method)(*(x.copy() for x in given))
    except PolicyError as error:
        raise PolicyError(f"{_called(policy, role)} {error}") from None
    except (Exception, SystemExit) as error:
        raise PolicyError(f"{_called(policy, role)} failed in {method}(): {told_reason(error)}") from error


def _wanted(policy: Policy, role: str, shape: tuple[int, ...]) -> str:
    return f"{_called(policy, role)} must give efforts in [0, 1] of shape {shape}"


def _called(policy: Policy, role: str) -> str:
    return f"policy {one_line(policy.name, 120)} of {role}"


class StatusQuo:
    """The average firm: one constant joint action."""

    name = "status_quo"

    def __init__(self, role: str) -> None:
        """For one role."""
        self._efforts = np.array(STATUS_QUO[check_role(role)])

    def reset(self, keys: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The same efforts always."""
        return np.broadcast_to(self._efforts, (*observation.shape[:2], len(self._efforts))).copy()


class Uniform:
    """Every action of the default space with equal probability, keyed by episode and month."""

    name = "uniform"

    def __init__(self, role: str, levels: int = 3) -> None:
        """For one role; ``levels`` values a graded lever."""
        self._role = ROLES.index(check_role(role))
        self._top = np.array([levels if x.kind == "graded" else 3 for x in LEVERS[role]]) - 1
        self._generators: list[np.random.Generator] = []

    def reset(self, keys: np.ndarray) -> None:
        """One generator per environment."""
        self._generators = [np.random.default_rng((int(key), self._role)) for key in keys]

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Independent draws for every agent and lever."""
        shape = (observation.shape[1], len(self._top))
        return np.stack([g.integers(0, self._top + 1, size=shape) / self._top for g in self._generators])
