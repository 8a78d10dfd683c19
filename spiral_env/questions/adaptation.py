"""Agents that adapt: a given team trained further in a world, by evolution or IPPO."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.agents.checkpoint import read_policy
from spiral_env.files import write_atomically
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.text import one_line
from spiral_env.threads import cores
from spiral_env.training import TrainConfig, load_config
from spiral_env.training.runs.folder import stored_config
from spiral_env.training.runs.run import Learns, run

__all__ = ["ADAPTERS", "Adaptation", "adapt", "check_start", "started"]

ADAPTERS = ("es", "ippo")
"""Algorithms that go on from a policy."""
_FROM_NOTHING = "status_quo"
"""The team that every training starts as, so that going on from it needs no policy."""
_GENTLE: dict[str, dict[str, Any]] = {
    "es": {"es_sigma": 0.1, "learning_rate": 0.02},
    "ippo": {"learning_rate": 3e-4},
}
"""Steps that do not forget what a team knows."""
_OF_THE_RUN = ("scenario", "seed", "timesteps", "max_seconds", "device", "engine", "env_threads", "ray_address")
_ROWS_SEEN = 1e6
"""Observations that the stored moments of a policy stand for: what comes later moves them little."""


@dataclass(frozen=True)
class Adaptation:
    """How agents adapt.

    Attributes:
        timesteps: agent-steps of each training.
        algo: "es" or "ippo".
        seeds: trainings in each world, numbered from 0.
        overrides: hyperparameters in place of the team's own, ``name -> value``.
        jobs: trainings side by side, one thread each.
    """

    timesteps: int = 10_000_000
    algo: str = "es"
    seeds: int = 2
    overrides: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 0

    def __post_init__(self) -> None:
        """Check all before anything is played.

        Raises:
            TypeError: a hyperparameter is of the wrong type.
            ValueError: there is no such algorithm or hyperparameter, or a value is out of range.
        """
        if self.algo not in ADAPTERS:
            raise ValueError(f"algo of an adaptation must be one of {', '.join(ADAPTERS)}, got {self.algo!r}")
        load_config(None, {"algo": self.algo, **self.overrides})


def adapt(
    spec: str,
    worlds: Iterable[Scenario],
    how: Adaptation,
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> list[list[str]]:
    """Train the team on in each world; folders of the adapted teams, ``[worlds][seeds]``.

    Args:
        spec: a trained team's folder, or "status_quo", which is where every training starts.
        worlds: in each of which the team adapts, from the same start with the same seeds.
        how: by what and how long.
        folder: in which the runs are kept.
        progress: told of each training that ended.

    Raises:
        ValueError: the team cannot be trained on, or as of training.
    """
    jobs = []
    for number, world in enumerate(worlds):
        home = folder / f"world-{number}"
        home.mkdir(parents=True, exist_ok=True)
        write_atomically(home / "world.toml", world.to_toml())
        jobs.append([(spec, _config(spec, home / "world.toml", k, how), home / f"{k}") for k in range(how.seeds)])
    flat = [job for of_world in jobs for job in of_world]
    count = min(len(flat), how.jobs or cores())
    if count == 1:
        for job in flat:
            _train(job)
            if progress is not None:
                progress(1)
    else:
        with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
            for done in as_completed([pool.submit(_train, job) for job in flat]):
                done.result()
                if progress is not None:
                    progress(1)
    return [[str(out) for _, _, out in of_world] for of_world in jobs]


def _train(job: tuple[str, TrainConfig, Path]) -> None:
    spec, config, out = job
    run(started(spec, config), out, resume=False)


def check_start(spec: str, how: Adaptation) -> dict[str, Any]:
    """Hyperparameters that the team's networks fix.

    Raises:
        ValueError: the team cannot be trained on by this algorithm.
    """
    if spec == _FROM_NOTHING:
        return {}
    wrong = f"a team that adapts must be {_FROM_NOTHING} or the folder of a trained team, got {one_line(spec, 120)}"
    if not Path(spec).is_dir():
        raise ValueError(wrong)
    tensors, header = read_policy(spec)
    if header.get("networks") != "per_role":
        raise ValueError(f"{wrong}: its roles share one network")
    continuous, recurrent = header.get("head") == "continuous", header.get("recurrent", [])
    if how.algo == "es" and (continuous or recurrent):
        raise ValueError(f"{wrong}, which es cannot train: its head is continuous or it has a memory; choose ippo")
    layers = int(header["layers"])
    widths = {len(tensors[f"{role}.layer{k}.bias"]) for role in ROLES for k in range(layers)}
    if len(widths) > 1:
        raise ValueError(f"{wrong}: its layers are of {len(widths)} widths")
    if how.algo == "ippo" and not layers:
        raise ValueError(f"{wrong}, which ippo cannot train: it has no hidden layer; choose es")
    fixed = {"layers": layers, **({"hidden": widths.pop()} if widths else {})}
    return fixed | ({"continuous": continuous, "recurrent": ",".join(recurrent)} if how.algo == "ippo" else {})


def _config(spec: str, scenario: Path, seed: int, how: Adaptation) -> TrainConfig:
    """Of the team's own run, where it keeps it and by the same algorithm, else for a shared aim; with gentle steps."""
    own: dict[str, Any] = {"algo": how.algo, "reward_mode": "cooperative"}
    if spec != _FROM_NOTHING:
        own |= _GENTLE[how.algo]
        if (Path(spec) / "config.json").is_file():
            stored = asdict(stored_config(Path(spec)))
            if stored["algo"] == how.algo:
                kept = {name: value for name, value in stored.items() if name not in _OF_THE_RUN}
                own = kept | {"learning_rate": own["learning_rate"]}
            own["reward_mode"] = stored["reward_mode"]
    fixed = check_start(spec, how)
    values = own | dict(how.overrides) | fixed
    values |= {"scenario": str(scenario), "seed": seed, "timesteps": how.timesteps}
    return load_config(None, {"env_threads": 1, "max_seconds": 36_000.0} | values)


