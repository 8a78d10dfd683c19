"""Loss and gradient of two-layer tanh networks in one pass over a minibatch, by Triton, for CUDA devices.

A program takes tiles of rows in turn: it reads an observation once, keeps all that the layers give on the chip, and
adds the gradients of the weights up in registers. What torch would write to memory and read again between forty kernels
never leaves the processor. Products round to TF32, as all others of a device's training. Programs store their own sums,
which are added in a fixed order: the same bits in every run.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from triton.runtime.errors import OutOfResources

from spiral_env.training.device.captured import NoRoom
from spiral_env.training.learning.flat import views
from spiral_env.training.learning.gradients import Batch, Weights
from spiral_env.training.learning.learner import Learner

__all__ = ["BLOCK", "WARPS", "Fused", "launch", "suits", "tanh"]

BLOCK, WARPS = 32, 4
"""Rows of a tile, and warps that share one."""
_LARGEST = 128
"""Widths of layers and observations that fit on the chip."""


def suits(learner: Learner) -> bool:
    """Whether this covers the learner's networks."""
    layers = [*learner.actor.body, *learner.critic.body]  # type: ignore[misc]
    wide = [x.in_features for x in layers] + [x.out_features for x in layers]
    hidden = layers[0].out_features
    small = max(wide) <= _LARGEST and learner.actor.head.out_features <= _LARGEST
    return learner.actor.plain and len(learner.actor.body) == 2 and hidden in (16, 32, 64, 128) and small


class Fused:
    """For plain actors of two layers, and critics like them.

    Attributes:
        out: gradient, laid out as the learner's parameters.
    """

    def __init__(self, learner: Learner, weights: Weights, block: int = BLOCK, warps: int = WARPS) -> None:
        """Make room for what every program adds up."""
        self.out = torch.zeros_like(learner.flat)
        parts = views(self.out, learner.parameters())
        actor, critic = learner.actor, learner.critic
        count = len(list(actor.parameters()))
        counts = torch.as_tensor(learner.counts, device=learner.device)
        bonus = (weights.clip_coef, weights.ent_coef, weights.vf_coef)
        self._actor = _Network([*actor.body, actor.head], parts[:count], counts, actor.width, bonus, block, warps)
        one = torch.ones(1, dtype=torch.int64, device=learner.device)
        layers = [*critic.body, critic.head]  # type: ignore[misc]
        self._critic = _Network(layers, parts[count : count + 6], one, 1, bonus, block, warps)
        self._state: nn.Linear | None = getattr(critic, "state", None)
        self._state_out = parts[count + 6 :]

    @torch.no_grad()
    def write(self, batch: Batch, index: Tensor, scale: float, moving: Tensor) -> Tensor:
        """As of ``ByAutograd``.

        Raises:
            NoRoom: the networks do not fit on the chip.
        """
        index, state, shared = index.reshape(-1), None, None
        if self._state is not None and batch.state is not None:
            state = batch.state.index_select(0, index)
            shared = self._state(state)
        policy, entropy, kl = self._actor.run(batch, index, scale, moving, None)[:3]
        value = self._critic.run(batch, index, scale, moving, shared)[0]
        if state is not None:
            slope = self._critic.shared_slope
            torch.mm(slope.t(), state, out=self._state_out[0])
            torch.sum(slope, 0, out=self._state_out[1])
        return torch.stack([policy, value, entropy, kl])


