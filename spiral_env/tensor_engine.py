"""The simulator behind torch tensors: what engines have in common on every device, and the one on the CPU.

Nothing here waits for a device: what is decided row by row is a mask that stays there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from spiral_env.checks import shown
from spiral_env.core.params import PARAMS_DTYPE
from spiral_env.roles import MAX_LEVERS
from spiral_env.simulator.engine import Engine, World
from spiral_env.simulator.month import SUMMARY

__all__ = ["CpuEngine", "Records", "TensorEngine", "as_device", "engine_for"]

_KINDS = {"f8": torch.float64, "i8": torch.int64, "i2": torch.int16, "i1": torch.int8}


class Records(Mapping[str, torch.Tensor]):
    """Fields of records as tensors ``[E, ...]`` that share memory with the records' bytes ``[E, B]``."""

    def __init__(self, data: torch.Tensor, dtype: np.dtype, known: Mapping[str, torch.Tensor] | None = None) -> None:
        """Look at ``data``; what is ``known`` is not taken from there."""
        assert dtype.fields is not None
        self.data, self.dtype, self.known = data, dtype, known or {}
        self._fields = dtype.fields

    def __getitem__(self, name: str) -> torch.Tensor:
        """A field."""
        if name in self.known:
            return self.known[name]
        kind, offset = self._fields[name][:2]
        cut = self.data[:, offset : offset + kind.itemsize]
        return cut.view(_KINDS[kind.base.str[1:]]).reshape(len(self.data), *kind.shape)

    def __iter__(self) -> Iterator[str]:
        """Names of the fields."""
        return iter(self._fields)

    def __len__(self) -> int:
        """Number of records, as of an array of them."""
        return len(self.data)

    def to_host(self) -> np.ndarray:
        """A copy as an array of records ``[E]``."""
        return self.data.to("cpu", copy=True).numpy().view(self.dtype).reshape(-1)

    def from_host(self, records: np.ndarray) -> None:
        """Take over an array of records ``[E]``."""
        self.data.copy_(torch.from_numpy(records.view(np.uint8).reshape(len(records), -1)))


class TensorEngine:
    """A batch of ``num_envs`` ecosystems on one device. Buffers are allocated once and reused.

    A device's own engine adds ``step`` (a month under ``efforts`` in every row that is not done), ``reset`` (an
    episode with its seed in every masked row), ``observe`` (of masked rows) and ``decode`` (levels to efforts).

    Attributes:
        states: the state records ``[E]``.
        params: the parameter records, ``[E]``, or ``[1]`` where all rows live in one world.
        observations: role -> float32 ``[E, A, O]``.
        vectors: float64 ``[E, 3 + N, 3]`` (security, cost, value) in k$.
        scalars: float64 ``[E, 3 + N]`` rewards.
        spent: float64 ``[E, 3 + N, 2]`` what levers asked for and what was paid, in k$.
        summary: float64 ``[E, 4]``, in the order of ``spiral_env.simulator.month.SUMMARY``.
        efforts: float64 ``[E, 3 + N, L]``, what the next step plays.
    """

    def __init__(self, world: World, states: torch.Tensor, params: torch.Tensor, out: dict[str, torch.Tensor]) -> None:
        """Take buffers: bytes of records and ``out``, the attributes below by their names and ``observed``."""
        self.world = world
        self.num_envs = len(states)
        self.num_agents = 3 + world.num_smes
        self.device = states.device
        # Known beforehand, so that nobody has to ask the device.
        smes = torch.full((1,), world.num_smes, dtype=torch.int64)
        self.states = Records(states, world.record(), {"num_smes": smes})
        self.params = Records(params, PARAMS_DTYPE)
        self.vectors, self.scalars = out["vectors"], out["scalars"]
        self.spent, self.summary = out["spent"], out["summary"]
        self.observed, self.efforts = out["observed"], out["efforts"]
        self.observations: dict[str, torch.Tensor] = world.role_blocks(self.observed, self.num_envs)

    def step(self) -> None:
        """Advance every row that is not done by a month under ``efforts``, and observe it."""
        raise NotImplementedError

    def reset(self, seeds: torch.Tensor, mask: torch.Tensor) -> None:
        """Open an episode with its seed (int64 ``[E]``) in every masked row (bool ``[E]``), and observe it."""
        raise NotImplementedError

    def observe(self, mask: torch.Tensor) -> None:
        """Write observations and summaries of the masked rows."""
        raise NotImplementedError

    def save(self) -> tuple[np.ndarray, np.ndarray]:
        """States and parameters as arrays of records ``[E]`` on the host, for ``load`` of an engine of any device."""
        states, params = self.states.to_host(), self.params.to_host()
        return states, np.repeat(params, self.num_envs // len(params))

    def load(self, states: np.ndarray, params: np.ndarray) -> None:
        """Take over records ``[E]`` of this world from outside, checked before a kernel reads them, and observe them.

        Raises:
            ValueError: of another world, or damaged.
        """
        self.world.check(states, params)
        self.states.from_host(states)
        self.params.from_host(params[: len(self.params)])
        self.observe(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))

    def close(self) -> None:
        """Let go of what runs in the background."""


