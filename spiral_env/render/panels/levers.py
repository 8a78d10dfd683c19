"""What the roles chose, and what of it was paid."""

from __future__ import annotations

from spiral_env.render.canvas import Canvas
from spiral_env.render.palette import MUTED, SKY, TEXT, YELLOW
from spiral_env.render.panels._box import PADDING, Box, bar, card, money
from spiral_env.render.scene import Role, Scene
from spiral_env.roles import LEVERS, Lever

__all__ = ["draw"]

_TITLES = {"it": "IT", "business": "business", "finance": "finance", "sme": "SMEs"}
_ROW = 20.0


def draw(canvas: Canvas, box: Box, shown: Scene) -> None:
    """A column a role."""
    card(canvas, box, "Levers", "what each role chose, and k$ paid/asked; SMEs: mean, and sum of k$")
    width = (box.width - 2.0 * PADDING + 14.0) / len(shown.roles)
    for k, (name, role) in enumerate(shown.roles.items()):
        _role(canvas, Box(box.x + PADDING + k * width, box.y + 36.0, width - 14.0, box.height - 44.0), name, role)


def _role(canvas: Canvas, box: Box, name: str, role: Role) -> None:
    canvas.text((box.x, box.y), _TITLES[name], 12, TEXT, bold=True)
    short = role.paid < role.asked - 0.05
    paid = _paid(role.paid, role.asked) if short else _paid(role.paid)
    canvas.text((box.right, box.y + 1.0), paid, 11, YELLOW if short else MUTED, across=1.0)
    for k, lever in enumerate(LEVERS[name]):
        row = Box(box.x, box.y + 20.0 + _ROW * k, box.width, _ROW)
        canvas.text((row.x, row.y), lever.name.replace("_", " "), 11, MUTED)
        track = Box(row.x, row.y + 14.5, row.width, 3.5)
        if lever.kind == "graded":
            bar(canvas, track, role.levers[lever.name], SKY)
        else:
            _category(canvas, track, lever, role.shares[lever.name])


def _paid(*amounts: float) -> str:
    """What was paid of what was asked for, in k$; from a thousand on in M$."""
    large = amounts[-1] >= 999.5
    return "/".join(f"{x / 1000.0:.1f}" if large else money(x) for x in amounts) + (" M" if large else "")


def _category(canvas: Canvas, track: Box, lever: Lever, shares: tuple[float, ...]) -> None:
    """Three boxes, each filled by the share that chose it; above them what most chose."""
    most = max(range(3), key=shares.__getitem__)
    canvas.text((track.right, track.y - 14.5), lever.options[most], 11, TEXT, across=1.0)
    part = (track.width - 4.0) / 3.0
    for k, share in enumerate(shares):
        bar(canvas, Box(track.x + k * (part + 2.0), track.y, part, track.height), share, SKY)
