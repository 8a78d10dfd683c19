"""A comparison as a table for people and as one shape of JSON for machines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spiral_env.evaluation.comparison import Comparison, notes
from spiral_env.evaluation.rollout import EpisodeTable
from spiral_env.evaluation.statistics import Interval, bounded_interval, iqm, paired_difference, wilson_interval
from spiral_env.metrics import METRICS, bounds
from spiral_env.policy import Policy, StatusQuo
from spiral_env.provenance import versions
from spiral_env.roles import LEVERS, ROLES
from spiral_env.text import Table, one_line

__all__ = ["FORMAT", "SHOWN", "as_result", "as_text", "measure_interval"]

FORMAT = "spiral_env-evaluation"
VERSION = 1
SHOWN = (
    "spiral_height",
    "ecosystem_value",
    "return_it",
    "return_business",
    "return_finance",
    "return_sme",
    "expected_loss",
    "platform_breaches",
    "sme_breaches",
    "sme_participation",
    "eps12",
    "trust",
    "collapse",
)
_WIDTH = 80


def measure_interval(name: str, values: np.ndarray) -> Interval:
    """Mean of a measure with a 95 % interval inside what the measure can be: Wilson's for 0 or 1, else Student's."""
    if METRICS[name][0] == "0 or 1":
        return wilson_interval(values)
    return bounded_interval(values, *bounds(name))


def as_result(comparison: Comparison, command: str, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """All of a comparison: what was asked, world, versions, and per team every measure with its episodes.

    ``difference`` is paired, to the first team. ``more`` is added as it is.
    """
    first = next(iter(comparison.tables.values()))
    world = comparison.world
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": command,
        "options": dict(options),
        "scenario": {"id": world.id, "hash": world.hash, "toml": world.to_toml()},
        "versions": versions(),
        "seeds": first.seeds.tolist(),
        "teams": {
            name: {
                "policies": {role: _policy(comparison.teams[name][role]) for role in ROLES},
                "metrics": {metric: _measure(metric, table, first) for metric in METRICS},
                "lever_use": {
                    role: {x.name: table.lever_use[role][k].tolist() for k, x in enumerate(LEVERS[role])}
                    for role in ROLES
                },
            }
            for name, table in comparison.tables.items()
        },
        "notes": notes(comparison),
        **more,
    }


def _policy(policy: Policy) -> dict[str, Any]:
    """Name, hash of the files it was read from, and the world it was trained in."""
    digest, home = getattr(policy, "digest", ""), getattr(policy, "trained_in", None)
    return {"spec": str(policy.name), "hash": digest or None, **(home or {})}


def _measure(name: str, table: EpisodeTable, first: EpisodeTable) -> dict[str, Any]:
    values = table.metrics[name]
    found = measure_interval(name, values)
    row = {"unit": METRICS[name][0], "mean": found.mean, "interval95": [found.low, found.high], "iqm": iqm(values)}
    if table is not first:
        gap = paired_difference(values, first.metrics[name])
        row["difference"] = {"mean": gap.mean, "interval95": [gap.low, gap.high]}
    return {**row, "episodes": values.tolist()}


def as_text(comparison: Comparison, *, everything: bool = False) -> str:
    """Measures with a line a team, in 80 columns: mean, interval, paired difference to the first team."""
    seeds = next(iter(comparison.tables.values())).seeds
    world = comparison.world
    title = f"{world.id}: mean and 95 % interval over {len(seeds)} episodes, seeds {seeds[0]} to {seeds[-1]}"
    heads = ["measure", "team", "mean", "interval"]
    several = len(comparison.tables) > 1
    if several:
        title += ",\nthe same for every team; paired difference to team 1 with its interval"
        heads.append("difference")
    table = Table(heads)
    for name in METRICS if everything else SHOWN:
        for row in _rows(name, comparison, several):
            table.add_row(*row)
    teams = [f"team {k}{_described(name, team)}" for k, (name, team) in enumerate(comparison.teams.items(), 1)]
    said = [f"note: {line}" for line in notes(comparison)]
    return "\n".join([title, *_wrapped(teams), "", table.text(_WIDTH), *_wrapped(said)])


def _wrapped(lines: list[str]) -> Iterator[str]:
    """Lines broken at spaces; a name that is longer stays whole."""
    for line in lines:
        yield textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _described(name: str, team: Mapping[str, Policy]) -> str:
    """The team's name, and the policy of all roles or those that are not the average firm's."""
    names = {role: one_line(team[role].name) for role in ROLES}
    if set(names.values()) == {one_line(name)}:
        return f": {one_line(name)}"
    if len(set(names.values())) == 1:
        return f", {one_line(name)}: {names[ROLES[0]]}"
    mixed = [f"{role} {policy}" for role, policy in names.items() if policy != StatusQuo.name]
    others = "; others the average firm" if len(mixed) < len(ROLES) else ""
    return f", {one_line(name)}: {', '.join(mixed)}{others}"


def _rows(name: str, comparison: Comparison, several: bool) -> Iterator[list[str]]:
    """A line a team; the measure's unit stands below its name."""
    samples = [table.metrics[name] for table in comparison.tables.values()]
    found = [measure_interval(name, values) for values in samples]
    gaps = [paired_difference(values, samples[0]) for values in samples]
    digits = _digits([x for interval in (*found, *gaps) for x in interval])
    unit = METRICS[name][0]
    labels = [name, "" if unit == "1" else f"  {unit}", *[""] * len(samples)]
    for k, (label, x, gap) in enumerate(zip(labels, found, gaps, strict=False)):
        row = [label, str(k + 1), _number(x.mean, digits), _range(x, digits)]
        yield [*row, f"{_number(gap.mean, digits, '+')} {_range(gap, digits)}" if k else ""][: 5 if several else 4]
    if len(samples) == 1 and labels[1]:
        yield [labels[1], *[""] * 3]


def _digits(values: list[float]) -> int | None:
    """Decimals that show about three digits of the largest value; None where it is better written as a power."""
    largest = max((abs(x) for x in values if math.isfinite(x)), default=0.0)
    if largest >= 1e6:
        return None
    if not 1e-4 < largest < 1e3:
        return 0 if largest >= 1e3 else 2
    return max(1, min(4, 2 - math.floor(math.log10(largest))))


def _number(x: float, digits: int | None, sign: str = "") -> str:
    return f"{x:{sign}.3e}" if digits is None else f"{x:{sign},.{digits}f}"


def _range(x: Interval, digits: int | None) -> str:
    """An interval; nothing where one episode gives none."""
    return f"[{_number(x.low, digits)}, {_number(x.high, digits)}]" if math.isfinite(x.high - x.low) else ""
