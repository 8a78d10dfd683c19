"""How fast the environment steps, beside limits measured in the same run: ``python -m tests.benchmarks.throughput``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

import spiral_env
from spiral_env.parallel_env import SpiralParallelEnv
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

_ROUNDS = 7


def _median_seconds(functions: dict[str, Callable[[], Any]], rounds: int = _ROUNDS) -> dict[str, float]:
    """Median time of each function; they take turns, so that a disturbance meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(x)) for name, x in times.items()}


class _Stub:
    """Builds the dictionaries that ``step`` must return, of fresh arrays, and simulates nothing."""

    def __init__(self, env: SpiralParallelEnv) -> None:
        self.agents = env.possible_agents
        self.shapes = {a: env.observation_space(a).shape for a in self.agents}
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
    env = spiral_env.parallel_env("baseline-v0")
    stub = _Stub(env)
    rng = np.random.default_rng(0)
    actions = [{a: rng.integers(0, 3, 5) for a in env.possible_agents} for _ in range(64)]

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
    seconds = _median_seconds({"environment": real, "stub": empty})
    rates = {name: steps / x for name, x in seconds.items()}
    return rates | {"ratio": rates["environment"] / rates["stub"]}


def _engine(num_envs: int, threads: int = 1, scenario: str = "baseline-v0", num_smes: int | None = None) -> Engine:
    world = spiral_env.vector_env(scenario, 1).scenario.world(num_smes, None)
    engine = Engine(world, num_envs, threads)
    engine.reset(np.arange(num_envs, dtype=np.int64))
    return engine


def _efforts(engine: Engine) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(0, 3, (engine.num_envs, engine.num_agents, 5)) / 2.0


def check_parity(months: int = 24) -> None:
    """A row of a batch in two threads equals the ecosystem alone, bit for bit."""
    batch, alone = _engine(33, 2), _engine(1)
    alone.reset(np.array([17], dtype=np.int64))
    efforts = _efforts(batch)
    for _ in range(months):
        batch.step(efforts)
        alone.step(efforts[17:18].copy())
    if batch.states[17:18].tobytes() != alone.states.tobytes():
        raise SystemExit("parity broken: row 17 of a batch differs from the ecosystem alone")
    batch.close()


def batched(num_envs: int = 4096, months: int = 12) -> dict[str, float]:
    """The kernel on random actions beside a plain copy of the same records, in env-months a second, one thread."""
    engine = _engine(num_envs)
    efforts = _efforts(engine)
    target = engine.states.copy()
    for _ in range(12):
        engine.step(efforts)
    middle = engine.states.copy()

    def step() -> None:
        engine.states[:] = middle
        for _ in range(months):
            engine.step(efforts)

    def observe() -> None:
        engine.observe()

    def copy() -> None:
        for _ in range(months):
            target[:] = engine.states

    observe()
    seconds = _median_seconds({"step": step, "copy": copy, "observe": observe}, 5)
    step_seconds = seconds["step"] - seconds["copy"] / months
    rates = {"step": num_envs * months / step_seconds, "copy": num_envs * months / seconds["copy"]}
    rates["observe"] = num_envs / seconds["observe"]
    size = engine.states.dtype.itemsize
    return rates | {"step / copy": rates["step"] / rates["copy"], "bytes per ecosystem": float(size)}


def threads(num_envs: int = 4096, months: int = 12) -> dict[str, float]:
    """Two threads over one."""
    functions = {}
    for count in (1, 2):
        engine = _engine(num_envs, count)
        efforts = _efforts(engine)

        def play(engine: Engine = engine, efforts: np.ndarray = efforts) -> None:
            engine.reset(np.arange(num_envs, dtype=np.int64))
            for _ in range(months):
                engine.step(efforts)

        play()
        functions[str(count)] = play
    seconds = _median_seconds(functions, 5)
    return {"two threads / one": seconds["1"] / seconds["2"]}


def growth() -> dict[str, float]:
    """Time per agent-month as SMEs grow, over that at 8."""
    functions, agents = {}, {}
    for smes in (8, 32, 128, 512):
        engine = _engine(4096 // smes, num_smes=smes)
        efforts = _efforts(engine)

        def play(engine: Engine = engine, efforts: np.ndarray = efforts) -> None:
            for _ in range(6):
                engine.step(efforts)

        play()
        functions[f"{smes} SMEs"], agents[f"{smes} SMEs"] = play, engine.num_envs * engine.num_agents
    seconds = _median_seconds(functions, 5)
    per_agent = {name: x / agents[name] for name, x in seconds.items()}
    return {name: x / per_agent["8 SMEs"] for name, x in per_agent.items()}


def _loop(kernel: Callable[..., Any], *extra: Any) -> Callable[..., None]:
    if extra:
        argument = extra[0]

        @numba.njit
        def with_argument(states, params):  # type: ignore[no-untyped-def]
            for e in range(len(states)):
                kernel(states[e], params[e], argument)

        return with_argument

    @numba.njit
    def plain(states, params):  # type: ignore[no-untyped-def]
        for e in range(len(states)):
            kernel(states[e], params[e])

    return plain


def _governed(services: int) -> Callable[..., None]:
    kernel = govern_security.govern

    @numba.njit
    def loop(states, params):  # type: ignore[no-untyped-def]
        chance = np.empty(services)
        for e in range(len(states)):
            kernel(states[e], params[e], chance)

    return loop


def profile(num_envs: int = 1024) -> dict[str, float]:
    """Microseconds of each mechanism in one ecosystem's month, from states of the second year."""
    engine = _engine(num_envs)
    efforts = _efforts(engine)
    for _ in range(18):
        engine.step(efforts)
    middle, states = engine.states.copy(), engine.states.copy()
    services = engine.states["criticality"].shape[1]
    loops = {
        "aggregation x commerce": _loop(pool_commerce.aggregate),
        "aggregation x finance": _loop(pool_finance.aggregate),
        "aggregation x cybersecurity": _loop(pool_security.aggregate),
        "reinforcement": _loop(reinforcement.reinforce),
        "governance x commerce": _loop(govern_commerce.govern),
        "governance x finance": _loop(govern_finance.govern),
        "governance x cybersecurity": _governed(services),
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


def main() -> None:
    """Print every table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/throughput.json"))
    arguments = parser.parse_args()
    start = time.perf_counter()
    check_parity()
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__},
        "seconds until compiled and parity shown": time.perf_counter() - start,
        "ParallelEnv.step, 11 agents, steps/s": single_step(),
        "4,096 ecosystems, one thread, env-months/s": batched(),
        "threads": threads(),
        "time per agent over 8 SMEs": growth(),
        "microseconds a month by mechanism": profile(),
    }
    for title, figures in report.items():
        print(title if isinstance(figures, dict) else f"{title}: {figures}")
        for name, value in figures.items() if isinstance(figures, dict) else ():
            print(f"  {name:<30} {value if isinstance(value, str) else format(value, ',.4g')}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_name(arguments.out.name + ".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, arguments.out)


if __name__ == "__main__":
    main()
