"""Time of functions that take turns, and where it was measured."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

__all__ = ["machine", "median_seconds"]


def median_seconds(functions: dict[str, Callable[[], Any]], rounds: int = 7) -> dict[str, float]:
    """Median time of each function; they take turns, so that a disturbance meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(x)) for name, x in times.items()}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def machine() -> dict[str, str]:
    """Processor, cores, load of the last minute, versions."""
    names = ("numpy", "numba", "torch", "stable-baselines3")
    about = {"processor": _processor(), "cores": str(os.cpu_count()), "load": f"{os.getloadavg()[0]:.2f}"}
    return about | {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
