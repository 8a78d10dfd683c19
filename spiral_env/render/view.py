"""What ``render_mode`` stands for: text, pixels, or a window."""

from __future__ import annotations

from typing import Any

from spiral_env.checks import check_optional
from spiral_env.render.text import render_text

__all__ = ["RENDER_FPS", "RENDER_MODES", "View"]

RENDER_FPS = 4
"""Months a second, where someone watches."""
RENDER_MODES = ("ansi", "rgb_array", "human")


class View:
    """One environment as someone sees it; pygame is loaded when it is first drawn.

    Attributes:
        mode: None, "ansi", "rgb_array" or "human".
        live: whether every month is shown as it is lived.
    """

    def __init__(self, mode: str | None, title: str) -> None:
        """Nothing is drawn or opened before ``show``.

        Args:
            mode: None, "ansi", "rgb_array" or "human".
            title: stands beside the project's name.

        Raises:
            ImportError: a window is asked for, and pygame is not installed.
            ValueError: there is no such mode.
        """
        self.mode = check_optional("render_mode", mode, RENDER_MODES)
        self.live = self.mode == "human"
        self._title = title
        self._window: Any = None
        self._drawn: tuple[bytes, Any] = (b"", None)
        if self.live:
            from spiral_env.render.canvas import load_pygame

            load_pygame()

    def show(self, s: Any, p: Any) -> Any:
        """A month: text with "ansi", uint8 ``[H, W, 3]`` with "rgb_array", else None.

        Pixels are the same array as before as long as the month is: recorders ask for one after every agent's turn.

        Args:
            s: a state record, only read.
            p: the ecosystem's parameter record, only read.

        Raises:
            ImportError: pygame is not installed.
            RuntimeError: there was no reset.
        """
        if self.mode is None:
            return None
        if self.mode == "ansi":
            return render_text(s, p)
        if s.num_services == 0:
            raise RuntimeError("render() needs a reset() first")
        pixels = self._pixels(s, p)
        if not self.live:
            return pixels
        if self._window is None:
            from spiral_env.render.window import Window

            self._window = Window(self._title, RENDER_FPS)
        self._window.show(pixels)
        return None

    def _pixels(self, s: Any, p: Any) -> Any:
        from spiral_env.render.frame import frame

        seen = s.tobytes()
        if self._drawn[0] != seen:
            self._drawn = (seen, frame(s, p, self._title))
        return self._drawn[1]

    def close(self) -> None:
        """Close the window, if one is open; the next ``show`` opens another."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def __getstate__(self) -> dict[str, Any]:
        """All but the window: a copy opens its own."""
        return self.__dict__ | {"_window": None, "_drawn": (b"", None)}
