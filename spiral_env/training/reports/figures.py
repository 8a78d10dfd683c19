"""Pictures for papers: colours that the colour-blind tell apart (and markers or dashes beside them), units on axes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from spiral_env.evaluation.statistics import Interval, mean_interval
from spiral_env.metrics import METRICS
from spiral_env.roles import LEVERS, ROLES
from spiral_env.text import spoken

__all__ = [
    "CURVES",
    "Curve",
    "as_bytes",
    "learning_curve",
    "lever_course",
    "lever_use",
    "loss_exceedance",
    "outcome_intervals",
    "search",
]

CURVES = {"ecosystem_value": "ecosystem value, k$ a month", "spiral_height": "spiral height, levels"}
"""Measures whose course in training is drawn, with what their axis says."""
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's, which people with any colour vision tell apart."""
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 2, 1, 2)))
_MARKERS = "osD^vP*X"
_REFERENCES = {"uniform": "#999999", "status_quo": "#e69f00", "scripted": "#0072b2"}
_NAMES = {"status_quo": "average firm"}
_THIRDS = ("#d0d7de", "#7aa6c2", "#1f4e79")
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "spiral_env", "pdf.fonttype": 42, "font.size": 9}
"""Text stays text, and the same numbers give the same file."""


@dataclass(frozen=True)
class Curve:
    """How training went, over seeds.

    Attributes:
        label: what was trained.
        steps: agent-steps lived, float64 ``[P]``.
        measures: name of ``CURVES`` -> float64 ``[seeds, P]``.
        faint: whether it is drawn behind the others, without a name.
    """

    label: str
    steps: np.ndarray
    measures: Mapping[str, np.ndarray]
    faint: bool = False


def as_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as a file of ``kind``: pdf, svg or png."""
    drawn = io.BytesIO()
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with matplotlib.rc_context(_STYLE):
        figure.savefig(drawn, dpi=160, format=kind, metadata=undated)
    return drawn.getvalue()


def _figure(width: float, height: float) -> Figure:
    with matplotlib.rc_context(_STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def shown_name(team: str) -> str:
    """What a team is called in a picture."""
    return _NAMES.get(team, team)


def learning_curve(curves: Sequence[Curve], references: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Every curve's mean with its 95 % interval over seeds, beside what teams reach that do not learn.

    Args:
        curves: one a thing trained; of a single seed there is no interval.
        references: team -> measure -> mean, drawn as dashed lines.
        title: above all.
    """
    figure = _figure(9.5, 3.9)
    axes = figure.subplots(1, len(CURVES))
    for axis, (name, label) in zip(axes, CURVES.items(), strict=True):
        looks = cycle(zip(COLOURS[: len(_DASHES)], _DASHES, strict=True))
        for curve in sorted(curves, key=lambda x: not x.faint):
            _draw_curve(axis, curve, name, *(("#b0b0b0", "-") if curve.faint else next(looks)))
        for team, means in references.items():
            colour = _REFERENCES.get(team, COLOURS[-1])
            axis.axhline(means[name], color=colour, linestyle="--", linewidth=1.1, label=shown_name(team), zorder=1)
        axis.set_xlabel("agent-steps lived, millions")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_curve(axis: Axes, curve: Curve, name: str, colour: str, dashes: Any) -> None:
    values, millions = curve.measures[name], curve.steps / 1e6
    seeds = len(values)
    label = curve.label if seeds == 1 else f"{curve.label}, {seeds} seeds"
    width, order = (0.8, 2) if curve.faint else (1.8, 4)
    axis.plot(
        millions, values.mean(0), color=colour, linestyle=dashes, linewidth=width, zorder=order,
        label="_" if curve.faint else label,
    )  # fmt: skip
    if seeds > 1:
        band = [mean_interval(column) for column in values.T]
        axis.fill_between(millions, [x.low for x in band], [x.high for x in band], color=colour, alpha=0.2, zorder=3)


def outcome_intervals(outcomes: Mapping[str, Mapping[str, Interval]], measures: Sequence[str], title: str) -> Figure:
    """Means with 95 % intervals of every team, a panel a measure.

    Args:
        outcomes: team -> measure -> mean and interval.
        measures: which are drawn.
        title: above all.
    """
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    figure = _figure(9.5, 0.9 + rows * (0.75 + 0.24 * len(outcomes)))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axis, measure in zip(axes.flat, measures, strict=False):
        for k, (x, colour, marker) in enumerate(zip(outcomes.values(), cycle(COLOURS), cycle(_MARKERS), strict=False)):
            mean, low, high = x[measure]
            reach = [[mean - low], [high - mean]] if np.isfinite([low, high]).all() else None
            axis.errorbar(mean, k, xerr=reach, color=colour, marker=marker, markersize=5, capsize=2.5)
        axis.set_xlabel(f"{spoken(measure)}, {METRICS[measure][0]}".removesuffix(", 1"))
        axis.set_yticks(range(len(outcomes)), [shown_name(team) for team in outcomes])
        axis.set_ylim(len(outcomes) - 0.5, -0.5)
        axis.grid(axis="x", alpha=0.25)
    for axis in axes.flat[len(measures) :]:
        axis.set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure


