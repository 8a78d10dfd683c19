"""What each stage asks for: resources A, risk R with trust, value V, each against its gate."""

from __future__ import annotations

from spiral_env.render import markers
from spiral_env.render.canvas import Canvas
from spiral_env.render.palette import CARD, FAINT, GREEN, MUTED, STAGES, TEXT, Colour, mix
from spiral_env.render.panels._box import Box, bar
from spiral_env.render.scene import Gate, Scene
from spiral_env.render.text import STAGES as NAMES

__all__ = ["draw"]

_WORDS = {"A": "resources A", "R": "risk R", "trust": "trust", "V": "value V"}
_ROW = 40.0
_HEAD = 20.0
_GAP = 15.0


def draw(canvas: Canvas, box: Box, shown: Scene) -> None:
    """A block a stage, that of the present one bright."""
    y = box.y
    for stage, name in enumerate(NAMES):
        gates = [gate for gate in shown.spiral.gates if gate.stage == stage]
        extra = 26.0 if stage == 0 else 16.0 if stage == 1 else 0.0
        height = _HEAD + _ROW * len(gates) + extra
        _block(canvas, Box(box.x, y, box.width, height), shown, stage, name, gates)
        y += height + _GAP


def _block(canvas: Canvas, box: Box, shown: Scene, stage: int, name: str, gates: list[Gate]) -> None:
    here = shown.spiral.stage == stage
    colour = STAGES[stage] if here else mix(STAGES[stage], CARD, 0.5)
    if here:
        canvas.box(*box, mix(STAGES[stage], CARD, 0.13), 6.0)
    canvas.box(box.x, box.y, 4.0, box.height, colour, 2.0)
    x, right = box.x + 13.0, box.right - 9.0
    months = f"for {shown.spiral.stage_months} mo." if here else ""
    canvas.text((x, box.y + 4.0), f"{stage + 1}  {name}", 12, TEXT if here else MUTED, bold=True)
    canvas.text((right, box.y + 4.0), months, 11, MUTED, across=1.0)
    y = box.y + _HEAD
    for gate in gates:
        _gate(canvas, Box(x, y, right - x, _ROW), gate, colour)
        y += _ROW
    if stage == 0:
        _resources(canvas, Box(x, y - 2.0, right - x, 24.0), shown, colour)
    if stage == 1:
        kept = f"months in a row with both: {shown.spiral.held}, needs {shown.spiral.hold}"
        canvas.text((x, y - 3.0), kept, 11, MUTED)


def _gate(canvas: Canvas, box: Box, gate: Gate, colour: Colour) -> None:
    """Name, measure and gate over a bar; the bar ends at twice the gate, and the mark stands in its middle."""
    verb = "at most" if gate.at_most else "needs"
    markers.tick(canvas, (box.x + 5.5, box.y + 9.0), 5.5, met=gate.met)
    name = canvas.text((box.x + 17.0, box.y + 1.0), _WORDS[gate.name], 12, TEXT)
    measured = f"{gate.measured:.2f}"
    canvas.text((box.x + 24.0 + name, box.y + 1.0), measured, 12, GREEN if gate.met else TEXT, bold=True)
    canvas.text((box.right, box.y + 2.0), f"{verb} {gate.needed:.2f}", 11, MUTED, across=1.0)
    at = box.x + 0.5 * box.width
    track = Box(box.x, box.y + 21.0, box.width, 8.0)
    bar(canvas, track, gate.measured / (2.0 * gate.needed), colour)
    canvas.box(at - 2.5, track.y - 4.0, 5.0, 16.0, CARD)
    canvas.box(at - 1.2, track.y - 4.0, 2.4, 16.0, TEXT)


def _resources(canvas: Canvas, box: Box, shown: Scene, colour: Colour) -> None:
    """The four resources whose scarcest weighs most."""
    width = box.width / len(shown.resources)
    for k, resource in enumerate(shown.resources):
        x = box.x + k * width
        canvas.text((x, box.y), resource.name, 10, MUTED)
        bar(canvas, Box(x, box.y + 14.0, width - 7.0, 4.0), resource.ratio / 2.0, colour)
        canvas.box(x + (width - 7.0) / 2.0 - 0.8, box.y + 12.5, 1.6, 7.0, TEXT if resource.ratio >= 1.0 else FAINT)
