"""Episodes as a page to look at: recordings of teams, what their books say, and one HTML file that opens offline."""

from __future__ import annotations

from spiral_env.render.replay.books import told
from spiral_env.render.replay.page import page_of
from spiral_env.render.replay.recording import Recording, Replay, record

__all__ = ["Recording", "Replay", "page_of", "record", "told"]
