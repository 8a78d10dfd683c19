"""Teams as a user writes them."""

from __future__ import annotations

__all__ = ["team_words"]


def team_words(text: str) -> dict[str, str]:
    """Role -> policy of a team that is written in one line.

    Args:
        text: one policy, which plays every role that it can, or ``role policy`` several times with ``;`` between, as in
            ``it epss_first; finance equal_weight``. The average firm plays the other roles.

    Raises:
        ValueError: a role is unknown or named twice.
    """
    from spiral_env.agents import team_of
    from spiral_env.policy import StatusQuo, check_role
    from spiral_env.roles import ROLES

    pairs = [part.strip().partition(" ") for part in text.split(";")]
    if not all(role in ROLES for role, _, _ in pairs) and len(pairs) == 1:
        return team_of(text)
    words = dict.fromkeys(ROLES, StatusQuo.name)
    named = [check_role(role) for role, _, _ in pairs]
    if len(set(named)) < len(named):
        raise ValueError(f"team must name a role once, got {text!r}")
    return words | {role: policy.strip() for role, _, policy in pairs}