def loss_exceedance(losses: Mapping[str, np.ndarray], what: str, title: str) -> Figure:
    """How often the loss of a year exceeds an amount, a line a team.

    Args:
        losses: team -> losses in k$ a year, one a year or episode.
        what: one of the losses, for the axis.
        title: above.
    """
    figure = _figure(6.2, 4.0)
    axis = figure.subplots()
    looks = zip(losses.items(), cycle(COLOURS), cycle(_DASHES), strict=False)
    for (team, values), colour, dashes in looks:
        ordered = np.sort(values)
        exceeding = 1.0 - np.arange(1, len(ordered) + 1) / len(ordered)
        none = float((values <= 0.0).mean())
        said = f"{shown_name(team)} (none: {none:.0%})"
        x, y = np.repeat(ordered, 2)[1:], np.repeat(exceeding, 2)[:-1]
        axis.plot(x, y, color=colour, linestyle=dashes, label=said, linewidth=1.6)
    axis.set_xscale("symlog", linthresh=10.0)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlim(left=0.0)
    axis.set_xlabel(f"loss x by breaches, k$ ({what})")
    axis.set_ylabel("share that loses more than x")
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, frameon=False)
    axis.set_title(title, fontsize=10)
    return figure


def _by_role(title: str) -> tuple[Figure, dict[str, Axes]]:
    figure = _figure(9.5, 5.2)
    axes = dict(zip(ROLES, figure.subplots(2, 2).flat, strict=True))
    figure.suptitle(title, fontsize=10)
    for role, axis in axes.items():
        axis.set_title(spoken(role), fontsize=9)
    return figure, axes


def _lever_names(role: str) -> list[str]:
    return [spoken(lever.name) for lever in LEVERS[role]]


def lever_use(use: Mapping[str, np.ndarray], title: str) -> Figure:
    """Share of decisions low, middle and high, a bar a lever; ``use`` as of ``EpisodeTable.lever_use``."""
    figure, axes = _by_role(title)
    for role, axis in axes.items():
        left = np.zeros(len(LEVERS[role]))
        for k, (third, colour) in enumerate(zip(("low", "middle", "high"), _THIRDS, strict=True)):
            axis.barh(_lever_names(role), use[role][:, k], left=left, color=colour, label=third)
            left += use[role][:, k]
        axis.set_xlim(0, 1)
        axis.invert_yaxis()
        axis.set_xlabel("share of decisions")
    figure.legend(*axes[ROLES[0]].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def lever_course(course: Mapping[str, np.ndarray], title: str) -> Figure:
    """Mean effort of each lever over the months, a row a lever; ``course`` is role -> ``[L, M]``."""
    figure, axes = _by_role(title)
    for role, axis in axes.items():
        months = course[role].shape[1]
        drawn = axis.imshow(
            course[role], aspect="auto", cmap="cividis", vmin=0.0, vmax=1.0, interpolation="nearest",
            extent=(0.5, months + 0.5, len(LEVERS[role]) - 0.5, -0.5),
        )  # fmt: skip
        axis.set_yticks(range(len(LEVERS[role])), _lever_names(role))
        axis.set_xlabel("month")
    figure.colorbar(drawn, ax=list(axes.values()), label="effort, mean over episodes and agents", shrink=0.6)
    return figure


def search(trials: Sequence[Mapping[str, Any]], names: Sequence[str], measure: str, title: str) -> Figure:
    """What each finished trial of a sweep reached over every hyperparameter that was searched."""
    figure = _figure(2.2 + 2.6 * len(names), 3.1)
    axes = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    best = max(trials, key=lambda row: row[measure])
    for axis, name in zip(axes, names, strict=True):
        for row in trials:
            axis.plot(row[name], row[measure], "o", color=COLOURS[1], alpha=0.7, markersize=5)
        axis.plot(best[name], best[measure], "*", color=COLOURS[0], markersize=13, label="best")
        values = [row[name] for row in trials]
        if all(isinstance(x, int | float) and x > 0 for x in values) and max(values) > 20 * min(values):
            axis.set_xscale("log")
        axis.set_xlabel(name)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel(CURVES.get(measure, measure))
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
