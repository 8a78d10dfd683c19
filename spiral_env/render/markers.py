"""What states look like: a shape for each, beside its colour."""

from __future__ import annotations

import math

from spiral_env.render.canvas import Canvas, Point
from spiral_env.render.palette import (
    CARD,
    FAINT,
    GREEN,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    TEXT,
    VERMILLION,
    YELLOW,
    Colour,
)

__all__ = ["bolt", "bell", "burst", "diamond", "firm", "leaf", "star", "tick"]

_BURST = {"own": YELLOW, "platform": VERMILLION}


def firm(canvas: Canvas, at: Point, radius: float, state: str) -> None:
    """How a firm stands to the platform: outside a ring, waiting a clock, basic a disc, full a square."""
    if state == "outside":
        canvas.disc(at, radius, FAINT, max(1.0, radius * 0.22))
    elif state == "waiting":
        canvas.disc(at, radius, MUTED, max(1.0, radius * 0.22))
        reach = radius * 0.62
        canvas.path([(at[0], at[1] - reach), at, (at[0] + reach * 0.8, at[1])], MUTED, max(1.0, radius * 0.2))
    elif state == "basic":
        canvas.disc(at, radius, SKY)
    else:
        side = radius * 1.84
        canvas.box(at[0] - side / 2.0, at[1] - side / 2.0, side, side, SKY, radius * 0.2)


def star(at: Point, outer: float, inner: float, points: int, turn: float = 0.0) -> list[Point]:
    """The corners of a star."""
    radii = (outer, inner) * points
    angles = [turn + math.pi * k / points for k in range(2 * points)]
    return [(at[0] + r * math.sin(a), at[1] - r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]


def burst(canvas: Canvas, at: Point, radius: float, event: str) -> None:
    """A breach: of its own a yellow star of eight points, through the platform a red one of twelve with a red core."""
    points, inner = (8, 0.55) if event == "own" else (12, 0.66)
    canvas.polygon(star(at, radius, radius * inner, points), _BURST[event])


def leaf(canvas: Canvas, at: Point, radius: float) -> None:
    """A green firm."""
    canvas.polygon(_blade(at, radius + 1.8), CARD)
    canvas.polygon(_blade(at, radius), GREEN)
    stem, tip = (at[0] - radius, at[1] + radius), (at[0] + 0.3 * radius, at[1] - 0.3 * radius)
    canvas.line(stem, tip, CARD, max(0.8, radius * 0.22))


def _blade(at: Point, radius: float) -> list[Point]:
    """Two curves from the stem, lower left, to the tip."""
    out = []
    for side in (-1.0, 1.0):
        for k in range(9):
            t = k / 8.0 if side < 0.0 else 1.0 - k / 8.0
            along, across = 2.0 * t - 1.0, side * 1.5 * t * (1.0 - t)
            out.append((at[0] + radius * (along + across), at[1] - radius * (along - across)))
    return out


def tick(canvas: Canvas, at: Point, radius: float, *, met: bool) -> None:
    """Whether a gate is met: a disc with a tick, or an empty ring."""
    if not met:
        canvas.disc(at, radius, MUTED, 1.5)
        return
    canvas.disc(at, radius, GREEN)
    corners = [(-0.5, 0.05), (-0.12, 0.42), (0.52, -0.38)]
    canvas.path([(at[0] + radius * x, at[1] + radius * y) for x, y in corners], CARD, 1.7)


def cross(canvas: Canvas, at: Point, radius: float, closing: str) -> None:
    """A firm that closes; one that defaults has a bar below."""
    width = max(1.6, radius * 0.34)
    for colour, wide in ((CARD, width + 2.4), (TEXT, width)):
        canvas.line((at[0] - radius, at[1] - radius), (at[0] + radius, at[1] + radius), colour, wide)
        canvas.line((at[0] - radius, at[1] + radius), (at[0] + radius, at[1] - radius), colour, wide)
    if closing == "default":
        y = at[1] + radius * 1.7
        canvas.line((at[0] - radius, y), (at[0] + radius, y), PURPLE, width)


def bolt(canvas: Canvas, at: Point, radius: float, colour: Colour = VERMILLION) -> None:
    """A campaign of attacks."""
    corners = [(0.2, -1.0), (-0.6, 0.15), (-0.05, 0.15), (-0.25, 1.0), (0.6, -0.25), (0.05, -0.25)]
    canvas.polygon([(at[0] + radius * x, at[1] + radius * y) for x, y in corners], colour)


def bell(canvas: Canvas, at: Point, radius: float, colour: Colour = YELLOW) -> None:
    """An alert."""
    corners = [
        (-0.85, 0.5),
        (-0.55, 0.2),
        (-0.5, -0.35),
        (-0.2, -0.8),
        (0.2, -0.8),
        (0.5, -0.35),
        (0.55, 0.2),
        (0.85, 0.5),
    ]
    canvas.polygon([(at[0] + radius * x, at[1] + radius * y) for x, y in corners], colour)
    canvas.disc((at[0], at[1] + radius * 0.7), radius * 0.22, colour)


def diamond(canvas: Canvas, at: Point, radius: float, colour: Colour = ORANGE) -> None:
    """A vulnerability that is known to be exploited."""
    canvas.polygon(star(at, radius, radius * 0.62, 2), colour)
