"""The two ends of a world's normalised score: the average firm's, 0, and the best known, 1.

They are stored in ``references.json`` beside the scenarios, by the hash of the world, with one episode of the average
firm: where it comes out otherwise the model has changed since, and the ends no longer hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.files import parse_json, write_atomically
from spiral_env.scenarios.own import OWN_FOLDER

__all__ = ["FILE", "MEASURE", "Reference", "read_references", "write_references"]

FILE = "references.json"
MEASURE = "ecosystem_value"
"""What a score counts: what the ecosystem as a whole is worth a month."""


@dataclass(frozen=True)
class Reference:
    """The ends of one world's score.

    Attributes:
        scenario: id of the world.
        hash: of the world.
        measure: outcome measure that is scored.
        episodes: held-out seeds, from the first on, over which the ends are means.
        zero: mean of the average firm.
        one: mean of the best known policy or team.
        best: its name.
        best_hash: hash of its files; empty where it has none.
        probe: the measure in the average firm's first episode.
        versions: of what measured it.
    """

    scenario: str
    hash: str
    measure: str
    episodes: int
    zero: float
    one: float
    best: str
    best_hash: str
    probe: float
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse ends that tell nothing.

        Raises:
            ValueError: the best known is not above the average firm.
        """
        if not self.one > self.zero:
            raise ValueError(f"the best known of {self.scenario} must be above {self.zero:g}, got {self.one:g}")

    def normalised(self, values: Any) -> np.ndarray:
        """Values of the measure on the scale from the average firm, 0, to the best known, 1."""
        found: np.ndarray = (np.asarray(values, dtype=np.float64) - self.zero) / (self.one - self.zero)
        return found


def read_references(file: Path | None = None) -> dict[str, Reference]:
    """Hash of a world -> its reference; the package's own unless a file is named.

    Raises:
        ValueError: the file cannot be used.
    """
    where = OWN_FOLDER / FILE if file is None else file
    if not where.is_file():
        return {}
    try:
        rows = parse_json(where.read_bytes(), f"references {FILE}")
        return {key: Reference(**row) for key, row in rows.items()}
    except TypeError as error:
        raise ValueError(f"references {FILE} cannot be read: {error}") from None


def write_references(found: Mapping[str, Reference], file: Path | None = None) -> None:
    """Store references, sorted by scenario; one of the same scenario is replaced."""
    kept = {x.scenario: x for x in (*read_references(file).values(), *found.values())}
    rows = {kept[name].hash: asdict(kept[name]) for name in sorted(kept)}
    write_atomically(Path(str(OWN_FOLDER / FILE)) if file is None else file, json.dumps(rows, indent=1) + "\n")
