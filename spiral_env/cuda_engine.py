"""The engine of a GPU: its buffers are torch tensors on the card, its kernels those of ``simulator.cuda``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from spiral_env.checks import shown
from spiral_env.core._cuda import DeviceArray, Launch, RowKernel
from spiral_env.core.params import PARAMS_DTYPE
from spiral_env.simulator import cuda
from spiral_env.simulator.engine import REWARD_MODES, World
from spiral_env.tensor_engine import Records, TensorEngine, shapes

__all__ = ["CudaEngine"]

BLOCK = 64
"""Threads of a block."""
REGISTERS: int | None = None
"""At most so many a thread; None leaves it to the compiler."""


class CudaEngine(TensorEngine):
    """A batch of ecosystems on a GPU, a thread each; kernels run on torch's current stream."""

    def __init__(self, device: torch.device, world: World, num_envs: int, mode: str, realised: bool) -> None:
        """Allocate everything, and compile what is not on disk.

        Raises:
            ImportError: the compiler is not installed.
            ValueError: there is too little memory.
        """
        check_memory(device, world, num_envs)
        self._buffers = Buffers(device, world, num_envs)
        super().__init__(world, self._buffers.states.data, self._buffers.params.data, self._buffers.out)
        with torch.cuda.device(device):
            self._capability = torch.cuda.get_device_capability(device)
            arguments = self._buffers.arguments(REWARD_MODES.index(mode), realised)
            self._launches = {name: self._bind(*kernel) for name, kernel in arguments.items()}

    def _bind(self, kernel: RowKernel, arguments: list[DeviceArray | int], threads: int) -> Launch:
        index = self.device.index or 0
        return kernel.bind(
            arguments, threads, capability=self._capability, device=index, block=BLOCK, registers=REGISTERS
        )

    @contextmanager
    def _current(self) -> Iterator[int]:
        """The device as the current one, and the address of torch's stream there."""
        with torch.cuda.device(self.device):
            yield torch.cuda.current_stream(self.device).cuda_stream

    def step(self) -> None:
        """Advance by a month."""
        with self._current() as stream:
            self._launches["step"](stream)

    def reset(self, seeds: torch.Tensor, mask: torch.Tensor) -> None:
        """Open episodes."""
        self._buffers.seeds.copy_(seeds)
        self._buffers.mask.copy_(mask)
        with self._current() as stream:
            for name in ("clear", "draw", "open"):
                if name in self._launches:
                    self._launches[name](stream)

    def observe(self, mask: torch.Tensor) -> None:
        """Observe masked rows."""
        self._buffers.mask.copy_(mask)
        with self._current() as stream:
            self._launches["observe"](stream)


class Buffers:
    """All memory of a batch, on any device, and what each kernel takes of it."""

    def __init__(self, device: torch.device, world: World, num_envs: int) -> None:
        """Allocate it."""
        self.world = world
        record, base = world.record(), world.base()
        rows = num_envs if world.ranges else 1
        self.states = Records(torch.zeros((num_envs, record.itemsize), dtype=torch.uint8, device=device), record)
        self.base = torch.from_numpy(base.view(np.float64)).to(device)
        self.params = Records(self.base.view(torch.uint8).repeat(rows, 1), PARAMS_DTYPE)
        self.out = {n: torch.zeros(x, dtype=t, device=device) for n, (x, t) in shapes(world, num_envs).items()}
        self.seeds = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.mask = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self.law, self.ranges = (torch.from_numpy(x.copy()).to(device) for x in (world.law, world.range_rows()))
        self.template = torch.from_numpy(world.template().view(np.int64)).to(device)
        self.order = torch.arange(3, device=device)
        # Transposed, so that the threads of a warp write side by side.
        self.ranks = torch.zeros((*record["criticality"].shape, num_envs), dtype=torch.float64, device=device).t()
        self.tickets = torch.zeros((*record["v_uid"].shape, num_envs), dtype=torch.int64, device=device).t()

    def arguments(self, mode: int, realised: bool) -> dict[str, tuple[RowKernel, list[DeviceArray | int], int]]:
        """What is done -> kernel, arguments and number of threads."""
        states, params = _array(self.states.data, self.states.dtype), _array(self.params.data, PARAMS_DTYPE)
        seeds, mask, ranks = _array(self.seeds), _array(self.mask), _array(self.ranks)
        rewards = [_array(self.out[name]) for name in ("vectors", "scalars", "spent")]
        seen = [_array(self.out["summary"]), _array(self.out["observed"])]
        world, rows = self.world, len(self.states)
        sizes: list[DeviceArray | int] = [world.num_smes, world.max_cycles]
        efforts, order, tickets = _array(self.out["efforts"]), _array(self.order), _array(self.tickets)
        played: list[DeviceArray | int] = [efforts, mode, int(realised), order, ranks, tickets]
        words = _array(self.states.data.view(torch.int64))
        found: dict[str, tuple[RowKernel, list[DeviceArray | int], int]] = {
            "clear": (cuda.clear_rows, [words, _array(self.template), mask], rows * cuda.LANES),
            "open": (
                cuda.open_rows,
                [states, params, _array(self.law), seeds, mask, *sizes, ranks, *rewards, *seen],
                rows,
            ),
            "step": (cuda.step_rows, [states, params, *played, *rewards, *seen], rows),
            "observe": (cuda.observe_rows, [states, params, *seen, mask], rows),
        }
        if world.ranges:
            numbers = _array(self.params.data.view(torch.float64))
            drawn: list[DeviceArray | int] = [numbers, _array(self.base.reshape(-1)), _array(self.ranges), seeds, mask]
            found["draw"] = (cuda.draw_rows, drawn, rows)
        return found


def _array(tensor: torch.Tensor, record: np.dtype | None = None) -> DeviceArray:
    """A tensor as kernels take it; the bytes ``[E, B]`` of records as an array of records ``[E]``."""
    if record is not None:
        return DeviceArray(tensor.data_ptr(), (len(tensor),), (record.itemsize,), record)
    size = tensor.element_size()
    dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
    return DeviceArray(tensor.data_ptr(), tuple(tensor.shape), tuple(n * size for n in tensor.stride()), dtype)


def bytes_of_a_row(world: World) -> int:
    """What one ecosystem takes of a GPU's memory."""
    one = Buffers(torch.device("cpu"), world, 1)
    tensors = [one.states.data, one.ranks, one.tickets, one.seeds, one.mask, *one.out.values()]
    return sum(x.nbytes for x in [*tensors, *([one.params.data] if world.ranges else [])])


def check_memory(device: torch.device, world: World, num_envs: int) -> None:
    """Refuse a batch that a GPU cannot hold, before anything is allocated.

    Raises:
        ValueError: it needs more than there is free.
    """
    free = torch.cuda.mem_get_info(device)[0]
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    most = free // bytes_of_a_row(world)
    if num_envs > most:
        free_gib = free / 2**30
        raise ValueError(
            f"num_envs must be at most {most} in {free_gib:.1f} GiB free on {device}, got {shown(num_envs)}"
        )
