"""What the paper claims, and what must be seen if it is so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spiral_env.questions.claims.switches import ARROWS, DRIVERS, EDGES, POLICY
from spiral_env.questions.teams import HEIGHT, VALUE

__all__ = ["CLAIMS", "Claim", "claimed"]

_BOTH = {VALUE: -1, HEIGHT: -1}


@dataclass(frozen=True)
class Claim:
    """One claim as an experiment.

    Attributes:
        name: in a few words.
        sentence: what is claimed.
        switch: the switch or policy lever that puts it to the test, or "".
        expected: measure -> 1 if it must rise under the switch, -1 if it must fall.
        interplays: rows of the part ``interplay`` in which the pair must be worth more together.
        more: further signs, ``part/row/figure`` of the report -> 1 or -1.
    """

    name: str
    sentence: str
    switch: str = ""
    expected: Mapping[str, int] = field(default_factory=dict)
    interplays: tuple[str, ...] = ()
    more: Mapping[str, int] = field(default_factory=dict)


def _lever(name: str) -> str:
    return f"{name} {POLICY[name]:g}"


CLAIMS: tuple[Claim, ...] = (
    Claim("edge 1", "What is pooled teaches governance; without it the spiral climbs less.", EDGES[0], _BOTH),
    Claim("edge 2", "Governance earns the trust that value needs; without it the spiral climbs less.", EDGES[1], _BOTH),
    Claim("edge 3", "Value flows back into pooling; without it the spiral climbs less.", EDGES[2], _BOTH),
    Claim("all edges", "Feedback drives the spiral.", "all edges", _BOTH),
    Claim("modularity", "Modular AI is a core driver.", DRIVERS[0], _BOTH),
    Claim("privacy technology", "Privacy technology is a core driver.", DRIVERS[1], _BOTH),
    Claim(
        "small firms",
        "SMEs amplify the spiral: more of them are worth more each, and one that leaves costs the others.",
        DRIVERS[2],
        _BOTH,
        more={
            "sizes/average firm/most against fewest": 1,
            "sizes/scripted/most against fewest": 1,
            "sizes/trained/most against fewest": 1,
            "marginal/average firm, governed: leaves/others": -1,
            "marginal/scripted, governed: leaves/others": -1,
            "marginal/trained, governed: leaves/others": -1,
        },
    ),
    Claim(
        "governance protects",
        "Governance protects what aggregation creates: pooling is worth more where risk is governed.",
        interplays=("aggregation, governance",),
    ),
    Claim("commerce serves finance", "User data serve forecasts.", ARROWS[0], {VALUE: -1}),
    Claim("finance serves commerce", "Capital serves commerce.", ARROWS[1], {VALUE: -1}),
    Claim("security serves both", "Security protects data and money.", ARROWS[2], {VALUE: -1}),
    Claim(
        "domains together",
        "Domains reinforce each other: each is worth more where the other works.",
        "all arrows",
        {VALUE: -1},
        interplays=("commerce, finance", "commerce, cybersecurity", "finance, cybersecurity"),
    ),
    Claim(
        "subsidies",
        "Subsidies of digital tools bring small firms in and raise value.",
        _lever("subsidy_tools"),
        {"sme_participation": 1, VALUE: 1},
    ),
    Claim(
        "tax breaks",
        "Tax breaks for ESG make firms invest rather than claim, and raise value.",
        _lever("tax_break_esg"),
        {"greenwash_gap": -1, VALUE: 1},
    ),
    Claim(
        "privacy rules",
        "Strict privacy rules save privacy and earn trust, and value does not suffer.",
        _lever("privacy_strictness"),
        {"eps12": -1, "trust": 1, VALUE: 1},
    ),
    Claim(
        "verification norm",
        "A norm of verification closes the gap between claimed and true ESG, and raises value.",
        _lever("verification_norm"),
        {"greenwash_gap": -1, VALUE: 1},
    ),
    Claim(
        "adaptive rules",
        "Rules that adapt to the level earn trust, and raise value.",
        _lever("adaptive_rules"),
        {"trust": 1, VALUE: 1},
    ),
)


def claimed() -> list[str]:
    """Names of the switches that a claim needs, each once."""
    return list(dict.fromkeys(x.switch for x in CLAIMS if x.switch))
