"""An answer as pictures: what moves, who gains and who pays, curves over a grid, and what the answer hangs on."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spiral_env.metrics import METRICS
from spiral_env.questions.books import CLASSES, OF_ACCOUNT, PARTS
from spiral_env.questions.sentences import ROLE_NAMES, WAYS
from spiral_env.questions.teams import HEIGHT, VALUE

__all__ = ["change_figure", "overview_figure", "png", "sensitivity_figure"]

_OF_WAY = {"fixed": "#0072b2", "adapted": "#d55e00"}
_OF_CLASS = dict(zip(CLASSES, ("#009e73", "#56b4e9", "#cc79a7"), strict=True))
_OF_PART = dict(zip(PARTS, ("#cc79a7", "#e69f00", "#009e73"), strict=True))
_LEAST = 1e-9
_MOST_SHOWN = 40


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The picture as a file."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    return drawn.getvalue()


def overview_figure(data: Mapping[str, Any]) -> Figure:
    """Value and height of all changes: curves over one grid, a map over two, else a row each."""
    axes_of_grid = _grid(data["changes"])
    if len(axes_of_grid) == 1 and len(data["changes"]) > 1:
        return _curves(data, next(iter(axes_of_grid)))
    if len(axes_of_grid) == 2:
        return _maps(data, list(axes_of_grid))
    return _rows(data)


def _grid(changes: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Parameters with several values among changes of one set of parameters, if these fill a grid."""
    names = list(changes[0]["params"])
    if any(list(x["params"]) != names for x in changes):
        return {}
    values = {name: list(dict.fromkeys(x["params"][name] for x in changes)) for name in names}
    varied = {name: x for name, x in values.items() if len(x) > 1 and not isinstance(x[0], list | tuple)}
    return varied if np.prod([len(x) for x in varied.values()]) == len(changes) else {}


def _change_of(x: Mapping[str, Any], way: str, measure: str) -> tuple[float, float, float]:
    mean, low, high = x["ways"][way]["measures"][measure]["difference"]
    return mean, low, high


def _shown(data: Mapping[str, Any]) -> list[str]:
    """Value and height, or the first two measures."""
    asked = list(data["units"])
    return [x for x in (VALUE, HEIGHT) if x in asked] or asked[:2]


def _unit(measure: str) -> str:
    unit = METRICS[measure][0]
    return "" if unit == "1" else f", {unit}"


