"""The engine of a GPU: its buffers are torch tensors on the card, its kernels are those of ``simulator.cuda``."""

from __future__ import annotations

import torch

from spiral_env.simulator.engine import World
from spiral_env.tensor_engine import TensorEngine

__all__ = ["CudaEngine"]


class CudaEngine(TensorEngine):
    """A batch of ecosystems on a GPU."""

    def __init__(self, device: torch.device, world: World, num_envs: int, mode: str, realised: bool) -> None:
        """Allocate everything."""
        raise NotImplementedError("no kernels for GPUs yet")
