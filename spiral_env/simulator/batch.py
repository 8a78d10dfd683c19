"""The compiled entry points: rows of a batch are independent, so any slice gives the same bits.

What is done to one row is a kernel of its own: here a loop calls it for every row, on a GPU a thread does
(``spiral_env.simulator.cuda``).
"""

from __future__ import annotations

import numpy as np

from spiral_env.core._jit import entry_point, kernel
from spiral_env.core.rng import Stream, uniform
from spiral_env.simulator.month import advance, observe, rewards, spending, summarise, workspace
from spiral_env.simulator.reset import open_episode

__all__ = ["decode_rows", "draw_rows", "observe_rows", "open_rows", "step_rows"]


@kernel
def draw_row(numbers, ranges, seed):
    """Draw the numbers ``[P]`` of a procedural world, where ``ranges`` [2, P] has high > low, keyed by the seed."""
    for k in range(ranges.shape[1]):
        if ranges[1, k] > ranges[0, k]:
            draw = uniform(seed, 0, Stream.WORLD, k)
            numbers[k] = ranges[0, k] + (ranges[1, k] - ranges[0, k]) * draw


@kernel
def decode_row(levels, top, places, efforts):
    """Levels ``[K]`` to efforts; -1, or the place of the first level outside its range."""
    for k in range(levels.shape[0]):
        level = levels[k]
        if level < 0 or level > top[k]:
            return k
        efforts[places[k]] = level / top[k]
    return -1


@kernel
def step_row(s, p, actions, mode, realised, order, scratch, out, observed, e, rows):
    """Advance row ``e`` of ``rows`` by one month, if it is not done (see ``step_rows``)."""
    vectors, scalars, spent, summary = out
    if s.done == 1:
        vectors[:] = 0.0
        scalars[:] = 0.0
        spent[:] = 0.0
        return
    advance(s, p, actions, order, scratch)
    rewards(s, p, mode, realised, vectors, scalars)
    spending(s, spent)
    summarise(s, summary)
    if observed.shape[0] > 0:
        observe(s, p, observed, e, rows)


@entry_point
def draw_rows(params, ranges, seeds, mask, start, stop):
    """Draw the procedural world of every masked row (see ``draw_row``).

    ``params`` [E, P] float64 are the parameter records seen as rows of numbers.
    """
    for e in range(start, stop):
        if mask[e]:
            draw_row(params[e], ranges, seeds[e])


@entry_point
def open_rows(states, params, law, seeds, mask, num_smes, max_cycles, start, stop):
    """Open an episode in every masked row of ``start:stop``; these rows of ``states`` hold the world's template."""
    chance = np.empty(states[0].criticality.shape[0])
    for e in range(start, stop):
        if mask[e]:
            open_episode(states[e], params[e], law, seeds[e], num_smes, max_cycles, chance)


@entry_point
def decode_rows(levels, top, places, efforts):
    """Levels ``[E, K]`` (0 .. ``top`` ``[K]``) to efforts: the k-th of a row to ``places[k]`` of a row of ``efforts``.

    Returns -1, or the flat index of the first level outside its range (nothing from there on is written).
    """
    for e in range(levels.shape[0]):
        wrong = decode_row(levels[e], top, places, efforts[e])
        if wrong >= 0:
            return e * levels.shape[1] + wrong
    return -1


@entry_point
def step_rows(states, params, actions, mode, realised, order, vectors, scalars, spent, summary, observed, start, stop):
    """Advance the rows ``start:stop`` that are not done by one month.

    ``actions`` [E, 3 + N, L] efforts; ``vectors`` [E, 3 + N, 3] k$, ``scalars`` [E, 3 + N] and ``spent``
    [E, 3 + N, 2] k$ are written (zero for a row that was already done), ``summary`` [E, 4] as in ``SUMMARY``, and the
    observations where ``observed`` (see ``observe_rows``) is not empty.
    """
    scratch = workspace(states[0])
    for e in range(start, stop):
        s, p, rows = states[e], params[e], states.shape[0]
        out = vectors[e], scalars[e], spent[e], summary[e]
        step_row(s, p, actions[e], mode, realised, order, scratch, out, observed, e, rows)


@entry_point
def observe_rows(states, params, summary, observed, mask, start, stop):
    """Write the observations and summaries of the masked rows ``start:stop``.

    ``observed`` float32 ``[E W]`` holds IT ``[E, O]``, business ``[E, O]``, finance ``[E, O]``, SMEs ``[E, N, O]``.
    """
    for e in range(start, stop):
        if mask[e]:
            summarise(states[e], summary[e])
            observe(states[e], params[e], observed, e, states.shape[0])
