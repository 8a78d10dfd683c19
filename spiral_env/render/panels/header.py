"""What is shown, the month, and three numbers that sum it up."""

from __future__ import annotations

from spiral_env.render.canvas import Canvas
from spiral_env.render.palette import GREEN, MUTED, SKY, TEXT, TRACK, VERMILLION
from spiral_env.render.panels._box import Box, money
from spiral_env.render.scene import Scene

__all__ = ["draw"]

_CALENDAR = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def draw(canvas: Canvas, box: Box, shown: Scene, title: str) -> None:
    """The line above all panels."""
    y = box.y + 14.0
    width = canvas.text((box.x, y - 4.0), "spiral_env", 22, TEXT, bold=True)
    canvas.text((box.x + width + 12.0, y + 2.0), title, 15, MUTED)
    middle = box.x + box.width * 0.47
    calendar = (
        f"month {shown.month} of {shown.max_cycles}, {_CALENDAR[shown.calendar_month]}" if shown.month else "opening"
    )
    canvas.text(
        (middle, y + 2.0),
        f"collapsed in month {shown.month}" if shown.collapsed else calendar,
        15,
        VERMILLION if shown.collapsed else TEXT,
        bold=True,
        across=0.5,
    )
    x = box.right
    for name, value in (
        ("mean value, k$ a month", money(shown.books.mean)),
        ("trust", f"{shown.trust:.2f}"),
        ("spiral height", f"{shown.spiral.height:.2f}"),
    ):
        x -= canvas.text((x, y + 5.0), name, 12, MUTED, across=1.0) + 7.0
        x -= canvas.text((x, y - 2.0), value, 19, GREEN, bold=True, across=1.0) + 26.0
    canvas.box(box.x, box.bottom - 6.0, box.width, 3.0, TRACK, 1.5)
    canvas.box(box.x, box.bottom - 6.0, max(3.0, box.width * shown.month / shown.max_cycles), 3.0, SKY, 1.5)
