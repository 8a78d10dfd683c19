"""Agent-steps a second of another package's environment, as JSON: ``<its python> peers.py mpe2`` (or another).

Run by the python of a virtual environment that holds the package; needs nothing of this project.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

AGENTS = 10
BATCHES = (64, 1024, 4096)


def rate(play: Callable[[], int], rounds: int = 3) -> float:
    """Median of what ``play()`` lives a second, after one round that warms up."""
    play()
    rates = []
    for _ in range(rounds):
        start = time.perf_counter()
        lived = play()
        rates.append(lived / (time.perf_counter() - start))
    return statistics.median(rates)


def mpe2(steps: int = 250) -> dict[str, Any]:
    """PettingZoo's ``simple_spread``, one world, random actions drawn beforehand."""
    import numpy as np
    from mpe2 import simple_spread_v3

    env = simple_spread_v3.parallel_env(N=AGENTS, local_ratio=0.5, max_cycles=25)
    observations, _ = env.reset(seed=0)
    drawn = np.random.default_rng(0).integers(0, 5, (steps, AGENTS))
    actions = [dict(zip(env.possible_agents, row.tolist(), strict=True)) for row in drawn]

    def play() -> int:
        env.reset()
        for row in actions:
            env.step(row)
            if not env.agents:
                env.reset()
        return steps * AGENTS

    return {"agent-steps/s": rate(play), "observation": int(observations["agent_0"].size), "worlds": 1}


def vmas(steps: int = 5) -> dict[str, Any]:
    """VMAS's vectorised ``simple_spread``; the fastest of several batch sizes and of one and two torch threads."""
    import torch
    import vmas as package

    best: dict[str, Any] = {"agent-steps/s": 0.0}
    for worlds, threads in ((64, 1), (1024, 1), (1024, 2)):
        torch.set_num_threads(threads)
        env = package.make_env(
            "simple_spread", num_envs=worlds, device="cpu", continuous_actions=False, n_agents=AGENTS
        )
        seen = env.reset()
        actions = [torch.randint(0, 5, (worlds,)) for _ in range(AGENTS)]

        def play(env: Any = env, actions: Any = actions, worlds: int = worlds) -> int:
            with torch.no_grad():
                for _ in range(steps):
                    env.step(actions)
            return steps * worlds * AGENTS

        found = {"agent-steps/s": rate(play), "observation": int(seen[0].shape[1]), "worlds": worlds}
        found["threads"] = threads
        best = max(best, found, key=lambda x: x["agent-steps/s"])
    return best


def jaxmarl(steps: int = 25) -> dict[str, Any]:
    """JaxMARL's ``simple_spread``: vmap over worlds, scan over months, compiled; the fastest of several batch sizes."""
    import jax

    env = _spread()
    best: dict[str, Any] = {"agent-steps/s": 0.0}
    for worlds in BATCHES:

        def month(carry: Any, key: Any, worlds: int = worlds) -> Any:
            state, _ = carry
            draw, move = jax.random.split(key)
            drawn = jax.random.randint(draw, (AGENTS, worlds), 0, 5)
            actions = {name: drawn[k] for k, name in enumerate(env.agents)}
            seen, state, reward, _, _ = jax.vmap(env.step)(jax.random.split(move, worlds), state, actions)
            return (state, seen), sum(reward.values()).sum()

        seen, state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), worlds))
        run = jax.jit(lambda carry, keys, month=month: jax.lax.scan(month, carry, keys))
        keys = jax.random.split(jax.random.PRNGKey(1), steps)

        def play(run: Any = run, carry: Any = (state, seen), keys: Any = keys, worlds: int = worlds) -> int:
            jax.block_until_ready(run(carry, keys))
            return steps * worlds * AGENTS

        found = {"agent-steps/s": rate(play), "observation": int(seen["agent_0"].shape[1]), "worlds": worlds}
        best = max(best, found, key=lambda x: x["agent-steps/s"])
    return best


def gymnasium(steps: int = 2000) -> dict[str, Any]:
    """Gymnasium's own vectorised CartPole: one agent a world, four numbers seen."""
    import gymnasium as package
    import numpy as np

    best: dict[str, Any] = {"agent-steps/s": 0.0}
    for worlds in BATCHES:
        env = package.make_vec("CartPole-v1", num_envs=worlds, vectorization_mode="vector_entry_point")
        env.reset(seed=0)
        actions = np.random.default_rng(0).integers(0, 2, worlds)

        def play(env: Any = env, actions: Any = actions, worlds: int = worlds) -> int:
            for _ in range(steps):
                env.step(actions)
            return steps * worlds

        found = {"agent-steps/s": rate(play), "observation": 4, "worlds": worlds}
        best = max(best, found, key=lambda x: x["agent-steps/s"])
    return best


def jaxmarl_ippo(worlds: int = 128, steps: int = 60, epochs: int = 4, minibatches: int = 16) -> dict[str, Any]:
    """Independent PPO on JaxMARL's ``simple_spread``, rollout and learning in one compiled call.

    One actor and one critic of two tanh layers of 64 for all agents, as its baseline for MPE has.
    """
    import jax

    env = _spread()
    update, carry = _ippo(env, worlds, steps, epochs, minibatches)
    step = jax.jit(update)

    def play() -> int:
        nonlocal carry
        carry = jax.block_until_ready(step(carry))
        return worlds * steps * AGENTS

    return {"agent-steps/s": rate(play), "observation": 6 * AGENTS, "worlds": worlds, "epochs": epochs}


