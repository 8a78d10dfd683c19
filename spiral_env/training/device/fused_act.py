"""A month's sight, actions and values of a role in one pass, by Triton, for CUDA devices.

A program takes tiles of rows in turn: it normalises what is seen, stores it, draws the actor's actions and asks the
critic, without a layer's output in memory. Draws, order of levers and rounding of products are those of torch's way.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from spiral_env.training.device.fused import BLOCK, WARPS, launch, tanh
from spiral_env.training.device.learner import DeviceLearner
from spiral_env.training.learning.gradients import Batch

__all__ = ["FusedActor"]


class FusedActor:
    """Of a learner that ``spiral_env.training.device.fused.suits``."""

    def __init__(self, learner: DeviceLearner, batch: Batch, actions: Tensor, values: Tensor, columns: slice) -> None:
        """Act into tensors that stay where they are.

        Args:
            learner: who acts.
            batch: where sights, actions and their log-probabilities are stored, ``T * E`` cells.
            actions: of this month, int64 ``[E, A, L]``.
            values: of all agents, ``[T, E, N]``.
            columns: the role's part of N.
        """
        self._learner, self._batch, self._actions, self._values = learner, batch, actions, values
        self._column = columns.start
        self._counts = torch.as_tensor(learner.counts, device=learner.device)
        self._state: nn.Linear | None = getattr(learner.critic, "state", None)
        levers = triton.next_power_of_2(len(learner.counts))
        self._levers, self._width = levers, max(triton.next_power_of_2(learner.actor.width), 16 // levers)
        self._inputs = batch.x.shape[-1]
        count = torch.cuda.get_device_properties(learner.device).multi_processor_count if actions.is_cuda else 1
        self._programs = 4 * count

    def act(self, seen: Tensor, state: Tensor | None, luck: Tensor, month: Tensor) -> None:
        """Act on sights ``[E, A, O]`` by ``luck`` ``[E * A, L]`` and store all at row ``month`` (int64 ``[1]``).

        Raises:
            NoRoom: the networks do not fit on the chip.
        """
        learner, rows = self._learner, seen.shape[0] * seen.shape[1]
        actor, critic = learner.actor, learner.critic
        layers = [*actor.body, actor.head, *critic.body, critic.head]  # type: ignore[misc]
        shared = None if self._state is None or state is None else self._state(state)
        launch(
            _act,
            self._programs,
            seen,
            learner.scaled.shift,
            learner.scaled.scale,
            luck,
            seen if shared is None else shared,
            month,
            learner.value_moments,
            self._counts,
            *(p for layer in layers for p in (layer.weight, layer.bias)),
            self._batch.x,
            self._actions,
            self._batch.actions,
            self._batch.log_p,
            self._values,
            rows,
            seen.shape[1],
            self._inputs,
            len(self._counts),
            actor.width,
            self._values.shape[2],
            self._column,
            SHARED=shared is not None,
            INPUTS=max(16, triton.next_power_of_2(self._inputs)),
            HIDDEN=actor.body[0].out_features,
            LEVERS=self._levers,
            VALUES=self._width,
            BLOCK=BLOCK,
            num_warps=WARPS,
            num_stages=1,
        )


@triton.jit
def _hidden(x, extra, w1, b1, w2, b2, inputs, INPUTS: tl.constexpr, HIDDEN: tl.constexpr):  # type: ignore[no-untyped-def]
    """What two layers make of rows ``[B, INPUTS]``; ``extra`` is added to the first."""
    o, h = tl.arange(0, INPUTS), tl.arange(0, HIDDEN)
    in_1 = tl.load(w1 + h[None, :] * inputs + o[:, None], mask=(o < inputs)[:, None], other=0.0)
    in_2 = tl.load(w2 + h[None, :] * HIDDEN + h[:, None])
    y = tanh(tl.dot(x, in_1) + tl.load(b1 + h)[None, :] + extra)
    return tanh(tl.dot(y, in_2) + tl.load(b2 + h)[None, :])


@triton.jit
def _drawn(  # type: ignore[no-untyped-def]
    out, r, ok, counts, luck, levers, LEVERS: tl.constexpr, VALUES: tl.constexpr, BLOCK: tl.constexpr
):
    """Actions ``[B, LEVERS]`` of logits, and their log-probabilities ``[B]``."""
    logits = tl.reshape(out, (BLOCK, LEVERS, VALUES))
    lever, value = tl.arange(0, LEVERS), tl.arange(0, VALUES)
    there = lever < levers
    count = tl.load(counts + lever, mask=there, other=0).to(tl.int32)
    valid = (value[None, :] < count[:, None])[None, :, :]
    top = tl.where(there[None, :], tl.max(tl.where(valid, logits, -1e30), 2), 0.0)
    mass = tl.where(valid, tl.exp(logits - top[:, :, None]), 0.0)
    total = tl.where(there[None, :], tl.sum(mass, 2), 1.0)
    edges = tl.cumsum(mass / total[:, :, None], 2)
    lucky = tl.load(luck + r[:, None] * levers + lever[None, :], mask=ok[:, None] & there[None, :], other=0.0)
    passed = valid & (lucky[:, :, None] > edges)
    picked = tl.minimum(tl.sum(passed.to(tl.int32), 2), tl.maximum(count - 1, 0)[None, :])
    log_p = tl.where(valid, logits - (top + tl.log(total))[:, :, None], 0.0)
    chosen = value[None, None, :] == picked[:, :, None]
    return picked, tl.sum(tl.sum(tl.where(chosen, log_p, 0.0), 2), 1)


@triton.jit(do_not_specialize=["rows", "agents", "inputs", "levers", "width", "everybody", "column"])
def _act(  # type: ignore[no-untyped-def]
    seen, shift, scale, luck, shared, month, moments, counts,
    aw1, ab1, aw2, ab2, aw3, ab3, cw1, cb1, cw2, cb2, cw3, cb3, x_rows, actions, stored, log_ps, values,
    rows, agents, inputs, levers, width, everybody, column,
    SHARED: tl.constexpr, INPUTS: tl.constexpr, HIDDEN: tl.constexpr, LEVERS: tl.constexpr, VALUES: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Normalise, store, draw and value this program's tiles."""
    o, h, c = tl.arange(0, INPUTS), tl.arange(0, HIDDEN), tl.arange(0, LEVERS * VALUES)
    known = o < inputs
    shifts, scales = tl.load(shift + o, mask=known, other=0.0), tl.load(scale + o, mask=known, other=0.0)
    lever, value = c // VALUES, c % VALUES
    there = (lever < levers) & (value < width)
    place = lever * width + value
    levers_at = tl.arange(0, LEVERS)
    head = tl.load(aw3 + place[None, :] * HIDDEN + h[:, None], mask=there[None, :], other=0.0)
    head_bias = tl.load(ab3 + place, mask=there, other=0.0)
    value_head, value_bias = tl.load(cw3 + h), tl.load(cb3)
    value_mean, value_std = tl.load(moments), tl.load(moments + 1)
    first = tl.load(month) * rows
    for start in range(tl.program_id(0) * BLOCK, rows, tl.num_programs(0) * BLOCK):
        r = (start + tl.arange(0, BLOCK)).to(tl.int64)
        ok = r < rows
        at = ok[:, None] & known[None, :]
        x = tl.load(seen + r[:, None] * inputs + o[None, :], mask=at, other=0.0)
        x = tl.minimum(tl.maximum(x * scales[None, :] + shifts[None, :], -10.0), 10.0)
        tl.store(x_rows + (first + r)[:, None] * inputs + o[None, :], x, mask=at)
        y = _hidden(x, 0.0, aw1, ab1, aw2, ab2, inputs, INPUTS, HIDDEN)
        out = tl.dot(y, head) + head_bias[None, :]
        picked, log_p = _drawn(out, r, ok, counts, luck, levers, LEVERS, VALUES, BLOCK)
        into = ok[:, None] & (levers_at < levers)[None, :]
        tl.store(actions + r[:, None] * levers + levers_at[None, :], picked.to(tl.int64), mask=into)
        tl.store(stored + (first + r)[:, None] * levers + levers_at[None, :], picked.to(tl.uint8), mask=into)
        tl.store(log_ps + first + r, log_p, mask=ok)
        extra = 0.0
        if SHARED:
            extra = tl.load(shared + (r // agents)[:, None] * HIDDEN + h[None, :], mask=ok[:, None], other=0.0)
        y = _hidden(x, extra, cw1, cb1, cw2, cb2, inputs, INPUTS, HIDDEN)
        valued = tl.sum(y * value_head[None, :], 1) + value_bias
        where = (first // agents + r // agents) * everybody + column + r % agents
        tl.store(values + where, valued * value_std + value_mean, mask=ok)
