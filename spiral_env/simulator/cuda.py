"""The kernels of a GPU: a thread does to its row what the loops of ``batch`` do to theirs.

``ranks`` and ``tickets`` are scratch, a row an ecosystem. ``params`` has a row an ecosystem, or one for all.
"""

from __future__ import annotations

from spiral_env.core._cuda import grid, row_kernel
from spiral_env.roles.public import copy
from spiral_env.simulator.batch import draw_row, step_row
from spiral_env.simulator.month import observe, summarise
from spiral_env.simulator.reset import open_episode

__all__ = ["LANES", "clear_rows", "draw_rows", "observe_rows", "open_rows", "step_rows"]

LANES = 32
"""Threads that clear a row together."""


@row_kernel
def clear_rows(words, template, mask):
    """Write the world's template ``[W]`` to the masked rows ``[E, W]``."""
    thread = grid(1)
    e = thread // LANES
    if e < words.shape[0] and mask[e]:
        for k in range(thread % LANES, words.shape[1], LANES):
            words[e, k] = template[k]


@row_kernel
def draw_rows(params, base, ranges, seeds, mask):
    """Draw the world of every masked row (see ``batch.draw_row``), over the numbers ``base`` ``[P]``."""
    e = grid(1)
    if e < params.shape[0] and mask[e]:
        copy(base, params[e])
        draw_row(params[e], ranges, seeds[e])


@row_kernel
def open_rows(states, params, law, seeds, mask, smes, cycles, ranks, vectors, scalars, spent, summary, observed):
    """Open an episode in every masked row, which holds the world's template, and observe it."""
    e = grid(1)
    if e < states.shape[0] and mask[e]:
        s, p = states[e], params[e % params.shape[0]]
        open_episode(s, p, law, seeds[e], smes, cycles, ranks[e])
        vectors[e] = 0.0
        scalars[e] = 0.0
        spent[e] = 0.0
        summarise(s, summary[e])
        observe(s, p, observed, e, states.shape[0])


@row_kernel
def step_rows(
    states, params, actions, mode, realised, order, ranks, tickets, vectors, scalars, spent, summary, observed
):
    """Advance every row that is not done by one month, and observe it."""
    e = grid(1)
    if e < states.shape[0]:
        p, scratch = params[e % params.shape[0]], (ranks[e], tickets[e])
        out = vectors[e], scalars[e], spent[e], summary[e]
        step_row(states[e], p, actions[e], mode, realised, order, scratch, out, observed, e, states.shape[0])


@row_kernel
def observe_rows(states, params, summary, observed, mask):
    """Write the observations and summaries of the masked rows."""
    e = grid(1)
    if e < states.shape[0] and mask[e]:
        summarise(states[e], summary[e])
        observe(states[e], params[e % params.shape[0]], observed, e, states.shape[0])
