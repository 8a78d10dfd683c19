"""The process of one policy: loads it behind walls and answers what it is asked, until nobody asks any more.

Run by ``spiral_env.outside.process`` in the user's working folder: ``child.py SPEC ROLE SCRATCH IN OUT``.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np

from spiral_env.outside.imported import Imported
from spiral_env.outside.walls import raise_walls
from spiral_env.outside.wire import receive, send
from spiral_env.text import told_reason

__all__ = ["main"]


def main(spec: str, role: str, scratch: str, source: int, sink: int) -> None:
    """Answer messages of ``source`` to ``sink``.

    First whether the policy could be made, and the hash of its source; then each call. A header of an answer holds
    ``error``, what went wrong in a line, or none; and ``noted``, what the policy tried to do beside answering.
    """
    noted: list[str] = []
    raise_walls(scratch, _folders(spec), noted)
    try:
        policy = Imported(spec, role)
    except ValueError as error:
        send(sink, {"error": str(error), "noted": noted[:1]})
        return
    os.chdir(scratch)
    send(sink, {"noted": noted[:1], "digest": policy.digest})
    while True:
        try:
            header, array = receive(source)
        except EOFError:
            return
        answer, error_line = _answer(policy, header["call"], array)
        send(sink, {"error": error_line, "noted": noted[:1]}, answer)


def _folders(spec: str) -> list[str]:
    """Where the policy lies: the working folder, that of its file, or what its package is imported from."""
    where = spec.rpartition(":")[0]
    if where.endswith(".py"):
        return [os.getcwd(), os.path.dirname(os.path.abspath(where))]
    found = find_spec(where.partition(".")[0])
    places = [] if found is None else [*(found.submodule_search_locations or ()), found.origin or ""]
    return [os.getcwd(), *places]


def _answer(policy: Any, call: str, array: Any) -> tuple[Any, str | None]:
    """An array of plain numbers, or why there is none."""
    try:
        found = getattr(policy, call)(array)
    except BaseException as error:
        return None, told_reason(error)
    if call == "reset":
        return None, None
    try:
        given = np.asarray(found)
    except Exception as error:
        return None, f"its answer is no array: {told_reason(error)}"
    if given.dtype.kind not in "biuf":
        return None, f"its answer must be efforts in [0, 1], is {type(found).__name__} of {given.dtype}"
    return given, None


if __name__ == "__main__":
    spec, role, scratch, source, sink = sys.argv[1:]
    main(spec, role, scratch, int(source), int(sink))
