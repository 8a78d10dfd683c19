"""Search of hyperparameters with Optuna: a study in one SQLite file, a run in a folder for every trial.

A sweep's folder holds ``sweep.json`` (what was asked for), ``study.db``, ``trials/<number>/`` (runs as of
``spiral train``) and ``best.toml`` (a config for ``spiral train --config``). A trial is owned by the process that holds
its lock; locks end with their process, so whoever comes next goes on with the runs of the dead.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.files import write_atomically
from spiral_env.roles import ROLES
from spiral_env.training import train
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.ranges import Ranges, check_ranges, plain, ranges_from, start_point, suggest
from spiral_env.training.runs.run import Diverged, Report, lived_seconds

__all__ = ["SweepConfig", "run_trial", "summary", "sweep"]

MEASURE = "ecosystem_value"
RUNGS = 10
"""How often in a run its value is told to the pruner."""
EVALUATION_SEED = 80_000
"""First seed of the episodes that score a trial; tables in ``results/`` use others."""


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep is made of; stored with it.

    Attributes:
        base: config of every trial but for what is searched.
        ranges: what is searched.
        trials: trials in all.
        episodes: that score a trial.
        prune: end trials that are below the median of the others at the same share of the run.
    """

    base: TrainConfig
    ranges: Ranges
    trials: int = 20
    episodes: int = 200
    prune: bool = True

    def __post_init__(self) -> None:
        """Every range must fit the base, every number must be positive."""
        check_ranges(self.base, self.ranges)
        for name in ("trials", "episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")


def run_trial(config: TrainConfig, folder: Path, episodes: int = 200, report: Report | None = None) -> float | None:
    """Train in ``folder``, or go on with the run there; returns the mean ecosystem value of held-out episodes.

    None where ``report`` ended the run before its time; the run is then stored as far as it went.
    """
    resume = (folder / "config.json").exists()
    left = max(1e-3, config.max_seconds - lived_seconds(folder)) if resume else config.max_seconds
    stopped = []

    def asked(share: float, figures: dict[str, float]) -> bool:
        if report is not None and report(share, figures):
            stopped.append(share)
        return bool(stopped)

    train(replace(config, max_seconds=left), folder, resume=resume, report=asked)
    if stopped:
        return None
    team = {role: load_policy(str(folder), role) for role in ROLES}
    table = run_episodes(config.scenario, team, episodes, EVALUATION_SEED, reward_mode=config.reward_mode)
    return float(table.metrics[MEASURE].mean())


def sweep(
    folder: Path,
    config: SweepConfig | None,
    *,
    trials: int | None = None,
    workers: int = 1,
    quiet: bool = False,
    spread: Callable[..., list[Any]] | None = None,
) -> Path:
    """Play trials until there are ``config.trials``; without a config go on with the sweep in the folder.

    ``spread(function, jobs)`` places the workers, for example ``training.cluster.fan_out``: on any machine that sees
    the folder. It must run the job of a machine that died again; that worker goes on with the stored run.

    Raises:
        ValueError: the folder does not fit, or the config.
        OSError: the folder cannot be written, or a worker was killed.
        KeyboardInterrupt: Ctrl-C, after all runs in hand were stored.
    """
    if workers < 1:
        raise ValueError(f"workers must be >= 1, got {workers}")
    _open(folder, config, trials)
    if spread is not None:
        spread(_away(folder.resolve()), range(workers))
        return folder
    threads = max(1, (os.cpu_count() or 1) // workers)
    if workers == 1:
        _work(folder, threads, quiet, _never)
        return folder
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (stop, os.getpid())) as pool:
        jobs = [pool.submit(_work, folder, threads, quiet) for _ in range(workers)]
        try:
            for job in jobs:
                job.result()
        except BrokenProcessPool:
            raise OSError(f"a worker of the sweep in {folder} was killed; go on with --resume") from None
        finally:
            # Whatever ended the wait, the others store what they have.
            stop.set()
    return folder


def _away(folder: Path) -> Callable[[int], None]:
    """The work of one core on any machine."""

    def work(_number: int) -> None:
        _work(folder, 1, True, _never)

    return work


def _never() -> bool:
    return False


_ended: Callable[[], bool] = _never


def _start_worker(stop: Any, parent: int) -> None:
    """A worker hears of Ctrl-C from its parent alone, and ends with it."""
    global _ended
    os.setsid()

    def ended() -> bool:
        return bool(stop.is_set()) or os.getppid() != parent

    _ended = ended


def _open(folder: Path, config: SweepConfig | None, trials: int | None) -> None:
    path = folder / "sweep.json"
    if config is None:
        if trials is not None:
            _write(path, replace(_stored(folder), trials=trials))
        _stored(folder)
        return
    if path.exists():
        raise ValueError(f"folder {folder} already holds a sweep; choose another --out, or --resume it")
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=_storage(folder), study_name="sweep", direction="maximize", load_if_exists=True)
    if not study.trials:
        study.enqueue_trial(start_point(config.base, config.ranges))
    _write(path, config)


def _write(path: Path, config: SweepConfig) -> None:
    values = {"base": asdict(config.base), "ranges": plain(config.ranges), "trials": config.trials}
    write_atomically(path, json.dumps(values | {"episodes": config.episodes, "prune": config.prune}, indent=1).encode())


