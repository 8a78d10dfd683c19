"""Learning on the batched engine: IPPO, MAPPO, evolution, and PPO of stable-baselines3 and of RLlib."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from spiral_env.training.runs.config import (
    ALGOS,
    Hyperparameter,
    TrainConfig,
    check_names,
    hyperparameters,
    load_config,
    parse_override,
)
from spiral_env.training.runs.demands import check_memory
from spiral_env.training.runs.run import Report
from spiral_env.training.runs.warm_up import warm_up

__all__ = [
    "ALGOS",
    "Hyperparameter",
    "TrainConfig",
    "check_memory",
    "check_names",
    "hyperparameters",
    "load_config",
    "parse_override",
    "train",
    "trainer_module",
    "warm_up",
]

_MODULES = {"ippo": "algorithms.ippo", "mappo": "algorithms.mappo", "es": "algorithms.es", "sb3-ppo": "algorithms.sb3"}


def train(config: TrainConfig, folder: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Train by ``config.algo`` and ``config.engine``; returns the run's folder.

    Args:
        config: what to train and how; ``load_config`` makes one.
        folder: where the run's state, progress and policy go.
        resume: go on with the run in ``folder``.
        report: ``report(share, figures)`` is told after every iteration how much of the run is done and what it
            showed; where it returns true, the run ends there, with its state stored.

    Raises:
        ValueError: the folder or the config does not fit, or the machine's memory does not suffice.
        OSError: the folder cannot be written.
        KeyboardInterrupt: Ctrl-C, after what is learned was stored.
    """
    check_memory(config)
    warm_up(config)
    function: Callable[..., Path] = trainer_module(config).train
    return function(config, folder, resume=resume, report=report)


def trainer_module(config: TrainConfig) -> ModuleType:
    """The module that trains by ``config``.

    Raises:
        ImportError: a package that it needs is missing.
    """
    return import_module(f"{__name__}.{'cluster' if config.engine == 'ray' else _MODULES[config.algo]}")
