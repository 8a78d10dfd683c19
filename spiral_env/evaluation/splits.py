"""Generalisation in the way of Melting Pot: worlds and co-players that were met in training, and such that were not.

A cell is a world and a background team; who is judged takes one role of it, or several, and is held against the average
firm in the same place on the same episodes. Its score is that difference over what the best known team of the world
gains over the average firm: 0 is no better than the average firm there, 1 as much as the best known team brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spiral_env.evaluation.aggregates import mean_of_strata, pooled_iqm, stratified_bootstrap
from spiral_env.evaluation.rollout import run_episodes
from spiral_env.evaluation.scoring import find_reference
from spiral_env.evaluation.statistics import Interval
from spiral_env.policy import Policy, PolicyError, StatusQuo
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.references import MEASURE, Reference

__all__ = ["ITSELF", "KINDS", "UNSEEN", "Cell", "Generalisation", "Judge", "cells_of"]

KINDS = ("seen", "held_out")
ITSELF = "itself"
"""Kind of partners of a whole team: nobody else plays."""
UNSEEN = (
    *("procedural-v1", "log4shell-v1", "credit-crunch-v1", "fragmented-v1", "greenwash-boom-v1"),
    *("sme-boom-v1", "strict-privacy-v1"),
)
"""Worlds that no one who is judged may have trained in; of the procedural one its held-out seeds."""
_SPLIT = {"seen": "train", "held_out": "held_out"}
"""Kind of world -> the seeds that are played."""


@dataclass(frozen=True)
class Cell:
    """Where one is judged.

    Attributes:
        world: of the episodes.
        kind: of the world, one of ``KINDS``.
        partners: role -> name of its policy, of the background team.
        partner_kind: of it, one of ``KINDS`` or ``ITSELF``.
        focal: roles that who is judged plays.
    """

    world: Scenario
    kind: str
    partners: Mapping[str, str]
    partner_kind: str
    focal: tuple[str, ...]

    @property
    def name(self) -> str:
        """All of it in a line."""
        others = ", ".join(f"{role} {self.partners[role]}" for role in ROLES if role not in self.focal)
        seeds = _SPLIT[self.kind].replace("_", "-")
        return f"{'+'.join(self.focal)} in {self.world.id} ({seeds} seeds) with {others or 'itself'}"


@dataclass(frozen=True)
class Generalisation:
    """How one did in all cells.

    Attributes:
        scores: a cell's episodes ``[n]`` each, in the order of the cells; empty where it failed.
        cells: where.
        normalised: whether scores are on the scale of the best known; else in the measure's own unit.
        notes: lines on what is not as it should be.
        failure: what it did wrong; empty where nothing.
    """

    cells: Sequence[Cell]
    scores: Sequence[np.ndarray]
    normalised: bool
    notes: Sequence[str] = field(default_factory=tuple)
    failure: str = ""

    def strata(self, kind: str, partner_kind: str) -> list[np.ndarray]:
        """Scores of the cells of one kind."""
        found = zip(self.cells, self.scores, strict=True)
        return [x for cell, x in found if (cell.kind, cell.partner_kind) == (kind, partner_kind)]

    def quadrants(self) -> dict[str, dict[str, Any]]:
        """Kind of world x kind of partners -> number of cells, mean and interquartile mean with intervals."""
        found = {}
        for kind in KINDS:
            for partner_kind in (*KINDS, ITSELF):
                strata = self.strata(kind, partner_kind)
                if not strata:
                    continue
                mean, middle = (stratified_bootstrap(f, strata) for f in (mean_of_strata, pooled_iqm))
                with_whom = ITSELF if partner_kind == ITSELF else f"{partner_kind} partners"
                found[f"{kind} worlds, {with_whom}".replace("_", "-")] = {
                    "cells": len(strata),
                    "episodes": sum(map(len, strata)),
                    **{"mean": mean.mean, "interval95": list(mean[1:])},
                    **{"iqm": middle.mean, "iqm_interval95": list(middle[1:])},
                }
        return found

    def gaps(self) -> dict[str, Interval]:
        """What is lost from seen to held-out: mean of cells, with the interval of a bootstrap within cells."""
        found = {name: [self.strata(*kinds) for kinds in pair] for name, pair in _GAPS.items()}
        return {name: stratified_bootstrap(_gap, *pair) for name, pair in found.items() if all(pair)}

    def as_result(self) -> dict[str, Any]:
        """As JSON."""
        if self.failure:
            return {"failed": self.failure}
        rows = [
            {"cell": cell.name, "hash": cell.world.hash, "mean": float(x.mean()), "episodes": x.tolist()}
            for cell, x in zip(self.cells, self.scores, strict=True)
        ]
        gaps = {name: {"mean": x.mean, "interval95": list(x[1:])} for name, x in self.gaps().items()}
        return {"quadrants": self.quadrants(), "gaps": gaps, "cells": rows}


_GAPS = {
    "worlds": (("seen", "seen"), ("held_out", "seen")),
    "partners": (("seen", "seen"), ("seen", "held_out")),
    "both": (("seen", "seen"), ("held_out", "held_out")),
    "worlds, with itself": (("seen", ITSELF), ("held_out", ITSELF)),
}
"""Gap -> kinds of worlds and partners between which it is."""


def _gap(seen: list[np.ndarray], held_out: list[np.ndarray]) -> float:
    return mean_of_strata(seen) - mean_of_strata(held_out)


def cells_of(
    scenario: str | Scenario,
    focal: Iterable[tuple[str, ...]],
    background: Mapping[str, Sequence[Mapping[str, str]]],
    unseen: Sequence[str | Scenario] | None = None,
) -> list[Cell]:
    """Training seeds of ``scenario`` and held-out seeds of ``unseen``, each with every background team.

    Args:
        scenario: that one may have trained in.
        focal: sets of roles that who is judged plays, one after the other; of all roles, its partner is itself.
        background: kind -> teams, role -> name of a policy.
        unseen: worlds of held-out cells; None for ``UNSEEN``.
    """
    seen = load_scenario(scenario)
    worlds = [(seen, "seen"), *((load_scenario(x), "held_out") for x in (UNSEEN if unseen is None else unseen))]
    alone: Mapping[str, Sequence[Mapping[str, str]]] = {ITSELF: [{}]}
    return [
        Cell(world, kind, team, partner_kind, roles)
        for roles in focal
        for world, kind in worlds
        for partner_kind, teams in (alone if len(roles) == len(ROLES) else background).items()
        for team in teams
    ]


class Judge:
    """Plays cells; what the average firm does in one is played once for all who are judged.

    Attributes:
        episodes: of a cell.
        seed: first of them.
    """

    def __init__(self, episodes: int, load: Callable[[str, str], Policy], seed: int = 0) -> None:
        """Of ``episodes`` a cell; ``load`` gives a partner's policy for its name and role."""
        self.episodes, self.seed, self._load = episodes, seed, load
        self._usual: dict[tuple[str, str], np.ndarray] = {}
        self._ends: dict[str, tuple[Reference | None, str]] = {}

    def judge(
        self, team: Mapping[str, Policy], cells: Sequence[Cell], progress: Callable[[int], None] | None = None
    ) -> Generalisation:
        """How a team, of which each cell takes the focal roles, does; ``progress`` is told episodes."""
        scores: list[np.ndarray] = []
        verified: set[tuple[str, ...]] = set()
        try:
            for cell in cells:
                values = self._play(cell, team, verified=cell.focal not in verified)
                verified.add(cell.focal)
                scores.append(values - self._average_firm(cell))
                if progress is not None:
                    progress(self.episodes)
        except PolicyError as error:
            return Generalisation(cells, (), False, (), str(error))
        ends = [self._reference(cell.world) for cell in cells]
        notes = tuple(dict.fromkeys(note for _, note in ends if note))
        references = [x for x, _ in ends if x is not None]
        if not notes:
            scores = [x / (end.one - end.zero) for x, end in zip(scores, references, strict=True)]
        return Generalisation(cells, scores, not notes, notes)

    def _average_firm(self, cell: Cell) -> np.ndarray:
        key = (cell.name, cell.world.hash)
        if key not in self._usual:
            usual = {role: StatusQuo(role) for role in ROLES}
            self._usual[key] = self._play(cell, usual, verified=False)
        return self._usual[key]

    def _reference(self, world: Scenario) -> tuple[Reference | None, str]:
        if world.hash not in self._ends:
            self._ends[world.hash] = find_reference(world)
        return self._ends[world.hash]

    def _play(self, cell: Cell, team: Mapping[str, Policy], verified: bool) -> np.ndarray:
        players = {role: team[role] if role in cell.focal else self._load(cell.partners[role], role) for role in ROLES}
        split = _SPLIT[cell.kind]
        table = run_episodes(cell.world, players, self.episodes, self.seed, split=split, verified=verified)
        return table.metrics[MEASURE]
