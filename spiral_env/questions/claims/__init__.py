"""The paper's claims, put to the test: parts of a report, and what may be concluded from them."""

from __future__ import annotations

from pathlib import Path

from spiral_env.questions.claims import draws, interplay, marginal, switches
from spiral_env.questions.claims.conclusions import conclude
from spiral_env.questions.claims.switches import Claims, named
from spiral_env.questions.report import Part, Report

__all__ = ["PARTS", "Claims", "named", "report_of"]

PARTS: dict[str, Part] = {
    "switches": Part("Mechanisms off, policy levers on", switches.switches, switches.table),
    "retrained": Part("The same, retrained in the switched world", switches.retrained, switches.table),
    "adapted": Part("The same, a trained team trained on in the switched world", switches.adapted, switches.table),
    "draws": Part("The same where the assumed numbers are others", draws.draws, draws.draws_table),
    "interplay": Part("Worth more together", interplay.interplay, interplay.interplay_table),
    "alone": Part("Pressures without responses", draws.alone, draws.alone_table),
    "marginal": Part("One SME does otherwise, k$ a month", marginal.marginal, marginal.marginal_table),
    "sizes": Part("Value by SME, k$ a month", marginal.sizes, marginal.sizes_table),
}


def report_of(claims: Claims, out: Path, command: str) -> Report:
    """The report ``claims.json`` and ``claims.md`` of a folder."""
    return Report(PARTS, "claims", out, command, f"{claims.world.id} {claims.world.hash}", conclude)
