"""Shapes and text on a surface of pygame: drawn at twice the size and scaled down, so that edges are smooth.

No window and no display is needed; the same calls give the same pixels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.render.palette import TEXT, Colour

__all__ = ["Canvas", "arc_points", "load_pygame"]

FONTS = Path(__file__).parent / "fonts"
_FINE = 2
"""Pixels that are drawn for each that is shown, along a side."""

Point = tuple[float, float]


@functools.cache
def load_pygame() -> Any:
    """The module pygame, with fonts.

    Raises:
        ImportError: it is not installed; names the extra that brings it.
    """
    import os

    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
        import pygame.font
    except ModuleNotFoundError:
        raise ImportError("no module pygame: frames need pip install 'spiral-env[render]'") from None
    return pygame


@functools.cache
def _font(size: int, bold: bool) -> Any:
    pygame = load_pygame()
    pygame.font.init()
    return pygame.font.Font(FONTS / ("Inter-SemiBold.ttf" if bold else "Inter-Regular.ttf"), size)


@functools.lru_cache(maxsize=4096)
def _word(text: str, size: int, bold: bool, colour: Colour) -> Any:
    pygame = load_pygame()
    try:
        large = _font(_FINE * size, bold).render(text, True, colour)
    except pygame.error:
        # Another program part has ended pygame, and with it the fonts.
        _font.cache_clear()
        large = _font(_FINE * size, bold).render(text, True, colour)
    width, height = large.get_size()
    return pygame.transform.smoothscale(large, (max(1, round(width / _FINE)), max(1, round(height / _FINE))))


def arc_points(centre: Point, radius: float, start: float, end: float) -> list[Point]:
    """Points along a circle from angle ``start`` to ``end``, in radians from the right, clockwise on the screen."""
    steps = max(2, int(abs(end - start) * radius / 3.0) + 2)
    return [
        (centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a))
        for a in np.linspace(start, end, steps).tolist()
    ]


class Canvas:
    """What a frame is drawn on; coordinates are pixels of the frame, from the upper left, and may lie between them."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        """An empty canvas in the colour of ``ground``."""
        self._pygame = load_pygame()
        self._size = (width, height)
        self._fine = self._pygame.Surface((_FINE * width, _FINE * height), 0, 32)
        self._fine.fill(ground)
        self._words: list[tuple[Any, tuple[int, int]]] = []

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._pygame.draw.polygon(self._fine, colour, [(_FINE * x, _FINE * y) for x, y in points])

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, corner: float = 0.0) -> None:
        """A filled rectangle with round corners."""
        rect = self._pygame.Rect(*(round(_FINE * v) for v in (x, y, width, height)))
        self._pygame.draw.rect(self._fine, colour, rect, border_radius=round(_FINE * corner))

    def disc(self, centre: Point, radius: float, colour: Colour, width: float = 0.0) -> None:
        """A filled circle, or its line of ``width``."""
        at = (_FINE * centre[0], _FINE * centre[1])
        self._pygame.draw.circle(self._fine, colour, at, _FINE * radius, max(0, round(_FINE * width)))

    def line(self, start: Point, end: Point, colour: Colour, width: float = 1.0) -> None:
        """A straight line."""
        (x0, y0), (x1, y1) = start, end
        scale = width / (2.0 * (math.hypot(x1 - x0, y1 - y0) or 1.0))
        dx, dy = (y0 - y1) * scale, (x1 - x0) * scale
        self.polygon([(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)], colour)

    def path(self, points: Sequence[Point], colour: Colour, width: float | Sequence[float] = 1.0) -> None:
        """A line through points, of one width or of one for each point."""
        p = np.asarray(points, dtype=np.float64)
        ahead = np.diff(p, axis=0)
        ahead /= np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
        along = np.concatenate([ahead[:1], ahead[:-1] + ahead[1:], ahead[-1:]])
        along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        half = np.asarray(width, dtype=np.float64).reshape(-1, 1) / 2.0
        side = np.stack([-along[:, 1], along[:, 0]], axis=1) * half
        outline = np.concatenate([p + side, (p - side)[::-1]]) * _FINE
        self._pygame.draw.polygon(self._fine, colour, outline.tolist())

    def dashes(self, points: Sequence[Point], colour: Colour, width: float = 1.0, every: int = 2) -> None:
        """A broken line: of ``every`` points the first stretch is drawn."""
        for k in range(0, len(points) - 1, every):
            self.line(points[k], points[k + 1], colour, width)

    def ring(
        self, centre: Point, radius: float, width: float, colour: Colour, start: float = 0.0, share: float = 1.0
    ) -> None:
        """A share of a ring around ``radius``, from an angle on, clockwise."""
        if share >= 1.0:
            self.disc(centre, radius + width / 2.0, colour, width)
        elif share > 0.0:
            self.path(arc_points(centre, radius, start, start + 2.0 * math.pi * share), colour, width)

    def text(
        self,
        at: Point,
        text: str,
        size: int = 12,
        colour: Colour = TEXT,
        *,
        bold: bool = False,
        across: float = 0.0,
        down: float = 0.0,
    ) -> float:
        """A line of text over all shapes; returns its width.

        Args:
            at: where.
            text: what.
            size: of the font, pixels.
            colour: of the letters.
            bold: in heavy letters.
            across: share of its width that lies left of ``at``: 0, 0.5 or 1.
            down: share of its height that lies above ``at``.
        """
        if not text:
            return 0.0
        word = _word(text, size, bold, colour)
        width, height = word.get_size()
        self._words.append((word, (round(at[0] - across * width), round(at[1] - down * height))))
        return float(width)

    def pixels(self) -> np.ndarray:
        """What was drawn, uint8 ``[height, width, 3]``."""
        shown = self._pygame.transform.smoothscale(self._fine, self._size)
        shown.blits(self._words, False)
        width, height = self._size
        return np.frombuffer(self._pygame.image.tobytes(shown, "RGB"), np.uint8).reshape(height, width, 3).copy()