def _stored(folder: Path) -> SweepConfig:
    try:
        values = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        return SweepConfig(**values | {"base": TrainConfig(**values["base"]), "ranges": ranges_from(values["ranges"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"folder {folder} holds no sweep to resume: {error}") from None


def _storage(folder: Path) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = {"connect_args": {"timeout": 60}}
    return optuna.storages.RDBStorage(f"sqlite:///{folder.resolve()}/study.db", engine_kwargs=options)


def _study(folder: Path, config: SweepConfig) -> optuna.Study:
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if config.prune:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
    return optuna.load_study(study_name="sweep", storage=_storage(folder), pruner=pruner)


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a file's lock; false where another process holds it and ``wait`` is off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _run_folder(folder: Path, number: int) -> Path:
    return folder / "trials" / f"{number:03}"


def _ask(study: optuna.Study, config: SweepConfig, folder: Path) -> int | None:
    """Number of the next trial: one whose process has ended, else a new one; None when there are enough."""
    with _locked(folder / "lock", wait=True):
        trials = [t for t in study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]
        for t in trials:
            if t.state == TrialState.RUNNING:
                with _locked(_run_folder(folder, t.number) / "lock", wait=False) as free:
                    if free:
                        return t.number
        if len(trials) >= config.trials:
            return None
        # The n-th proposal depends on the seed and on what is known, not on which process asks.
        seed = int(np.random.SeedSequence([config.base.seed, len(trials)]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = study.ask()
        suggest(trial, config.base, config.ranges)
        return trial.number


def _work(folder: Path, threads: int, quiet: bool, ended: Callable[[], bool] | None = None) -> None:
    """Play trials until there are enough."""
    ended = ended or _ended
    config = _stored(folder)
    study = _study(folder, config)
    while (number := _ask(study, config, folder)) is not None:
        with _locked(_run_folder(folder, number) / "lock", wait=False) as mine:
            if mine and study.trials[number].state == TrialState.RUNNING:
                _play(study, number, folder, config, _Rungs(study, number, ended), threads)
                if not quiet:
                    print(_line(study, number), file=sys.stderr, flush=True)


class _Rungs:
    """Tells the study how a run goes, and the run when to stop."""

    def __init__(self, study: optuna.Study, number: int, ended: Callable[[], bool]) -> None:
        frozen = study.trials[number]
        self.trial = Trial(study, frozen._trial_id)
        self.step = max(frozen.intermediate_values, default=0)
        self.values: list[float] = []
        self.pruned = False
        self.ended = ended

    def __call__(self, share: float, figures: dict[str, float]) -> bool:
        if f"outcome/{MEASURE}" in figures:
            self.values.append(figures[f"outcome/{MEASURE}"])
        step = int(share * RUNGS)
        if step > self.step and self.values and step < RUNGS:
            self.trial.report(float(np.mean(self.values)), step)
            self.step, self.values = step, []
            self.pruned = self.trial.should_prune()
        return self.pruned or self.ended()


def _play(study: optuna.Study, number: int, folder: Path, config: SweepConfig, rungs: _Rungs, threads: int) -> None:
    """Run a trial and tell the study; a run that Ctrl-C ends stays open."""
    resolved = replace(suggest(rungs.trial, config.base, config.ranges), env_threads=threads)
    try:
        value = run_trial(resolved, _run_folder(folder, number), config.episodes, rungs)
    except Diverged:
        study.tell(number, state=TrialState.FAIL)
        return
    if value is not None:
        study.tell(number, value)
        _write_best(study, folder, config)
    elif rungs.pruned:
        study.tell(number, state=TrialState.PRUNED)
    else:
        raise KeyboardInterrupt


def _write_best(study: optuna.Study, folder: Path, config: SweepConfig) -> None:
    with _locked(folder / "lock", wait=True):
        best = _complete(study)[0]
        values = asdict(config.base) | best.params
        lines = [f"# trial {best.number}, {MEASURE} {best.value:.6g} over {config.episodes} episodes"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        write_atomically(folder / "best.toml", ("\n".join(lines) + "\n").encode())


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    """Finished trials, the best first."""
    done = [t for t in study.trials if t.state == TrialState.COMPLETE]
    return sorted(done, key=lambda t: -(t.value or 0.0))


def _value(trial: FrozenTrial) -> float | None:
    """Of a finished trial; Optuna gives one that was ended its last rung."""
    return trial.value if trial.state == TrialState.COMPLETE else None


def _line(study: optuna.Study, number: int) -> str:
    trial, done = study.trials[number], _complete(study)
    value = "" if _value(trial) is None else f" {MEASURE} {_value(trial):.1f}"
    best = f"; best {done[0].value:.1f} of trial {done[0].number}" if done else ""
    return f"trial {number} {trial.state.name.lower()}{value}{best}"


def summary(folder: Path) -> dict[str, Any]:
    """Trials of a sweep as plain values, the best first, those without a value last."""
    study = _study(folder, _stored(folder))
    rows = [
        {
            "trial": t.number,
            "state": t.state.name.lower(),
            MEASURE: _value(t),
            "last_rung": max(t.intermediate_values, default=0),
            "run": str(_run_folder(folder, t.number)),
            **t.params,
        }
        for t in study.trials
        if t.state != TrialState.WAITING
    ]
    rows.sort(key=lambda row: -np.inf if row[MEASURE] is None else row[MEASURE], reverse=True)
    return {"best": str(folder / "best.toml") if _complete(study) else None, "trials": rows}
