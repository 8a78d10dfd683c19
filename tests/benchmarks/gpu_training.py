"""How fast the trainers learn where all is on one device, with shares of time, and JaxMARL's IPPO beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spiral_env.tensor_engine import as_device
from spiral_env.training import TrainConfig, load_config
from spiral_env.training.algorithms.ippo import LocalCritic
from spiral_env.training.algorithms.mappo import CentralCritic
from spiral_env.training.device.captured import Captured
from spiral_env.training.device.es import DeviceEsTrainer
from spiral_env.training.device.ppo import DeviceTrainer
from spiral_env.training.learning.gradients import ByAutograd
from tests.benchmarks import peers
from tests.benchmarks.learning import average_value, seconds_to

__all__ = ["beside_jaxmarl", "gradient_steps", "soundness", "time_to_value", "training"]

WORLDS = (8_192, 32_768)
_ALGOS = ("ippo", "mappo", "es")
_FOLDER = Path(__file__).parent
_PPO = {"minibatches": 4, "epochs": 4, "hidden": 64, "layers": 2, "num_steps": 20, "timesteps": 10**12}
_ES = {"layers": 0, "timesteps": 10**12}
_CRITICS = {"ippo": LocalCritic, "mappo": CentralCritic}


def training(device: str = "cuda", worlds: tuple[int, ...] = WORLDS, rounds: int = 3, **more: Any) -> dict[str, Any]:
    """Agent-steps a second of whole iterations by algorithm and batch size, and where the time of the last went.

    On a GPU also ``soundness``, and what a gradient step takes by torch and by one pass.

    Args:
        device: as of ``torch.device``; a CPU runs the same functions.
        worlds: ecosystems side by side.
        rounds: iterations that are timed, after three that compile and record.
        **more: other hyperparameters.
    """
    out: dict[str, Any] = {}
    if device != "cpu":
        out |= soundness(device)
        steps = gradient_steps(device)
        out |= {f"gradient of the SMEs, {kind}": found for kind, found in steps.items()}
    for algo in _ALGOS:
        for envs in worlds:
            values = (_ES if algo == "es" else _PPO) | {"algo": algo, "num_envs": envs} | more
            try:
                out |= _timed(load_config(None, values), as_device(device), rounds)
            except MemoryError as error:
                out[f"{algo}, {envs} ecosystems"] = str(error)
    return out


def _timed(config: TrainConfig, device: torch.device, rounds: int) -> dict[str, Any]:
    name = f"{config.algo}, {config.num_envs} ecosystems"
    _reset_peak(device)
    trainer = _trainer(config, device)
    try:
        for _ in range(3):
            trainer.iterate()
        seconds = [_seconds(trainer.iterate, device) for _ in range(rounds)]
        steps = config.steps_per_iteration
        out: dict[str, Any] = {f"{name}: agent-steps/s": steps / float(np.median(seconds))}
        out[f"{name}: shares of time"] = _shares(trainer, device)
        if device.type == "cuda":
            out[f"{name}: torch's KiB an ecosystem"] = torch.cuda.max_memory_allocated(device) / 1024 / config.num_envs
        return out
    finally:
        trainer.close()


def _trainer(config: TrainConfig, device: torch.device) -> Any:
    if config.algo == "es":
        return DeviceEsTrainer(config, device)
    critic = _CRITICS[config.algo]
    return DeviceTrainer(config, critic, central=critic is CentralCritic, device=device)


def _shares(trainer: Any, device: torch.device) -> dict[str, float]:
    """Shares of an iteration's time; the simulator's is that of its months alone, under the last actions."""
    config, env = trainer.config, trainer.env
    acted = trainer if config.algo == "es" else trainer.player
    months = env.max_cycles if config.algo == "es" else config.num_steps

    def simulate() -> None:
        _, _, terminated, truncated, _ = env.step(acted.actions)
        if config.algo != "es":
            env.reopen(terminated | truncated)

    month = Captured(simulate, device, trainer._generator)
    seen = env.snapshot()
    for _ in range(2):
        month()
    if config.algo == "es":
        env.restore(seen)

    def play() -> None:
        for _ in range(months):
            month()

    parts = {"simulator": _seconds(play, device)}
    env.restore(seen)
    if config.algo == "es":
        whole = _seconds(trainer.iterate, device)
        parts["policies and learning"] = whole - parts["simulator"]
    else:
        played = _seconds(trainer.player.collect, device)
        parts["acting and noting"] = played - parts["simulator"]
        parts["values and returns"] = _seconds(lambda: trainer.player.judge(config.gamma, config.gae_lambda), device)
        parts["gradient steps"] = _seconds(lambda: trainer.updater.step(trainer.learning_rate), device)
    whole = sum(parts.values())
    return {name: x / whole for name, x in parts.items()}


def _seconds(function: Callable[[], Any], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def soundness(device: str = "cuda", envs: int = 256, iterations: int = 3) -> dict[str, Any]:
    """Whether runs of one seed learn the same bits, and whether CUDA graphs change any."""
    out: dict[str, Any] = {}
    for algo in _ALGOS:
        values = (_ES if algo == "es" else _PPO) | {"algo": algo, "num_envs": envs}
        learned = []
        for recorded in (True, True, False):
            trainer = _trainer(load_config(None, values), torch.device(device))
            for work in [trainer._month] if algo == "es" else [trainer.player._month, trainer.updater._minibatch]:
                work.recorded &= recorded
            for _ in range(iterations):
                trainer.iterate()
            learned.append(np.concatenate([x.ravel() for x in trainer.policy()[0].values()]))
            trainer.close()
        out[f"{algo}: two runs of a seed are equal bit for bit"] = np.array_equal(learned[0], learned[1])
        out[f"{algo}: largest change by CUDA graphs"] = float(np.abs(learned[0] - learned[2]).max())
    return out


def gradient_steps(
    device: str = "cuda",
    envs: int = 8_192,
    tiles: tuple[tuple[int, int], ...] = ((64, 4), (32, 4)),
    rounds: int = 10,
) -> dict[str, Any]:
    """Nanoseconds a row of the SMEs' loss and gradient, by torch's autograd and by one pass of Triton.

    ``tiles`` are rows of a tile and warps that share one. The largest difference of the two gradients, in norms of the
    gradient, tells what TF32 and the order of sums do.
    """
    from spiral_env.training.device.fused import Fused

    config = load_config(None, _PPO | {"num_envs": envs, "num_steps": 8, "minibatches": 1})
    trainer = _trainer(config, as_device(device))
    trainer.player.collect()
    trainer.player.judge(config.gamma, config.gae_lambda)
    learner, batch = trainer.team["sme"], trainer.player.batch["sme"]
    index = torch.randperm(len(batch.x), device=trainer.device)
    moving, rows = torch.ones((), device=trainer.device), batch.log_p.numel()
    wanted = ByAutograd(learner, trainer.weights)
    kinds: dict[str, Any] = {"autograd": wanted}
    kinds |= {f"{a} rows, {b} warps": Fused(learner, trainer.weights, a, b) for a, b in tiles}
    out: dict[str, Any] = {}
    for name, gradient in kinds.items():
        start = time.perf_counter()
        step = partial(gradient.write, batch, index, 1.0 / rows, moving)
        write = Captured(step, trainer.device, trainer._generator)
        for _ in range(3):
            write()
        _wait(trainer.device)
        first = time.perf_counter() - start
        seconds = [_seconds(write, trainer.device) for _ in range(rounds)]
        off = float((gradient.out - wanted.out).norm() / wanted.out.norm())
        out[name] = {"ns a row": 1e9 * min(seconds) / rows, "difference": off, "seconds to compile": first}
    trainer.close()
    return out


def time_to_value(device: str = "cuda", gain: float = 0.04, limit: float = 30.0) -> dict[str, float]:
    """Seconds of training until the running policy's episodes are worth ``1 + gain`` times the average firm's.

    By the defaults of the device; a start that records and loads what was compiled is in them.
    """
    target = (1.0 + gain) * average_value()
    out: dict[str, float] = {"ecosystem value to reach": target}
    for algo in _ALGOS:
        config = load_config(None, {"algo": algo, "device": device})
        out[f"{algo}: seconds"], out[f"{algo}: best value seen"] = seconds_to(config, target, limit)
    return out


def beside_jaxmarl(python: str = sys.executable, worlds: tuple[int, ...] = (1_024, 8_192)) -> dict[str, Any]:
    """Agent-steps a second of IPPO on JaxMARL's ``simple_spread`` of ten agents, where jaxmarl is installed.

    It runs in a process of its own, so that its memory is given back.
    """
    out: dict[str, Any] = {}
    for envs in worlds:
        code = f"import json, peers; print(json.dumps(peers.jaxmarl_ippo(worlds={envs}, minibatches=4)))"
        done = subprocess.run(
            [python, "-c", code],
            cwd=str(_FOLDER),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        name = f"JaxMARL IPPO, simple_spread of {peers.AGENTS}, {envs} worlds"
        lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["no word"]
        out[name] = json.loads(lines[-1]) if done.returncode == 0 else f"failed: {lines[-1]}"
    return out
