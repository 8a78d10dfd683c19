"""What a report stands on: runs, grouped by what differs in nothing but the seed; a sweep; a stored evaluation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.agents import NAMED, load_policy
from spiral_env.agents.checkpoint import read_policy
from spiral_env.agents.zoo import PREFIX
from spiral_env.evaluation import compare
from spiral_env.evaluation.report import FORMAT, as_result
from spiral_env.files import parse_json, parse_toml, read_file
from spiral_env.policy import Policy
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.training.reports.course import Course, course_of
from spiral_env.training.reports.figures import CURVES, Curve
from spiral_env.training.runs.folder import progress_rows, stored_config

__all__ = ["REFERENCES", "Material", "curve_of", "gather", "run_world"]

REFERENCES = ("status_quo", "uniform", "scripted")
"""Teams that do not learn, beside which runs are shown; the first is what all are compared with."""
_POINTS = 200
"""Of a learning curve over several seeds."""
_MAX_RESULT = 1_000_000_000
_MOST_COURSES = 8
"""Teams whose months are played for a report."""
_OF_NO_MATTER = ("seed", "max_seconds", "checkpoint_seconds", "env_threads", "torch_threads", "ray_address", "scenario")
"""Hyperparameters that tell no two groups of runs apart; the world's hash stands for the scenario."""


@dataclass(frozen=True)
class Material:
    """All that a report shows.

    Attributes:
        title: what it is about.
        result: an evaluation, in the shape that ``spiral evaluate --out`` stores.
        groups: label -> the result's teams that are its seeds.
        curves: of training.
        courses: label -> what it does over the months.
        sweep: as of ``spiral_env.training.runs.sweep.summary``; None without one.
        notes: lines on what is left out and why.
    """

    title: str
    result: Mapping[str, Any]
    groups: Mapping[str, Sequence[str]]
    curves: Sequence[Curve] = ()
    courses: Mapping[str, Course] = field(default_factory=dict)
    sweep: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()


def gather(paths: Sequence[Path], episodes: int = 50, progress: Callable[[float], None] | None = None) -> Material:
    """Read what is given, and play the episodes that a report needs.

    Args:
        paths: one result of ``spiral evaluate``, one sweep, or runs and folders of runs.
        episodes: held-out episodes of every team; of a stored result, those whose months are looked at.
        progress: told which share of the episodes has been played.

    Raises:
        ValueError: there is nothing to report on, runs are of different worlds, or a file is damaged.
    """
    if not paths:
        raise ValueError("report must be given a run, a sweep or a result")
    told = progress or (lambda share: None)
    alone = paths[0] if len(paths) == 1 else None
    if alone is not None and alone.is_file():
        return _of_result(alone, episodes, told)
    if alone is not None and (alone / "study.db").exists():
        return _of_sweep(alone, episodes, told)
    return _of_runs([run for path in paths for run in _runs_in(path)], episodes, told)


def run_world(folder: Path) -> Scenario:
    """The run's own world; of a checkpoint alone, the one it names.

    Raises:
        ValueError: it is not the world that the policy was trained in.
    """
    _, header = read_policy(folder)
    own = folder / "scenario.toml"
    world = load_scenario(own if own.exists() else str(header.get("scenario", "baseline-v1")))
    trained = header.get("scenario_hash", world.hash)
    if world.hash != trained:
        where = own if own.exists() else world.id
        raise ValueError(
            f"world of run {folder} must be as it was trained in, of hash {trained}, is {world.hash} in {where}"
        )
    return world


def curve_of(label: str, folders: Sequence[Path], *, faint: bool = False) -> Curve | None:
    """Learning curve of runs that differ in their seeds; None where one has no finished episode.

    Several are read off at the same numbers of agent-steps, up to where the shortest ends.
    """
    logs = []
    for folder in folders:
        rows = [row for row in progress_rows(folder) if all(row[name] for name in CURVES)]
        if not rows:
            return None
        logs.append({name: np.array([float(row[name]) for row in rows]) for name in ("agent_steps", *CURVES)})
    steps = logs[0]["agent_steps"]
    if len(logs) > 1:
        ends = [x["agent_steps"][[0, -1]] for x in logs]
        steps = np.linspace(max(x[0] for x in ends), min(x[1] for x in ends), _POINTS)
    return Curve(
        label, steps, {n: np.stack([np.interp(steps, x["agent_steps"], x[n]) for x in logs]) for n in CURVES}, faint
    )


