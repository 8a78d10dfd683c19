"""Policies of the user's own code: imported here, or played in a process of their own behind walls."""

from __future__ import annotations

from spiral_env.outside.imported import Imported
from spiral_env.outside.process import Limits, Outside

__all__ = ["Imported", "Limits", "Outside"]
