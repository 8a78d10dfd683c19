"""Several teams side by side: a table for people, a dictionary for machines."""

from __future__ import annotations

from typing import Any

from spiral_env.evaluation.rollout import EpisodeTable
from spiral_env.evaluation.statistics import iqm, mean_interval, paired_difference
from spiral_env.metrics import METRICS
from spiral_env.roles import LEVERS, ROLES
from spiral_env.text import Table

__all__ = ["HEADLINES", "as_dict", "as_table"]

HEADLINES = (
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


def as_dict(tables: dict[str, EpisodeTable]) -> dict[str, Any]:
    """Every measure of every team: mean, 95 % interval, interquartile mean, difference to the first team."""
    first = next(iter(tables.values()))
    out: dict[str, Any] = {}
    for team, table in tables.items():
        rows = {}
        for name, values in table.metrics.items():
            interval, gap = mean_interval(values), paired_difference(values, first.metrics[name])
            rows[name] = {
                "unit": METRICS[name][0],
                "mean": interval.mean,
                "interval95": [interval.low, interval.high],
                "iqm": iqm(values),
                "difference_to_first": gap.mean,
                "difference_interval95": [gap.low, gap.high],
            }
        out[team] = {
            "policies": table.names,
            "episodes": len(table.seeds),
            "first_seed": int(table.seeds[0]),
            "metrics": rows,
            "lever_use": {
                role: {x.name: table.lever_use[role][k].tolist() for k, x in enumerate(LEVERS[role])} for role in ROLES
            },
        }
    return out


def as_table(tables: dict[str, EpisodeTable], *, everything: bool = False) -> Table:
    """One column per team, one row per measure, mean and 95 % interval."""
    episodes = len(next(iter(tables.values())).seeds)
    out = Table(["measure", "unit", *tables], title=f"mean [95 % interval] over {episodes} paired episodes")
    for name in METRICS if everything else HEADLINES:
        cells = []
        for table in tables.values():
            x = mean_interval(table.metrics[name])
            cells.append(f"{x.mean:,.2f} [{x.low:,.2f}, {x.high:,.2f}]")
        out.add_row(name, METRICS[name][0], *cells)
    return out
