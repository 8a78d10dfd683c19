"""Teams on the same episodes of a world, and what should be said beside their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.evaluation.rollout import EpisodeTable, run_episodes
from spiral_env.policy import Policy, PolicyError, StatusQuo
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.text import one_line

__all__ = ["Comparison", "compare", "notes"]


@dataclass(frozen=True)
class Comparison:
    """What teams showed on the same episodes.

    Attributes:
        world: as it was played, sizes that were asked for included.
        seeds: of the worlds, the same for every team, int64 ``[episodes]``.
        teams: name -> role -> policy; the first team is what others are compared with.
        tables: name -> episodes, of the teams that played to the end.
        failures: name -> what a policy of the team did wrong, of all others.
    """

    world: Scenario
    seeds: np.ndarray
    teams: Mapping[str, Mapping[str, Policy]]
    tables: Mapping[str, EpisodeTable]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def first(self) -> EpisodeTable | None:
        """Episodes of the team that others are compared with; None where it failed."""
        return self.tables.get(next(iter(self.teams)))

    def number(self, name: str) -> int:
        """Of a team, from 1."""
        return list(self.teams).index(name) + 1


def compare(
    scenario: str | Path | Scenario,
    teams: Mapping[str, Mapping[str, Policy]],
    episodes: int,
    seed: int = 0,
    *,
    progress: Callable[[int], None] | None = None,
    spread: Callable[[Callable[[Any], Any], list[Any]], list[Any]] | None = None,
    **options: Any,
) -> Comparison:
    """Every team on the same held-out seeds; a team one of whose policies fails takes nothing from the others.

    Args:
        scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
        teams: name -> role -> who plays it.
        episodes: how many each team plays.
        seed: which of the held-out seeds is the first.
        progress: told how many more episodes have been played.
        spread: as of ``run_episodes``.
        **options: the other options of ``run_episodes``.

    Raises:
        TypeError: what should play a role is no policy.
        ValueError: there is no team, or as in ``run_episodes``.
    """
    if not teams:
        raise ValueError("teams must hold at least one team")
    world = load_scenario(scenario)
    seeds = np.array(world.evaluation_seeds(seed, episodes), dtype=np.int64)
    tables: dict[str, EpisodeTable] = {}
    failures: dict[str, str] = {}
    for name, team in teams.items():
        try:
            tables[name] = run_episodes(world, team, episodes, seed, progress=progress, spread=spread, **options)
        except PolicyError as error:
            failures[name] = str(error)
    sizes = {name: options[name] for name in ("num_smes", "max_cycles") if options.get(name) is not None}
    return Comparison(world.model_copy(update=sizes), seeds, teams, tables, failures)


def notes(comparison: Comparison) -> list[str]:
    """Lines on policies that have not moved from their start, on teams that are one, and on worlds that differ."""
    return [*_unmoved(comparison), *_equal(comparison), *_from_elsewhere(comparison)]


def _unmoved(comparison: Comparison) -> Iterator[str]:
    """Of teams that did nothing else than the average firm, and of trained policies that did not."""
    for name in comparison.tables:
        number, team = comparison.number(name), comparison.teams[name]
        table = comparison.tables[name]
        others = [role for role in ROLES if not isinstance(team[role], StatusQuo)]
        trained = [role for role in others if _trained_in(team[role]) and _is_still(table, role)]
        still = [role for role in others if table.average_firm[role] or role in trained]
        if not still or (still != others and not trained):
            continue
        who = f"team {number} ({one_line(name, 60)})" + ("" if still == others else f": {' and '.join(trained)}")
        does = "what the average firm does"
        if any(not table.average_firm[role] for role in trained):
            does += ", as near as its levels come"
        start = ": the greedy policy has not moved from its start" if trained else ""
        yield f"{who} did in every episode {does}{start}"


def _is_still(table: EpisodeTable, role: str) -> bool:
    return table.average_firm[role] or table.nearest_levels[role]


def _equal(comparison: Comparison) -> Iterator[str]:
    """Pairs of teams of one behaviour; of those like the average firm more is said above."""
    tables = comparison.tables.items()
    acted = [(comparison.number(name), x) for name, x in tables if not all(x.average_firm.values())]
    for (a, one), (b, other) in combinations(acted, 2):
        if all(np.array_equal(x, other.metrics[name], equal_nan=True) for name, x in one.metrics.items()):
            yield f"teams {a} and {b} are the same in every episode"


def _from_elsewhere(comparison: Comparison) -> Iterator[str]:
    world = comparison.world
    for number, team in enumerate(comparison.teams.values(), 1):
        for name, policy in {str(policy.name): policy for policy in team.values()}.items():
            home = _trained_in(policy)
            if home and home["scenario_hash"] not in ("", world.hash):
                here = f"{world.id} ({world.hash})"
                there = f"{one_line(home['scenario'], 60)} ({one_line(home['scenario_hash'], 16)})"
                yield f"team {number}: {one_line(name, 60)} was trained in another world, {there}, than {here}"


def _trained_in(policy: Policy) -> dict[str, str] | None:
    """Name and hash of the world a policy was trained in; None for one that was not trained."""
    found: dict[str, str] | None = getattr(policy, "trained_in", None)
    return found
