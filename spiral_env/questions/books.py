"""Who gains and who pays, from the books: accounts by class of payment, purposes, roles, and SMEs by size."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.core.ledger import ACCOUNTS, PURPOSE_CLASS, Class, Purpose
from spiral_env.evaluation.statistics import Interval, mean_interval
from spiral_env.questions.side_by_side import Played
from spiral_env.roles import ROLES

__all__ = ["CLASSES", "OF_ACCOUNT", "PARTS", "SIZES", "accounts", "purposes", "roles", "smes"]

CLASSES = tuple(name.lower() for name in Class._fields)
PARTS = ("security", "cost", "value")
"""Of what an agent is paid for."""
OF_ACCOUNT = {
    "platform": "business",
    "treasury": "finance",
    "security": "IT",
    "smes": "SMEs, all",
    "world": "everyone outside",
}
"""Account -> who stands behind it."""
SIZES = ("smallest third", "middle third", "largest third")
_LEAST = 1e-9
"""k$ a month below which nothing has changed."""


def accounts(before: Played, after: Played) -> dict[str, dict[str, Interval]]:
    """Account -> change of what it received by class and in all, k$ a month over paired episodes ``[1, E]``."""
    change = _of_world(after.flows) - _of_world(before.flows)
    of_class = np.array(PURPOSE_CLASS)
    out = {}
    for k, account in enumerate(ACCOUNTS):
        mine = change[:, :, k]
        sums = {name: mine[:, of_class == number].sum(1) for number, name in enumerate(CLASSES)}
        out[account] = {name: mean_interval(x) for name, x in (sums | {"sum": mine.sum(1)}).items()}
    return {account: out[account] for account in OF_ACCOUNT}


def purposes(before: Played, after: Played, most: int = 12) -> list[dict[str, Any]]:
    """The payments that change most: purpose, class, and what each account receives more, k$ a month."""
    change = _of_world(after.flows) - _of_world(before.flows)
    size = np.abs(change.mean(0)).max(1)
    largest = [k for k in np.argsort(-size, kind="stable")[:most] if size[k] > _LEAST]
    names = Purpose._fields
    return [
        {
            "purpose": names[k].lower(),
            "class": CLASSES[PURPOSE_CLASS[k]],
            "accounts": {account: mean_interval(change[:, k, at]) for at, account in enumerate(ACCOUNTS)},
        }
        for k in largest
    ]


def roles(before: Played, after: Played) -> dict[str, dict[str, Interval]]:
    """Role -> change of what its agents are paid for, by part and in all, k$ a month; of all SMEs together."""
    change = _of_world(after.payoffs) - _of_world(before.payoffs)
    first = len(ROLES) - 1
    out = {}
    for k, role in enumerate(ROLES):
        mine = change[:, first:].sum(1) if role == "sme" else change[:, k]
        parts = {name: mean_interval(mine[:, at]) for at, name in enumerate(PARTS)}
        out[role] = parts | {"sum": mean_interval(mine.sum(1))}
    return out


def smes(before: Played, after: Played) -> dict[str, Any]:
    """How the change of payoff is spread over SMEs' seats, k$ a month each.

    ``gain`` and ``lose`` are shares of firms; ``by_size`` is by annual revenue at the opening; ``quantiles`` are those
    at .05, .25, .5, .75 and .95 over firms and episodes.
    """
    first = len(ROLES) - 1
    change = (_of_world(after.payoffs) - _of_world(before.payoffs))[:, first:].sum(2)
    rank = _of_world(before.sizes).argsort(1, kind="stable").argsort(1, kind="stable")
    third = rank * len(SIZES) // change.shape[1]
    by_size = {}
    for k, name in enumerate(SIZES):
        there = third == k
        if there.any():
            by_size[name] = mean_interval(np.where(there, change, 0.0).sum(1) / there.sum(1))
    return {
        "firms": change.shape[1],
        "gain": mean_interval((change > _LEAST).mean(1)),
        "lose": mean_interval((change < -_LEAST).mean(1)),
        "by_size": by_size,
        "quantiles": np.quantile(change, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(),
    }


def _of_world(x: np.ndarray) -> np.ndarray:
    """Of the one world that is looked at, ``[1, E, ...]`` to ``[E, ...]``."""
    (only,) = x
    return np.asarray(only)
