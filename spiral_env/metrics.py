"""Outcome measures of an episode, from the sums kept in the state record."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from spiral_env.core.state import METRIC_SUMS, Sum

__all__ = [
    "HEADLINES",
    "METRICS",
    "MONTH_KEYS",
    "OUTCOME_KEYS",
    "SPENDING_KEYS",
    "Library",
    "bounds",
    "headlines",
    "outcome",
    "outcomes_of_row",
    "spending",
]

METRICS: dict[str, tuple[str, str]] = {
    "spiral_height": ("levels", "levels climbed and the fraction of the current turn"),
    "ecosystem_value": ("k$ a month", "operating value and certainty equivalent less externalities, mean as planned"),
    "present_value": ("k$", "ecosystem value discounted to the start"),
    "terminal_value": ("k$", "12 x the mean operating value of the last 6 months"),
    "operating_value": ("k$ a month", "mean over the planned episode"),
    "certainty_equivalent": ("k$ a month", "of the portfolio, mean over the planned episode"),
    "market_income": ("k$ a month", "drawn income of the portfolio, mean over the planned episode"),
    "payoff_it": ("k$ a month", "security + cost + value of IT"),
    "payoff_business": ("k$ a month", "security + cost + value of business"),
    "payoff_finance": ("k$ a month", "security + cost + value of finance"),
    "payoff_sme": ("k$ a month", "security + cost + value, mean over SMEs"),
    "expected_loss": ("k$ a month", "true expected cyber loss of platform and SMEs"),
    "realised_loss": ("k$ a month", "drawn cyber loss of platform and SMEs"),
    "platform_breaches": ("1/year", "platform events"),
    "sme_breaches": ("1/year per SME", "material SME events"),
    "platform_borne": ("share", "SME events that came from the platform"),
    "security_spending": ("k$ a month", "levers, patches and emergency postures"),
    "arrivals": ("1/month", "new vulnerabilities"),
    "time_to_remediate": ("months", "mean age of what was patched"),
    "open_30": ("share", "vulnerabilities open after 30 days"),
    "open_90": ("share", "vulnerabilities open after 90 days"),
    "open_365": ("share", "vulnerabilities open after 365 days"),
    "eps12": ("epsilon", "privacy spent over the last 12 months"),
    "privacy_incidents": ("1/year", "privacy incidents"),
    "sme_participation": ("share", "members, mean over months"),
    "data_sharing": ("1", "sharing effort, mean over SMEs and months"),
    "sme_growth": ("x", "mean revenue at the end against the start of the firm"),
    "sme_closures": ("1/year per SME", "closures"),
    "sme_defaults": ("1/year per SME", "defaults"),
    "gini": ("1", "Gini coefficient of SME revenue at the end"),
    "greenwash_gap": ("1", "claimed less true ESG"),
    "forecast_skill": ("IC", "mean skill realised"),
    "trust": ("1", "trust at the end"),
    "availability": ("share", "mean availability of the platform"),
    "collapse": ("0 or 1", "the ecosystem collapsed"),
    "episode_length": ("months", "months lived"),
    "return_it": ("1", "sum of the scalar reward"),
    "return_business": ("1", "sum of the scalar reward"),
    "return_finance": ("1", "sum of the scalar reward"),
    "return_sme": ("1", "sum of the scalar reward, mean over SMEs"),
}

MONTH_KEYS = ("security", "cost", "value", "asked", "paid", "spiral_height", "ecosystem_value")
"""What an agent's info says of the month: its reward vector in k$, what its levers asked for and what was paid for them
(less than asked where the money ended, or where it was subsidised), and the ecosystem's height and value."""
HEADLINES = (
    *("ecosystem_value", "spiral_height", "platform_breaches", "sme_breaches", "privacy_incidents"),
    *("sme_participation", "return_it", "return_business", "return_finance", "return_sme"),
)
"""What every logger should show of an episode; cheap enough to be said each month."""
OUTCOME_KEYS: dict[str, str] = {name: f"outcome_{name}" for name in METRICS}
"""Measure -> its key in the flat infos of a framework, where the month's numbers stand beside it."""
SPENDING_KEYS: dict[str, str] = {
    f"{role}_{word}": f"{role}_{field}"
    for role in ("it", "business", "finance", "sme")
    for word, field in (("asked", "asked"), ("paid", "cost"))
}
"""What the levers of a role asked for in a month and what was paid for them -> the field of the state that tells it."""
_TINY = 1e-12
_HEADLINE_KEYS = tuple(OUTCOME_KEYS[name] for name in HEADLINES)
_headline_sums = operator.itemgetter(
    *(Sum.MONTHS, Sum.SME_MONTHS, Sum.ECOSYSTEM_VALUE, Sum.PLATFORM_EVENTS),
    *(Sum.SME_EVENTS, Sum.PRIVACY_INCIDENTS, Sum.MEMBERS),
    *(Sum.RETURN_IT, Sum.RETURN_BUSINESS, Sum.RETURN_FINANCE, Sum.RETURN_SME),
)


def headlines(sums: Sequence[float], planned: float, height: float) -> dict[str, float]:
    """``HEADLINES`` of one episode so far, under ``OUTCOME_KEYS``; ``sums`` is its record's field."""
    return dict(zip(_HEADLINE_KEYS, _headlines(sums, planned, height, max), strict=True))


