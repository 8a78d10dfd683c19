"""Search of hyperparameters with Optuna: a study in one SQLite file, a run in a folder for every trial.

A sweep's folder holds ``sweep.json`` (what was asked for), ``scenario.toml`` (the resolved world), ``study.db``,
``trials/<number>/`` (runs as of ``spiral train``) and ``best.toml`` (a config for ``spiral train --config``). A trial
is owned by the process that holds its lock; locks end with their process, so whoever comes next goes on with the runs
of the dead. A trial that fails is a failed trial, with its reason; the sweep goes on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
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
from spiral_env.files import locked, parse_json, read_file, remove_leftovers, write_atomically
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, scenario_ids
from spiral_env.text import is_utf8, one_line
from spiral_env.threads import cores
from spiral_env.training import train
from spiral_env.training.runs.config import TrainConfig, check_names, shown
from spiral_env.training.runs.ranges import Ranges, check_ranges, plain, ranges_from, start_point, suggest
from spiral_env.training.runs.run import Report, lived_seconds
from spiral_env.training.runs.study import StudyError, create_study, open_study, study_errors

__all__ = ["SweepConfig", "run_trial", "standing", "summary", "sweep"]

MEASURE = "ecosystem_value"
RUNGS = 10
"""How often in a run its value is told to the pruner."""
EVALUATION_SEED = 80_000
"""First of the held-out seeds that score a trial, where a world has so many; tables in ``results/`` use others."""
_LIMITS = {"trials": 100_000, "episodes": 1_000_000, "workers": 256}
_MAX_BYTES = 10_000_000
_STARTS = 5
"""A trial whose process was killed so often without getting on is a failed one."""
_PATIENCE = 60.0


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
        """Every range must fit the base, every number its bounds, and the world must have seeds enough to score."""
        check_ranges(self.base, self.ranges)
        for name in ("trials", "episodes"):
            _check_count(name, getattr(self, name))
        if not isinstance(self.prune, bool):
            raise TypeError(f"prune must be true or false, got {self.prune!r}")
        evaluation_seed(self.base.world, self.episodes)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if not 1 <= value <= _LIMITS[name]:
        raise ValueError(f"{name} must be in [1, {_LIMITS[name]:,}], got {value}")


def evaluation_seed(world: Scenario, episodes: int) -> int:
    """Where in a world's held-out seeds those that score a trial begin: the last ones of a world that has few.

    Raises:
        ValueError: there are fewer than ``episodes``.
    """
    low, high = world.held_out_seeds
    if episodes > high - low:
        raise ValueError(f"episodes must be at most the {high - low} held-out seeds of {world.id}, got {episodes}")
    return min(EVALUATION_SEED, high - low - episodes)


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
    first = evaluation_seed(config.world, episodes)
    table = run_episodes(config.world, team, episodes, first, reward_mode=config.reward_mode)
    return float(table.metrics[MEASURE].mean())


def sweep(
    folder: Path,
    config: SweepConfig | None,
    *,
    trials: int | None = None,
    workers: int = 1,
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
    _check_count("workers", workers)
    _open(folder, config, trials)
    if spread is not None:
        spread(_away(folder.resolve()), range(workers))
        return folder
    threads = max(1, cores() // workers)
    if workers == 1:
        _work(folder, threads, _never)
        return folder
    context = multiprocessing.get_context("spawn")
    stop, (alive, parent) = context.Event(), context.Pipe(duplex=False)
    with parent, alive, ProcessPoolExecutor(workers, context, _start_worker, (stop, alive)) as pool:
        jobs = [pool.submit(_work, folder, threads) for _ in range(workers)]
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
        _work(folder, 1, _never)

    return work


def _never() -> bool:
    return False


_ended: Callable[[], bool] = _never


def _start_worker(stop: Any, alive: Any) -> None:
    """A worker hears of Ctrl-C from its parent alone, and ends with it."""
    global _ended
    if hasattr(os, "setsid"):
        os.setsid()
    _ended = stop.is_set
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()


def _end_with_parent(alive: Any) -> None:
    """Wait for the pipe's other end, which the parent alone holds, to close; the run's stored state is whole."""
    try:
        alive.recv()
    except (EOFError, OSError):
        os._exit(1)


def _open(folder: Path, config: SweepConfig | None, trials: int | None) -> None:
    """Store what is asked for, or check what is stored; the study is there afterwards."""
    if config is None:
        _stored(folder)
    else:
        _check_new(folder)
        (folder / "trials").mkdir(parents=True, exist_ok=True)
    with _held(folder):
        remove_leftovers(folder)
        if config is not None:
            _check_new(folder)
            write_atomically(folder / "scenario.toml", config.base.world.to_toml())
            _write(folder, config)
        stored = _stored(folder)
        if trials is not None and trials != stored.trials:
            _write(folder, replace(stored, trials=trials))
        # A sweep that was killed right at its start has no study yet.
        if not (folder / "study.db").exists() and not any((folder / "trials").iterdir()):
            create_study(folder, start_point(stored.base, stored.ranges))
    open_study(folder)


def _check_new(folder: Path) -> None:
    """Refuse a folder whose files a new sweep would replace."""
    taken = {
        "sweep.json": "already holds a sweep; choose another --out, or --resume it",
        "study.db": "holds a study.db but no sweep; choose another --out",
        "config.json": "holds a run; choose another --out",
    }
    for name, what in taken.items():
        if (folder / name).exists():
            raise ValueError(f"folder {folder} {what}")


def _write(folder: Path, config: SweepConfig) -> None:
    values: dict[str, Any] = {
        "base": asdict(config.base),
        "scenario_hash": config.base.world.hash,
        "ranges": plain(config.ranges),
    }
    values |= {"trials": config.trials, "episodes": config.episodes, "prune": config.prune}
    write_atomically(folder / "sweep.json", json.dumps(values, indent=1))


def _stored(folder: Path) -> SweepConfig:
    """What was asked for, in the world that is stored with it."""
    try:
        values = parse_json(read_file(folder / "sweep.json", _MAX_BYTES, "sweep"), "sweep.json")
        names = {"base", "scenario_hash", "ranges", "trials", "episodes", "prune"}
        if values.keys() != names:
            raise ValueError(
                f"sweep.json must hold {', '.join(sorted(names))}, not so {min(values.keys() ^ names)[:60]}"
            )
        for name in ("base", "ranges"):
            if not isinstance(values[name], dict):
                raise ValueError(f"{name} of sweep.json must be an object, got {shown(values[name])}")
        check_names(values["base"], "base of sweep.json")
        began = values.pop("scenario_hash")
        base = TrainConfig(**values.pop("base") | {"scenario": str(folder / "scenario.toml")})
        if base.world.hash != began:
            must = f"as the sweep began, of hash {shown(began)}"
            raise ValueError(f"scenario.toml must be {must}, got {base.world.hash}")
        return SweepConfig(base=base, ranges=ranges_from(values.pop("ranges")), **values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"folder {folder} holds no sweep to resume: {one_line(error, 300)}") from None


def _study(folder: Path, config: SweepConfig) -> optuna.Study:
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if config.prune:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
    return open_study(folder, pruner)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the sweep's lock, which nobody does for long.

    Raises:
        ValueError: somebody does.
    """
    try:
        with locked(folder / "lock", wait=_PATIENCE):
            yield
    except BlockingIOError as error:
        raise StudyError(f"sweep in {folder} is {error.strerror}") from None