def _runs_in(path: Path) -> list[Path]:
    """A run's folder itself, or the runs in a folder."""
    if (path / "policy.json").exists():
        return [path]
    found = sorted(x.parent for x in path.glob("*/policy.json")) if path.is_dir() else []
    if not found:
        raise ValueError(f"report must be given a run, a folder of runs, a sweep or a result, got {path}")
    return found


def _grouped(runs: Sequence[Path]) -> dict[str, list[Path]]:
    """Runs by label: together where config and world are the same but for the seed."""
    groups: dict[str, list[Path]] = {}
    for run in dict.fromkeys(runs):
        groups.setdefault(_kind(run), []).append(run)
    labels: dict[str, list[Path]] = {}
    for members in groups.values():
        label = _label(members)
        labels[label if label not in labels else str(members[0])] = members
    return labels


def _kind(run: Path) -> str:
    """What all seeds of one training share; of a checkpoint alone, itself."""
    if not (run / "config.json").exists():
        return str(run)
    config = stored_config(run)
    return repr(sorted(x for x in asdict(config).items() if x[0] not in _OF_NO_MATTER)) + config.world.hash


def _label(members: Sequence[Path]) -> str:
    if len(members) == 1:
        return members[0].name or str(members[0])
    shared = re.sub(r"[-_.\s]*(seed)?[-_.\s]*\d*$", "", members[0].name)
    return shared if shared and all(x.name.startswith(shared) for x in members) else f"{members[0].name} and others"


def _of_runs(runs: Sequence[Path], episodes: int, told: Callable[[float], None]) -> Material:
    groups = _grouped(runs)
    worlds = {run_world(run).hash: run_world(run) for run in runs}
    if len(worlds) > 1:
        raise ValueError(f"runs must be of one world, got worlds {', '.join(sorted(worlds))}")
    (world,) = worlds.values()
    logged = {
        label: members for label, members in groups.items() if all((x / "progress.csv").exists() for x in members)
    }
    curves = [x for label, members in logged.items() if (x := curve_of(label, members)) is not None]
    notes = [f"{label}: no learning curve, since no log of a finished episode is there"
             for label in groups if label not in {x.label for x in curves}]  # fmt: skip
    names = {label: [str(x) for x in members] for label, members in groups.items()}
    return _played(f"Report on {', '.join(groups)}", world, names, episodes, told, curves=curves, notes=notes)


def _of_sweep(folder: Path, episodes: int, told: Callable[[float], None]) -> Material:
    from spiral_env.training.runs.sweep import summary

    found = summary(folder)
    done = [row for row in found["trials"] if row["state"] == "complete"]
    if not done:
        raise ValueError(f"sweep {folder} has no finished trial to report on")
    best = Path(done[0]["run"])
    trials = [x for row in done[1:] if (x := curve_of(f"trial {row['trial']}", [Path(row["run"])], faint=True))]
    label = f"trial {done[0]['trial']}, the best"
    curves = [*trials, *filter(None, [curve_of(label, [best])])]
    title = f"Report on the sweep {folder.name}"
    return _played(title, run_world(best), {label: [str(best)]}, episodes, told, curves=curves, sweep=found)


def _played(
    title: str,
    world: Scenario,
    groups: Mapping[str, Sequence[str]],
    episodes: int,
    told: Callable[[float], None],
    **more: Any,
) -> Material:
    """Evaluate all runs of the groups beside teams that do not learn, and look at the months of each group's first."""
    specs = [*REFERENCES, *(run for runs in groups.values() for run in runs)]
    teams = {spec: {role: load_policy(spec, role) for role in ROLES} for spec in specs}
    labelled = {**{name: [name] for name in REFERENCES}, **groups}
    looked_at = dict(list(labelled.items())[:_MOST_COURSES])
    step = _Steps(told, episodes * (len(teams) + len(looked_at)))
    found = compare(world, teams, episodes, progress=step)
    asked = {"scenario": world.id, "teams": {spec: dict.fromkeys(ROLES, spec) for spec in specs}, "episodes": episodes}
    result = as_result(found, "report", asked | {"seed": 0})
    courses: dict[str, Course] = {}
    for label, (first, *_others) in looked_at.items():
        if first in found.tables:
            courses[label] = course_of(world, teams[first], episodes)
        step(episodes)
    return Material(title, result, labelled, courses=courses, **more)


class _Steps:
    """From episodes played to the share of all that are to be."""

    def __init__(self, told: Callable[[float], None], episodes: int) -> None:
        self.told, self.episodes, self.played = told, episodes, 0

    def __call__(self, more: int) -> None:
        self.played += more
        self.told(self.played / self.episodes)


def _of_result(path: Path, episodes: int, told: Callable[[float], None]) -> Material:
    what = f"result {path}"
    result = parse_json(read_file(path, _MAX_RESULT, "result"), what)
    teams = result.get("teams")
    if result.get("format") != FORMAT or not isinstance(teams, dict) or not result.keys() >= {"seeds", "scenario"}:
        raise ValueError(f"{what} must be of spiral evaluate --out, of format {FORMAT} and of one world")
    played = {name: [name] for name, team in teams.items() if isinstance(team, dict) and "metrics" in team}
    notes = [f"{name} failed: {team.get('failed')}" for name, team in teams.items() if name not in played]
    if not played:
        raise ValueError(f"{what} has no team that played to the end")
    _check_stored(what, result, list(played))
    courses: dict[str, Course] = {}
    world = _stored_world(result)
    for number, name in enumerate(list(played)[:_MOST_COURSES], 1):
        team = _stored_team(teams[name].get("policies", {}))
        if team is None:
            notes.append(f"{name}: its months are left out, since its policies are not here as they were evaluated")
        elif world is not None:
            courses[name] = course_of(world, team, episodes)
        told(number / len(played))
    if world is None:
        notes.append("months are left out: the world of the result is not one of this version")
    return Material(f"Report on {path.name}", result, played, courses=courses, notes=notes)


def _check_stored(what: str, result: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a result without the numbers that a report tells."""
    try:
        about, count = result["scenario"], len(result["seeds"])
        whole = count > 0 and isinstance(about["id"], str) and isinstance(about["hash"], str)
        for name in names:
            measures, use = result["teams"][name]["metrics"], result["teams"][name]["lever_use"]
            whole &= set(CURVES) | {"realised_loss"} <= measures.keys()
            for row in measures.values():
                whole &= np.asarray(row["episodes"], dtype=np.float64).shape == (count,)
            for role in ROLES:
                shares = [use[role][lever.name] for lever in LEVERS[role]]
                whole &= np.asarray(shares, dtype=np.float64).shape == (len(shares), 3)
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f"{what} must hold measures and lever use of this version for every episode, and does not")


def _stored_world(result: Mapping[str, Any]) -> Scenario | None:
    """The result's world, if this version plays it as it was."""
    try:
        about = result["scenario"]
        world = Scenario(**parse_toml(about["toml"], "scenario"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return world if world.hash == about["hash"] else None


def _stored_team(policies: Mapping[str, Any]) -> dict[str, Policy] | None:
    """The team as it was evaluated, of policies that can be known as such; a stranger's code is not run."""
    team: dict[str, Policy] = {}
    for role in ROLES:
        try:
            about = policies[role]
            spec = about["spec"]
            if not (spec in NAMED or spec.startswith(("constant:", PREFIX)) or Path(spec).is_dir()):
                return None
            team[role] = load_policy(spec, role)
            if (getattr(team[role], "digest", "") or None) != about.get("hash"):
                return None
        except (KeyError, TypeError, AttributeError, ValueError, OSError, ImportError):
            return None
    return team
