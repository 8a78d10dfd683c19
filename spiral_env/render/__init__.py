"""A month as text, as a frame and as a page; what draws frames is loaded when it is used."""

from __future__ import annotations

from spiral_env.render.text import MONTH_COLUMNS, month_row, render_text

__all__ = ["MONTH_COLUMNS", "month_row", "render_text"]