def _headlines(sums: Any, planned: Any, height: Any, larger: Callable[[Any, float], Any]) -> tuple[Any, ...]:
    """``HEADLINES`` in their order, of floats or, with ``sums`` ``[S, E]``, of arrays ``[E]``."""
    months, sme_months, value, platform, sme, privacy, members, *returns = _headline_sums(sums)
    months = larger(months, 1.0)
    return (
        value / planned,
        height,
        12.0 * platform / months,
        12.0 * (sme / larger(sme_months, _TINY)),
        12.0 * privacy / months,
        members / months,
        *returns,
    )


def outcomes_of_row(measures: dict[str, np.ndarray], row: int) -> dict[str, float]:
    """One row of what ``outcome`` gives, under ``OUTCOME_KEYS``."""
    return {OUTCOME_KEYS[name]: float(values[row]) for name, values in measures.items()}


_UNIT_BOUNDS = {
    "share": (0.0, 1.0),
    "0 or 1": (0.0, 1.0),
    **dict.fromkeys(("levels", "months", "epsilon", "x", "1/year", "1/month", "1/year per SME"), (0.0, math.inf)),
}
_BOUNDS = {
    **dict.fromkeys(("data_sharing", "gini", "trust"), (0.0, 1.0)),
    **dict.fromkeys(("greenwash_gap", "forecast_skill"), (-1.0, 1.0)),
    **dict.fromkeys(("expected_loss", "realised_loss", "security_spending"), (0.0, math.inf)),
}


def bounds(name: str) -> tuple[float, float]:
    """What a measure cannot leave."""
    return _BOUNDS.get(name) or _UNIT_BOUNDS.get(METRICS[name][0], (-math.inf, math.inf))


def spending(state: Any) -> dict[str, float]:
    """``SPENDING_KEYS`` of one record's month in k$, added over the SMEs."""
    return {name: float(np.sum(state[field])) for name, field in SPENDING_KEYS.items()}


class Library(NamedTuple):
    """What NumPy and others call by different names."""

    larger: Callable[[Any, float], Any] = np.maximum
    ordered: Callable[[Any], Any] = np.sort
    own: Callable[[Any], Any] = np.copy
    real: Callable[[Any], Any] = lambda x: x.astype(np.float64)
    """Integers as 64-bit floats."""
    ranks: Callable[[Any], Any] = lambda x: np.arange(1, x.shape[-1] + 1)
    """1, 2, ... along the last axis."""


NUMPY = Library()


def _gini(x: Any, library: Library) -> Any:
    """Gini coefficient along the last axis of positive values ``[E, N]``."""
    ordered = library.ordered(x)
    n = x.shape[-1]
    return (2.0 * (library.ranks(x) * ordered).sum(-1) / ordered.sum(-1) - (n + 1)) / n


def outcome(states: Any, params: Any, library: Library = NUMPY) -> dict[str, Any]:
    """Every measure of ``METRICS`` as float64 ``[E]``.

    Args:
        states: state records of shape ``[E]``, or what gives arrays ``[E, ...]`` by the names of their fields.
        params: parameter records of shape ``[E]``, likewise.
        library: of the arrays.
    """

    def ratio(a: Any, b: Any) -> Any:
        return a / library.larger(b, _TINY)

    sums = {name: states["sums"][:, k] for k, name in enumerate(METRIC_SUMS)}
    planned = library.real(states["max_cycles"])
    months = library.larger(sums["months"], 1.0)
    live = states["num_smes"][0] if len(states) else 0
    revenue = states["sme_revenue"][:, :live]
    out = {
        "present_value": library.own(sums["present_value"]),
        "terminal_value": params["terminal_multiple"] * states["value_ring"].mean(1) * (1 - states["collapsed"]),
        "operating_value": sums["operating_value"] / planned,
        "certainty_equivalent": sums["certainty_equivalent"] / planned,
        "market_income": sums["market_income"] / planned,
        "expected_loss": sums["expected_loss"] / months,
        "realised_loss": sums["realised_loss"] / months,
        "platform_borne": ratio(sums["sme_events_platform"], sums["sme_events"]),
        "security_spending": sums["security_spending"] / months,
        "arrivals": sums["arrivals"] / months,
        "time_to_remediate": ratio(sums["patched_age"], sums["patched"]),
        "open_30": ratio(sums["open_30"], sums["at_risk_30"]),
        "open_90": ratio(sums["open_90"], sums["at_risk_90"]),
        "open_365": ratio(sums["open_365"], sums["at_risk_365"]),
        "eps12": library.own(states["eps12"]),
        "data_sharing": sums["sharing"] / months,
        "sme_growth": (revenue / states["sme_start_revenue"][:, :live]).mean(1),
        "sme_closures": 12.0 * ratio(sums["closures"], sums["sme_months"]),
        "sme_defaults": 12.0 * ratio(sums["defaults"], sums["sme_months"]),
        "gini": _gini(revenue, library),
        "greenwash_gap": sums["greenwash_gap"] / months,
        "forecast_skill": sums["forecast_skill"] / months,
        "trust": library.own(states["trust"]),
        "availability": sums["availability"] / months,
        "collapse": library.real(states["collapsed"]),
        "episode_length": library.own(sums["months"]),
    }
    for role in ("it", "business", "finance", "sme"):
        out[f"payoff_{role}"] = sums[f"payoff_{role}"] / planned
    shown = _headlines(library.own(states["sums"].T), planned, library.own(states["height"]), library.larger)
    out |= zip(HEADLINES, shown, strict=True)
    return {name: out[name] for name in METRICS}
