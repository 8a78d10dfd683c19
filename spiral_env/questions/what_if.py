"""What a change does: the same luck with and without it, behaviour held as it is and agents that adapt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.evaluation.report import measure_interval
from spiral_env.evaluation.statistics import Interval, paired_difference
from spiral_env.metrics import METRICS
from spiral_env.provenance import versions
from spiral_env.questions import books
from spiral_env.questions.adaptation import Adaptation, adapt
from spiral_env.questions.changes import Change
from spiral_env.questions.sentences import sentences, sign
from spiral_env.questions.side_by_side import Played, play_worlds
from spiral_env.questions.teams import HEIGHT, VALUE, altered, team
from spiral_env.scenarios import Scenario

__all__ = ["FORMAT", "MEASURES", "Question", "answer"]

FORMAT = "spiral_env-what-if"
VERSION = 1
MEASURES = (
    *(VALUE, HEIGHT, "sme_participation", "trust", "expected_loss", "privacy_incidents", "greenwash_gap"),
    *("sme_growth", "sme_closures", "gini", "collapse"),
)


@dataclass(frozen=True)
class Question:
    """What is asked of whom.

    Attributes:
        world: as it is.
        changes: worlds in which something is otherwise.
        spec: the team, as ``--team`` names it.
        episodes: held-out episodes, the same for every world.
        seed: which of them is the first.
        measures: outcome measures that are reported.
        adapt: how agents adapt; None for fixed behaviour alone.
    """

    world: Scenario
    changes: Sequence[Change]
    spec: str
    episodes: int = 200
    seed: int = 0
    measures: Sequence[str] = MEASURES
    adapt: Adaptation | None = None

    @property
    def worlds(self) -> list[Scenario]:
        """The world as it is, then each changed one."""
        return [self.world, *(altered(self.world, x.params) for x in self.changes)]

    @property
    def work(self) -> int:
        """Episodes that are played in all."""
        teams = 1 if self.adapt is None else 1 + self.adapt.seeds
        return teams * self.episodes * len(self.worlds)


def answer(
    question: Question,
    folder: Path | None = None,
    *,
    played: Callable[[int], None] | None = None,
    trained: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """What every change does, as plain data (``spiral what-if --json``).

    Args:
        question: what is asked.
        folder: where the runs of agents that adapt are kept; needed if they do.
        played: told how many more episodes have been played.
        trained: told of each training that ended.

    Raises:
        ValueError: a measure is unknown, the team cannot be trained on, or as of ``play_worlds``.
    """
    unknown = next((x for x in question.measures if x not in METRICS), None)
    if unknown is not None:
        raise ValueError(f"measure must be one of {', '.join(METRICS)}, got {unknown!r}")
    worlds = question.worlds
    fixed = play_worlds(worlds, team(question.spec), question.episodes, question.seed, progress=played)
    ways = {"fixed": [fixed]}
    if question.adapt is not None:
        assert folder is not None
        ways["adapted"] = _adapted(question, worlds, folder, played, trained)
    seeds = question.world.evaluation_seeds(question.seed, question.episodes)
    return {
        "format": FORMAT,
        "version": VERSION,
        "scenario": {"id": question.world.id, "hash": question.world.hash, "toml": question.world.to_toml()},
        "versions": versions(),
        "team": question.spec,
        "adaptation": None if question.adapt is None else _plain(question.adapt),
        "seeds": [seeds[0], seeds[-1]],
        "episodes": question.episodes,
        "units": {name: METRICS[name][0] for name in question.measures},
        "base": {way: _means(_world(_mean(x), 0), question.measures) for way, x in ways.items()},
        "changes": [_changed(question, k, ways) for k in range(len(question.changes))],
    }


def _plain(how: Adaptation) -> dict[str, Any]:
    return {"algo": how.algo, "timesteps": how.timesteps, "seeds": how.seeds, "overrides": dict(how.overrides)}


def _adapted(
    question: Question,
    worlds: list[Scenario],
    folder: Path,
    played: Callable[[int], None] | None,
    trained: Callable[[int], None] | None,
) -> list[Played]:
    """What the adapted teams show, each in the world it adapted to: a ``Played`` of all worlds for each seed."""
    assert question.adapt is not None
    folders = adapt(question.spec, worlds, question.adapt, folder, trained)
    out = []
    for k in range(question.adapt.seeds):
        of_worlds = [
            play_worlds([world], team(folders[n][k]), question.episodes, question.seed, progress=played)
            for n, world in enumerate(worlds)
        ]
        out.append(_joined(of_worlds))
    return out


def _joined(parts: Sequence[Played]) -> Played:
    metrics = {name: np.concatenate([x.metrics[name] for x in parts]) for name in parts[0].metrics}
    return Played(metrics, *(np.concatenate([getattr(x, n) for x in parts]) for n in ("flows", "payoffs", "sizes")))


def _mean(parts: Sequence[Played]) -> Played:
    """Each episode averaged over training seeds."""
    metrics = {name: np.mean([x.metrics[name] for x in parts], axis=0) for name in parts[0].metrics}
    return Played(metrics, *(np.mean([getattr(x, n) for x in parts], axis=0) for n in ("flows", "payoffs", "sizes")))


def _world(of_all: Played, k: int) -> Played:
    """Of the k-th world alone, ``[1, E, ...]``."""
    at = slice(k, k + 1)
    metrics = {name: x[at] for name, x in of_all.metrics.items()}
    return Played(metrics, of_all.flows[at], of_all.payoffs[at], of_all.sizes[at])


def _means(one: Played, measures: Sequence[str]) -> dict[str, Interval]:
    return {name: measure_interval(name, one.metrics[name][0]) for name in measures}


def _changed(question: Question, k: int, ways: Mapping[str, list[Played]]) -> dict[str, Any]:
    """All that is said of the k-th change."""
    change = question.changes[k]
    told = {way: _effect(seeds, k + 1, question.measures) for way, seeds in ways.items()}
    data = {
        "name": change.name,
        "params": dict(change.params),
        "before": {name: question.world.value(name) for name in change.params},
        "hash": altered(question.world, change.params).hash,
        "ways": told,
    }
    return data | {"sentences": sentences(data)}


def _effect(seeds: list[Played], k: int, measures: Sequence[str]) -> dict[str, Any]:
    """Paired change of the k-th world against the first."""
    mean = _mean(seeds) if len(seeds) > 1 else seeds[0]
    before, after = _world(mean, 0), _world(mean, k)
    found = _means(after, measures)
    rows = {}
    for name in measures:
        gap = paired_difference(after.metrics[name][0], before.metrics[name][0])
        row: dict[str, Any] = {"mean": found[name], "difference": gap, "sign": sign(gap).value}
        if len(seeds) > 1:
            row["by_seed"] = [float((x.metrics[name][k] - x.metrics[name][0]).mean()) for x in seeds]
        rows[name] = row
    return {
        "measures": rows,
        "accounts": books.accounts(before, after),
        "purposes": books.purposes(before, after),
        "roles": books.roles(before, after),
        "smes": books.smes(before, after),
    }
