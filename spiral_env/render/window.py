"""A window that shows frames; without a display it works with SDL_VIDEODRIVER=dummy."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.render.canvas import load_pygame

__all__ = ["Window"]


class Window:
    """A window of one environment. Who watches may close it: the program goes on without.

    Attributes:
        is_open: whether it is still there.
    """

    def __init__(self, title: str, fps: int) -> None:
        """Open nothing yet: the first frame says how large.

        Args:
            title: what stands in its bar, behind the project's name.
            fps: frames a second at most.
        """
        self._pygame = load_pygame()
        self._name = f"spiral_env {title}".strip()
        self._clock = self._pygame.time.Clock()
        self._fps = fps
        self._window: Any = None
        self.is_open = True

    def show(self, pixels: np.ndarray) -> None:
        """Show a frame, uint8 ``[H, W, 3]``, and wait until the next one is due; nothing once it was closed."""
        if not self.is_open:
            return
        try:
            self._show(pixels)
        except self._pygame.error:
            # Another program part has ended pygame, and with it the window.
            self._window = None
            self._show(pixels)

    def _show(self, pixels: np.ndarray) -> None:
        height, width, _ = pixels.shape
        if self._window is None:
            self._pygame.display.init()
            self._window = self._pygame.Window(self._name, (width, height))
        if self._asked_to_close():
            self.close()
            return
        picture = self._pygame.image.frombuffer(pixels, (width, height), "RGB")
        self._window.get_surface().blit(picture, (0, 0))
        self._window.flip()
        self._clock.tick(self._fps)

    def _asked_to_close(self) -> bool:
        """Look through what happened; what another window was asked is left to it."""
        pygame = self._pygame
        closings = (pygame.WINDOWCLOSE, pygame.QUIT)
        asked = False
        for event in pygame.event.get():
            if event.type not in closings:
                continue
            if event.type == pygame.QUIT or event.window is self._window:
                asked = True
            elif event.window is not None:
                pygame.event.post(event)
        return asked

    def close(self) -> None:
        """Close it for good; may be called again."""
        if self._window is not None:
            self._window.destroy()
            self._window = None
        self.is_open = False
