"""The platform with its services and their calls, the pool in its heart, and the firms around it."""

from __future__ import annotations

import math
from typing import NamedTuple

from spiral_env.render import markers
from spiral_env.render.canvas import Canvas, Point
from spiral_env.render.palette import (
    CARD,
    EDGE,
    FAINT,
    GREEN,
    MUTED,
    ORANGE,
    PLATFORM,
    SKY,
    TEXT,
    TRACK,
    VERMILLION,
    YELLOW,
    Colour,
    mix,
)
from spiral_env.render.panels._box import PADDING, Box, card, money
from spiral_env.render.scene import Firm, Scene, Service

__all__ = ["draw"]

_TIER_RADII = (144.0, 104.0, 65.0)
_BAND = 36.0
_TRUST = 176.0
_FIRMS = (206.0, 258.0)
"""Radii between which firms stand."""
_LARGEST_FIRM = 19.0
_TOP = -math.pi / 2.0
_WEDGE = math.radians(58.0)
"""Of each tier's ring, kept free for its name."""
_POOL = 37.0


class _Place(NamedTuple):
    """Where a service stands, and how large."""

    at: Point
    radius: float


def draw(canvas: Canvas, box: Box, shown: Scene) -> None:
    """The whole panel."""
    card(canvas, box, "Ecosystem", f"{len(shown.firms)} firms around one platform of {len(shown.services)} services")
    centre = (box.x + box.width / 2.0, box.y + box.height / 2.0 + 8.0)
    places, size = _firm_places(len(shown.firms), centre)
    _links(canvas, centre, shown.firms, places, min(1.0, size / 12.0))
    _platform(canvas, centre, shown)
    _firms(canvas, shown.firms, places, size)
    _corners(canvas, box, shown)


def _polar(centre: Point, radius: float, angle: float) -> Point:
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def _firm_places(count: int, centre: Point) -> tuple[list[Point], float]:
    """Places on as few rings as hold them, and the radius of the marker of a firm of usual size."""
    size = _LARGEST_FIRM
    while True:
        gap = 2.7 * size
        rings = [r for k in range(64) if (r := _FIRMS[1] - size - k * gap) >= _FIRMS[0] + size] or [_FIRMS[1] - size]
        room = [int(math.tau * r / gap) for r in rings]
        if sum(room) >= count or size < 2.0:
            break
        size -= 0.5
    if len(rings) == 1:
        rings = [(_FIRMS[0] + _FIRMS[1]) / 2.0 + 2.0]
    counts = [count * x // sum(room) for x in room]
    counts[0] += count - sum(counts)
    return [
        _polar(centre, r, _TOP + math.tau * (k + 0.5 * (ring % 2)) / n)
        for ring, (r, n) in enumerate(zip(rings, counts, strict=True))
        for k in range(n)
    ], size


def _links(canvas: Canvas, centre: Point, firms: tuple[Firm, ...], places: list[Point], scale: float) -> None:
    """Members hang on the platform; who shares records has a wider line with an arrow to the pool."""
    for firm, at in zip(firms, places, strict=True):
        if firm.state not in ("basic", "full"):
            continue
        angle = math.atan2(at[1] - centre[1], at[0] - centre[0])
        end = _polar(centre, _TRUST + 3.0, angle)
        if firm.share <= 0.0:
            canvas.line(at, end, TRACK, 1.4 * scale)
            continue
        canvas.line(at, end, mix(SKY, CARD, 0.55), scale * (1.0 + 2.0 * firm.share))
        tip = scale * (3.0 + 3.0 * firm.share)
        base = _polar(centre, _TRUST + 3.0 + 2.0 * tip, angle)
        side = (-(base[1] - end[1]) * 0.5, (base[0] - end[0]) * 0.5)
        canvas.polygon([end, (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])], SKY)


