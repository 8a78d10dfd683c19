"""One source for the arguments of a class and of the function that makes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["takes_arguments_of"]

P = ParamSpec("P")
T = TypeVar("T")


def takes_arguments_of(kind: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Say that a function passes its arguments on to the class ``kind``.

    ``help()`` and editors then show the arguments by name, and the function's docstring ends as the constructor's
    does, from ``Args`` on.

    Args:
        kind: the class that is made.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[..., T]) -> Callable[P, T]:
        own = inspect.signature(function)
        function.__signature__ = inspect.signature(kind).replace(return_annotation=own.return_annotation)  # type: ignore[attr-defined]
        told = inspect.cleandoc(vars(kind)["__init__"].__doc__)
        function.__doc__ = f"{inspect.getdoc(function)}\n\n{told[told.index('Args:') :]}\n"
        return function

    return decorate
