"""What a trainer needs of a config as a whole, and of the machine: checked before a folder is made."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from spiral_env.checks import shown
from spiral_env.core.params import PARAMS_DTYPE
from spiral_env.core.state import capacity_for, state_dtype
from spiral_env.roles import FEATURES, MAX_LEVERS, NUM_LEVERS, ROLES

if TYPE_CHECKING:
    from spiral_env.training.runs.config import TrainConfig

__all__ = ["check_demands", "check_memory", "fitted", "memory_there", "needed_bytes"]

_ENVS_A_PROCESSOR = 128
"""Ecosystems for each multiprocessor of a CUDA device, rounded down to a power of two in all."""


def check_demands(config: TrainConfig) -> None:
    """Refuse hyperparameters that do not go together.

    Raises:
        ValueError: names the first, what it must be and with what.
    """
    trainer = "engine ray" if config.engine == "ray" else f"algo {config.algo}"
    for kept, name, must in _demands(config):
        if not kept:
            raise ValueError(f"{name} must {must} with {trainer}, got {shown(getattr(config, name))}")


def _demands(c: TrainConfig) -> Iterator[tuple[bool, str, str]]:
    """(whether it is kept, hyperparameter, what it must)."""
    ours = c.engine == "local" and c.algo in ("ippo", "mappo")
    yield ours or not c.continuous, "continuous", "stay off"
    yield ours or not c.recurrent, "recurrent", "stay off"
    if c.engine == "ray":
        yield c.algo == "ippo", "algo", "be ippo"
        yield c.num_envs % c.runners == 0, "num_envs", f"be a multiple of runners {c.runners}"
    else:
        yield not c.ray_address, "ray_address", "be left out"
    if c.engine == "ray":
        yield c.device == "cpu", "device", "be cpu"
    if c.algo == "es":
        yield c.num_envs % 2 == 0, "num_envs", "be even"
        return
    if c.algo != "sb3-ppo":
        yield c.layers > 0, "layers", "be >= 1"
    if c.recurrent:
        yield c.minibatches <= c.num_envs, "minibatches", f"be at most num_envs {c.num_envs} where roles have a memory"
    cells = c.num_envs * c.num_steps
    yield c.minibatches <= cells, "minibatches", f"be at most num_envs x num_steps = {cells}"


def needed_bytes(config: TrainConfig) -> int:
    """Memory that the run needs at least: records, a rollout or a generation's noise, networks and their gradients."""
    world, envs = config.world, config.num_envs
    agents = dict.fromkeys(ROLES, 1) | {"sme": world.num_smes}
    capacity = capacity_for(world.num_smes, int(world.value("num_services")))  # type: ignore[arg-type]
    record = state_dtype(capacity, tuple(NUM_LEVERS.items())).itemsize
    batch = envs * (record + PARAMS_DTYPE.itemsize)
    parameters = {role: _parameters(len(FEATURES[role]), config) for role in ROLES}
    if config.algo == "es":
        groups = {role: 1 if config.reward_mode == "cooperative" else n for role, n in agents.items()}
        return batch + sum(4 * parameters[role] * (3 + envs // 2 * groups[role]) for role in ROLES)
    row = {role: 4 * (2 * len(FEATURES[role]) + 2 * NUM_LEVERS[role] + 12) for role in ROLES}
    rollout = envs * config.num_steps * sum(n * row[role] for role, n in agents.items())
    learned = rollout if config.device == "cpu" else rollout // 2 + _activations(config, sum(agents.values()))
    return batch + learned + sum(4 * x * (6 + 2 * config.gradient_pieces) for x in parameters.values())


def _activations(config: TrainConfig, agents: int) -> int:
    """Bytes that the passes of one minibatch keep: what each layer of actor and critic gives, and its gradient."""
    rows = config.num_envs * config.num_steps * agents // config.minibatches
    return rows * 2 * 4 * 3 * config.hidden * config.layers


def _parameters(inputs: int, config: TrainConfig) -> int:
    widths = [inputs, *[config.hidden] * config.layers, 3 * MAX_LEVERS]
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def check_memory(config: TrainConfig) -> None:
    """Refuse a run that this machine, or its device, cannot hold.

    Raises:
        ValueError: it needs more memory than there is.
    """
    there_is = memory_there(config.device)
    needed = needed_bytes(config)
    if there_is is not None and needed > there_is:
        sizes = f"num_envs {config.num_envs}, num_steps {config.num_steps}, hidden {config.hidden}"
        gib = 2.0**30
        raise ValueError(f"{sizes} need at least {needed / gib:,.1f} GiB of memory, there are {there_is / gib:,.1f}")


def memory_there(device: str) -> int | None:
    """Bytes that this machine has, or that are free on a CUDA device; None where it does not say.

    Raises:
        ValueError: there is no such device.
    """
    if device != "cpu":
        import torch

        from spiral_env.tensor_engine import as_device

        return int(torch.cuda.mem_get_info(as_device(device))[0])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def fitted(config: TrainConfig) -> TrainConfig:
    """The config with as many ecosystems as keep its CUDA device busy, halved until they leave half its memory free.

    Raises:
        ValueError: there is no such device.
    """
    import torch

    from spiral_env.tensor_engine import as_device

    processors = torch.cuda.get_device_properties(as_device(config.device)).multi_processor_count
    config = replace(config, num_envs=2 ** int(math.log2(_ENVS_A_PROCESSOR * processors)))
    there_is = memory_there(config.device)
    while there_is is not None and config.num_envs > 2 and needed_bytes(config) > there_is // 2:
        config = replace(config, num_envs=config.num_envs // 2)
    return config
