"""Running mean and variance, exact over all rows seen (Chan et al. 1983)."""

from __future__ import annotations

import numpy as np

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

    @property
    def std(self) -> np.ndarray:
        """Standard deviation ``[D]``, at least 1e-4; 1 before anything was seen."""
        if self.count == 0.0:
            return np.ones_like(self.mean)
        return np.sqrt(np.maximum(self.m2 / self.count, 1e-8))

    def update(self, rows: np.ndarray) -> None:
        """Take in ``[..., D]``."""
        flat = rows.reshape(-1, len(self.mean)).astype(np.float64)
        count, mean = float(len(flat)), flat.mean(0)
        delta, total = mean - self.mean, self.count + count
        self.m2 += ((flat - mean) ** 2).sum(0) + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    def apply(self, rows: np.ndarray, clip: float = 10.0) -> np.ndarray:
        """Rows ``[..., D]`` in standard deviations from the mean, clipped, float32."""
        scaled = (rows - self.mean.astype(np.float32)) / self.std.astype(np.float32)
        return np.clip(scaled, -clip, clip, dtype=np.float32)

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on."""
        return {"count": np.array([self.count]), "mean": self.mean, "m2": self.m2}

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        self.count = float(tensors["count"][0])
        self.mean, self.m2 = tensors["mean"].copy(), tensors["m2"].copy()
