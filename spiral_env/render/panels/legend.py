"""What each shape means."""

from __future__ import annotations

from collections.abc import Callable

from spiral_env.render import markers
from spiral_env.render.canvas import Canvas, Point
from spiral_env.render.palette import CARD, EDGE, GREEN, MUTED, SKY, TEXT, TRACK, VERMILLION, YELLOW, mix
from spiral_env.render.panels._box import PADDING, Box, card

__all__ = ["draw"]

_ROWS = 6


def draw(canvas: Canvas, box: Box) -> None:
    """Rows of a shape and its name, in columns."""
    card(canvas, box, "Legend")
    width = (box.width - 2.0 * PADDING) / -(-len(_ENTRIES) // _ROWS)
    step = (box.height - 38.0) / _ROWS
    for k, (name, shape) in enumerate(_ENTRIES):
        x = box.x + PADDING + 9.0 + (k // _ROWS) * width
        y = box.y + 41.0 + (k % _ROWS) * step
        shape(canvas, (x, y))
        canvas.text((x + 17.0, y), name, 12, MUTED, down=0.5)


def _firm(state: str) -> Callable[[Canvas, Point], None]:
    return lambda canvas, at: markers.firm(canvas, at, 7.0, state)


def _event(event: str) -> Callable[[Canvas, Point], None]:
    def shape(canvas: Canvas, at: Point) -> None:
        markers.burst(canvas, at, 10.0, event)
        canvas.disc(at, 5.0, CARD)
        markers.firm(canvas, at, 4.0, "basic")

    return shape


def _closing(closing: str) -> Callable[[Canvas, Point], None]:
    def shape(canvas: Canvas, at: Point) -> None:
        markers.firm(canvas, at, 5.0, "basic")
        markers.cross(canvas, at, 5.0, closing)

    return shape


def _sharing(canvas: Canvas, at: Point) -> None:
    canvas.line((at[0] - 9.0, at[1]), (at[0] + 2.0, at[1]), mix(SKY, CARD, 0.55), 3.0)
    canvas.polygon([(at[0] + 9.0, at[1]), (at[0], at[1] - 5.0), (at[0], at[1] + 5.0)], SKY)


def _trust(canvas: Canvas, at: Point) -> None:
    canvas.ring((at[0], at[1]), 7.0, 3.5, TRACK)
    canvas.ring((at[0], at[1]), 7.0, 3.5, GREEN, -1.57, 0.7)
    canvas.line((at[0], at[1] + 3.5), (at[0], at[1] + 9.0), TEXT, 2.0)


def _service(canvas: Canvas, at: Point) -> None:
    canvas.disc(at, 9.0, EDGE)
    canvas.ring(at, 8.0, 2.2, MUTED, -1.57, 0.8)
    canvas.disc(at, 6.5, mix(VERMILLION, CARD, 0.7))
    canvas.text(at, "7", 10, TEXT, bold=True, across=0.5, down=0.5)


def _hazard(canvas: Canvas, at: Point) -> None:
    for k in range(5):
        canvas.box(at[0] - 10.0 + 4.0 * k, at[1] - 5.0, 4.2, 10.0, mix(VERMILLION, CARD, 0.15 + 0.19 * k))


def _call(canvas: Canvas, at: Point) -> None:
    canvas.path([(at[0] - 10.0, at[1]), (at[0] + 10.0, at[1])], MUTED, [3.0, 0.8])


def _alert(canvas: Canvas, at: Point) -> None:
    canvas.dashes([(at[0] - 9.0 + 3.0 * k, at[1]) for k in range(7)], YELLOW, 2.4)


_ENTRIES: tuple[tuple[str, Callable[[Canvas, Point], None]], ...] = (
    ("firm outside", _firm("outside")),
    ("waits to join", _firm("waiting")),
    ("basic member", _firm("basic")),
    ("full member", _firm("full")),
    ("shares records", _sharing),
    ("green firm", lambda canvas, at: markers.leaf(canvas, at, 7.0)),
    ("breached itself", _event("own")),
    ("via the platform", _event("platform")),
    ("closes", _closing("closure")),
    ("defaults", _closing("default")),
    ("trust; mark: gate", _trust),
    ("call, to the thin end", _call),
    ("open; ring: found", _service),
    ("the redder, the riskier", _hazard),
    ("exploited in the wild", lambda canvas, at: markers.diamond(canvas, at, 8.0)),
    ("hidden campaign", lambda canvas, at: markers.bolt(canvas, at, 9.0)),
    ("tier of the alert", _alert),
    ("platform breached", lambda canvas, at: markers.burst(canvas, at, 9.0, "platform")),
)