def _spread() -> Any:
    import jaxmarl as package

    return package.make("MPE_simple_spread_v3", num_agents=AGENTS, num_landmarks=AGENTS)


def _layers(key: Any, widths: list[int]) -> list[Any]:
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(key, len(widths) - 1)
    orthogonal = jax.nn.initializers.orthogonal(2**0.5)
    return [(orthogonal(k, (a, b)), jnp.zeros(b)) for k, a, b in zip(keys, widths[:-1], widths[1:], strict=True)]


def _network(layers: list[Any], x: Any) -> Any:
    import jax.numpy as jnp

    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    return x @ layers[-1][0] + layers[-1][1]


def _ippo(env: Any, worlds: int, steps: int, epochs: int, minibatches: int) -> tuple[Callable[[Any], Any], Any]:
    """A rollout and what is learned from it, as one function of what is carried on; and what to start with."""
    import jax
    import jax.numpy as jnp
    import optax

    adam = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(1e-3, eps=1e-5))
    rows = worlds * AGENTS

    def stacked(by_agent: Any) -> Any:
        return jnp.stack([by_agent[name] for name in env.agents], 1).reshape(rows, -1)

    def month(carry: Any, _: Any) -> Any:
        nets, state, seen, key = carry
        key, draw, move = jax.random.split(key, 3)
        logits, value = _network(nets["actor"], seen), _network(nets["critic"], seen)[:, 0]
        action = jax.random.categorical(draw, logits)
        log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        by_world = action.reshape(worlds, AGENTS)
        actions = {name: by_world[:, k] for k, name in enumerate(env.agents)}
        after, state, reward, done, _ = jax.vmap(env.step)(jax.random.split(move, worlds), state, actions)
        ends = jnp.repeat(done["__all__"], AGENTS)
        out = (seen, action, log_p, value, stacked(reward)[:, 0], ends)
        return (nets, state, stacked(after), key), out

    def advantages(value: Any, reward: Any, ends: Any, last: Any) -> Any:
        def back(carry: Any, row: Any) -> Any:
            gain, ahead = carry
            v, r, end = row
            gain = r + 0.99 * ahead * (1 - end) - v + 0.99 * 0.95 * (1 - end) * gain
            return (gain, v), gain

        return jax.lax.scan(back, (jnp.zeros(rows), last), (value, reward, ends), reverse=True)[1]

    def loss(nets: Any, batch: Any) -> Any:
        seen, action, old, gain, target = batch
        log_all = jax.nn.log_softmax(_network(nets["actor"], seen))
        ratio = jnp.exp(jnp.take_along_axis(log_all, action[:, None], 1)[:, 0] - old)
        policy = -jnp.minimum(ratio * gain, jnp.clip(ratio, 0.8, 1.2) * gain).mean()
        entropy = -(jnp.exp(log_all) * log_all).sum(1).mean()
        value = jnp.square(_network(nets["critic"], seen)[:, 0] - target).mean()
        return policy - 0.01 * entropy + 0.5 * value

    def minibatch(carry: Any, batch: Any) -> Any:
        nets, optimiser = carry
        changes, optimiser = adam.update(jax.grad(loss)(nets, batch), optimiser)
        return (optax.apply_updates(nets, changes), optimiser), None

    def update(carry: Any) -> Any:
        nets, optimiser, state, seen, key = carry
        (nets, state, seen, key), lived = jax.lax.scan(month, (nets, state, seen, key), None, steps)
        old_seen, action, log_p, value, reward, ends = lived
        gain = advantages(value, reward, ends, _network(nets["critic"], seen)[:, 0])
        target = gain + value
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        flat = [x.reshape(steps * rows, *x.shape[2:]) for x in (old_seen, action, log_p, gain, target)]

        def epoch(inner: Any, draw: Any) -> Any:
            order = jax.random.permutation(draw, steps * rows)
            cut = [x[order].reshape(minibatches, -1, *x.shape[1:]) for x in flat]
            return jax.lax.scan(minibatch, inner, cut)[0], None

        key, draw = jax.random.split(key)
        (nets, optimiser), _ = jax.lax.scan(epoch, (nets, optimiser), jax.random.split(draw, epochs))
        return nets, optimiser, state, seen, key

    key = jax.random.PRNGKey(0)
    first, state = jax.vmap(env.reset)(jax.random.split(key, worlds))
    seen = stacked(first)
    width = seen.shape[1]
    nets = {"actor": _layers(key, [width, 64, 64, 5]), "critic": _layers(key, [width, 64, 64, 1])}
    return update, (nets, adam.init(nets), state, seen, key)


PEERS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "mpe2": (mpe2, "mpe2"),
    "vmas": (vmas, "vmas"),
    "jaxmarl": (jaxmarl, "jaxmarl"),
    "jaxmarl-ippo": (jaxmarl_ippo, "jaxmarl"),
    "gymnasium": (gymnasium, "gymnasium"),
}


if __name__ == "__main__":
    measure, package_name = PEERS[sys.argv[1]]
    figures = measure() | {"version": version(package_name)}
    print(json.dumps(figures))
