"""Teams on the same episodes of a world, and what should be said beside their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.evaluation.rollout import EpisodeTable, run_episodes
from spiral_env.policy import Policy, StatusQuo
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.text import one_line

__all__ = ["Comparison", "compare", "notes"]


@dataclass(frozen=True)
class Comparison:
    """What teams showed on the same episodes.

    Attributes:
        world: as it was played, sizes that were asked for included.
        teams: name -> role -> policy; the first team is what others are compared with.
        tables: name -> episodes.
    """

    world: Scenario
    teams: Mapping[str, Mapping[str, Policy]]
    tables: Mapping[str, EpisodeTable]


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
    """Every team on the same held-out seeds.

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
    tables = {
        name: run_episodes(world, team, episodes, seed, progress=progress, spread=spread, **options)
        for name, team in teams.items()
    }
    sizes = {name: options[name] for name in ("num_smes", "max_cycles") if options.get(name) is not None}
    return Comparison(world.model_copy(update=sizes), teams, tables)


def notes(comparison: Comparison) -> list[str]:
    """Lines on policies that have not moved from their start, on teams that are one, and on worlds that differ."""
    return [*_unmoved(comparison), *_equal(comparison), *_from_elsewhere(comparison)]


def _unmoved(comparison: Comparison) -> Iterator[str]:
    """Of teams that did nothing else than the average firm, and of trained policies that did not."""
    for number, (name, team) in enumerate(comparison.teams.items(), 1):
        others = [role for role in ROLES if not isinstance(team[role], StatusQuo)]
        still = [role for role in others if comparison.tables[name].average_firm[role]]
        trained = [role for role in still if _trained_in(team[role]) is not None]
        if (not trained and still != others) or not still:
            continue
        who = f"team {number} ({one_line(name, 60)})" + ("" if still == others else f": {' and '.join(trained)}")
        start = ": the greedy policy has not moved from its start" if trained else ""
        yield f"{who} did in every episode what the average firm does{start}"


def _equal(comparison: Comparison) -> Iterator[str]:
    """Pairs of teams of one behaviour; of those like the average firm more is said above."""
    acted = [(k, x) for k, x in enumerate(comparison.tables.values(), 1) if not all(x.average_firm.values())]
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
