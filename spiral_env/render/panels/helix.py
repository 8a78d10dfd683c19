"""The spiral: each turn passes aggregation, governance and value, and ends a level higher and wider."""

from __future__ import annotations

import itertools
import math

from spiral_env.render.canvas import Canvas, Point
from spiral_env.render.palette import CARD, MUTED, STAGES, TEXT, TRACK, Colour, mix
from spiral_env.render.panels._box import Box
from spiral_env.render.scene import Scene

__all__ = ["draw"]

_FEWEST = 3
"""Turns that are shown at least."""
_PIECES = 8
"""Stretches of one shade that a stage is drawn in, each of ``_POINTS`` straight lines."""
_POINTS = 4
_FLAT = 0.40
"""Height of a circle seen from the side over its width."""
_START = math.radians(150.0)


def draw(canvas: Canvas, box: Box, shown: Scene) -> None:
    """The turns made in the colours of their stages, those to come thin, and a ball where the ecosystem is."""
    height = shown.spiral.height
    turns = max(_FEWEST, shown.spiral.level + 2)
    _levels(canvas, box, turns)
    ends = sorted({*(k / (3.0 * _PIECES) for k in range(3 * _PIECES * turns + 1)), height})
    for behind in (True, False):
        for start, end in itertools.pairwise(ends):
            if (math.sin(_angle((start + end) / 2.0)) < 0.0) == behind:
                _piece(canvas, box, turns, start, end, made=end <= height)
    _ball(canvas, _at(box, turns, height), STAGES[shown.spiral.stage])


def _angle(height: float) -> float:
    return _START + math.tau * height


def _at(box: Box, turns: int, height: float) -> Point:
    """Where a height lies on the spiral, which widens upwards."""
    share = height / turns
    widest = box.width / 2.0 - 20.0
    radius = widest * (0.40 + 0.60 * share)
    lowest, highest = box.bottom - 0.40 * widest * _FLAT - 10.0, box.y + 0.45 * widest * _FLAT
    angle = _angle(height)
    return (
        box.x + box.width / 2.0 + radius * math.cos(angle),
        lowest + (highest - lowest) * share + radius * _FLAT * math.sin(angle),
    )


def _piece(canvas: Canvas, box: Box, turns: int, start: float, end: float, *, made: bool) -> None:
    """A stretch; what lies behind is darker and thinner."""
    middle = (start + end) / 2.0
    near = 0.5 + 0.5 * math.sin(_angle(middle))
    colour = STAGES[int(middle * 3.0) % 3]
    wide = min(1.0, 6.0 / turns)
    points = [_at(box, turns, start + 1.04 * (end - start) * k / _POINTS) for k in range(_POINTS + 1)]
    if made:
        canvas.path(points, mix(colour, CARD, 0.55 + 0.45 * near), wide * (5.0 + 4.0 * near))
    else:
        canvas.path(points, mix(colour, CARD, 0.25 + 0.25 * near), wide * (2.0 + 1.0 * near))


def _levels(canvas: Canvas, box: Box, turns: int) -> None:
    """A mark where each level ends."""
    every = max(1, turns // 6)
    for level in range(0, turns + 1, every):
        at = _at(box, turns, float(level))
        canvas.text((at[0] - 14.0, at[1]), f"{level}", 12, MUTED, bold=True, across=1.0, down=0.5)
        canvas.disc(at, 3.5, TRACK)


def _ball(canvas: Canvas, at: Point, colour: Colour) -> None:
    canvas.disc(at, 12.0, mix(colour, CARD, 0.45))
    canvas.disc(at, 9.0, CARD)
    canvas.disc(at, 7.5, TEXT)
