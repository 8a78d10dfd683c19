"""The floor under the kernel: a loop that does the counted work of a month and nothing else.

Draws, functions and divisions are done one by one, bytes are moved as vectors. Plain arithmetic (compares among it) is
timed twice, one by one and as vectors: part of a month can be done as vectors (passes over the backlog, observations),
part cannot, so the true floor lies between the two.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from spiral_env.core.rng import unit
from tests.benchmarks.counting import WORK, work_of_a_month
from tests.benchmarks.stepping import opened, random_efforts
from tests.benchmarks.timing import median_seconds

__all__ = ["floor"]


@numba.njit(error_model="numpy")
def _draw(count, key):
    total = 0.0
    for k in range(count):
        total += unit(key, k)
    return total


@numba.njit(error_model="numpy")
def _functions(exps, logs, pows, roots, erfcs, x):
    total = 0.0
    for k in range(exps):
        total += math.exp(-x * k)
    for k in range(logs):
        total += math.log(x + k)
    for k in range(pows):
        total += (x + k) ** -x
    for k in range(roots):
        total += math.sqrt(x + k)
    for k in range(erfcs):
        total += math.erfc(x * k)
    return total


@numba.njit(error_model="numpy")
def _divide(count, x):
    total = 0.0
    for k in range(count):
        total += x / (k + 1.0)
    return total


@numba.njit(error_model="numpy")
def _arithmetic(operations, x):
    """Four chains side by side, as an out-of-order core runs independent scalar work."""
    a, b, c, d = x, x + 1.0, x + 2.0, x + 3.0
    for _ in range(operations // 8):
        a = a * x + 0.1
        b = b * x + 0.2
        c = c * x + 0.3
        d = d * x + 0.4
    return a + b + c + d


@numba.njit(error_model="numpy")
def _vector_arithmetic(operations, row, x):
    for _ in range(operations // (2 * len(row))):
        for k in range(len(row)):
            row[k] = row[k] * x + 0.1
    return row[0]


@numba.njit(error_model="numpy")
def _move(words, reads, writes):
    """Read and write words of a record, one after the other, round and round."""
    total = 0
    left = reads
    while left > 0:
        for k in range(min(left, len(words))):
            total += words[k]
        left -= len(words)
    left = writes
    while left > 0:
        for k in range(min(left, len(words))):
            words[k] = total + k
        left -= len(words)
    return total


@numba.njit(error_model="numpy")
def _work(words, out, n, vectors, x):
    row = np.ones(64)
    for e in range(len(out)):
        total = _draw(n[0], np.uint64(e))
        total += _functions(n[1], n[2], n[3], n[4], n[5], x)
        total += _divide(n[6], x)
        total += _vector_arithmetic(n[7], row, x) if vectors else _arithmetic(n[7], x)
        out[e] = total + _move(words[e], n[8] // 8, n[9] // 8)


def floor(num_envs: int = 1024, months: int = 6) -> dict[str, float]:
    """Work of a month of the second year by kind; microseconds of a month, of the floors, and of each kind alone."""
    engine = opened(num_envs)
    efforts = random_efforts(engine)
    for _ in range(18):
        engine.step(efforts)
    middle = engine.states.copy()
    work = work_of_a_month(engine, efforts)
    words, out = middle.copy().view(np.int64).reshape(num_envs, -1), np.zeros(num_envs)

    def step() -> None:
        engine.states[:] = middle
        for _ in range(months):
            engine.step(efforts)

    def repeated(counts: np.ndarray, vectors: bool) -> None:
        for _ in range(months):
            _work(words, out, counts, vectors, 0.37)

    functions: dict[str, Callable[[], Any]] = {"month": step, "copy": lambda: np.copyto(engine.states, middle)}
    for name, (counts, vectors) in _loops(work).items():
        functions[name] = functools.partial(repeated, counts, vectors)
        functions[name]()
    seconds = median_seconds(functions, 5)
    seconds["month"] -= seconds.pop("copy")
    each = {name: 1e6 * x / (num_envs * months) for name, x in seconds.items()}
    figures = {f"count: {name}": work[name] for name in WORK}
    figures |= {f"microseconds: {name}": x for name, x in each.items()}
    return figures | {f"month / {name}": each["month"] / each[name] for name in FLOORS}


FLOORS = ("floor, arithmetic one by one", "floor, arithmetic as vectors", "floor, no plain arithmetic")


def _loops(work: dict[str, float]) -> dict[str, tuple[np.ndarray, bool]]:
    """Name -> counts of ``WORK`` to be done, and whether arithmetic is done as vectors."""
    counts = np.array([round(work[name]) for name in WORK])
    kinds = np.arange(len(WORK))
    plain = WORK.index("arithmetic")
    loops = {name: (counts, name == FLOORS[1]) for name in FLOORS[:2]}
    loops[FLOORS[2]] = (np.where(kinds == plain, 0, counts), True)
    loops |= {name: (np.where(kinds == k, counts, 0), False) for k, name in enumerate(WORK)}
    return loops | {"arithmetic as vectors": (np.where(kinds == plain, counts, 0), True)}
