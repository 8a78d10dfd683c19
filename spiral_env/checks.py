"""Checks of what a caller gives, in one place: each returns the value as plain Python, or says in a line why not."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from spiral_env.text import one_line

__all__ = [
    "as_array",
    "check_choice",
    "check_count",
    "check_flag",
    "check_keys",
    "check_list",
    "check_numbers",
    "check_optional",
    "check_options",
    "shown",
]


def shown(value: object, width: int = 60) -> str:
    """A value for an error: its repr on one line, cut in the middle where it is long."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype.kind}{value.dtype.itemsize} {value.shape}"
    try:
        return one_line(repr(value), width)
    except Exception:  # what a stranger's object raises when printed is not the error to tell of
        return f"a {type(value).__name__}"


def check_count(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in [low, high]: an int of Python or NumPy, but no bool.

    Raises:
        TypeError: not an integer.
        ValueError: out of range.
    """
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {shown(value)}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be in [{low}, {_round(high)}], got {shown(number)}")
    return number


def _round(end: int) -> str:
    power = end.bit_length() - 1
    return f"2^{power}" if power > 31 and end == 1 << power else str(end)


def check_flag(name: str, value: Any) -> bool:
    """A truth value: a bool of Python or NumPy.

    Raises:
        TypeError: not a bool.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a bool, got {shown(value)}")
    return bool(value)


def check_choice(name: str, value: Any, allowed: Iterable[str], or_none: str = "") -> str:
    """One of the allowed words.

    Raises:
        ValueError: not one of them.
    """
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name} must be {or_none}one of {', '.join(words)}, got {shown(value)}")
    return str(value)


def check_optional(name: str, value: Any, allowed: Iterable[str]) -> str | None:
    """One of the allowed words, or ``None``.

    Raises:
        ValueError: neither.
    """
    return None if value is None else check_choice(name, value, allowed, or_none="None or ")


def check_options(options: Any) -> dict[str, Any]:
    """The ``options`` of a ``reset``: a dictionary, empty for ``None``.

    Raises:
        TypeError: neither.
    """
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise TypeError(f"options must be a dictionary or None, got {shown(options)}")
    return options


def as_array(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """What a caller gives as an array of a shape.

    Raises:
        ValueError: it is none, or of another shape.
    """
    try:
        array = np.asarray(value)
    except Exception:  # ragged lists, tensors of other libraries: whatever they say, it is no array
        raise ValueError(f"{name} must be an array of shape {shape}, got {shown(value)}") from None
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array


def check_keys(name: str, value: Any, keys: Iterable[str]) -> dict[str, Any]:
    """A dictionary that has the keys; it may have more.

    Raises:
        TypeError: not a dictionary.
        ValueError: a key is missing.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a dictionary, got {shown(value)}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise ValueError(f"{name} must hold {missing[0]!r}, got the keys {shown(list(value))}")
    return value


def check_list(name: str, value: Any, length: int) -> list[Any]:
    """A list or tuple of so many entries.

    Raises:
        TypeError: neither list nor tuple.
        ValueError: of another length.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} must be a list, got {shown(value)}")
    if len(value) != length:
        raise ValueError(f"{name} must have {length} entries, got {len(value)}")
    return list(value)


def check_numbers(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array of finite float64 of a shape.

    Raises:
        TypeError: not an array of float64.
        ValueError: of another shape, or not finite.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        raise TypeError(f"{name} must be an array of float64, got {shown(value)}")
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite")
    return value