@contextmanager
def _owned(run: Path) -> Iterator[bool]:
    """Hold a trial's lock; false where another process plays it."""
    run.mkdir(parents=True, exist_ok=True)
    try:
        with locked(run / "lock", wait=False):
            yield True
    except BlockingIOError:
        yield False


def _run_folder(folder: Path, number: int) -> Path:
    return folder / "trials" / f"{number:03}"


def _ask(study: optuna.Study, config: SweepConfig, folder: Path) -> int | None:
    """Number of the next trial: one whose process has ended, else a new one; None when there are enough."""
    with _held(folder), study_errors(folder):
        while True:
            trials = [t for t in study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]
            for t in trials:
                if t.state == TrialState.RUNNING:
                    with _owned(_run_folder(folder, t.number)) as free:
                        if free:
                            return t.number
            if len(trials) >= config.trials:
                return None
            # The n-th proposal depends on the seed and on what is known, not on which process asks.
            seed = int(np.random.SeedSequence([config.base.seed, len(trials)]).generate_state(1)[0])
            study.sampler = optuna.samplers.TPESampler(seed=seed)
            trial = study.ask()
            try:
                suggest(trial, config.base, config.ranges)
            except (TypeError, ValueError) as error:
                _fail(study, trial.number, error)
            else:
                return trial.number


def _fail(study: optuna.Study, number: int, reason: object) -> None:
    """A failed trial, with the reason beside it."""
    trial = Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)
    trial.set_user_attr("reason", one_line(reason, 300) or type(reason).__name__)
    study.tell(number, state=TrialState.FAIL)


def _work(folder: Path, threads: int, ended: Callable[[], bool] | None = None) -> None:
    """Play trials until there are enough."""
    ended = ended or _ended
    config = _stored(folder)
    study = _study(folder, config)
    while (number := _ask(study, config, folder)) is not None:
        with _owned(_run_folder(folder, number)) as mine:
            if mine and study.trials[number].state == TrialState.RUNNING:
                _play(study, number, folder, config, _Rungs(study, number, folder, ended), threads)


class _Rungs:
    """Tells the study how a run goes, and the run when to stop."""

    def __init__(self, study: optuna.Study, number: int, folder: Path, ended: Callable[[], bool]) -> None:
        self.folder = folder
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
            with study_errors(self.folder):
                self.trial.report(float(np.mean(self.values)), step)
                self.pruned = self.trial.should_prune()
            self.step, self.values = step, []
        return self.pruned or self.ended()


