"""A replay as one HTML file: all that it shows stands in it, and its policy of content forbids any request."""

from __future__ import annotations

import html
import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from spiral_env.core.ledger import ACCOUNTS, PURPOSE_CLASS, Class, Purpose
from spiral_env.provenance import versions
from spiral_env.render.replay.books import (
    CLASSES,
    COMPONENTS,
    HOLDERS,
    brought_by,
    labels_of,
    lines_of,
    received_by,
    told,
)
from spiral_env.render.replay.course import KINDS, SERIES, firms, incidents, series
from spiral_env.render.replay.recording import Recording, Replay
from spiral_env.roles import LEVERS, ROLES

__all__ = ["page_of"]

_SCRIPTS = ("figures.js", "spiral.js", "course.js", "books.js", "player.js")
"""In the order in which they build on each other."""
_DIGITS = 4
"""Significant digits of what is drawn; the books keep more."""


def page_of(replay: Replay, command: str = "") -> str:
    """The page, whole.

    Args:
        replay: what was played.
        command: told on the page as what made it.
    """
    names = " and ".join(labels_of(replay))
    parts = {
        "title": html.escape(f"{names} on {replay.world.id}, seed {replay.seed}"),
        "style": _asset("page.css"),
        "library": _asset("echarts.min.js"),
        "data": json.dumps(_data(replay, command), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "script": "\n".join(_asset(name) for name in _SCRIPTS),
    }
    page = _asset("page.html")
    for name, text in parts.items():
        before, after = page.split(f"{{{{{name}}}}}")
        page = before + text + after
    return page


@cache
def _asset(name: str) -> str:
    return files("spiral_env.render.replay").joinpath("assets", name).read_text(encoding="utf-8")


def _data(replay: Replay, command: str) -> dict[str, Any]:
    world = replay.world
    return {
        "scenario": {"id": world.id, "title": world.title, "hash": world.hash},
        "seed": str(replay.seed),
        "months": world.max_cycles,
        "start_month": int(replay.teams[0].states["start_month"][0]),
        "smes": int(replay.teams[0].states["num_smes"][0]),
        "command": command,
        "versions": versions(),
        "levers": {role: [lever.name for lever in LEVERS[role]] for role in ROLES},
        "components": COMPONENTS,
        "accounts": ACCOUNTS,
        "purposes": [
            {"name": name.lower(), "class": Class._fields[kind].lower()}
            for name, kind in zip(Purpose._fields, PURPOSE_CLASS, strict=True)
        ],
        "gate_risk": float(replay.params["gate_risk"]),
        "kinds": KINDS,
        "series": {name: {"label": x.label, "unit": x.unit} for name, x in SERIES.items()},
        "teams": [_team(team, label) for team, label in zip(replay.teams, labels_of(replay), strict=True)],
        "books": _books(replay),
    }


def _team(team: Recording, label: str) -> dict[str, Any]:
    flows = team.states["month_flow"]
    used = [k for k in range(flows.shape[1]) if flows[:, k].any()]
    return {
        "name": team.name,
        "label": label,
        "series": {name: _short(values) for name, values in series(team).items()},
        "efforts": {role: _short(team.efforts[role].mean(1).T) for role in ROLES},
        "rewards": {role: _short(rows) for role, rows in _rewards(team).items()},
        "flows": {str(k): _short(flows[:, k]) for k in used},
        "firms": firms(team),
        "incidents": [{**x._asdict(), "loss": _short(x.loss)} for x in incidents(team)],
        "metrics": {name: _short(x) for name, x in team.metrics.items()},
    }


def _rewards(team: Recording) -> dict[str, np.ndarray]:
    """Role -> its reward vector over time ``[3, M]``, SMEs added."""
    own = {role: team.vectors[:, k] for k, role in enumerate(ROLES[:-1])}
    return {role: x.T for role, x in (own | {ROLES[-1]: team.vectors[:, len(ROLES) - 1 :].sum(1)}).items()}


def _books(replay: Replay) -> dict[str, Any]:
    lines = [lines_of(team, replay.params) for team in replay.teams]
    return {
        "holders": HOLDERS,
        "classes": CLASSES,
        "lines": [
            {"name": same[0].name, "class": same[0].kind, "teams": [[_short(h, 8) for h in x.holders] for x in same]}
            for same in zip(*lines, strict=True)
        ],
        "received": [{role: _short(x, 8) for role, x in received_by(team).items()} for team in replay.teams],
        "brought": {role: _short(x, 8) for role, x in brought_by(replay.mixes).items()} if len(replay.mixes) else None,
        "told": told(replay),
    }


def _short(x: Any, digits: int = _DIGITS) -> Any:
    """Numbers in as few digits as tell them; what is not finite, which JSON does not know, as None."""
    if isinstance(x, np.ndarray | list | tuple):
        return [_short(y, digits) for y in x]
    if not math.isfinite(x):
        return None
    value = float(f"{x:.{digits}g}")
    return int(value) if value.is_integer() else value
