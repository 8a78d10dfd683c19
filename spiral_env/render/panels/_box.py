"""Where a panel stands, the card behind it, and how numbers are written."""

from __future__ import annotations

from typing import NamedTuple

from spiral_env.render.canvas import Canvas
from spiral_env.render.palette import CARD, EDGE, MUTED, TEXT, TRACK, Colour

__all__ = ["PADDING", "Box", "bar", "card", "money"]

PADDING = 14.0


class Box(NamedTuple):
    """A rectangle of the frame, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right end."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower end."""
        return self.y + self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.width / 2.0, self.y + self.height / 2.0


def card(canvas: Canvas, box: Box, title: str, note: str = "") -> None:
    """The ground of a panel, with its title and a note beside it."""
    canvas.box(box.x, box.y, box.width, box.height, EDGE, 10.0)
    canvas.box(box.x + 1.0, box.y + 1.0, box.width - 2.0, box.height - 2.0, CARD, 9.0)
    width = canvas.text((box.x + PADDING, box.y + 10.0), title, 14, TEXT, bold=True)
    canvas.text((box.x + PADDING + width + 8.0, box.y + 12.0), note, 12, MUTED)


def bar(canvas: Canvas, box: Box, share: float, colour: Colour) -> None:
    """A track, filled from the left."""
    corner = box.height / 2.0
    canvas.box(*box, TRACK, corner)
    filled = min(1.0, max(0.0, share)) * box.width
    if filled >= 1.0:
        canvas.box(box.x, box.y, max(filled, box.height), box.height, colour, corner)


def money(amount: float, *, sign: bool = False) -> str:
    """K$ as text: whole ones from ten on, a tenth below."""
    size = abs(amount)
    digits = 0 if size >= 9.95 or size < 0.05 else 1
    if round(size, digits) == 0.0:
        return "0"
    lead = "\u2212" if amount < 0.0 else "+" if sign else ""
    return f"{lead}{size:,.{digits}f}"