def _play(study: optuna.Study, number: int, folder: Path, config: SweepConfig, rungs: _Rungs, threads: int) -> None:
    """Run a trial and tell the study; a run that Ctrl-C or the machine ends stays open."""
    run = _run_folder(folder, number)
    try:
        resolved = replace(suggest(rungs.trial, config.base, config.ranges), env_threads=threads)
        with _counted(rungs.trial, run):
            value = run_trial(resolved, run, config.episodes, rungs)
    except (StudyError, OSError, ImportError):
        # What would end every other trial too: the sweep stops and can go on.
        raise
    except Exception as error:
        with study_errors(folder):
            _fail(study, number, error)
        return
    with study_errors(folder):
        if value is not None:
            study.tell(number, value)
            _write_best(study, folder, config)
        elif rungs.pruned:
            study.tell(number, state=TrialState.PRUNED)
        else:
            raise KeyboardInterrupt


@contextmanager
def _counted(trial: Trial, run: Path) -> Iterator[None]:
    """Count how often a trial was started without getting on: nobody else notices that the system killed it.

    Raises:
        RuntimeError: it was too often.
    """
    lived, count = trial.user_attrs.get("started", (-1.0, 0))
    now = lived_seconds(run)
    count = 1 if now > lived else count + 1
    if count > _STARTS:
        raise RuntimeError(f"its process was killed {_STARTS} times at the same place")
    trial.set_user_attr("started", (now, count))
    try:
        yield
    finally:
        trial.set_user_attr("started", (now, count - 1))


def _write_best(study: optuna.Study, folder: Path, config: SweepConfig) -> None:
    with _held(folder):
        best = _best(study)
        if best is None:
            (folder / "best.toml").unlink(missing_ok=True)
            return
        given = parse_json(read_file(folder / "sweep.json", _MAX_BYTES, "sweep"), "sweep.json")["base"]["scenario"]
        own = str((folder / "scenario.toml").resolve())
        world = given if given in scenario_ids() or not is_utf8(own) else own
        values = asdict(config.base) | {"scenario": world} | best.params
        lines = [f"# trial {best.number}, {MEASURE} {best.value:.6g} over {config.episodes} episodes"]
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        write_atomically(folder / "best.toml", "\n".join(lines) + "\n")


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    """Finished trials, the best first."""
    done = [t for t in study.trials if t.state == TrialState.COMPLETE]
    return sorted(done, key=lambda t: -(t.value or 0.0))


def _best(study: optuna.Study) -> FrozenTrial | None:
    """The best finished trial; none where several score the same."""
    done = _complete(study)
    return None if not done or (len(done) > 1 and done[0].value == done[-1].value) else done[0]


def _value(trial: FrozenTrial) -> float | None:
    """Of a finished trial; Optuna gives one that was ended its last rung."""
    return trial.value if trial.state == TrialState.COMPLETE else None


def _line(study: optuna.Study, number: int) -> str:
    trial, best = study.trials[number], _best(study)
    value = "" if _value(trial) is None else f" {MEASURE} {_value(trial):.1f}"
    reason = f": {trial.user_attrs['reason']}" if "reason" in trial.user_attrs else ""
    said = f"; best {best.value:.1f} of trial {best.number}" if best is not None else ""
    return f"trial {number} {trial.state.name.lower()}{value}{reason}{said}"


def standing(folder: Path) -> tuple[float, int, str]:
    """How many trials are done, with the shares of those that run; how many there are to be; the last that ended.

    Raises:
        ValueError: there is no sweep, or its study cannot be used.
    """
    config = _stored(folder)
    study = _study(folder, config)
    with study_errors(folder):
        trials = study.trials
        ended = [t for t in trials if t.state.is_finished()]
        running = sum(max(t.intermediate_values, default=0) / RUNGS for t in trials if t.state == TrialState.RUNNING)
        last = max(ended, key=lambda t: t.datetime_complete or t.datetime_start, default=None)  # type: ignore[arg-type,return-value]
        return len(ended) + running, config.trials, "" if last is None else _line(study, last.number)


def summary(folder: Path) -> dict[str, Any]:
    """Trials of a sweep as plain values, the best first, those without a value last.

    ``note`` says why there is no best.

    Raises:
        ValueError: there is no sweep, or its study cannot be used.
    """
    study = _study(folder, _stored(folder))
    with study_errors(folder):
        trials = [t for t in study.trials if t.state != TrialState.WAITING]
    rows = [
        {
            "trial": t.number,
            "state": t.state.name.lower(),
            MEASURE: _value(t),
            "last_rung": max(t.intermediate_values, default=0),
            "run": str(_run_folder(folder, t.number)),
            "reason": t.user_attrs.get("reason"),
            **t.params,
        }
        for t in trials
    ]
    rows.sort(key=lambda row: -np.inf if row[MEASURE] is None else row[MEASURE], reverse=True)
    done = [row[MEASURE] for row in rows if row["state"] == "complete"]
    note = None if done else "no trial has finished"
    if len(done) > 1 and done[0] == done[-1]:
        note = f"all {len(done)} finished trials score {done[0]:.6g}: what was searched made no difference"
    return {"best": None if note else str(folder / "best.toml"), "note": note, "trials": rows}
