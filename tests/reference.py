"""The whole month again: slow, plain Python, written from MODEL.md, independent of the compiled kernels.

It imports nothing of ``stages``, ``roles`` or ``simulator``; it reads parameter values, stream numbers, the law of the
starting backlog, and of the roles' tables the order of levers and features with their scales and bounds. What a lever
does and what a feature tells is computed here once more.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reference_parts.aggregation import aggregate
from reference_parts.closing import close_month
from reference_parts.decisions import decide
from reference_parts.governance import govern
from reference_parts.opening import open_episode
from reference_parts.value import add_value
from reference_parts.views import observations, rewards

__all__ = ["Ecosystem", "Tables", "starting_law"]

ACCOUNTS = ("world", "platform", "treasury", "security", "smes")
MODES = ("mixed", "selfish", "cooperative")


class Tables(NamedTuple):
    """What the roles' tables say: role -> names of levers; role -> rows with ``name``, ``scale``, ``low``, ``high``."""

    levers: dict[str, list[str]]
    features: dict[str, Sequence[Any]]


def starting_law(path: Path) -> list[dict[str, float]]:
    """Rows of the law of the starting backlog."""
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


class Ecosystem:
    """One episode. Attributes are the rows of the state; ``sme_*`` are those of ``firms``."""

    fallbacks = cascaded = overflowed = turned_away = 0

    def __init__(
        self,
        values: dict[str, Any],
        ranges: dict[str, tuple[float, float]],
        law: list[dict[str, float]],
        num_smes: int,
        max_cycles: int,
        seed: int,
        tables: Tables,
        services: Sequence[Any] = (),
        findings: Sequence[Any] = (),
    ) -> None:
        """Open an episode: parameters over their defaults, ranges of a procedural world, the backlog's law.

        A world may name its ``services`` and ``findings`` itself: rows of a scenario file.
        """
        self.levers, self.features = tables
        open_episode(self, values, ranges, law, num_smes, max_cycles, seed, services, findings)

    def step(self, efforts: Sequence[Sequence[float]]) -> None:
        """Live a month under efforts of IT, business, finance and every firm."""
        self.month += 1
        self.cascaded = self.overflowed = self.turned_away = 0
        self.ledger.open_month()
        decide(self, efforts)
        aggregate(self)
        govern(self)
        add_value(self)
        close_month(self)

    @property
    def calendar(self) -> int:
        """Month of the year, 0 for January."""
        return (self.start_month + self.month - 1) % 12

    @property
    def num_open(self) -> int:
        """Open vulnerabilities, those patched this month among them."""
        return len(self.vulnerabilities)

    @property
    def balance(self) -> list[float]:
        return [self.ledger.total(name) for name in ACCOUNTS]

    def statement(self, purpose: str) -> list[float]:
        """What every account got (+) or paid (-) this month for a purpose."""
        return [self.ledger.flow.get((purpose, name), 0.0) for name in ACCOUNTS]

    def field(self, name: str) -> Any:
        """Value of a row of the state; of a row ``sme_*`` one value a firm."""
        if name == "sme_cash":
            return [self.ledger.balance[firm.seat] for firm in self.firms]
        if name.startswith("sme_"):
            return [getattr(firm, name.removeprefix("sme_")) for firm in self.firms]
        if name in ("criticality", "service_tier"):
            return {"criticality": self.services.criticality, "service_tier": self.services.tier}[name]
        return getattr(self, name)

    def rewards(self, mode: str, realised: bool) -> tuple[list[list[float]], list[float]]:
        """Vectors (security, cost, value) and scalars of the month just lived."""
        return rewards(self, mode, realised)

    def observations(self) -> dict[str, list[Any]]:
        """Role -> features of each of its agents."""
        return observations(self)
