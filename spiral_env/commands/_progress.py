"""Progress of what lasts: a bar on a terminal, else a plain line every few seconds; always on the standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["Progress", "progress"]

FIRST_LINE = 2.0
"""Seconds until the first plain line: what is over sooner says nothing."""
NEXT_LINE = 5.0
"""Seconds between plain lines."""
_LEAST_BAR = 22
"""Columns of a terminal that the bar, the time left and the gaps need."""


class Progress:
    """How far a command has come. ``advance`` is the plain callback that library functions take.

    Attributes:
        done: what is done of ``total``.
        total: all there is to do.
    """

    def __init__(self, total: float, show: Callable[[Progress, str], None]) -> None:
        """Tell ``show(progress, note)`` of every step."""
        self.done = 0.0
        self.total = total
        self._show = show

    def advance(self, amount: float = 1) -> None:
        """``amount`` more is done."""
        self.reach(self.done + amount)

    def reach(self, done: float, note: str = "") -> None:
        """So much is done in all; ``note`` is shown beside it."""
        self.done = min(done, self.total)
        self._show(self, note)


@contextmanager
def progress(title: str, total: float = 1.0, unit: str = "") -> Iterator[Progress]:
    """Show how far the work inside has come: of ``total`` things called ``unit``, or without one as a share.

    The bar is wiped when the work ends, also by an error, so that what follows starts on a line of its own.
    """
    if _draws(sys.stderr):
        with _bar(title, total, unit) as bar:
            yield bar
    else:
        yield Progress(total, _Lines(title, unit))


def _draws(stream: TextIO | None) -> bool:
    """Whether a bar can be drawn and wiped there."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


@contextmanager
def _bar(title: str, total: float, unit: str) -> Iterator[Progress]:
    from rich import progress as drawn
    from rich.console import Console, RenderableType
    from rich.text import Text

    class Bar(drawn.Progress):
        """One task, and below it what has no room beside it."""

        below = ""

        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if self.below:
                yield Text(self.below)

    columns = (
        drawn.TextColumn(title, markup=False),
        drawn.BarColumn(),
        drawn.TimeRemainingColumn(),
        drawn.TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def show(now: Progress, note: str) -> None:
            beside = _words(_count(now, unit), note)
            if len(title) + len(beside) + _LEAST_BAR > bar.console.width:
                beside, bar.below = _count(now, unit), note
            else:
                bar.below = ""
            bar.update(task, completed=now.done, description=beside)

        yield Progress(total, show)


class _Lines:
    """Writes a line after ``FIRST_LINE`` seconds and then every ``NEXT_LINE``."""

    def __init__(self, title: str, unit: str) -> None:
        self.title, self.unit = title, unit
        self.start = time.monotonic()
        self.due = self.start + FIRST_LINE

    def __call__(self, now: Progress, note: str) -> None:
        moment = time.monotonic()
        if moment < self.due:
            return
        self.due = moment + NEXT_LINE
        known = 0.0 < now.done < now.total
        left = (moment - self.start) * (now.total / now.done - 1.0) if known else 0.0
        ahead = f"about {_duration(left)} left" if known else ""
        share = f"{100.0 * now.done / now.total:.0f} %" if now.total else ""
        # Work goes on where nobody reads of it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(f"{self.title}: {_words(share, _count(now, self.unit), ahead, note)}", file=sys.stderr, flush=True)


def _count(now: Progress, unit: str) -> str:
    return f"{int(now.done):,} of {now.total:,.0f} {unit}" if unit else ""


def _words(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