def _curves(data: Mapping[str, Any], parameter: str) -> Figure:
    measures = _shown(data)
    figure = Figure(figsize=(5.2 * len(measures), 3.9), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    at = [x["params"][parameter] for x in data["changes"]]
    for axis, measure in zip(panels, measures, strict=True):
        for way in data["base"]:
            mean, low, high = np.array([_change_of(x, way, measure) for x in data["changes"]]).T
            axis.fill_between(at, low, high, color=_OF_WAY[way], alpha=0.2, linewidth=0)
            axis.plot(at, mean, "o-", color=_OF_WAY[way], label=WAYS[way], markersize=4)
        axis.axhline(0.0, color="#666666", linewidth=0.8)
        axis.set_xlabel(parameter)
        axis.set_ylabel(f"change of {measure.replace('_', ' ')}{_unit(measure)}")
        axis.grid(alpha=0.25)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def _maps(data: Mapping[str, Any], names: Sequence[str]) -> Figure:
    measure, ways = _shown(data)[0], list(data["base"])
    values = _grid(data["changes"])
    across, up = values[names[0]], values[names[1]]
    figure = Figure(figsize=(5.4 * len(ways), 4.4), layout="constrained")
    panels = figure.subplots(1, len(ways), squeeze=False)[0]
    found = {(x["params"][names[0]], x["params"][names[1]]): x for x in data["changes"]}
    tables = {way: np.array([[_change_of(found[a, b], way, measure) for a in across] for b in up]) for way in ways}
    most = max(float(np.abs(x[..., 0]).max()) for x in tables.values()) or 1.0
    for axis, (way, table) in zip(panels, tables.items(), strict=True):
        drawn = axis.imshow(table[..., 0], origin="lower", cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
        for row, column in itertools.product(range(len(up)), range(len(across))):
            mean, low, high = table[row, column]
            told = "as it is" if mean == low == high == 0.0 else f"{mean:+.3g}"
            told += "\n(unclear)" if low < 0.0 < high else ""
            dark = "white" if abs(mean) > 0.6 * most else "black"
            axis.text(column, row, told, ha="center", va="center", fontsize=8, color=dark)
        axis.set_xticks(range(len(across)), [f"{x:g}" for x in across])
        axis.set_yticks(range(len(up)), [f"{x:g}" for x in up])
        axis.set_xlabel(names[0])
        axis.set_ylabel(names[1])
        axis.set_title(WAYS[way], fontsize=10)
        figure.colorbar(drawn, ax=axis, label=f"change of {measure.replace('_', ' ')}{_unit(measure)}")
    return figure


def _rows(data: Mapping[str, Any]) -> Figure:
    changes, measures = data["changes"][:_MOST_SHOWN], _shown(data)
    figure = Figure(figsize=(5.2 * len(measures), 1.5 + 0.5 * len(changes)), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    for axis, measure in zip(panels, measures, strict=True):
        _dots(
            axis, [x["name"] for x in changes], {w: [_change_of(x, w, measure) for x in changes] for w in data["base"]}
        )
        axis.set_xlabel(f"change of {measure.replace('_', ' ')}{_unit(measure)}")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.0, 1.16), ncols=2)
    return figure


def _dots(axis: Axes, names: Sequence[str], found: Mapping[str, Sequence[tuple[float, float, float]]]) -> None:
    """A row a name, a dot with its interval a way."""
    for k, (way, intervals) in enumerate(found.items()):
        mean, low, high = np.array(intervals).T
        at = np.arange(len(names)) + 0.16 * (2 * k - len(found) + 1)
        reach = np.where(np.isfinite([mean - low, high - mean]), [mean - low, high - mean], 0.0)
        axis.errorbar(mean, at, xerr=reach, fmt="o", color=_OF_WAY[way], label=WAYS[way], markersize=4, capsize=2)
    axis.axvline(0.0, color="#666666", linewidth=0.8)
    axis.set_yticks(range(len(names)), [_wrapped(x) for x in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(alpha=0.25, axis="x")


def _wrapped(name: str, width: int = 34) -> str:
    return name.replace(", ", ",\n") if len(name) > width else name


def change_figure(change: Mapping[str, Any], base: Mapping[str, Any]) -> Figure:
    """One change: measures in per cent; then a row a way: accounts by class, roles by part, SMEs by size."""
    ways = change["ways"]
    figure = Figure(figsize=(12, 3.6 + 3.4 * len(ways)), layout="constrained")
    grid = figure.add_gridspec(1 + len(ways), 3, height_ratios=[1.1, *[1.0] * len(ways)])
    figure.suptitle(change["name"], fontsize=11)
    _per_cent(figure.add_subplot(grid[0, :]), change, base)
    for row, (way, effect) in enumerate(ways.items(), 1):
        panels = [figure.add_subplot(grid[row, k]) for k in range(3)]
        accounts = {OF_ACCOUNT[name]: x for name, x in effect["accounts"].items()}
        _stacked(panels[0], accounts, _OF_CLASS, f"cash by class of the books, k$ a month\n({WAYS[way]})")
        roles = {ROLE_NAMES[name]: x for name, x in effect["roles"].items()}
        _stacked(panels[1], roles, _OF_PART, "payoff by role, k$ a month")
        _sizes(panels[2], effect["smes"], way)
    return figure


def _per_cent(axis: Axes, change: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Change of each measure in per cent of what it was; of those that were not 0 and move."""
    first = next(iter(change["ways"].values()))["measures"]
    usual = {name: min(abs(of_way[name][0]) for of_way in base.values()) for name in first}
    moves = {n: any(abs(w["measures"][n]["difference"][0]) > _LEAST for w in change["ways"].values()) for n in first}
    names = [name for name in first if usual[name] > _LEAST and moves[name]]
    found = {
        way: [tuple(100.0 * x / abs(base[way][n][0]) for x in effect["measures"][n]["difference"]) for n in names]
        for way, effect in change["ways"].items()
    }
    if not names:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "nothing moves", ha="center")
        return
    _dots(axis, [name.replace("_", " ") for name in names], found)  # type: ignore[arg-type]
    axis.set_xlabel("change in % of what it was (95 % interval)")
    axis.legend(frameon=False, fontsize=8)


def _stacked(axis: Axes, found: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str], title: str) -> None:
    """Bars that add up to the sum, which is marked with its interval."""
    names = list(found)
    above, below = np.zeros(len(names)), np.zeros(len(names))
    for part, colour in colours.items():
        height = np.array([found[name][part][0] for name in names])
        start = np.where(height >= 0.0, above, below)
        axis.barh(names, height, left=start, color=colour, label=part)
        above, below = above + np.maximum(height, 0.0), below + np.minimum(height, 0.0)
    mean, low, high = np.array([found[name]["sum"] for name in names]).T
    axis.errorbar(
        mean, names, xerr=[mean - low, high - mean], fmt="D", color="black", markersize=4, capsize=3, label="sum"
    )
    axis.axvline(0.0, color="#666666", linewidth=0.8)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=9)
    axis.legend(frameon=False, fontsize=7)
    axis.grid(alpha=0.25, axis="x")


def _sizes(axis: Axes, smes: Mapping[str, Any], way: str) -> None:
    names = [name.replace(" ", "\n") for name in smes["by_size"]]
    mean, low, high = np.array(list(smes["by_size"].values())).T
    axis.bar(names, mean, yerr=[mean - low, high - mean], color=_OF_WAY[way], capsize=4)
    axis.axhline(0.0, color="#666666", linewidth=0.8)
    gain, lose = smes["gain"][0], smes["lose"][0]
    axis.set_title(f"payoff of an SME by size, k$ a month\n{gain:.0%} gain, {lose:.0%} lose", fontsize=9)
    axis.grid(alpha=0.25, axis="y")


def sensitivity_figure(found: Mapping[str, Any]) -> Figure:
    """Morris screening beside the Sobol indices of the few that matter."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [row["name"] for row in found["morris"]]
    for column, colour, label in (("mu_star", "#0072b2", "mean size of its effects (mu*)"),):
        reach = [row["mu_star_conf"] for row in found["morris"]]
        left.barh(names, [row[column] for row in found["morris"]], xerr=reach, color=colour, label=label, capsize=2)
    left.plot(
        [row["mu"] for row in found["morris"]], names, "D", color="#d55e00", label="mean effect (mu)", markersize=4
    )
    left.axvline(0.0, color="#666666", linewidth=0.8)
    left.invert_yaxis()
    left.set_xlabel(f"change of the answer over the factor's range{_unit(found['measure'])}")
    left.set_title(f"Morris, {found['parameters']} assumed numbers, {found['points']} points", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    at = np.arange(len(found["sobol"]))
    for k, (index, colour) in enumerate((("S1", "#56b4e9"), ("ST", "#0072b2"))):
        values = [row[index] for row in found["sobol"]]
        reach = [row[f"{index}_conf"] for row in found["sobol"]]
        label = "alone (S1)" if index == "S1" else "with others (ST)"
        right.barh(at + 0.38 * k, values, 0.36, xerr=reach, color=colour, label=label, capsize=2)
    right.set_yticks(at + 0.19, [row["name"] for row in found["sobol"]])
    right.invert_yaxis()
    right.set_xlabel("share of the variance of the answer")
    right.set_title("Sobol, the few that matter most", fontsize=10)
    if found["sobol"]:
        right.legend(frameon=False, fontsize=8)
    return figure
