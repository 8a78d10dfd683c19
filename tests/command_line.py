"""``spiral ...`` inside the test's own process."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from spiral_env.commands import app
from spiral_env.commands._errors import exit_code

__all__ = ["Ended", "refused", "spiral"]


class Ended(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


def spiral(*arguments: str) -> Ended:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = exit_code(app, arguments)
    # On a fresh machine the first command also tells that it compiles.
    lines = [x for x in err.getvalue().splitlines(keepends=True) if not x.startswith("spiral_env: compiling")]
    return Ended(code, out.getvalue(), "".join(lines))


def refused(*arguments: str) -> str:
    """The one line with which a command refuses what it is asked."""
    ended = spiral(*arguments)
    lines = ended.err.splitlines()
    assert (ended.code, ended.out, len(lines)) == (2, "", 1), ended
    assert lines[0].startswith("error: ")
    return lines[0]