def _firms(canvas: Canvas, firms: tuple[Firm, ...], places: list[Point], size: float) -> None:
    usual = sorted(firm.revenue for firm in firms)[len(firms) // 2]
    for firm, at in zip(firms, places, strict=True):
        radius = size * 0.72 * min(1.3, max(0.75, (firm.revenue / usual) ** 0.25))
        if firm.event is not None:
            markers.burst(canvas, at, radius * 2.0, firm.event)
            canvas.disc(at, radius + 2.0, CARD)
        markers.firm(canvas, at, radius, firm.state)
        if firm.closing is not None:
            markers.cross(canvas, at, radius, firm.closing)
        if firm.green:
            markers.leaf(canvas, (at[0] + radius * 0.85, at[1] - radius * 0.85), max(1.6, radius * 0.5))


def _platform(canvas: Canvas, centre: Point, shown: Scene) -> None:
    canvas.disc(centre, _TRUST - 4.0, PLATFORM)
    _trust(canvas, centre, shown)
    _tiers(canvas, centre, shown)
    places = _service_places(centre, shown.services)
    for caller, callee in shown.calls:
        _call(canvas, centre, places[caller], places[callee])
    _tier_names(canvas, centre, shown)
    worst = max(service.hazard for service in shown.services) or 1.0
    for service, place in zip(shown.services, places, strict=True):
        _service(canvas, service, place, service.hazard / worst)
    _pool(canvas, centre, shown)
    if shown.attack.breach:
        at = _polar(centre, _TRUST - 2.0, math.radians(135.0))
        markers.burst(canvas, at, 26.0, "platform")
        canvas.text((at[0], at[1]), "breach", 11, CARD, bold=True, across=0.5, down=0.5)


def _trust(canvas: Canvas, centre: Point, shown: Scene) -> None:
    """A ring as long as trust, with a mark where the gate asks for it."""
    canvas.ring(centre, _TRUST, 7.0, TRACK)
    kept = shown.trust >= shown.trust_needed
    canvas.ring(centre, _TRUST, 7.0, GREEN if kept else ORANGE, _TOP, shown.trust)
    angle = _TOP + math.tau * shown.trust_needed
    canvas.line(_polar(centre, _TRUST - 8.0, angle), _polar(centre, _TRUST + 8.0, angle), CARD, 6.0)
    canvas.line(_polar(centre, _TRUST - 8.0, angle), _polar(centre, _TRUST + 8.0, angle), TEXT, 2.5)


def _tiers(canvas: Canvas, centre: Point, shown: Scene) -> None:
    """A band for each tier: ever lighter inwards, red under the campaign, with a broken yellow line where alerted."""
    for k, (tier, radius) in enumerate(zip(shown.tiers, _TIER_RADII, strict=True)):
        struck = shown.attack.campaign == tier.name
        canvas.ring(centre, radius, _BAND, _tier_ground(k, struck))
        if shown.attack.alert == tier.name:
            _alert(canvas, centre, radius)
        if struck:
            _campaign(canvas, centre, radius)


def _tier_ground(k: int, struck: bool) -> Colour:
    ground = mix(TEXT, PLATFORM, 0.045 * (k + 1))
    return mix(VERMILLION, ground, 0.30) if struck else ground


def _tier_names(canvas: Canvas, centre: Point, shown: Scene) -> None:
    """What each tier is called and IT's posture there, over all calls."""
    for k, (tier, radius) in enumerate(zip(shown.tiers, _TIER_RADII, strict=True)):
        x, y = centre[0], centre[1] - radius
        canvas.box(x - 23.0, y - 14.0, 46.0, 28.0, _tier_ground(k, shown.attack.campaign == tier.name), 4.0)
        canvas.text((x, y - 7.0), tier.name, 11, TEXT, bold=True, across=0.5, down=0.5)
        canvas.text((x, y + 7.0), tier.posture, 11, _posture(tier.posture), across=0.5, down=0.5)


def _posture(posture: str) -> Colour:
    return {"defer": MUTED, "batch": SKY, "now": YELLOW}[posture]


def _alert(canvas: Canvas, centre: Point, radius: float) -> None:
    edge = radius + _BAND / 2.0 - 2.0
    turns = [math.tau * k / 96.0 for k in range(97)]
    canvas.dashes([_polar(centre, edge, a) for a in turns], YELLOW, 2.0)


def _campaign(canvas: Canvas, centre: Point, radius: float) -> None:
    """Attackers come from outside: bolts on the band, and an arrow to it."""
    for degrees in (30.0, 150.0, 270.0):
        angle = math.radians(degrees) + 0.5
        start, end = _polar(centre, _TRUST + 22.0, angle), _polar(centre, radius + _BAND / 2.0, angle)
        canvas.path([start, end], VERMILLION, [5.0, 1.0])
        canvas.disc(end, 10.0, PLATFORM)
        markers.bolt(canvas, end, 12.0)


def _service_places(centre: Point, services: tuple[Service, ...]) -> list[_Place]:
    """Each tier on its ring, clear of the tier's name."""
    places: list[_Place] = []
    largest = max(service.criticality for service in services)
    for tier, ring in enumerate(_TIER_RADII):
        members = [service for service in services if service.tier == tier]
        room = (math.tau - _WEDGE) * ring / max(1, len(members))
        for k, service in enumerate(members):
            angle = _TOP + _WEDGE / 2.0 + (math.tau - _WEDGE) * (k + 0.5) / len(members)
            radius = 11.0 + 6.0 * math.sqrt(service.criticality / largest)
            places.append(_Place(_polar(centre, ring, angle), min(radius, room * 0.42)))
    return places


def _call(canvas: Canvas, centre: Point, caller: _Place, callee: _Place) -> None:
    """A curve, thick to thin, that bends around the pool."""
    (x0, y0), (x1, y1) = caller.at, callee.at
    bend = _bend(centre, caller.at, callee.at)
    points = []
    for k in range(13):
        t = k / 12.0
        out = 2.0 * t * (1.0 - t)
        points.append((x0 + (x1 - x0) * t + bend[0] * out, y0 + (y1 - y0) * t + bend[1] * out))
    canvas.path(points, FAINT, [1.8 - 0.09 * k for k in range(13)])


def _bend(centre: Point, start: Point, end: Point) -> Point:
    """How far the middle of a curve is pulled so that where it is nearest to the centre it passes the pool."""
    along = (end[0] - start[0], end[1] - start[1])
    length = math.hypot(*along) or 1.0
    nearest = ((centre[0] - start[0]) * along[0] + (centre[1] - start[1]) * along[1]) / length**2
    t = min(0.75, max(0.25, nearest))
    off = (start[0] + along[0] * t - centre[0], start[1] + along[1] * t - centre[1])
    away = math.hypot(*off)
    if away < 1.0:
        off, away = (-along[1] / length, along[0] / length), 1.0
    pull = max(0.0, _POOL + 12.0 - away) / (2.0 * t * (1.0 - t))
    return off[0] / away * pull, off[1] / away * pull


def _service(canvas: Canvas, service: Service, place: _Place, hazard: float) -> None:
    """A disc with how many vulnerabilities are open, the redder the more hazard; around it what IT knows of them."""
    at, radius = place
    canvas.disc(at, radius + 2.0, PLATFORM)
    canvas.disc(at, radius, EDGE)
    known = service.known / service.open if service.open else 0.0
    canvas.ring(at, radius - 1.2, 2.4, MUTED, _TOP, known)
    canvas.disc(at, radius - 2.8, mix(VERMILLION, CARD, 0.15 + 0.75 * hazard))
    if radius >= 7.5:
        size = 12 if radius >= 11.0 else 10
        canvas.text(at, str(service.open), size, TEXT, bold=True, across=0.5, down=0.52)
    if service.exploited:
        markers.diamond(canvas, (at[0] + radius * 0.8, at[1] - radius * 0.8), 6.0)


def _pool(canvas: Canvas, centre: Point, shown: Scene) -> None:
    """A vessel in the heart, filled against the level's need, its bad records on top."""
    x, y = centre
    canvas.disc(centre, _POOL, CARD)
    canvas.disc(centre, _POOL - 1.5, TRACK)
    pool = shown.pool
    full = pool.records / pool.needed
    level = min(1.0, full)
    bad = level * pool.bad / max(1.0, pool.records + pool.bad)
    _liquid(canvas, centre, _POOL - 3.0, level, ORANGE)
    _liquid(canvas, centre, _POOL - 3.0, level - bad, mix(SKY, CARD, 0.72))
    canvas.text((x, y - 7.0), "pool", 11, TEXT, bold=True, across=0.5, down=0.5)
    canvas.text((x, y + 8.0), f"{100.0 * full:,.0f}%", 12, TEXT, bold=True, across=0.5, down=0.5)


def _liquid(canvas: Canvas, centre: Point, radius: float, level: float, colour: Colour) -> None:
    """The part of a disc below a level in [0, 1] of its height."""
    if level <= 0.0:
        return
    half = math.acos(max(-1.0, min(1.0, 1.0 - 2.0 * level)))
    start, end = math.pi / 2.0 - half, math.pi / 2.0 + half
    steps = 40
    canvas.polygon([_polar(centre, radius, start + (end - start) * k / steps) for k in range(steps + 1)], colour)


def _corners(canvas: Canvas, box: Box, shown: Scene) -> None:
    left, right = box.x + PADDING, box.right - PADDING
    _lines(canvas, (left, box.y + 40.0), "attack", _attack_lines(shown), 0.0)
    _lines(canvas, (right, box.y + 14.0), "pooled data", _pool_lines(shown), 1.0)
    _lines(canvas, (left, box.bottom - 86.0), "firms", _firm_lines(shown), 0.0)
    _lines(canvas, (right, box.bottom - 86.0), "vulnerabilities", _patch_lines(shown), 1.0)


def _lines(canvas: Canvas, at: Point, title: str, lines: list[tuple[str, Colour]], across: float) -> None:
    canvas.text(at, title, 12, TEXT, bold=True, across=across)
    for k, (line, colour) in enumerate(lines):
        canvas.text((at[0], at[1] + 18.0 + 16.0 * k), line, 12, colour, across=across)


def _attack_lines(shown: Scene) -> list[tuple[str, Colour]]:
    attack = shown.attack
    campaign = f"campaign on {attack.campaign}" if attack.campaign else "no campaign"
    alert = f"alert names {attack.alert}" if attack.alert else "no alert"
    out = [(campaign, VERMILLION if attack.campaign else MUTED), (alert, YELLOW if attack.alert else MUTED)]
    if attack.breach:
        return [*out, (f"breach: {money(attack.loss)} k$ lost", VERMILLION)]
    return [*out, (f"chance of a breach {100.0 * attack.probability:.1f}%", MUTED)]


def _pool_lines(shown: Scene) -> list[tuple[str, Colour]]:
    pool = shown.pool
    held = pool.records + pool.bad
    share = 100.0 * pool.bad / held if held else 0.0
    out = [
        (f"{pool.records:,.0f} good records", MUTED),
        (f"{share:.1f}% of all are bad", ORANGE if share >= 5.0 else MUTED),
        (f"model AUC {pool.auc:.2f}", MUTED),
        (f"privacy spent {pool.epsilon:.1f} epsilon", MUTED),
    ]
    return [*out, ("privacy incident", VERMILLION)] if pool.incident else out


def _firm_lines(shown: Scene) -> list[tuple[str, Colour]]:
    firms = shown.firms
    members = sum(firm.state in ("basic", "full") for firm in firms)
    hit = [firm for firm in firms if firm.event]
    out = [
        (f"{members} of {len(firms)} are members", MUTED),
        (f"{sum(firm.share > 0 for firm in firms)} share, {sum(firm.green for firm in firms)} are green", MUTED),
    ]
    if hit:
        return [*out, (f"{len(hit)} breached: {money(sum(firm.loss for firm in hit))} k$", YELLOW)]
    return [*out, ("none breached", MUTED)]


def _patch_lines(shown: Scene) -> list[tuple[str, Colour]]:
    services, attack = shown.services, shown.attack
    exploited = sum(x.exploited for x in services)
    open_now, known = sum(x.open for x in services), sum(x.known for x in services)
    return [
        (f"{open_now} open, {known} found", MUTED),
        (f"{exploited} exploited in the wild", ORANGE if exploited else MUTED),
        (f"{attack.arrivals} new, {attack.patched} patched", MUTED),
    ]
