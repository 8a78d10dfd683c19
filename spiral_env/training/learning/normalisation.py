"""Running mean and variance, exact over all rows seen (Chan et al. 1983)."""

from __future__ import annotations

import numpy as np

from spiral_env.training.learning.compiled import normalise

__all__ = ["Normaliser"]


class Normaliser:
    """Moments of the last axis.

    Attributes:
        count: rows seen.
        mean: float64 ``[D]``.
        m2: sum of squared deviations, float64 ``[D]``.
    """

    def __init__(self, width: int) -> None:
        """Start with nothing seen: ``apply`` is then the identity up to the clip."""
        self.count = 0.0
        self.mean = np.zeros(width)
        self.m2 = np.zeros(width)
        self._noted, self._sums = 0, np.zeros((2, width))

    @property
    def std(self) -> np.ndarray:
        """Standard deviation ``[D]``, at least 1e-4; 1 before anything was seen."""
        if self.count == 0.0:
            return np.ones_like(self.mean)
        return np.sqrt(np.maximum(self.m2 / self.count, 1e-8))

    def update(self, rows: np.ndarray) -> None:
        """Take in ``[..., D]``."""
        centred = rows.reshape(-1, len(self.mean)) - self.mean
        self.merge(len(centred), np.stack([centred.sum(0), np.einsum("nd,nd->d", centred, centred)]), self.mean)

    def note(self, rows: np.ndarray, out: np.ndarray, counted: np.ndarray | None = None, clip: float = 10.0) -> None:
        """Write ``apply(rows)`` of float32 ``[E, ..., D]`` to ``out``, and note the rows for ``take_noted``.

        Where ``counted`` (bool ``[E]``) is false nothing is noted and zeros are written.
        """
        if counted is not None and not counted.all():
            kept = np.empty_like(rows[counted])
            self.note(np.ascontiguousarray(rows[counted]), kept, clip=clip)
            out[counted], out[~counted] = kept, 0.0
            return
        width = len(self.mean)
        mean, scale = self.mean.astype(np.float32), (1.0 / self.std).astype(np.float32)
        normalise(rows.reshape(-1, width), mean, scale, np.float32(clip), out.reshape(-1, width), self._sums)
        self._noted += rows.size // width

    def take_noted(self) -> None:
        """Take in all rows noted since the last time."""
        if self._noted:
            self.merge(self._noted, self._sums, self.mean.astype(np.float32))
        self._noted, self._sums = 0, np.zeros_like(self._sums)

    def merge(self, count: int, sums: np.ndarray, centre: np.ndarray) -> None:
        """Take in ``count`` rows by the sums of their deviations from ``centre`` and of the squares, ``[2, D]``."""
        delta, total = centre + sums[0] / count - self.mean, self.count + count
        self.m2 = self.m2 + np.maximum(sums[1] - sums[0] ** 2 / count, 0.0) + delta**2 * self.count * count / total
        self.mean = self.mean + delta * count / total
        self.count = total

    def apply(self, rows: np.ndarray, clip: float = 10.0) -> np.ndarray:
        """Rows ``[..., D]`` in standard deviations from the mean, clipped, float32."""
        scaled = (rows - self.mean.astype(np.float32)) * (1.0 / self.std).astype(np.float32)
        return np.clip(scaled, -clip, clip, dtype=np.float32)

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on."""
        return {"count": np.array([self.count]), "mean": self.mean, "m2": self.m2}

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        self.count = float(tensors["count"][0])
        self.mean, self.m2 = tensors["mean"].copy(), tensors["m2"].copy()
