"""The leaderboard: every entry on every board, cell by cell, each kept on disk as soon as it is played."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.checks import check_count, shown
from spiral_env.evaluation.rollout import run_episodes
from spiral_env.evaluation.scoring import find_reference
from spiral_env.evaluation.splits import Cell, Judge, cells_of
from spiral_env.files import as_json_text, parse_json, parse_toml, read_file, write_atomically
from spiral_env.policy import Policy, PolicyError
from spiral_env.provenance import versions
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.references import MEASURE

__all__ = ["HELD_OUT", "Board", "Outcome", "Settings", "boards_of", "play_boards", "read_settings"]

_PACKAGE = Path(str(resources.files("spiral_env")))
_SETTINGS = _PACKAGE / "evaluation" / "leaderboard.toml"
_LARGEST = 2**26
_WAVE = 4
"""Cells that are handed out together: what is lost at most when the work is ended."""
_ASIDE = ("commands", "render", "questions", "adapters", "training", "data")
"""Parts of the package that do not play."""
HELD_OUT = "held-out"
"""Name of the board of unseen worlds and partners."""
Team = Mapping[str, Policy]
Load = Callable[[str, str], Policy]


@dataclass(frozen=True)
class Settings:
    """What is played.

    Attributes:
        scenarios: ids or files of worlds that have a board each.
        episodes: of each entry on such a board.
        unseen: worlds of the held-out board; none for no such board.
        cell_episodes: of each of its cells.
        entries: name -> team as text.
        named: every named baseline is an entry.
        zoo: every team of the zoo is one.
    """

    scenarios: tuple[str, ...]
    episodes: int
    unseen: tuple[str, ...] = ()
    cell_episodes: int = 10
    entries: Mapping[str, str] = field(default_factory=dict)
    named: bool = False
    zoo: bool = False

    def __post_init__(self) -> None:
        """Check everything.

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is not allowed.
        """
        for name in ("episodes", "cell_episodes"):
            check_count(name, getattr(self, name), 2, 2**20)
        for name in ("scenarios", "unseen"):
            worlds = getattr(self, name)
            if not isinstance(worlds, list | tuple) or not all(isinstance(x, str) for x in worlds):
                raise TypeError(f"{name} must be a list of scenarios, got {shown(worlds)}")
            object.__setattr__(self, name, tuple(worlds))
        if not isinstance(self.entries, Mapping) or not all(isinstance(x, str) for x in self.entries.values()):
            raise TypeError(f"entries must be names with a team as text, got {shown(self.entries)}")
        if not self.scenarios and not self.unseen:
            raise ValueError("settings must name a world in scenarios or unseen")


def read_settings(file: Path | None = None) -> Settings:
    """Of a TOML file; the package's own unless one is named.

    Raises:
        ValueError: it cannot be used, in one line.
    """
    what = f"settings {_SETTINGS.name if file is None else file}"
    table = parse_toml(read_file(_SETTINGS if file is None else file, _LARGEST, "settings"), what)
    return settings_of(table, what)


def settings_of(table: Mapping[str, Any], what: str = "settings") -> Settings:
    """From a table.

    Raises:
        ValueError: it cannot be used, in one line.
    """
    known = [x.name for x in fields(Settings)]
    for name in table:
        if name not in known:
            raise ValueError(f"{what} must name {', '.join(known)}, got {shown(name)}")
    for name in ("scenarios", "episodes"):
        if name not in table:
            raise ValueError(f"{what} must name {name}")
    try:
        return Settings(**table)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None


@dataclass(frozen=True)
class Board:
    """Where entries are scored.

    Attributes:
        name: of the board.
        world: of a board of one world.
        cells: of the held-out board.
        partners: of the held-out board's cells, as JSON tells them.
        judge: that plays these.
        episodes: of the world, or of each cell.
    """

    name: str
    world: Scenario | None
    episodes: int
    cells: Sequence[Cell] = ()
    partners: Sequence[str] = ()
    judge: Judge | None = None

    @property
    def size(self) -> int:
        """Episodes of an entry."""
        return self.episodes * max(1, len(self.cells))

    @property
    def parts(self) -> list[int]:
        """Which part of the board each stratum of an outcome belongs to: cells in which the same roles are played."""
        sets = list(dict.fromkeys(cell.focal for cell in self.cells))
        return [sets.index(cell.focal) for cell in self.cells] or [0]

    @cached_property
    def described(self) -> dict[str, Any]:
        """All that decides what an entry meets here."""
        worlds = [self.world] if self.world is not None else [cell.world for cell in self.cells]
        hashes = {world.id: world.hash for world in {id(world): world for world in worlds}.values()}
        told = [[hashes[world.id] for world in worlds], *self.partners]
        return {
            "name": self.name,
            "worlds": list(hashes),
            "hash": hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16],
            "cells": len(self.cells),
            "episodes": self.episodes,
        }

    def play(self, team: Team) -> Outcome:
        """Score a team; a policy that fails is told in the outcome."""
        try:
            return self._judged(team) if self.judge is not None else self._evaluated(team)
        except PolicyError as error:
            return Outcome(failure=str(error))

    def _evaluated(self, team: Team) -> Outcome:
        assert self.world is not None
        values = run_episodes(self.world, team, self.episodes).metrics[MEASURE]
        reference, note = find_reference(self.world)
        scores = values if reference is None else reference.normalised(values)
        return Outcome([scores.tolist()], values.tolist(), [note] if note else [])

    def _judged(self, team: Team) -> Outcome:
        assert self.judge is not None
        found = self.judge.judge(team, self.cells)
        return Outcome([x.tolist() for x in found.scores], [], list(found.notes), found.failure)


@dataclass(frozen=True)
class Outcome:
    """How an entry did on a board.

    Attributes:
        scores: of the episodes, a list a stratum: one a world, or one a cell of the held-out board.
        values: ecosystem value of every episode, k$ a month, on a board of one world.
        notes: why scores are not normalised; none where they are.
        failure: what a policy did wrong; empty where nothing.
    """

    scores: list[list[float]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def strata(self) -> list[np.ndarray]:
        """Scores as arrays."""
        return [np.array(x) for x in self.scores]


def boards_of(settings: Settings, partners: Sequence[Mapping[str, str]], load: Load) -> list[Board]:
    """Boards, in their order.

    Args:
        settings: of the leaderboard.
        partners: teams that nobody met in training, role -> policy by name.
        load: name and role -> policy of a partner.
    """
    boards = [Board(world.id, world, settings.episodes) for world in map(load_scenario, settings.scenarios)]
    if settings.unseen:
        focal = [*((role,) for role in ROLES), ROLES]
        every = cells_of(settings.unseen[0], focal, {"seen": [], "held_out": partners}, settings.unseen)
        cells = [cell for cell in every if cell.kind == "held_out"]
        judge = Judge(settings.cell_episodes, load)
        boards.append(Board(HELD_OUT, None, settings.cell_episodes, cells, _partner_lines(cells, load), judge))
    return boards


def _partner_lines(cells: Sequence[Cell], load: Load) -> list[str]:
    """Each cell with the files of its partners."""
    pairs = {(role, cell.partners[role]) for cell in cells for role in ROLES if role not in cell.focal}
    digests = {pair: str(getattr(load(pair[1], pair[0]), "digest", "")) for pair in sorted(pairs)}
    return [
        " ".join([cell.name, *(digests[role, cell.partners[role]] for role in ROLES if role not in cell.focal)])
        for cell in cells
    ]


@dataclass(frozen=True)
class _Job:
    board: Board
    entry: str
    team: Team


def _played(job: _Job) -> Outcome:
    return job.board.play(job.team)


def play_boards(
    boards: Sequence[Board],
    entries: Mapping[str, Team],
    folder: Path,
    *,
    fresh: bool = False,
    progress: Callable[[int, str], None] = lambda count, note: None,
    spread: Callable[[Callable[[Any], Any], list[Any]], list[Any]] | None = None,
) -> dict[str, dict[str, Outcome]]:
    """Board -> entry -> how it did.

    What an entry does takes nothing from the others. A cell that was played before, in the same world by the same
    files and code, is read from ``folder``; one that failed is played again.

    Args:
        boards: where.
        entries: name -> team.
        folder: in which every cell is kept as soon as it is played.
        fresh: play all of them again.
        progress: told how many more episodes are done, and of which board and entry.
        spread: ``spread(function, jobs)`` plays cells elsewhere, as ``spiral_env.training.cluster.fan_out`` does.
    """
    found: dict[str, dict[str, Outcome]] = {board.name: {} for board in boards}
    jobs = []
    for board in boards:
        for entry, team in entries.items():
            kept = None if fresh else _read(folder, _key(board, team))
            if kept is None:
                jobs.append(_Job(board, entry, team))
            else:
                found[board.name][entry] = kept
                progress(board.size, "")
    for wave in _waves(jobs, 1 if spread is None else _WAVE):
        progress(0, f"{wave[0].board.name}: {wave[0].entry}")
        outcomes = [_played(job) for job in wave] if spread is None else spread(_played, wave)
        for job, outcome in zip(wave, outcomes, strict=True):
            found[job.board.name][job.entry] = outcome
            _keep(folder, _key(job.board, job.team), job, outcome)
            progress(job.board.size, f"{job.board.name}: {job.entry}")
    return found


def _waves(jobs: Sequence[_Job], size: int) -> Iterator[list[_Job]]:
    for start in range(0, len(jobs), size):
        yield list(jobs[start : start + size])


def _key(board: Board, team: Team) -> str:
    """Of a cell: what is met, who plays and what computes it; empty where a policy's files are not known."""
    players = []
    for role in ROLES:
        digest = getattr(team[role], "digest", None)
        if digest == "":
            return ""
        players.append([role, str(team[role].name), digest])
    told = [board.described, players, _code(), {k: v for k, v in versions().items() if k != "commit"}]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Hash of all files of the package that have a part in a score."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        part = path.relative_to(_PACKAGE)
        if path.is_file() and part.parts[0] not in _ASIDE and "__pycache__" not in part.parts:
            digest.update(part.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _read(folder: Path, key: str) -> Outcome | None:
    """What is kept of a cell; None where nothing is, or nothing that can be read."""
    file = folder / f"{key}.json"
    if not key or not file.is_file():
        return None
    try:
        return Outcome(**parse_json(read_file(file, _LARGEST, "cell"), f"cell {file}")["outcome"])
    except (ValueError, TypeError, KeyError):
        return None


def _keep(folder: Path, key: str, job: _Job, outcome: Outcome) -> None:
    if not key or outcome.failure:
        return
    folder.mkdir(parents=True, exist_ok=True)
    told = {"board": job.board.described, "entry": job.entry, "outcome": asdict(outcome)}
    write_atomically(folder / f"{key}.json", as_json_text(told) + "\n")
