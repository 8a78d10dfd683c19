"""Worker threads that outlive a fork, and how many cores there are for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Threads", "cores"]

Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use: fewer than the machine's where an affinity is set."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Threads:
    """``count`` threads, the caller's own among them.

    The others start when they are first needed, and again in every process that gets a copy: a fork takes along the
    pool but not its threads, and a job handed to it there would never end.
    """

    def __init__(self, count: int) -> None:
        """Nothing starts yet."""
        self.count = count
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def __reduce__(self) -> tuple[type[Threads], tuple[int]]:
        """A copy has threads of its own."""
        return Threads, (self.count,)

    def each(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> list[Result]:
        """``[function(*job) for job in jobs]``, side by side."""
        if self.count == 1 or len(jobs) < 2:
            return [function(*job) for job in jobs]
        if self._pool is None or self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self.count - 1), os.getpid()
        others = [self._pool.submit(function, *job) for job in jobs[1:]]
        return [function(*jobs[0]), *(job.result() for job in others)]

    def close(self) -> None:
        """End the threads of this process."""
        if self._pool is not None and self._process == os.getpid():
            self._pool.shutdown()
        self._pool = None
