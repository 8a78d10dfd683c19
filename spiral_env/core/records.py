"""Records that come from outside are held against the tables of fields before a kernel reads them.

A kernel takes what a record says for an index; a stored run or a snapshot may say anything.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from spiral_env.checks import shown
from spiral_env.core.params import PARAMETERS, PARAMS_DTYPE
from spiral_env.core.state import FIELDS, Field

__all__ = ["check_params", "check_states"]

_KINDS = ("f8", "i8", "i2", "i1")
_PATCHED = 1
_ROUNDING = 1e-9
"""What a sum of shares may lie beyond its end."""
_MOST = 1e24
"""Of a number without an end of its own: far beyond every world's, and a month's products of it stay finite."""


class _Limits(NamedTuple):
    """Ranges of the numbers of one kind in a record, all ``[K]``: where they stand, least, most and field."""

    places: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fields: np.ndarray


def check_states(states: np.ndarray, num_smes: int, num_services: int, max_cycles: int) -> None:
    """Refuse records ``[E]`` that no month of a world of this size can leave.

    Raises:
        ValueError: a number is not finite or outside its field's range, or fields contradict each other.
    """
    rows = states.view(np.uint8).reshape(len(states), -1)
    for kind, limits in _limits(states.dtype, num_smes, num_services, max_cycles).items():
        values = rows.view(kind)[:, limits.places]
        wrong = ~((values >= limits.low) & (values <= limits.high))
        if wrong.any():
            row, k = np.argwhere(wrong)[0].tolist()
            name = FIELDS[limits.fields[k]].name
            low, high, got = (x.item() for x in (limits.low[k], limits.high[k], values[row, k]))
            raise ValueError(f"state field {name} of row {row} must be in [{low:g}, {high:g}], got {shown(got)}")
    _check_calls(states, num_services)
    open_now = np.arange(states["v_fate"].shape[1]) < states["num_open"][:, None]
    over = (states["collapsed"] == 1) | (states["month"] == max_cycles)
    _demand("done must be 1 exactly where collapsed is 1 or month is max_cycles", (states["done"] == 1) == over)
    patched = ((states["v_fate"] == _PATCHED) & open_now).sum(1)
    _demand("patched must be how many entries of v_fate say so", states["patched"] == patched)


def check_params(params: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Refuse parameter records ``[E]`` outside what a world sets or draws: ``low`` to ``high``, rows ``[P]``.

    Raises:
        ValueError: a parameter is not the world's.
    """
    rows = params.view(np.float64).reshape(len(params), -1)
    wrong = ~((rows >= low) & (rows <= high))
    if wrong.any():
        row, k = np.argwhere(wrong)[0].tolist()
        allowed = f"{low[k]:g}" if low[k] == high[k] else f"in [{low[k]:g}, {high[k]:g}]"
        raise ValueError(
            f"parameter {_parameter_at(k)} of row {row} must be {allowed} in this scenario, got {rows[row, k]:g}"
        )


def _parameter_at(place: int) -> str:
    fields = PARAMS_DTYPE.fields
    assert fields is not None
    return next(q.name for q in reversed(PARAMETERS) if fields[q.name][1] <= 8 * place)


def _demand(what: str, holds: Any) -> None:
    if not holds.all():
        raise ValueError(f"state field {what}, not so in row {int(np.argmin(holds))}")


def _check_calls(states: np.ndarray, num_services: int) -> None:
    """Services lie edge, core, internal; each calls services behind it, listed caller by caller."""
    tiers = states["service_tier"][:, :num_services]
    _demand("service_tier must rise from 0", (tiers[:, 0] == 0) & (np.diff(tiers, axis=1) >= 0).all(1))
    ends = states["calls_end"][:, :num_services]
    _demand("calls_end must rise", (np.diff(ends, axis=1) >= 0).all(1))
    places = np.arange(states["callee"].shape[1])
    callers = np.zeros(states["callee"].shape, dtype=np.int64)
    for end in ends.T:
        callers += places >= end[:, None]
    behind = (states["callee"] > callers) | (places >= ends[:, -1:])
    _demand("callee must be a service behind its caller", behind.all(1))


@cache
def _limits(dtype: np.dtype, num_smes: int, num_services: int, max_cycles: int) -> dict[str, _Limits]:
    """Kind of number -> its ranges; seats and services beyond the world's hold zeros."""
    fields = dtype.fields
    assert fields is not None
    live = {"N": num_smes, "S": num_services}
    sizes = {**live, "T": max_cycles, "V": dtype["v_uid"].shape[0], "C": dtype["callee"].shape[0]}
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {kind: [] for kind in _KINDS}
    for number, field in enumerate(FIELDS):
        shape = dtype[field.name].shape
        used = np.zeros(shape, dtype=np.bool_)
        used[tuple(slice(live.get(str(x))) for x in field.shape)] = True
        low, high = _range(field, sizes)
        at = fields[field.name][1] // np.dtype(field.kind).itemsize + np.arange(used.size)
        kept = used.reshape(-1)
        parts[field.kind].append((at, np.where(kept, low, 0), np.where(kept, high, 0), np.full(used.size, number)))
    return {kind: _Limits(*map(np.concatenate, zip(*blocks, strict=True))) for kind, blocks in parts.items()}


def _range(field: Field, sizes: dict[str, int]) -> tuple[float, float]:
    """Least and most of a field in a world of these sizes."""
    whole = field.kind != "f8"
    most = np.iinfo(np.int64).max if whole else _MOST
    low = _end(field.low.removesuffix("<"), sizes, -most, whole)
    high = _end(field.high.removeprefix("<"), sizes, most, whole)
    if not whole:
        low -= _ROUNDING * (abs(low) <= 1.0)
        high += _ROUNDING * (abs(high) <= 1.0)
    if field.low.endswith("<"):
        low = low + 1 if whole else np.nextafter(0.0, 1.0)
    if field.high.startswith("<"):
        high -= 1
    return low, high


def _end(text: str, sizes: dict[str, int], open_end: float, whole: bool) -> float:
    if not text:
        return open_end
    return sizes[text] if text in sizes else int(text) if whole else float(text)