def shapes(world: World, num_envs: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of each buffer but the records."""
    agents = 3 + world.num_smes
    return {
        "vectors": ((num_envs, agents, 3), torch.float64),
        "scalars": ((num_envs, agents), torch.float64),
        "spent": ((num_envs, agents, 2), torch.float64),
        "summary": ((num_envs, len(SUMMARY)), torch.float64),
        "observed": ((num_envs * world.width,), torch.float32),
        "efforts": ((num_envs, agents, MAX_LEVERS), torch.float64),
    }


class CpuEngine(TensorEngine):
    """Tensors that share memory with the arrays of an ``Engine``."""

    def __init__(self, world: World, num_envs: int, mode: str, realised: bool, num_threads: int = 1) -> None:
        """Allocate everything."""
        self._engine = engine = Engine(world, num_envs, num_threads, mode, realised)
        names = ("vectors", "scalars", "spent", "summary", "observed")
        out = {name: torch.from_numpy(getattr(engine, name)) for name in names}
        out["efforts"] = torch.zeros(shapes(world, num_envs)["efforts"][0], dtype=torch.float64)
        states, params = (
            torch.from_numpy(x.view(np.uint8).reshape(num_envs, -1)) for x in (engine.states, engine.params)
        )
        super().__init__(world, states, params, out)

    def step(self) -> None:
        """Advance by a month."""
        self._engine.step(self.efforts.numpy())

    def reset(self, seeds: torch.Tensor, mask: torch.Tensor) -> None:
        """Open episodes."""
        self._engine.reset(seeds.numpy(), mask.numpy())

    def observe(self, mask: torch.Tensor) -> None:
        """Observe masked rows."""
        self._engine.observe(mask.numpy())

    def close(self) -> None:
        """End the worker threads."""
        self._engine.close()


def as_device(device: Any) -> torch.device:
    """The device of a name, where there is one.

    Raises:
        ValueError: an unknown name, or no such GPU.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda or cuda:N, got {shown(device)}")
    if found.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        why = "no NVIDIA driver with a GPU was found" if torch.version.cuda else "this build of torch is for CPUs"
        raise ValueError(f"device {str(device)!r} cannot be used: {why} (torch {torch.__version__})")
    index = torch.cuda.current_device() if found.index is None else found.index
    if index >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise ValueError(f"device must be cpu or cuda:0 to cuda:{last}, got {shown(device)}")
    return torch.device("cuda", index)


def engine_for(
    device: torch.device, world: World, num_envs: int, mode: str, realised: bool, num_threads: int = 1
) -> Any:
    """The engine of a device."""
    if device.type == "cpu":
        return CpuEngine(world, num_envs, mode, realised, num_threads)
    if num_threads != 1:
        raise ValueError(f"num_threads must be 1 on a GPU, got {num_threads}")
    from spiral_env.cuda_engine import CudaEngine

    return CudaEngine(device, world, num_envs, mode, realised)