def started(spec: str, config: TrainConfig) -> Learns:
    """A trainer whose policy is that of the team, with no memory of gradients; the critic of IPPO starts anew."""
    trainer = _new_trainer(config)
    if spec == _FROM_NOTHING:
        return trainer
    policy, _ = read_policy(spec)
    tensors = trainer.tensors()
    for role in ROLES:
        mine = {k.removeprefix(f"{role}."): v for k, v in policy.items() if k.startswith(f"{role}.")}
        put = _flat if config.algo == "es" else _actor
        tensors |= {f"{role}.{name}": x for name, x in put(mine, config).items()}
        mean, std = (mine[name].astype(np.float64) for name in ("mean", "std"))
        seen = {"count": np.array([_ROWS_SEEN]), "mean": mean, "m2": std**2 * _ROWS_SEEN}
        tensors |= {f"{role}.observations.{name}": x for name, x in seen.items()}
    trainer.load(tensors, trainer.counters())
    return trainer


def _new_trainer(config: TrainConfig) -> Learns:
    if config.algo == "es":
        from spiral_env.training.algorithms import es

        return es.make_trainer(config)
    from spiral_env.training.algorithms.ippo import LocalCritic
    from spiral_env.training.algorithms.ppo import make_trainer

    return make_trainer(config, LocalCritic, central=False)


def _flat(mine: Mapping[str, np.ndarray], config: TrainConfig) -> dict[str, np.ndarray]:
    """All weights ``[in, out]`` and biases of a role in one vector, as evolution keeps them."""
    names = [*(f"layer{k}" for k in range(config.layers)), "head"]
    parts = [x for name in names for x in (mine[f"{name}.weight"].T.ravel(), mine[f"{name}.bias"])]
    return {"flat": np.concatenate(parts).astype(np.float32)}


def _actor(mine: Mapping[str, np.ndarray], config: TrainConfig) -> dict[str, np.ndarray]:
    """Weights and biases of a role by the names of the actor's modules."""
    out: dict[str, np.ndarray] = {}
    for k in range(config.layers):
        out |= {f"actor.body.{k}.{x}": mine[f"layer{k}.{x}"] for x in ("weight", "bias")}
    out |= {f"actor.head.{x}": mine[f"head.{x}"] for x in ("weight", "bias")}
    if config.continuous:
        # A checkpoint holds mean efforts, the network what they differ by from the middle.
        out["actor.head.bias"] = out["actor.head.bias"] - 0.5
    out |= {f"actor.cell.{k.removeprefix('memory.')}": v for k, v in mine.items() if k.startswith("memory.")}
    return {name: x.astype(np.float32) for name, x in out.items()}
