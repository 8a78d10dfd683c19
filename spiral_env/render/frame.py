"""One month as a picture of 1280 x 800 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.render.canvas import Canvas
from spiral_env.render.palette import BACKGROUND
from spiral_env.render.panels import ecosystem, gates, header, helix, legend, levers, money
from spiral_env.render.panels._box import Box, card
from spiral_env.render.scene import Scene, scene

__all__ = ["HEIGHT", "WIDTH", "draw", "frame"]

WIDTH, HEIGHT = 1280, 800
_HEADER = Box(16, 8, 1248, 50)
_ECOSYSTEM = Box(16, 64, 740, 564)
_SPIRAL = Box(768, 64, 496, 316)
_HELIX = Box(780, 98, 226, 270)
_GATES = Box(1020, 74, 234, 300)
_LEVERS = Box(768, 388, 496, 244)
_MONEY = Box(16, 636, 740, 150)
_LEGEND = Box(768, 640, 496, 146)


def frame(s: Any, p: Any, title: str = "") -> np.ndarray:
    """A month as pixels, uint8 ``[HEIGHT, WIDTH, 3]``; the same month gives the same pixels.

    Args:
        s: a state record, only read.
        p: the ecosystem's parameter record, only read.
        title: what stands beside the project's name, such as the scenario.

    Raises:
        ImportError: pygame is not installed.
    """
    return draw(scene(s, p), title)


def draw(shown: Scene, title: str = "") -> np.ndarray:
    """A scene as pixels, as of ``frame``."""
    canvas = Canvas(WIDTH, HEIGHT, BACKGROUND)
    header.draw(canvas, _HEADER, shown, title)
    ecosystem.draw(canvas, _ECOSYSTEM, shown)
    card(canvas, _SPIRAL, "Spiral", f"level {shown.spiral.level}, {shown.spiral.stage_name}")
    helix.draw(canvas, _HELIX, shown)
    gates.draw(canvas, _GATES, shown)
    levers.draw(canvas, _LEVERS, shown)
    money.draw(canvas, _MONEY, shown)
    legend.draw(canvas, _LEGEND)
    return canvas.pixels()
