"""Scenes as a film or a picture: .mp4 through ffmpeg, .gif and .png through Pillow."""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.checks import shown
from spiral_env.render.canvas import load_pygame
from spiral_env.render.frame import draw
from spiral_env.render.palette import COLOURS
from spiral_env.render.scene import Scene

__all__ = ["PICTURES", "VIDEOS", "check_encoder", "film", "picture"]

VIDEOS = (".mp4", ".gif")
PICTURES = (".png",)
_COLOURS = 127
"""Of a .gif: few compress well; one more means what did not change."""
_SAMPLES = 6
"""Frames whose colours a .gif has."""
_LAST = 3000
"""Milliseconds that a .gif rests on its last frame before it starts again."""


def check_encoder(suffix: str) -> None:
    """See that what draws and writes files of this kind is there, before long work.

    Raises:
        ImportError: it is not installed; names the extra that brings it.
    """
    load_pygame()
    try:
        if suffix == ".mp4":
            import imageio_ffmpeg  # noqa: F401
        else:
            import PIL.Image  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(f"no module {error.name}: {suffix} needs pip install 'spiral-env[render]'") from None


def picture(month: Scene, title: str = "", width: int | None = None) -> bytes:
    """One month as the content of a .png.

    Args:
        month: what is drawn.
        title: as of ``spiral_env.render.frame.draw``.
        width: pixels that the frame is scaled down to; None leaves its size.
    """
    from PIL import Image

    check_encoder(".png")
    out = io.BytesIO()
    Image.fromarray(_frame(month, title, width)).save(out, "PNG", optimize=True)
    return out.getvalue()


def film(months: Sequence[Scene], suffix: str, fps: int, title: str = "", width: int | None = None) -> bytes:
    """Months as the content of a film, a frame each.

    Args:
        months: what is drawn, at least one.
        suffix: one of ``VIDEOS``.
        fps: months a second.
        title: as of ``spiral_env.render.frame.draw``.
        width: pixels that frames are scaled down to; None leaves their size.

    Raises:
        ImportError: what draws or writes it is not installed.
        ValueError: there are no months, or there is no such kind of file.
    """
    if suffix not in VIDEOS:
        raise ValueError(f"suffix must be one of {', '.join(VIDEOS)}, got {shown(suffix)}")
    if not months:
        raise ValueError("months must be at least one, got none")
    check_encoder(suffix)

    def frames(every: int = 1) -> Iterator[np.ndarray]:
        return (_frame(month, title, width) for month in months[::every])

    return _gif(frames, len(months), fps) if suffix == ".gif" else _mp4(frames(), fps)


def _frame(month: Scene, title: str, width: int | None) -> np.ndarray:
    pixels = draw(month, title)
    if width is None or width >= pixels.shape[1]:
        return pixels
    from PIL import Image

    size = (width, round(pixels.shape[0] * width / pixels.shape[1]))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _gif(frames: Callable[..., Iterator[np.ndarray]], count: int, fps: int) -> bytes:
    """One table of colours for all frames; of each frame only what changed is stored."""
    from PIL import Image

    samples = np.concatenate(list(frames(max(1, count // _SAMPLES))))
    own = [part for colour in COLOURS for part in colour]
    table = (Image.fromarray(samples).quantize(_COLOURS - len(COLOURS)).getpalette() or [])[: 3 * _COLOURS - len(own)]
    table += [0] * (3 * _COLOURS - len(own) - len(table)) + own
    table += [0] * (3 * 256 - len(table))
    palette = Image.new("P", (1, 1))
    palette.putpalette(table)
    pictures, before = [], None
    for frame in frames():
        now = np.asarray(Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE))
        changed = now if before is None else np.where(now == before, np.uint8(_COLOURS), now)
        pictures.append(Image.fromarray(changed))
        pictures[-1].putpalette(table)
        before = now
    out = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "loop": 0, "disposal": 1}
    options |= {"duration": [round(1000 / fps)] * (count - 1) + [_LAST], "transparency": _COLOURS, "optimize": False}
    pictures[0].save(out, "GIF", **options)
    return out.getvalue()


def _mp4(frames: Iterator[np.ndarray], fps: int) -> bytes:
    """H.264, whose sides are even numbers of pixels."""
    import imageio_ffmpeg

    first = next(frames)
    height, width = (side - side % 2 for side in first.shape[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        options: dict[str, Any] = {
            "quality": 8,
            "macro_block_size": 2,
            "ffmpeg_log_level": "error",
            "output_params": ["-movflags", "+faststart"],
        }
        writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=fps, **options)
        writer.send(None)
        for frame in itertools.chain([first], frames):
            writer.send(np.ascontiguousarray(frame[:height, :width]))
        writer.close()
        return path.read_bytes()
