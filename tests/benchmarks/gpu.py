"""The simulator on a GPU beside the processor: equal numbers, equal runs, speed by batch size, memory.

``spiral bench --only gpu`` runs it with what trainers do there (``gpu_training``) on the first GPU; whatever fails is
said in its place, and the rest goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import spiral_env
from spiral_env.core.state import FIELDS
from spiral_env.roles import NUM_LEVERS
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["SIZES", "determinism", "figures", "parity", "simulator"]

SIZES = (1_024, 4_096, 16_384, 65_536, 131_072)
WORLDS = ("baseline-v1", "large-v1", "procedural-v1")
_COUNTS = [field.name for field in FIELDS if field.kind != "f8"]


def levels(env: SpiralVectorEnv, month: int) -> dict[str, np.ndarray]:
    """Random actions of a month, the same for every batch of this size."""
    rng = np.random.default_rng(month)
    return {r: rng.integers(0, 3, (env.num_envs, n, NUM_LEVERS[r])) for r, n in env.num_agents_of.items()}


def parity(device: str = "cuda", worlds: tuple[str, ...] = WORLDS, rows: int = 256, months: int = 60) -> dict[str, Any]:
    """The same seeds and actions on both: the largest difference of rewards over the largest reward, unequal counts."""
    out: dict[str, Any] = {}
    for world in worlds:
        there: Any = spiral_env.vector_env(world, rows, autoreset_mode="disabled", device=device)
        here = spiral_env.vector_env(world, rows, autoreset_mode="disabled")
        seen, _ = there.reset(seed=0)
        expected, _ = here.reset(seed=0)
        worst, largest, observed, unequal = 0.0, 0.0, _distance(seen, expected), 0
        for month in range(months):
            actions = levels(here, month)
            expected, paid, *_ = here.step(actions)
            seen, got, *_ = there.step({r: torch.as_tensor(x, device=device) for r, x in actions.items()})
            worst = max(worst, _distance(got, paid))
            largest = max(largest, *(float(np.abs(x).max()) for x in paid.values()))
            observed = max(observed, _distance(seen, expected))
        states = there.engine.states.to_host()
        unequal = sum(int((states[name] != here.engine.states[name]).sum()) for name in _COUNTS)
        out[f"{world}: largest difference of a reward"] = worst
        out[f"{world}: largest reward"] = largest
        out[f"{world}: largest difference of an observation"] = observed
        out[f"{world}: unequal counts of {sum(here.engine.states[name].size for name in _COUNTS):,}"] = unequal
    return out


def _distance(tensors: dict[str, torch.Tensor], arrays: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(tensors[role].cpu().numpy().astype(np.float64) - x).max()) for role, x in arrays.items())


def determinism(device: str = "cuda", rows: int = 4_096, months: int = 130) -> dict[str, Any]:
    """Whether two runs of a batch, episodes that reopen in them, give the same bits."""
    states = []
    for _ in range(2):
        env: Any = spiral_env.vector_env("procedural-v1", rows, split="train", device=device)
        env.reset(seed=0)
        for month in range(months):
            env.step({r: torch.as_tensor(x, device=device) for r, x in levels(env, month % 4).items()})
        states.append(env.engine.states.data.clone())
        env.close()
    return {f"two runs of {rows} ecosystems over {months} months are equal bit for bit": torch.equal(*states)}


def simulator(device: str = "cuda", sizes: tuple[int, ...] = SIZES, months: int = 60) -> dict[str, Any]:
    """Env-months and agent-steps a second of ``step`` by batch size, and the memory it takes."""
    out: dict[str, Any] = {}
    for rows in sizes:
        try:
            out |= _rates(device, rows, months)
        except ValueError as error:
            out[f"{rows} ecosystems"] = f"refused: {error}"
    return out


def _rates(device: str, rows: int, months: int) -> dict[str, Any]:
    card = device.startswith("cuda")
    before = torch.cuda.memory_allocated() if card else 0
    env: Any = spiral_env.vector_env("baseline-v1", rows, device=device)
    out: dict[str, Any] = {}
    if card:
        out[f"{rows}: KiB an ecosystem"] = (torch.cuda.memory_allocated() - before) / 1024 / rows
    drawn = [{r: torch.as_tensor(x, device=device) for r, x in levels(env, k).items()} for k in range(8)]
    env.reset(seed=0)
    for _ in range(3):
        env.step(drawn[0])

    def play() -> None:
        for month in range(months):
            env.step(drawn[month % 8])

    out[f"{rows}: env-months/s"] = rows * months / seconds(play, device)
    out[f"{rows}: agent-steps/s"] = out[f"{rows}: env-months/s"] * env.num_agents
    env.close()
    return out


def seconds(function: Callable[[], Any], device: str) -> float:
    """How long a call lasts, with all it starts."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    wait()
    start = time.perf_counter()
    function()
    wait()
    return time.perf_counter() - start


def figures(device: str = "cuda") -> dict[str, Any]:
    """All of it, each part said on stderr as it comes."""
    from tests.benchmarks import gpu_training as learning

    name = torch.cuda.get_device_name(torch.device(device)) if device.startswith("cuda") else "the processor"
    out: dict[str, Any] = {"device": name}
    parts = (parity, determinism, simulator, learning.training, learning.beside_jaxmarl, learning.time_to_value)
    for part in parts:
        start = time.perf_counter()
        found = tried(part)
        for key, value in found.items():
            print(f"{part.__name__}: {key}: {value}", file=sys.stderr, flush=True)
        out |= found
        out[f"{part.__name__}: seconds taken"] = time.perf_counter() - start
    return out


def tried(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return part()
    except Exception as error:
        return {part.__name__: f"failed: {type(error).__name__}: {error}"}