class _Network:
    """One network's pass; ``parts`` are where weight and bias gradients of its three layers go."""

    def __init__(
        self,
        layers: list[nn.Linear],
        parts: list[Tensor],
        counts: Tensor,
        width: int,
        weights: tuple[float, float, float],
        block: int,
        warps: int,
    ) -> None:
        self._layers, self._parts, self._counts, self._width = layers, parts, counts, width
        self._weights, self._block, self._warps = weights, block, warps
        self.inputs, self.hidden = layers[0].in_features, layers[0].out_features
        self._policy = len(counts) > 1
        self._levers = triton.next_power_of_2(len(counts)) if self._policy else 1
        self._values = max(triton.next_power_of_2(width), 16 // self._levers)
        self._padded = max(16, triton.next_power_of_2(self.inputs))
        device = counts.device
        programs = 1 if device.type == "cpu" else 2 * torch.cuda.get_device_properties(device).multi_processor_count
        self._shapes = [(self.hidden, self._padded), (self.hidden, self.hidden), (self._outputs, self.hidden)]
        size = sum(a * b + a for a, b in self._shapes)
        self._partial = torch.zeros((programs, size), device=device)
        self._sums = torch.zeros((programs, 3), device=device)
        self._slopes = torch.zeros(0, device=device)
        self.shared_slope = torch.zeros(0, device=device)
        # Outputs that are padding stay out of what is copied to the gradient.
        places = [(j * self._values + k, j * width + k) for j in range(len(counts)) for k in range(width)]
        self._from, self._to = torch.tensor(places, device=device).t()

    @property
    def _outputs(self) -> int:
        return self._levers * self._values

    def run(self, batch: Batch, index: Tensor, scale: float, moving: Tensor, shared: Tensor | None) -> Tensor:
        """Write the gradient; returns sums of what is told of the loss."""
        agents = batch.x.shape[1]
        rows = len(index) * agents
        if shared is not None and self._slopes.shape != (rows, self.hidden):
            self._slopes = torch.zeros((rows, self.hidden), device=index.device)
        clip, entropy, value = self._weights
        launch(
            _pass,
            len(self._partial),
            batch.x,
            index,
            batch.x if shared is None else shared,
            self._slopes,
            *(p for layer in self._layers for p in (layer.weight, layer.bias)),
            self._counts,
            batch.actions,
            batch.log_p,
            batch.advantages if self._policy else batch.targets,
            moving,
            self._partial,
            self._sums,
            rows,
            agents,
            self.inputs,
            len(self._counts),
            self._width,
            self._partial.shape[1],
            clip,
            entropy,
            value,
            scale,
            POLICY=self._policy,
            SHARED=shared is not None,
            INPUTS=self._padded,
            HIDDEN=self.hidden,
            LEVERS=self._levers,
            VALUES=self._values,
            BLOCK=self._block,
            num_warps=self._warps,
        )
        self._unpack(self._partial.sum(0))
        if shared is not None:
            self.shared_slope = self._slopes.view(len(index), agents, -1).sum(1)
        return self._sums.sum(0)

    def _unpack(self, total: Tensor) -> None:
        at = 0
        for k, (a, b) in enumerate(self._shapes):
            weight, bias = total[at : at + a * b].view(a, b), total[at + a * b : at + a * b + a]
            if k == 0:
                weight = weight[:, : self.inputs]
            if k == 2:
                self._parts[4].index_copy_(0, self._to, weight.index_select(0, self._from))
                self._parts[5].index_copy_(0, self._to, bias.index_select(0, self._from))
            else:
                self._parts[2 * k].copy_(weight)
                self._parts[2 * k + 1].copy_(bias)
            at += a * b + a


def launch(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
    """Start a kernel of Triton.

    Raises:
        NoRoom: it needs more of a multiprocessor than there is.
    """
    try:
        kernel[(programs,)](*arguments, **constants)
    except OutOfResources as error:
        raise NoRoom(str(error)) from None


@triton.jit
def tanh(x):  # type: ignore[no-untyped-def]
    """The hyperbolic tangent."""
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit
def _policy_slope(  # type: ignore[no-untyped-def]
    out, row, ok, counts, actions, old_log_p, advantages, levers, clip, entropy_weight, scale,
    LEVERS: tl.constexpr, VALUES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """PPO's loss of logits ``[B, L * K]``, term by term as in ``losses``: slope by the logits, and what is told."""
    logits = tl.reshape(out, (BLOCK, LEVERS, VALUES))
    lever, value = tl.arange(0, LEVERS), tl.arange(0, VALUES)
    there = lever < levers
    count = tl.load(counts + lever, mask=there, other=0)
    valid = (value[None, :] < count[:, None])[None, :, :]
    top = tl.max(tl.where(valid, logits, -1e30), 2)
    top = tl.where(there[None, :], top, 0.0)
    mass = tl.where(valid, tl.exp(logits - top[:, :, None]), 0.0)
    total = tl.where(there[None, :], tl.sum(mass, 2), 1.0)
    log_p = tl.where(valid, logits - (top + tl.log(total))[:, :, None], 0.0)
    p = mass / total[:, :, None]
    entropy = -tl.sum(p * log_p, 2)
    acted = tl.load(actions + row[:, None] * levers + lever[None, :], mask=ok[:, None] & there[None, :], other=0)
    chosen = (value[None, None, :] == acted[:, :, None].to(tl.int32)) & valid
    log_ratio = tl.sum(tl.sum(tl.where(chosen, log_p, 0.0), 2), 1) - tl.load(old_log_p + row, mask=ok, other=0.0)
    advantage = tl.load(advantages + row, mask=ok, other=0.0)
    ratio = tl.exp(log_ratio)
    gain = ratio * advantage
    bounded = tl.minimum(tl.maximum(ratio, 1.0 - clip), 1.0 + clip) * advantage
    slope = tl.where(gain <= bounded, scale * gain, 0.0)
    of_entropy = (scale * entropy_weight) * p * (log_p + entropy[:, :, None])
    by_logits = slope[:, None, None] * (p - chosen.to(tl.float32)) + of_entropy
    by_logits = tl.where(valid, by_logits, 0.0)
    told = -tl.minimum(gain, bounded), tl.sum(entropy, 1), ratio - 1.0 - log_ratio
    return tl.reshape(by_logits, (BLOCK, LEVERS * VALUES)), told[0], told[1], told[2]


@triton.jit(do_not_specialize=["rows", "agents", "inputs", "levers", "width", "size"])
def _pass(  # type: ignore[no-untyped-def]
    x_rows, cells, shared, slopes, w1, b1, w2, b2, w3, b3, counts, actions, old_log_p, goals, moving, partial, sums,
    rows, agents, inputs, levers, width, size, clip, entropy_weight, value_weight, scale,
    POLICY: tl.constexpr, SHARED: tl.constexpr, INPUTS: tl.constexpr, HIDDEN: tl.constexpr, LEVERS: tl.constexpr,
    VALUES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Forward, loss and backward of this program's tiles; ``goals`` are advantages, or value targets."""
    OUTPUTS: tl.constexpr = LEVERS * VALUES
    o, h, c = tl.arange(0, INPUTS), tl.arange(0, HIDDEN), tl.arange(0, OUTPUTS)
    seen = o < inputs
    lever, value = c // VALUES, c % VALUES
    there = (lever < levers) & (value < width)
    place = lever * width + value
    in_1 = tl.load(w1 + h[None, :] * inputs + o[:, None], mask=seen[:, None], other=0.0)
    in_2 = tl.load(w2 + h[None, :] * HIDDEN + h[:, None])
    in_3 = tl.load(w3 + place[None, :] * HIDDEN + h[:, None], mask=there[None, :], other=0.0)
    back_2 = tl.load(w2 + h[:, None] * HIDDEN + h[None, :])
    back_3 = tl.load(w3 + place[:, None] * HIDDEN + h[None, :], mask=there[:, None], other=0.0)
    bias_1, bias_2 = tl.load(b1 + h), tl.load(b2 + h)
    bias_3 = tl.load(b3 + place, mask=there, other=0.0)
    moves = tl.load(moving) if POLICY else 1.0
    sum_1 = tl.zeros((HIDDEN, INPUTS), tl.float32)
    sum_2 = tl.zeros((HIDDEN, HIDDEN), tl.float32)
    sum_3 = tl.zeros((OUTPUTS, HIDDEN), tl.float32)
    bias_sum_1, bias_sum_2 = tl.zeros((HIDDEN,), tl.float32), tl.zeros((HIDDEN,), tl.float32)
    bias_sum_3 = tl.zeros((OUTPUTS,), tl.float32)
    told_0, told_1 = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    told_2 = tl.zeros((BLOCK,), tl.float32)
    for start in range(tl.program_id(0) * BLOCK, rows, tl.num_programs(0) * BLOCK):
        r = start + tl.arange(0, BLOCK)
        ok = r < rows
        row = tl.load(cells + r // agents, mask=ok, other=0) * agents + r % agents
        x = tl.load(x_rows + row[:, None] * inputs + o[None, :], mask=ok[:, None] & seen[None, :], other=0.0)
        z = tl.dot(x, in_1) + bias_1[None, :]
        if SHARED:
            z += tl.load(shared + (r // agents)[:, None] * HIDDEN + h[None, :], mask=ok[:, None], other=0.0)
        y_1 = tanh(z)
        y_2 = tanh(tl.dot(y_1, in_2) + bias_2[None, :])
        out = tl.dot(y_2, in_3) + bias_3[None, :]
        if POLICY:
            d_3, policy, entropy, kl = _policy_slope(
                out, row, ok, counts, actions, old_log_p, goals, levers, clip, entropy_weight, scale * moves,
                LEVERS, VALUES, BLOCK,
            )  # fmt: skip
            told_0 += tl.where(ok, policy, 0.0)
            told_1 += tl.where(ok, entropy, 0.0)
            told_2 += tl.where(ok, kl, 0.0)
        else:
            error = tl.sum(tl.where(c[None, :] == 0, out, 0.0), 1) - tl.load(goals + row, mask=ok, other=0.0)
            d_3 = tl.where(c[None, :] == 0, (value_weight * scale) * error[:, None], 0.0)
            told_0 += tl.where(ok, 0.5 * error * error, 0.0)
        d_3 = tl.where(ok[:, None], d_3, 0.0)
        sum_3 += tl.dot(tl.trans(d_3), y_2)
        bias_sum_3 += tl.sum(d_3, 0)
        d_2 = tl.dot(d_3, back_3) * (1.0 - y_2 * y_2)
        sum_2 += tl.dot(tl.trans(d_2), y_1)
        bias_sum_2 += tl.sum(d_2, 0)
        d_1 = tl.dot(d_2, back_2) * (1.0 - y_1 * y_1)
        sum_1 += tl.dot(tl.trans(d_1), x)
        bias_sum_1 += tl.sum(d_1, 0)
        if SHARED:
            tl.store(slopes + r.to(tl.int64)[:, None] * HIDDEN + h[None, :], d_1, mask=ok[:, None])
    at = partial + tl.program_id(0) * size
    tl.store(at + h[:, None] * INPUTS + o[None, :], sum_1)
    at += HIDDEN * INPUTS
    tl.store(at + h, bias_sum_1)
    at += HIDDEN
    tl.store(at + h[:, None] * HIDDEN + h[None, :], sum_2)
    at += HIDDEN * HIDDEN
    tl.store(at + h, bias_sum_2)
    at += HIDDEN
    tl.store(at + c[:, None] * HIDDEN + h[None, :], sum_3)
    at += OUTPUTS * HIDDEN
    tl.store(at + c, bias_sum_3)
    told = sums + tl.program_id(0) * 3
    tl.store(told, tl.sum(told_0, 0))
    tl.store(told + 1, tl.sum(told_1, 0))
    tl.store(told + 2, tl.sum(told_2, 0))
