"""State to text."""

from __future__ import annotations

from spiral_env.render.text import MONTH_COLUMNS, month_row, render_text

__all__ = ["MONTH_COLUMNS", "month_row", "render_text"]
