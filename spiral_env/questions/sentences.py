"""An answer in words, derived from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from spiral_env.evaluation.statistics import Interval
from spiral_env.metrics import METRICS
from spiral_env.questions.books import OF_ACCOUNT
from spiral_env.questions.report import number
from spiral_env.questions.teams import HEIGHT, VALUE

__all__ = ["WAYS", "Sign", "sentences", "sign", "signed"]

WAYS = {"fixed": "behaviour as it is", "adapted": "agents that adapt"}
"""Way of asking -> its name."""
ROLE_NAMES = {"it": "IT", "business": "business", "finance": "finance", "sme": "SMEs together"}
_ENOUGH_SEEDS = 5
_LEAST = 0.005
"""k$ a month below which nobody is named."""


class Sign(Enum):
    """On which side of 0 an interval lies."""

    RISES = "rises"
    FALLS = "falls"
    SAME = "does not change"
    UNCLEAR = "is not told apart from no change"


def sign(change: Interval) -> Sign:
    """Of a paired difference."""
    mean, low, high = change
    if mean == low == high == 0.0:
        return Sign.SAME
    return Sign.RISES if low > 0.0 else Sign.FALLS if high < 0.0 else Sign.UNCLEAR


def signed(change: Interval) -> str:
    """``+12.3 [10.1, 14.5]``; one episode has no interval."""
    mean, low, high = change
    if sign(change) is Sign.SAME:
        return "0"
    inside = f" [{number(low, '+')}, {number(high, '+')}]" if abs(low) < float("inf") else ""
    return f"{number(mean, '+')}{inside}"


def sentences(change: Mapping[str, Any]) -> list[str]:
    """What one change does: each way of asking, whether they agree, who gains and who pays, and which SMEs."""
    ways = change["ways"]
    said = [f"With {WAYS[way]}, {_moves(x['measures'])}." for way, x in ways.items()]
    if "adapted" in ways:
        said.append(_agreement(ways["fixed"]["measures"], ways["adapted"]["measures"]))
    last = list(ways)[-1]
    return [*said, *_winners(ways[last], WAYS[last])]


def _moves(measures: Mapping[str, Any]) -> str:
    """Value and height, or the first measure, then whatever else moves clearly."""
    first = [name for name in (VALUE, HEIGHT) if name in measures] or list(measures)[:1]
    others = [name for name in measures if name not in first and measures[name]["difference"].mean]
    clear = [name for name in others if sign(measures[name]["difference"]) in (Sign.RISES, Sign.FALLS)]
    told = [_move(name, measures[name]["difference"]) for name in first]
    if clear:
        moved = ", ".join(f"{_named(name)} {signed(measures[name]['difference'])}" for name in clear)
        told.append(f"and clearly move {moved}")
    return ", ".join(told)


def _move(name: str, change: Interval) -> str:
    unit = METRICS[name][0]
    what = sign(change)
    size = "" if what is Sign.SAME else f" ({signed(change)}{'' if unit == '1' else f' {unit}'})"
    return f"{_named(name)} {what.value}{size}"


def _named(name: str) -> str:
    return name.replace("_", " ")


def _agreement(fixed: Mapping[str, Any], adapted: Mapping[str, Any]) -> str:
    name = VALUE if VALUE in fixed else next(iter(fixed))
    first, second = (sign(x[name]["difference"]) for x in (fixed, adapted))
    by_seed = adapted[name].get("by_seed", [])
    same = "agree" if first is second else "differ"
    text = (
        f"The two ways {same} on {_named(name)}: as behaviour is it {first.value}, where agents adapt it {second.value}"
    )
    if not by_seed:
        return f"{text}; one training tells nothing of the luck of training."
    spread = f"from {number(min(by_seed), '+')} to {number(max(by_seed), '+')} over {len(by_seed)} trainings"
    few = f", fewer than the {_ENOUGH_SEEDS} that learning claims need" if len(by_seed) < _ENOUGH_SEEDS else ""
    torn = min(by_seed) < 0.0 < max(by_seed)
    luck = "; their signs differ, so this is within the luck of training" if torn else ""
    return f"{text}; {spread}{few}{luck}."


def _winners(effect: Mapping[str, Any], way: str) -> list[str]:
    """Who is paid more and less, whose cash moves, and how it is spread over SMEs."""
    roles = {ROLE_NAMES[name]: x["sum"] for name, x in effect["roles"].items()}
    cash = {OF_ACCOUNT[name]: x["sum"] for name, x in effect["accounts"].items()}
    out = [
        f"In payoff ({way}): {_sides(roles)}.",
        f"In cash, all classes of the books together: {_sides(cash)}.",
    ]
    largest = effect["purposes"][:3]
    if largest:
        out.append(f"The payments that change most: {'; '.join(map(_payment, largest))}.")
    smes = effect["smes"]
    sizes = ", ".join(f"{name} {signed(x)}" for name, x in smes["by_size"].items())
    gain, lose = smes["gain"].mean, smes["lose"].mean
    out.append(f"Of the SMEs {gain:.0%} gain and {lose:.0%} lose in payoff; k$ a month each: {sizes}.")
    return out


def _sides(found: Mapping[str, Interval]) -> str:
    clear = {name: x for name, x in found.items() if abs(x.mean) >= _LEAST}
    gain = [f"{name} {signed(x)}" for name, x in clear.items() if sign(x) is Sign.RISES]
    pay = [f"{name} {signed(x)}" for name, x in clear.items() if sign(x) is Sign.FALLS]
    unclear = [name for name, x in clear.items() if sign(x) is Sign.UNCLEAR]
    parts = [f"{', '.join(gain)} gain" if gain else "", f"{', '.join(pay)} pay" if pay else ""]
    parts += [f"{', '.join(unclear)}: not told apart from no change" if unclear else ""]
    return "; ".join(filter(None, parts)) or "nobody's changes"


def _payment(row: Mapping[str, Any]) -> str:
    moved = [(name, x) for name, x in row["accounts"].items() if abs(x.mean) >= _LEAST]
    told = ", ".join(f"{OF_ACCOUNT[name]} {number(x.mean, '+')}" for name, x in moved)
    return f"{_named(row['purpose'])} ({row['class']}: {told or 'below 0.01'})"
