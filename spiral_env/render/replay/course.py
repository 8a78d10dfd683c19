"""An episode month by month in plain numbers: what a page draws over time, and what happened when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from spiral_env.core.ledger import Account
from spiral_env.core.state import LABELS
from spiral_env.render.replay.recording import Recording
from spiral_env.stages.spiral import AGGREGATION, GOVERNANCE, VALUE

__all__ = ["KINDS", "SERIES", "Incident", "firms", "incidents", "series"]

STAGES = {AGGREGATION: "aggregation", GOVERNANCE: "governance", VALUE: "value"}


class Series(NamedTuple):
    """A number over time: its name for people, its unit, and how records ``[M]`` tell it (``[M]``)."""

    label: str
    unit: str
    of: Callable[[Any], Any]


def _live(name: str) -> Callable[[Any], Any]:
    """Sum of a field over the SMEs there are."""
    return lambda s: s[name][:, : int(s["num_smes"][0])].sum(1)


def _field(name: str, *at: int) -> Callable[[Any], Any]:
    return lambda s: s[name][(slice(None), *at)]


SERIES: dict[str, Series] = {
    "height": Series("spiral height", "levels", _field("height")),
    "stage": Series("stage", "0 aggregation, 1 governance, 2 value", _field("stage")),
    "aggregation": Series("resources against need (A)", "need", _field("aggregation")),
    "risk": Series("risk against appetite (R)", "appetite", _field("risk")),
    "value": Series("value against target (V)", "target", _field("value")),
    "trust": Series("trust", "share", _field("trust")),
    "trust_needed": Series("trust that the gate asks for", "share", _field("trust_needed")),
    "ecosystem_value": Series("ecosystem value", "k$ a month", _field("ecosystem_value")),
    "expected_loss": Series(
        *("expected breach loss", "k$ a month"), lambda s: s["expected_breach"] + _live("sme_expected")(s)
    ),
    "realised_loss": Series("realised loss", "k$ a month", lambda s: s["breach_loss"] + _live("sme_loss")(s)),
    "members": Series("members", "share of SMEs", lambda s: s["num_members"] / s["num_smes"]),
    "revenue": Series("revenue of SMEs", "k$ a month", _live("sme_revenue")),
    "platform_cash": Series("cash of the platform", "k$", _field("balance", Account.PLATFORM)),
    "treasury_cash": Series("cash of the treasury", "k$", _field("balance", Account.TREASURY)),
}
"""What is drawn over time, by the name the page knows it by."""


def series(recording: Recording) -> dict[str, list[float]]:
    """Every one of ``SERIES``, a number a month."""
    return {name: np.asarray(x.of(recording.states), dtype=np.float64).tolist() for name, x in SERIES.items()}


_DIGITS = "0123456789abcdefghijklmnopqrstuv"
"""One for each state of a firm."""


def firms(recording: Recording) -> list[str]:
    """A digit to base 32 a firm, a text a month: membership + 4 x what happened + 16 x green.

    Membership is 0 outside, 1 waiting, 2 basic, 3 full; what happened is 0 nothing, 1 a breach of its own, 2 one that
    came from the platform, 3 closing.
    """
    s = recording.states
    smes = slice(0, int(s["num_smes"][0]))
    member, lag = s["sme_member"][:, smes], s["sme_lag"][:, smes]
    membership = np.where(member > 0, member + 1, (lag > 0).astype(np.int64))
    happened = np.where(s["sme_closing"][:, smes] > 0, 3, s["sme_event"][:, smes])
    codes = membership + 4 * happened + 16 * s["sme_green"][:, smes]
    return ["".join(_DIGITS[code] for code in row) for row in codes.tolist()]


class Incident(NamedTuple):
    """What happened in a month: one of ``KINDS``, in words, and what was lost in k$ (0 where nothing was)."""

    month: int
    kind: str
    words: str
    loss: float


KINDS: dict[str, str] = {
    "level": "a level is reached",
    "stage": "the stage changes",
    "alert": "an attack campaign is seen",
    "breach": "the platform is breached",
    "smes": "SMEs are breached",
    "privacy": "a privacy incident",
    "drawdown": "the portfolio falls",
    "closing": "SMEs close or default",
    "greenwash": "false green claims are found",
    "collapse": "the ecosystem collapses",
}
"""Kinds of incidents, each with what it is; good news first, the worst last."""


def incidents(recording: Recording) -> list[Incident]:
    """All that happened, by month."""
    stage = AGGREGATION
    found: list[Incident] = []
    for s in recording.states:
        found += _of_month(s, stage)
        stage = int(s["stage"])
    return found


def _of_month(s: Any, stage_before: int) -> Iterator[Incident]:
    """What one record tells of its month."""
    month, smes = int(s["month"]), slice(0, int(s["num_smes"]))

    def smes_that(are: Any, what: str) -> str:
        count = int(np.sum(are))
        return f"{count} SME{'s' if count > 1 else ''} {what}"

    if s["level_rose"]:
        yield Incident(month, "level", f"level {int(s['level'])} is reached", 0.0)
    elif int(s["stage"]) != stage_before:
        back = int(s["stage"]) < stage_before
        yield Incident(month, "stage", f"{'back to' if back else 'stage of'} {STAGES[int(s['stage'])]}", 0.0)
    if s["alert"]:
        tier = int(s["alert_tier"])
        where = f" against the {LABELS['tiers'][tier]} tier" if tier >= 0 else ""
        yield Incident(month, "alert", f"an attack campaign is seen{where}", 0.0)
    if s["breach"]:
        yield Incident(month, "breach", "the platform is breached", float(s["breach_loss"]))
    events = s["sme_event"][smes]
    if events.any():
        words = smes_that(events > 0, f"breached, {(events == 2).sum()} through the platform")
        yield Incident(month, "smes", words, float(s["sme_loss"][smes].sum()))
    if s["privacy_incident"]:
        yield Incident(month, "privacy", "a privacy incident", float(s["privacy_fine"]))
    if s["drawdown_event"]:
        yield Incident(month, "drawdown", f"the portfolio is {float(s['drawdown']):.0%} below its peak", 0.0)
    closing = s["sme_closing"][smes]
    if (closing > 0).any():
        kinds = ((1, "in default"), (2, "closing"))
        words = ", ".join(smes_that(closing == k, what) for k, what in kinds if k in closing)
        yield Incident(month, "closing", words, float(s["credit_loss"]))
    if s["exposed"]:
        yield Incident(month, "greenwash", smes_that(int(s["exposed"]) * [1], "found with false green claims"), 0.0)
    if s["collapsed"]:
        yield Incident(month, "collapse", "the ecosystem collapses", 0.0)
