"""All measurements, each alone or together: ``spiral bench [--only part] [--peers folder]``."""

from __future__ import annotations

import difflib
import json
import math
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import spiral_env
from spiral_env.commands._output import as_json_text
from spiral_env.files import parse_json, read_file, write_atomically
from spiral_env.roles import NUM_LEVERS
from spiral_env.tensor_engine import as_device
from tests.benchmarks import floor, gpu, learning, peers, stepping
from tests.benchmarks.timing import machine, median_seconds

__all__ = ["PARTS", "bench", "chosen", "markdown"]

Figures = dict[str, Any]


def _compile() -> Figures:
    """What must be compiled is compiled, and a batch proven to equal the ecosystem alone, before anything is timed."""
    start = time.perf_counter()
    stepping.check_parity()
    return {"seconds until compiled and parity shown": time.perf_counter() - start}


def ours(steps: int = 25, worlds: int = 1024, threads: int = 1) -> float:
    """Agent-steps a second of ``vector_env`` on random actions drawn beforehand."""
    env = spiral_env.vector_env("small-v1", worlds, num_threads=threads, autoreset_mode="disabled")
    rng = np.random.default_rng(0)
    actions = {r: rng.integers(0, 3, (worlds, n, NUM_LEVERS[r])) for r, n in env.num_agents_of.items()}

    def play() -> None:
        env.reset(seed=0)
        for _ in range(steps):
            env.step(actions)

    play()
    seconds = median_seconds({"play": play}, 3)["play"]
    env.close()
    return steps * worlds * env.num_agents / seconds


def beside_peers(folder: Path | None) -> Figures:
    """Every peer that ``folder`` holds a virtual environment of, ours before and after each of them."""
    out: Figures = {}
    folder = _check_peers(folder)
    for name, (_, package) in peers.PEERS.items():
        python = folder / package / "bin" / "python"
        if not python.exists():
            out[name] = "not installed"
            continue
        before = [ours(threads=2), _ippo_rate()]
        done = subprocess.run(
            [str(python), peers.__file__, name], capture_output=True, text=True, timeout=1200, check=False
        )
        if done.returncode != 0:
            out[name] = f"failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}"
            continue
        after = [ours(threads=2), _ippo_rate()]
        k = 1 if name.endswith("ippo") else 0
        figures = json.loads(done.stdout.strip().splitlines()[-1])
        mine = (before[k] + after[k]) / 2.0
        out[name] = figures | {"ours, agent-steps/s": mine, "ours / peer": mine / figures["agent-steps/s"]}
    seen = spiral_env.vector_env("small-v1", 1).single_observation_space
    out["our observations"] = ", ".join(f"{role} {space.shape[0]}" for role, space in seen.items())
    return out


def _check_peers(folder: Path | None) -> Path:
    if folder is None or not folder.is_dir():
        peer = ", ".join(peers.PEERS)
        raise ValueError(f"part peers needs --peers FOLDER, with <folder>/<peer>/bin/python for {peer}, got {folder}")
    return folder


def _ippo_rate() -> float:
    from spiral_env.training import TrainConfig
    from spiral_env.training.algorithms.ippo import LocalCritic
    from spiral_env.training.algorithms.ppo import Trainer

    trainer = Trainer(TrainConfig(num_envs=128), LocalCritic, central=False)
    trainer.iterate()
    seconds = median_seconds({"iterate": trainer.iterate}, 3)["iterate"]
    trainer.close()
    return trainer.config.num_envs * trainer.config.num_steps * trainer.env.num_agents / seconds


PARTS: dict[str, tuple[str, Callable[[], Figures] | None]] = {
    "compile": ("Compilation", _compile),
    "single": ("ParallelEnv.step, 11 agents, steps/s", stepping.single_step),
    "batched": ("Batches, one thread, env-months/s; memory", stepping.batched),
    "threads": ("Threads", stepping.scaling),
    "growth": ("Time per agent over that at 8 SMEs and 12 services", stepping.growth),
    "profile": ("Microseconds a month by mechanism", stepping.profile),
    "floor": ("The floor under a month", floor.floor),
    "trainer": ("Trainers, agent-steps/s at 4 epochs", learning.trainers),
    "race": ("Seconds of training to a stated ecosystem value", learning.race),
    "peers": ("Beside other packages, agent-steps/s", None),
    "gpu": ("On a GPU", gpu.figures),
}


def bench(
    only: Sequence[str],
    out: Path | None = None,
    peer_folder: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Figures:
    """Measure the parts, all if none is named.

    With ``out`` they are added to this JSON file, and its table in Markdown is rewritten beside it. ``progress`` is
    told of each part.

    Raises:
        ValueError: a part is unknown, or the peers' folder is missing.
    """
    names = chosen(only, peer_folder)
    report = _stored(out)
    _compile()
    for name in names:
        about = machine()
        function = PARTS[name][1]
        figures = function() if function is not None else beside_peers(peer_folder)
        report[name] = {"machine": about, "figures": figures}
        if out is not None:
            ordered = {part: report[part] for part in PARTS if part in report}
            write_atomically(out, as_json_text(ordered) + "\n")
            write_atomically(out.with_suffix(".md"), markdown(ordered))
        if progress is not None:
            progress(1)
    return {name: report[name] for name in names}


def chosen(only: Sequence[str], peer_folder: Path | None) -> list[str]:
    """Names of the parts to measure.

    Raises:
        ValueError: a part is unknown, or the peers' folder or the GPU is missing.
    """
    for name in only:
        if name not in PARTS:
            near = difflib.get_close_matches(name, PARTS, 1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"--only must be of {', '.join(PARTS)}, got {name!r}{hint}")
    if "peers" in only:
        _check_peers(peer_folder)
    if "gpu" in only:
        as_device("cuda")
    left_out = {"gpu"} if peer_folder is not None else {"gpu", "peers"}
    return list(only) or [name for name in PARTS if name not in left_out]


def _stored(out: Path | None) -> Figures:
    """The parts that the file holds already.

    Raises:
        ValueError: it is no report.
    """
    if out is None or not out.is_file():
        return {}
    report = parse_json(read_file(out, 2**24, "report"), f"report {out}")
    if not all(
        name in PARTS and isinstance(part, dict) and part.keys() == {"machine", "figures"}
        for name, part in report.items()
    ):
        raise ValueError(f"report {out} was not written by spiral bench")
    return report


def markdown(report: Figures) -> str:
    """The report as tables."""
    lines = [
        "Written by `spiral bench`. Absolute figures are those of the machine and of its load; the ratios count.",
        "",
    ]
    for name, part in report.items():
        about = ", ".join(f"{k} {v}" for k, v in part["machine"].items())
        lines += [f"**{PARTS[name][0]}** (`spiral bench --only {name}`; {about})", "", "| | |", "|---|---:|"]
        lines += [f"| {key} | {_shown(value)} |" for key, value in part["figures"].items()]
        lines.append("")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{k} {_shown(v)}" for k, v in value.items())
    if value is None or value == math.inf:
        return "not reached"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
