"""A leaderboard as a picture: interquartile means with their intervals, a panel a board."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spiral_env.text import one_line

__all__ = ["as_png"]

_COLOUR, _FAINT = "#0072b2", "#999999"
_WIDE, _ROW = 3.0, 0.27
"""Inches of a panel and of an entry."""


def as_png(result: Mapping[str, Any]) -> bytes:
    """The picture of a leaderboard as JSON gives it; entries stand in the order of the first table."""
    tables = result["tables"]
    order = [row["entry"] for row in tables[0]["rows"]]
    figure = Figure(figsize=(2.2 + _WIDE * len(tables), 1.3 + _ROW * len(order)), layout="constrained")
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for panel, table in zip(panels, tables, strict=True):
        _draw(panel, table, order)
    panels[0].set_yticks(range(len(order)), [one_line(name, 40) for name in order], fontsize=8)
    panels[0].set_ylim(len(order) - 0.5, -0.5)
    figure.suptitle("Interquartile mean with 95 % interval: 0 the average firm, 1 the best known", fontsize=10)
    drawn = io.BytesIO()
    # Without the date and the version of what draws: the same results are the same bytes.
    figure.savefig(drawn, dpi=110, format="png", metadata={"Software": None})
    return drawn.getvalue()


def _draw(panel: Axes, table: Mapping[str, Any], order: list[str]) -> None:
    rows = {row["entry"]: row for row in table["rows"]}
    for place, name in enumerate(order):
        row = rows.get(name)
        if row is None or "failed" in row:
            panel.text(0.0, place, "failed", fontsize=7, color=_FAINT, va="center")
            continue
        low, high = row["iqm"]["interval95"]
        panel.plot([low, high], [place, place], color=_COLOUR, linewidth=2.2, alpha=0.45, solid_capstyle="butt")
        panel.plot(row["iqm"]["mean"], place, "o", color=_COLOUR, markersize=4)
    for at in (0.0, 1.0) if table["normalised"] else ():
        panel.axvline(at, color=_FAINT, linewidth=0.8, linestyle=":")
    panel.set_title(table["name"] + ("" if table["normalised"] else ", k$ a month"), fontsize=9)
    panel.tick_params(axis="x", labelsize=8)
    panel.grid(axis="y", alpha=0.2)
