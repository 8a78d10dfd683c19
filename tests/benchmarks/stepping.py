"""How fast the environment steps, beside limits measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

import spiral_env
from spiral_env.parallel_env import SpiralParallelEnv
from spiral_env.roles import MAX_LEVERS
from spiral_env.scenarios import load_scenario
from spiral_env.simulator import closing, month, reset
from spiral_env.simulator.engine import Engine
from spiral_env.stages import feedback, reinforcement, spiral
from spiral_env.stages.resource_aggregation import cybersecurity as pool_security
from spiral_env.stages.resource_aggregation import digital_commerce as pool_commerce
from spiral_env.stages.resource_aggregation import finance as pool_finance
from spiral_env.stages.risk_governance import cybersecurity as govern_security
from spiral_env.stages.risk_governance import digital_commerce as govern_commerce
from spiral_env.stages.risk_governance import finance as govern_finance
from spiral_env.stages.value_addition import cybersecurity as add_security
from spiral_env.stages.value_addition import digital_commerce as add_commerce
from spiral_env.stages.value_addition import finance as add_finance
from tests.benchmarks.timing import median_seconds

__all__ = ["batched", "check_parity", "growth", "opened", "profile", "random_efforts", "scaling", "single_step"]

_ROUNDS = 7


class _Stub:
    """Builds the dictionaries that ``step`` must return, of fresh arrays, and simulates nothing."""

    def __init__(self, env: SpiralParallelEnv) -> None:
        self.agents = env.possible_agents
        self.shapes = {a: env.observation_space(a).shape or () for a in self.agents}
        self.infos = {a: dict(env.reset(seed=0)[1][a]) for a in self.agents}

    def step(self, actions: dict[str, np.ndarray]) -> tuple[dict[str, Any], ...]:
        names = [name for name in self.agents if name in actions]
        observations = {a: np.zeros(self.shapes[a], dtype=np.float32) for a in names}
        rewards = dict.fromkeys(names, 0.0)
        terminations = dict.fromkeys(names, False)
        truncations = dict.fromkeys(names, False)
        return observations, rewards, terminations, truncations, {a: dict(self.infos[a]) for a in names}


def single_step(steps: int = 1200) -> dict[str, float]:
    """``ParallelEnv.step()`` with 11 agents beside the stub, in steps a second."""
    env = spiral_env.parallel_env("small-v1")
    stub = _Stub(env)
    rng = np.random.default_rng(0)
    actions = [{a: rng.integers(0, 3, env.action_space(a).shape) for a in env.possible_agents} for _ in range(64)]

    def real() -> None:
        env.reset(seed=0)
        for t in range(steps):
            env.step(actions[t % 64])
            if not env.agents:
                env.reset()

    def empty() -> None:
        for t in range(steps):
            stub.step(actions[t % 64])

    real()
    seconds = median_seconds({"environment": real, "stub": empty})
    rates = {name: steps / x for name, x in seconds.items()}
    return rates | {"ratio": rates["environment"] / rates["stub"]}


def opened(num_envs: int, threads: int = 1, *, num_smes: int | None = None, num_services: int | None = None) -> Engine:
    """An engine of ``small-v1`` with an open episode in every row."""
    world = load_scenario("small-v1").world(num_smes, None)
    if num_services is not None:
        world.values["num_services"] = float(num_services)
    engine = Engine(world, num_envs, threads)
    engine.reset(np.arange(num_envs, dtype=np.int64))
    return engine


def random_efforts(engine: Engine) -> np.ndarray:
    """One of three levels for every lever, ``[E, A, L]``."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 3, (engine.num_envs, engine.num_agents, MAX_LEVERS)) / 2.0


def check_parity(months: int = 24) -> None:
    """A row of a batch in two threads equals the ecosystem alone, bit for bit."""
    batch, alone = opened(33, 2), opened(1)
    alone.reset(np.array([17], dtype=np.int64))
    efforts = random_efforts(batch)
    for _ in range(months):
        batch.step(efforts)
        alone.step(efforts[17:18].copy())
    if batch.states[17:18].tobytes() != alone.states.tobytes():
        raise SystemExit("parity broken: row 17 of a batch differs from the ecosystem alone")
    batch.close()


