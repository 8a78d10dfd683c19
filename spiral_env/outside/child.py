"""The process of one policy: loads it behind walls and answers what it is asked, until nobody asks any more.

Run by ``spiral_env.outside.process`` in the user's working folder: ``child.py SPEC ROLE SCRATCH IN OUT``.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from spiral_env.outside.imported import Imported
from spiral_env.outside.walls import raise_walls
from spiral_env.outside.wire import receive, send
from spiral_env.policy import told_reason

__all__ = ["main"]


def main(spec: str, role: str, scratch: str, source: int, sink: int) -> None:
    """Answer messages of ``source`` to ``sink``: first whether the policy could be made, and the hash of its source, then each call.

    A header of an answer holds ``error``, what went wrong in a line, or none; and ``noted``, what the policy tried to
    do beside answering.
    """
    noted: list[str] = []
    file = spec.rpartition(":")[0]
    raise_walls(
        scratch, [os.getcwd(), *([os.path.dirname(os.path.abspath(file))] if file.endswith(".py") else [])], noted
    )
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
