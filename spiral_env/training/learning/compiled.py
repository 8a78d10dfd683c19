"""The loops of learning over rows, compiled: each is one pass where array operations would need many."""

from __future__ import annotations

import math

import numpy as np

from spiral_env.core._jit import entry_point

__all__ = ["gae_columns", "normalise", "ppo_rows", "sample"]


@entry_point
def normalise(rows, mean, scale, clip, out, sums):  # type: ignore[no-untyped-def]
    """``out = clip((rows - mean) * scale)`` of ``[B, D]``, and sums of ``rows - mean`` and of its square ``[2, D]``."""
    for b in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            centred = rows[b, d] - mean[d]
            sums[0, d] += centred
            sums[1, d] += np.float64(centred) * np.float64(centred)
            out[b, d] = min(max(centred * scale[d], -clip), clip)


@entry_point
def sample(logits, counts, draws, actions, log_p):  # type: ignore[no-untyped-def]
    """Draw ``actions`` ``[B, L]`` from logits ``[B, L * K]`` by uniform ``draws``; their ``log_p`` ``[B]``."""
    width = logits.shape[1] // counts.shape[0]
    for b in range(logits.shape[0]):
        total_log = np.float32(0.0)
        for j in range(counts.shape[0]):
            first = j * width
            top = logits[b, first]
            for k in range(1, counts[j]):
                top = max(top, logits[b, first + k])
            total = np.float32(0.0)
            for k in range(counts[j]):
                total += math.exp(logits[b, first + k] - top)
            left = draws[b, j] * total
            picked = 0
            mass = math.exp(logits[b, first] - top)
            while picked < counts[j] - 1 and left >= mass:
                left -= mass
                picked += 1
                mass = math.exp(logits[b, first + picked] - top)
            actions[b, j] = picked
            total_log += logits[b, first + picked] - top - math.log(total)
        log_p[b] = total_log


@entry_point
def ppo_rows(  # type: ignore[no-untyped-def]
    logits, values, counts, cells, actions, old_log_p, advantages, targets, weights, d_logits, d_values, sums
):
    """PPO's loss of minibatch rows and its gradient by logits and values, term by term as in ``losses``.

    Args:
        logits: ``[B, L * K]``, row b is agent ``b % A`` of cell ``cells[b // A]``.
        values: ``[B]``.
        counts: values of each lever ``[L]``.
        cells: indices into the rollout ``[B / A]``.
        actions: of the rollout ``[U, A, L]``.
        old_log_p: of the rollout ``[U, A]``.
        advantages: of the rollout ``[U, A]``.
        targets: of the rollout ``[U, A]``.
        weights: (clip_coef, ent_coef, vf_coef, scale of every gradient).
        d_logits: written, ``[B, L * K]``.
        d_values: written, ``[B, 1]``.
        sums: of policy loss, value loss, entropy and KL, written.
    """
    clip, entropy_weight, value_weight, scale = weights[0], weights[1], weights[2], weights[3]
    agents, levers = actions.shape[1], counts.shape[0]
    width = logits.shape[1] // levers
    one = np.float32(1.0)
    log_sums, entropies = np.empty(levers, np.float32), np.empty(levers, np.float32)
    sums[:] = 0.0
    for b in range(logits.shape[0]):
        cell, agent = cells[b // agents], b % agents
        log_p, bonus = np.float32(0.0), np.float32(0.0)
        for j in range(levers):
            first = j * width
            top = logits[b, first]
            for k in range(1, counts[j]):
                top = max(top, logits[b, first + k])
            total, mean = np.float32(0.0), np.float32(0.0)
            for k in range(counts[j]):
                p = math.exp(logits[b, first + k] - top)
                d_logits[b, first + k] = p
                total += p
                mean += p * (logits[b, first + k] - top)
            for k in range(counts[j]):
                d_logits[b, first + k] /= total
            log_sums[j] = top + math.log(total)
            entropies[j] = math.log(total) - mean / total
            bonus += entropies[j]
            log_p += logits[b, first + actions[cell, agent, j]] - log_sums[j]
        log_ratio = log_p - old_log_p[cell, agent]
        ratio = math.exp(log_ratio)
        gain = ratio * advantages[cell, agent]
        bounded = min(max(ratio, one - clip), one + clip) * advantages[cell, agent]
        slope = scale * gain if gain <= bounded else np.float32(0.0)
        for j in range(levers):
            for k in range(counts[j]):
                c = j * width + k
                p = d_logits[b, c]
                of_entropy = scale * entropy_weight * p * (logits[b, c] - log_sums[j] + entropies[j])
                d_logits[b, c] = slope * p + of_entropy
            d_logits[b, j * width + actions[cell, agent, j]] -= slope
        error = values[b] - targets[cell, agent]
        d_values[b, 0] = value_weight * scale * error
        sums[0] -= min(gain, bounded)
        sums[1] += 0.5 * error * error
        sums[2] += bonus
        sums[3] += ratio - one - log_ratio


@entry_point
def gae_columns(rewards, values, last_values, ends, end_values, gamma, gae_lambda, advantages):  # type: ignore[no-untyped-def]
    """Advantages ``[T, N]`` of independent columns; see ``spiral_env.training.learning.returns.gae``."""
    following, carry = last_values.copy(), np.zeros_like(last_values)
    for t in range(rewards.shape[0] - 1, -1, -1):
        for n in range(rewards.shape[1]):
            after, kept = following[n], carry[n]
            if ends[t, n]:
                after, kept = end_values[t, n], 0.0
            carry[n] = rewards[t, n] + gamma * after - values[t, n] + gamma * gae_lambda * kept
            advantages[t, n] = carry[n]
            following[n] = values[t, n]