def batched(months: int = 12) -> dict[str, float]:
    """Env-months a second of the kernel on random actions, one thread, beside a plain copy of the same records."""
    out: dict[str, float] = {}
    for num_envs in (1, 16, 256, 4096):
        repeats = max(1, 1024 // num_envs)
        rates = _one_batch(num_envs, months, repeats)
        out |= {f"{name}, {num_envs} ecosystems": rate for name, rate in rates.items()}
    out["step / copy, 4096 ecosystems"] = out["step, 4096 ecosystems"] / out["copy, 4096 ecosystems"]
    return out | memory()


def _one_batch(num_envs: int, months: int, repeats: int) -> dict[str, float]:
    engine = opened(num_envs)
    efforts = random_efforts(engine)
    for _ in range(months):
        engine.step(efforts)
    middle, target = engine.states.copy(), engine.states.copy()

    def step(observe: bool) -> None:
        for _ in range(repeats):
            engine.states[:] = middle
            for _ in range(months):
                engine.step(efforts, observe=observe)

    def copy() -> None:
        for _ in range(repeats * months):
            target[:] = engine.states

    seconds = median_seconds({"step": lambda: step(True), "unobserved": lambda: step(False), "copy": copy}, 5)
    lived = num_envs * months * repeats
    reset = seconds["copy"] / months
    return {
        "step": lived / (seconds["step"] - reset),
        "step without observations": lived / (seconds["unobserved"] - reset),
        "copy": lived / seconds["copy"],
    }


def memory() -> dict[str, float]:
    """Bytes of one ecosystem: its record, and all buffers of the engine."""
    engine = opened(64)
    buffers = (engine.states, engine.params, engine.vectors, engine.scalars, engine.summary, engine.observed)
    return {
        "bytes of a record": float(engine.states.dtype.itemsize),
        "bytes per ecosystem, all buffers": sum(x.nbytes for x in buffers) / 64.0,
    }


def scaling(months: int = 12) -> dict[str, float]:
    """Two threads over one, by batch size."""
    out = {}
    for num_envs in (256, 4096):
        functions = {}
        for count in (1, 2):
            engine = opened(num_envs, count)
            functions[str(count)] = _player(engine, months * max(1, 1024 // num_envs))
        seconds = median_seconds(functions, 5)
        out[f"two threads / one, {num_envs} ecosystems"] = seconds["1"] / seconds["2"]
    return out


def _player(engine: Engine, months: int) -> Callable[[], None]:
    """Plays ``months`` of the second and third year, again and again the same."""
    efforts = random_efforts(engine)
    for _ in range(12):
        engine.step(efforts)
    middle = engine.states.copy()

    def play() -> None:
        for t in range(months):
            if t % 24 == 0:
                engine.states[:] = middle
            engine.step(efforts)

    play()
    return play


def growth() -> dict[str, float]:
    """Time per agent-step as SMEs and services grow, over that of 8 SMEs and 12 services."""
    functions, agents = {}, {}
    for services in (12, 32):
        for smes in (8, 32, 128, 512):
            name = f"{smes} SMEs, {services} services"
            engine = opened(4096 // smes, num_smes=smes, num_services=services)
            functions[name], agents[name] = _player(engine, 12), engine.num_envs * engine.num_agents
    seconds = median_seconds(functions, 5)
    per_agent = {name: x / agents[name] for name, x in seconds.items()}
    return {name: x / per_agent["8 SMEs, 12 services"] for name, x in per_agent.items()}


def _loop(kernel: Callable[..., Any]) -> Callable[..., None]:
    @numba.njit(error_model="numpy")
    def plain(states, params):  # type: ignore[no-untyped-def]
        for e in range(len(states)):
            kernel(states[e], params[e])

    return plain


def _with_scratch(kernel: Callable[..., Any]) -> Callable[..., None]:
    workspace = month.workspace

    @numba.njit(error_model="numpy")
    def loop(states, params):  # type: ignore[no-untyped-def]
        scratch = workspace(states[0])
        for e in range(len(states)):
            kernel(states[e], params[e], scratch)

    return loop


def profile(num_envs: int = 1024) -> dict[str, float]:
    """Microseconds of each mechanism in one ecosystem's month, from states of the second year."""
    engine = opened(num_envs)
    efforts = random_efforts(engine)
    for _ in range(18):
        engine.step(efforts)
    middle, states = engine.states.copy(), engine.states.copy()
    loops = {
        "aggregation x commerce": _loop(pool_commerce.aggregate),
        "aggregation x finance": _loop(pool_finance.aggregate),
        "aggregation x cybersecurity": _with_scratch(pool_security.aggregate),
        "reinforcement": _loop(reinforcement.reinforce),
        "governance x commerce": _loop(govern_commerce.govern),
        "governance x finance": _loop(govern_finance.govern),
        "governance x cybersecurity": _with_scratch(govern_security.govern),
        "value x commerce": _loop(add_commerce.add_value),
        "value x finance": _loop(add_finance.add_value),
        "value x cybersecurity": _loop(add_security.add_value),
        "closing of books": _loop(closing.close_books),
        "feedback, aggregation": _loop(feedback.aggregation_to_governance),
        "feedback, governance": _loop(feedback.governance_to_value),
        "spiral": _loop(spiral.turn),
        "feedback, value": _loop(feedback.value_to_aggregation),
        "outcome sums": _loop(month._tally),
        "seats": _loop(reset.renew_seats),
    }
    out = {}
    for name, loop in loops.items():
        loop(states, engine.params)

        def once(loop: Callable[..., None] = loop) -> float:
            states[:] = middle
            start = time.perf_counter()
            loop(states, engine.params)
            return time.perf_counter() - start

        out[name] = 1e6 * float(np.median([once() for _ in range(_ROUNDS)])) / num_envs
    return out
