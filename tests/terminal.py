"""Commands as a person sees them: on a terminal of 80 columns, or in a pipe."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["COLOUR", "ESCAPE", "Shown", "in_pipe", "on_terminal", "spiral_words"]

ROOT = Path(__file__).resolve().parent.parent
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


class Shown(NamedTuple):
    """How a command ended, and all that it wrote."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """What stood in a line at any time, without the codes that move and colour."""
        return [ESCAPE.sub("", line) for line in re.split(r"[\r\n]+", self.text)]


def spiral_words(line: Sequence[str]) -> list[str]:
    """The words of ``spiral ...``, run by this Python."""
    return [sys.executable, "-m", "spiral_env", *line[1:]]


def _environment(more: dict[str, str]) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return known | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"} | more


def in_pipe(words: Sequence[str], cwd: Path, **more: str) -> Shown:
    """Run a command whose both outputs are one pipe."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env=_environment(more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    return Shown(done.returncode, done.stdout)


def on_terminal(words: Sequence[str], cwd: Path, columns: int = 80, **more: str) -> Shown:
    """Run a command on a terminal so wide."""
    reading, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        words, cwd=cwd, env=_environment(more), stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True
    )
    os.close(terminal)
    try:
        written = b"".join(_pieces(reading))
        return Shown(process.wait(timeout=60), written.decode(errors="replace"))
    finally:
        os.close(reading)
        if process.poll() is None:
            process.kill()
            process.wait()


def _pieces(reading: int) -> Iterator[bytes]:
    """What is written until all have left the terminal."""
    while True:
        try:
            piece = os.read(reading, 65536)
        except OSError as error:  # A terminal that all have left reads as an error on Linux.
            if error.errno != errno.EIO:
                raise
            return
        if not piece:
            return
        yield piece
