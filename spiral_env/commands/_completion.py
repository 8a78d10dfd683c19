"""What a shell offers to complete; nothing here loads more than names of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["among", "worlds"]

_SCENARIOS = Path(__file__).parents[1] / "scenarios"


def worlds(incomplete: str) -> list[str]:
    """Ids of the package's scenarios."""
    return among(*sorted(path.stem for path in _SCENARIOS.glob("*.toml")))(incomplete)


def among(*names: str) -> Callable[[str], list[str]]:
    """One of these; of a list with commas, the last."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete
