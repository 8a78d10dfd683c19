"""A comparison as a table for people and as one shape of JSON for machines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spiral_env.evaluation.comparison import Comparison, notes
from spiral_env.evaluation.rollout import EpisodeTable
from spiral_env.evaluation.scoring import Score, Scoring, score
from spiral_env.evaluation.statistics import Interval, bounded_interval, iqm, paired_difference, wilson_interval
from spiral_env.metrics import METRICS, bounds
from spiral_env.policy import Policy, StatusQuo
from spiral_env.provenance import versions
from spiral_env.roles import LEVERS, ROLES
from spiral_env.text import Table, one_line

__all__ = [
    "FORMAT",
    "SHOWN",
    "as_result",
    "as_text",
    "measure_interval",
    "policy_row",
    "rounded",
    "shown_digits",
    "span",
]

FORMAT = "spiral_env-evaluation"
VERSION = 2
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


def as_result(
    comparison: Comparison, command: str, options: Mapping[str, Any], *, scoring: Scoring | None = None, **more: Any
) -> dict[str, Any]:
    """All of a comparison: what was asked, world, versions, and per team every measure with its episodes.

    ``difference`` is paired, to the first team; ``score`` is that of ``scoring``. A team that failed has ``failed``,
    what a policy of it did wrong, and no measures. ``scoring`` spares scoring it anew; ``more`` is added as it is.
    """
    world = comparison.world
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": command,
        "options": dict(options),
        "scenario": {"id": world.id, "hash": world.hash, "toml": world.to_toml()},
        "versions": versions(),
        "seeds": comparison.seeds.tolist(),
        "score": (scoring or score(comparison)).as_result(),
        "teams": {name: _team(name, comparison) for name in comparison.teams},
        "notes": notes(comparison),
        **more,
    }


def _team(name: str, comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {"policies": {role: policy_row(comparison.teams[name][role]) for role in ROLES}}
    if name in comparison.failures:
        return {**row, "failed": comparison.failures[name]}
    table = comparison.tables[name]
    use = {role: {x.name: table.lever_use[role][k].tolist() for k, x in enumerate(LEVERS[role])} for role in ROLES}
    metrics = {metric: _measure(metric, table, comparison.first) for metric in METRICS}
    return {**row, "metrics": metrics, "lever_use": use}


def policy_row(policy: Policy) -> dict[str, Any]:
    """Name, hash of the files it was read from, and the world it was trained in."""
    digest, home = getattr(policy, "digest", ""), getattr(policy, "trained_in", None)
    return {"spec": str(policy.name), "hash": digest or None, **(home or {})}


def _measure(name: str, table: EpisodeTable, first: EpisodeTable | None) -> dict[str, Any]:
    values = table.metrics[name]
    found = measure_interval(name, values)
    row = {"unit": METRICS[name][0], "mean": found.mean, "interval95": [found.low, found.high], "iqm": iqm(values)}
    if first is not None and table is not first:
        gap = paired_difference(values, first.metrics[name])
        row["difference"] = {"mean": gap.mean, "interval95": [gap.low, gap.high]}
    return {**row, "episodes": values.tolist()}


def as_text(comparison: Comparison, *, everything: bool = False, scoring: Scoring | None = None) -> str:
    """Measures with a line a team, in 80 columns: mean, interval, paired difference to the first team; then scores."""
    seeds, world = comparison.seeds, comparison.world
    title = f"{world.id}: mean and 95 % interval over {len(seeds)} episodes, seeds {seeds[0]} to {seeds[-1]}"
    heads = ["measure", "team", "mean", "interval"]
    several = len(comparison.teams) > 1
    if several:
        title += ",\nthe same for every team; paired difference to team 1 with its interval"
        heads.append("difference")
    table = Table(heads)
    for name in METRICS if everything else SHOWN:
        for row in _rows(name, comparison, several):
            table.add_row(*row)
    found = scoring or score(comparison)
    failed = [f"team {comparison.number(name)} FAILED: {line}" for name, line in comparison.failures.items()]
    teams = [f"team {k}{_described(name, team)}" for k, (name, team) in enumerate(comparison.teams.items(), 1)]
    said = [_meaning(comparison)] if several and comparison.tables else []
    said += [f"note: {line}" for line in (*filter(None, [found.note]), *notes(comparison))]
    parts = ["\n".join([title, *_wrapped(teams), *_wrapped(failed)])]
    if comparison.tables:
        parts += [table.text(_WIDTH), _scores(found, comparison)]
    return "\n\n".join([*parts, *(["\n".join(_wrapped(said))] if said else [])])


def _meaning(comparison: Comparison) -> str:
    """Which team brings the ecosystem most, and whether the episodes tell it from the first (the first: the next)."""
    values = {name: table.metrics["ecosystem_value"] for name, table in comparison.tables.items()}
    best, *others = sorted(values, key=lambda name: -float(np.mean(values[name])))
    if not others:
        return "Only one team could be played to its end."
    first = next(iter(values))
    other = others[0] if best == first else first
    gap = paired_difference(values[best], values[other])
    digits = shown_digits([*gap])
    ahead = " ".join([rounded(gap.mean, digits, "+"), *filter(None, [span(gap, digits)])])
    told = "so it is better" if gap.low > 0.0 else "so these episodes do not tell them apart"
    one, two = comparison.number(best), comparison.number(other)
    return f"Most ecosystem value: team {one}, {ahead} k$ a month over team {two} on the same worlds, {told}."


def _scores(found: Scoring, comparison: Comparison) -> str:
    """A line a team: mean, interquartile mean, and how often it is better than the first team."""
    ends, unit = found.reference, METRICS[found.measure][0]
    title = f"score: {found.measure}, {unit}"
    if ends is not None:
        title = (
            f"score: {found.measure} from the average firm (0: {ends.zero:,.4g}) to {ends.best} (1: {ends.one:,.4g})"
        )
    digits = shown_digits([v for x in found.scores.values() for v in (*x.mean, *x.iqm)])
    heads = ("team", "mean", "interval", "IQM", "interval", "P(> team 1)", "interval")
    rows = [_score_row(comparison.number(name), x, digits) for name, x in found.scores.items()]
    wide = 7 if any(x.improvement for x in found.scores.values()) else 5
    table = Table(heads[:wide], [row[:wide] for row in rows])
    return "\n".join([*_wrapped([title]), table.text(_WIDTH)])


def _score_row(number: int, x: Score, digits: int | None) -> list[str]:
    row = [str(number)]
    for interval, places in ((x.mean, digits), (x.iqm, digits), (x.improvement, 2)):
        row += ["", ""] if interval is None else [rounded(interval.mean, places), span(interval, places)]
    return row


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
    first = comparison.first
    samples = {team: table.metrics[name] for team, table in comparison.tables.items()}
    found = {team: measure_interval(name, values) for team, values in samples.items()}
    gaps = {
        team: paired_difference(samples[team], first.metrics[name])
        for team, table in comparison.tables.items()
        if first is not None and table is not first
    }
    digits = shown_digits([x for interval in (*found.values(), *gaps.values()) for x in interval])
    unit = METRICS[name][0]
    labels = [name, "" if unit == "1" else f"  {unit}", *[""] * len(samples)]
    for label, (team, x) in zip(labels, found.items(), strict=False):
        row = [label, str(comparison.number(team)), rounded(x.mean, digits), span(x, digits)]
        gap = f"{rounded(gaps[team].mean, digits, '+')} {span(gaps[team], digits)}" if team in gaps else ""
        yield [*row, gap][: 5 if several else 4]
    if len(samples) == 1 and labels[1]:
        yield [labels[1], *[""] * (4 if several else 3)]


def shown_digits(values: list[float]) -> int | None:
    """Decimals that show about three digits of the largest value; None where it is better written as a power."""
    largest = max((abs(x) for x in values if math.isfinite(x)), default=0.0)
    if largest >= 1e6:
        return None
    if not 1e-4 < largest < 1e3:
        return 0 if largest >= 1e3 else 2
    return max(1, min(4, 2 - math.floor(math.log10(largest))))


def rounded(x: float, digits: int | None, sign: str = "") -> str:
    """With that many decimals."""
    return f"{x:{sign}.3e}" if digits is None else f"{x:{sign},.{digits}f}"


def span(x: Interval, digits: int | None) -> str:
    """An interval; nothing where one episode gives none."""
    return f"[{rounded(x.low, digits)}, {rounded(x.high, digits)}]" if math.isfinite(x.high - x.low) else ""
