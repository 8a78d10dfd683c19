"""The month's money from payers, left, to payees, right: the wider a band, the more."""

from __future__ import annotations

from collections import defaultdict

from spiral_env.render.canvas import Canvas, Point
from spiral_env.render.palette import CARD, EDGE, FLOWS, GREEN, MUTED, TEXT, VERMILLION, Colour, mix
from spiral_env.render.panels._box import PADDING, Box, card, money
from spiral_env.render.scene import Scene

__all__ = ["draw"]

_NAMES = {
    "world": "outside world",
    "platform": "platform",
    "treasury": "treasury",
    "security": "security",
    "smes": "SMEs",
}
_GAP = 5.0
_NODE = 7.0
_LABELS = 128.0


def draw(canvas: Canvas, box: Box, shown: Scene) -> None:
    """Bands between accounts, and the books beside them."""
    card(canvas, box, "Money", "k$ this month, from payer to payee")
    x = box.x + 300.0
    for word, colour in FLOWS.items():
        canvas.box(x, box.y + 15.0, 14.0, 8.0, mix(colour, CARD, 0.75), 2.0)
        x += 20.0 + canvas.text((x + 19.0, box.y + 12.0), word, 11, MUTED) + 14.0
    _bands(canvas, Box(box.x + PADDING, box.y + 36.0, 500.0, box.height - 46.0), shown)
    _books(canvas, Box(box.x + 552.0, box.y + 12.0, box.width - 552.0 - PADDING, box.height - 22.0), shown)


def _bands(canvas: Canvas, box: Box, shown: Scene) -> None:
    amounts: dict[tuple[str, str, str], float] = defaultdict(float)
    for flow in shown.flows:
        amounts[flow.payer, flow.payee, flow.kind] += flow.amount
    total = sum(amounts.values())
    if total <= 0.0:
        canvas.text(box.centre, "no month was lived yet", 12, MUTED, across=0.5, down=0.5)
        return
    scale = (box.height - _GAP * (len(_NAMES) - 1)) / total
    left, right = box.x + _LABELS, box.right - _LABELS
    paid = _nodes(canvas, left, box.y, scale, {a: _sum(amounts, 0, a) for a in _NAMES}, across=1.0)
    got = _nodes(canvas, right, box.y, scale, {a: _sum(amounts, 1, a) for a in _NAMES}, across=0.0)
    order = list(_NAMES)
    for (payer, payee, kind), amount in sorted(
        amounts.items(), key=lambda x: (order.index(x[0][0]), order.index(x[0][1]))
    ):
        thick = amount * scale
        start = (left + _NODE, paid[payer] + thick / 2.0)
        end = (right, got[payee] + thick / 2.0)
        paid[payer] += thick
        got[payee] += thick
        _band(canvas, start, end, max(0.8, thick), FLOWS[kind])


def _sum(amounts: dict[tuple[str, str, str], float], side: int, account: str) -> float:
    return sum(amount for key, amount in amounts.items() if key[side] == account)


def _nodes(
    canvas: Canvas, x: float, y: float, scale: float, totals: dict[str, float], across: float
) -> dict[str, float]:
    """Draw the accounts of one side; returns where each begins."""
    tops = {}
    last = y - 12.0
    for account, total in totals.items():
        height = total * scale
        tops[account] = y
        canvas.box(x, y, _NODE, max(1.5, height), TEXT, 2.0)
        middle = max(y + height / 2.0, last + 12.5)
        last = middle
        label = f"{_NAMES[account]} {money(total)}"
        at = x - 7.0 if across else x + _NODE + 7.0
        canvas.text((at, middle), label, 11, MUTED, across=across, down=0.5)
        y += height + _GAP
    return tops


def _band(canvas: Canvas, start: Point, end: Point, thick: float, colour: Colour) -> None:
    half = thick / 2.0
    upper, lower = [], []
    for k in range(25):
        t = k / 24.0
        x = start[0] + (end[0] - start[0]) * t
        y = start[1] + (end[1] - start[1]) * t * t * (3.0 - 2.0 * t)
        upper.append((x, y - half))
        lower.append((x, y + half))
    canvas.polygon([*upper, *lower[::-1]], mix(colour, CARD, 0.62))


def _books(canvas: Canvas, box: Box, shown: Scene) -> None:
    """What the month is worth: operating value, portfolio and what it cost society."""
    books = shown.books
    canvas.box(box.x - 12.0, box.y, 1.0, box.height, EDGE)
    rows = (
        ("operating value", books.operating, TEXT),
        ("portfolio", books.certainty_equivalent, TEXT),
        ("cost to society", -books.externality, TEXT),
    )
    canvas.text((box.x, box.y - 1.0), "Books", 14, TEXT, bold=True)
    for k, (name, amount, colour) in enumerate(rows):
        y = box.y + 24.0 + 19.0 * k
        canvas.text((box.x, y), name, 12, MUTED)
        canvas.text((box.right, y), money(amount, sign=k > 0), 12, colour, across=1.0)
    y = box.y + 84.0
    canvas.box(box.x, y, box.width, 1.0, MUTED)
    good = GREEN if books.ecosystem >= 0.0 else VERMILLION
    canvas.text((box.x, y + 6.0), "ecosystem value", 12, TEXT, bold=True)
    canvas.text((box.right, y + 4.0), money(books.ecosystem), 15, good, bold=True, across=1.0)
    canvas.text((box.right, y + 24.0), "k$ this month", 11, MUTED, across=1.0)
