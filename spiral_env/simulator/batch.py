"""The compiled entry points: rows of a batch are independent, so any slice gives the same bits."""

from __future__ import annotations

import numpy as np

from spiral_env.core._jit import entry_point
from spiral_env.core.rng import Stream, uniform
from spiral_env.simulator.month import advance, observe, rewards
from spiral_env.simulator.reset import open_episode

__all__ = ["draw_rows", "observe_rows", "open_rows", "step_rows"]


@entry_point
def draw_rows(params, ranges, seeds, mask, start, stop):
    """Draw the procedural world of every masked row: where ``ranges`` [2, P] has high > low, keyed by the seed.

    ``params`` [E, P] float64 are the parameter records seen as rows of numbers.
    """
    for e in range(start, stop):
        if not mask[e]:
            continue
        for k in range(ranges.shape[1]):
            if ranges[1, k] > ranges[0, k]:
                draw = uniform(seeds[e], 0, Stream.WORLD, k)
                params[e, k] = ranges[0, k] + (ranges[1, k] - ranges[0, k]) * draw


@entry_point
def open_rows(states, params, law, seeds, mask, num_smes, max_cycles, start, stop):
    """Open an episode in every masked row of ``start:stop``; the rows of ``states`` hold zeros."""
    chance = np.empty(states[0].criticality.shape[0])
    for e in range(start, stop):
        if mask[e]:
            open_episode(states[e], params[e], law, seeds[e], num_smes, max_cycles, chance)


@entry_point
def step_rows(states, params, actions, mode, realised, order, vectors, scalars, start, stop):
    """Advance the rows ``start:stop`` that are not done by one month.

    ``actions`` [E, 3 + N, 5] efforts; ``vectors`` [E, 3 + N, 3] k$ and ``scalars`` [E, 3 + N] are written
    (zero for a row that was already done).
    """
    chance = np.empty(states[0].criticality.shape[0])
    for e in range(start, stop):
        if states[e].done == 1:
            vectors[e] = 0.0
            scalars[e] = 0.0
            continue
        advance(states[e], params[e], actions[e], order, chance)
        rewards(states[e], params[e], mode, realised, vectors[e], scalars[e])


@entry_point
def observe_rows(states, params, it, business, finance, sme, it_b, business_b, finance_b, sme_b, start, stop):
    """Write the observations of the rows ``start:stop`` (float32 [E, O] for IT, business, finance; [E, N, O] SMEs)."""
    for e in range(start, stop):
        observe(states[e], params[e], it[e], business[e], finance[e], sme[e], it_b, business_b, finance_b, sme_b)
