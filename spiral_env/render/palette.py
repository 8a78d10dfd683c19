"""Colours of frames and pages: those of Okabe and Ito, which colour-blind people tell apart, on dark blue.

Nothing is told by colour alone: a state also has a shape of its own.
"""

from __future__ import annotations

__all__ = ["COLOURS", "Colour", "FLOWS", "STAGES", "mix"]

Colour = tuple[int, int, int]

BACKGROUND: Colour = (11, 17, 30)
CARD: Colour = (18, 27, 44)
PLATFORM: Colour = (24, 36, 58)
EDGE: Colour = (40, 55, 84)
TRACK: Colour = (47, 62, 92)
TEXT: Colour = (236, 241, 248)
MUTED: Colour = (160, 174, 198)
FAINT: Colour = (112, 128, 156)

ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
GREEN: Colour = (38, 190, 144)
YELLOW: Colour = (240, 228, 66)
VERMILLION: Colour = (255, 104, 54)
PURPLE: Colour = (214, 133, 180)

COLOURS: tuple[Colour, ...] = (
    *(BACKGROUND, CARD, PLATFORM, EDGE, TRACK, TEXT, MUTED, FAINT),
    *(ORANGE, SKY, GREEN, YELLOW, VERMILLION, PURPLE),
)
"""All of them."""
STAGES: tuple[Colour, ...] = (SKY, ORANGE, GREEN)
"""Aggregation, governance, value."""
FLOWS: dict[str, Colour] = {"operating": SKY, "capital": PURPLE, "loss": VERMILLION}
"""What a payment is."""


def mix(colour: Colour, ground: Colour, share: float) -> Colour:
    """``share`` of ``colour`` over ``ground``."""
    r, g, b = (round(share * c + (1.0 - share) * d) for c, d in zip(colour, ground, strict=True))
    return r, g, b
