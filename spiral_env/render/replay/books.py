"""Where value comes from: the lines of the ledger that make up ecosystem value, by holder, by role and by decision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spiral_env.core.ledger import ACCOUNTS, PURPOSE_CLASS, Account, Class, Purpose
from spiral_env.render.replay.recording import MIXES, Recording, Replay
from spiral_env.roles import ROLES
from spiral_env.simulator.closing import loss_load
from spiral_env.text import spoken

__all__ = ["CLASSES", "COMPONENTS", "HOLDERS", "Line", "brought_by", "labels_of", "lines_of", "received_by", "told"]

HOLDERS = (*ACCOUNTS[Account.PLATFORM :], "society")
"""Who gains or loses by a line: the accounts but the world's, and those outside whom no payment reaches."""
COMPONENTS = ("security", "cost", "value")
"""Parts of a reward vector."""
CLASSES = ("operating", "loss", "market", "externality")
"""What a line of value is: booked business, losses in expectation, the portfolio, harm to others."""
_SOCIETY = len(HOLDERS) - 1


class Line(NamedTuple):
    """One line of ecosystem value, k$ a month, mean over the months as planned.

    Attributes:
        name: purpose of the ledger, or what is told without a payment.
        kind: one of ``CLASSES``.
        holders: amount of each of ``HOLDERS``; they add up to the line.
    """

    name: str
    kind: str
    holders: tuple[float, ...]

    @property
    def total(self) -> float:
        """What the line adds to ecosystem value."""
        return math.fsum(self.holders)


def lines_of(recording: Recording, params: Any) -> list[Line]:
    """Every line of a recording; their totals add up to its ecosystem value.

    Operating payments count as booked: what is paid inside the ecosystem moves between holders and adds nothing.
    Losses, fines and defaults count in expectation, as ecosystem value does.
    """
    return [*_booked(recording), *_expected(recording, params)]


def _booked(recording: Recording) -> Iterator[Line]:
    planned = int(recording.states["max_cycles"][0])
    flows = recording.states["month_flow"].sum(0) / planned
    for purpose, kind in enumerate(PURPOSE_CLASS):
        if kind == Class.OPERATING:
            holders = (*flows[purpose, Account.PLATFORM :].tolist(), 0.0)
            yield Line(Purpose._fields[purpose].lower(), "operating", holders)


def _expected(recording: Recording, params: Any) -> Iterator[Line]:
    states = recording.states
    planned = int(states["max_cycles"][0])
    smes = slice(0, int(states["num_smes"][0]))
    load = float(loss_load(params))

    def line(name: str, kind: str, **parts: np.ndarray) -> Line:
        return Line(name, kind, tuple(float(np.sum(parts.get(holder, 0.0))) / planned for holder in HOLDERS))

    yield line(
        *("expected_breach_loss", "loss"),
        platform=-load * states["expected_breach"],
        smes=-load * states["sme_expected"][:, smes],
    )
    yield line(
        *("expected_fines", "loss"),
        platform=-states["expected_privacy_fine"],
        smes=-states["sme_expected_fine"][:, smes],
    )
    yield line("expected_credit_loss", "loss", treasury=-states["expected_credit_loss"])
    yield line("certainty_equivalent", "market", treasury=states["certainty_equivalent"])
    yield line("emissions", "externality", society=states["expected_harm"] - states["externality"])
    yield line("expected_harm_to_users", "externality", society=-states["expected_harm"])


def received_by(recording: Recording) -> dict[str, list[float]]:
    """Role -> its reward vector (``COMPONENTS``) in k$ a month, mean as planned, SMEs added."""
    planned = int(recording.states["max_cycles"][0])
    sums = recording.vectors.sum(0) / planned
    firsts = {role: sums[k : k + 1] for k, role in enumerate(ROLES[:-1])} | {ROLES[-1]: sums[len(ROLES) - 1 :]}
    return {role: rows.sum(0).tolist() for role, rows in firsts.items()}


def brought_by(mixes: np.ndarray) -> dict[str, float]:
    """Role -> what its playing as in the second team adds, in k$ a month: Shapley's value over the roles.

    The mean over all orders in which the roles go over to the second team, one by one; what they add sums to the
    difference between the teams.

    Args:
        mixes: ecosystem value of every mix, as in ``Replay``.
    """
    count = len(ROLES)
    gains = dict.fromkeys(ROLES, 0.0)
    for k, role in enumerate(ROLES):
        for before in (mix for mix in range(MIXES) if not mix >> k & 1):
            size = before.bit_count()
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            gains[role] += weight * float(mixes[before | 1 << k] - mixes[before])
    return gains


def labels_of(replay: Replay) -> list[str]:
    """Short names of the teams: of a folder's path its last part, unless both would be called the same."""
    short = [Path(team.name).name or team.name for team in replay.teams]
    return short if len(set(short)) == len(short) else [team.name for team in replay.teams]


def told(replay: Replay, most: int = 3) -> list[str]:
    """What the books say of a team, or of the difference between two, in sentences."""
    if len(replay.teams) < 2:
        (only,) = (team.metrics for team in replay.teams)
        value, height = only["ecosystem_value"], only["spiral_height"]
        return [f"{labels_of(replay)[0]} makes {value:,.0f} k$ a month and climbs to height {height:.2f}."]
    first, second = replay.teams
    names = [spoken(x.name) for x in lines_of(first, replay.params)]
    both = [np.array([x.total for x in lines_of(team, replay.params)]) for team in replay.teams]
    gap = both[1] - both[0]
    order = np.argsort(-np.abs(gap))[:most]
    gains = brought_by(replay.mixes)
    labels = labels_of(replay)
    return [
        f"{labels[1]} makes {abs(gap.sum()):,.0f} k$ a month {'more' if gap.sum() >= 0 else 'less'} than {labels[0]} "
        f"({second.metrics['ecosystem_value']:,.0f} against {first.metrics['ecosystem_value']:,.0f}).",
        "Most of it: " + ", ".join(f"{names[k]} {gap[k]:+,.0f}" for k in order) + ".",
        "By whose decisions: " + ", ".join(f"{_many(role)} {gain:+,.0f}" for role, gain in gains.items()) + ".",
    ]


def _many(role: str) -> str:
    return "SMEs" if role == "sme" else spoken(role)
