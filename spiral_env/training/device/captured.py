"""Work on tensors that stay where they are, done again and again without a word from the host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

__all__ = ["Captured", "NoRoom", "memory_suffices", "prepare"]


class NoRoom(RuntimeError):
    """What is done in one pass does not fit on a multiprocessor of this device."""


def prepare(device: torch.device) -> torch.Generator:
    """Make a device torch's current one, on which products round to TF32; returns a generator there."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
    return torch.Generator(device)


@contextmanager
def memory_suffices(num_envs: int) -> Iterator[None]:
    """Say in one line where a device's memory does not.

    Raises:
        MemoryError: the device's memory ran out.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        line = str(error).splitlines()[0][:200]
        raise MemoryError(f"num_envs {num_envs} or num_steps must be lower on this device: {line}") from None


class Captured:
    """A function of no arguments and no result, whose kernels on a CUDA device are recorded once and then replayed.

    The first call runs it as it is, and makes what it keeps; the second records. On a CPU every call runs it.
    It must read and write tensors at fixed addresses, never wait for the device, and draw from ``generator`` alone.

    Attributes:
        recorded: whether kernels are recorded at all.
    """

    def __init__(self, function: Callable[[], object], device: torch.device, generator: torch.Generator) -> None:
        """Nothing runs yet."""
        self._function, self._device, self._generator = function, device, generator
        self.recorded = device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def __call__(self) -> None:
        """Do the work once."""
        self._calls += 1
        if self._calls == 2 and self.recorded:
            self._graph = self._record()
        if self._graph is not None:
            self._graph.replay()
        elif self._calls == 1 and self.recorded:
            self._beside()
        else:
            self._function()

    def _beside(self) -> None:
        """Run on a stream of its own, as torch asks of what is to be recorded."""
        here, beside = torch.cuda.current_stream(self._device), torch.cuda.Stream(self._device)
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            self._function()
        here.wait_stream(beside)

    def _record(self) -> torch.cuda.CUDAGraph | None:
        """None where this torch or driver cannot record it: then it is done anew each time."""
        graph = torch.cuda.CUDAGraph()
        try:
            graph.register_generator_state(self._generator)
            with torch.cuda.graph(graph):
                self._function()
        except RuntimeError as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            print(f"spiral_env: goes on slower, without a CUDA graph: {reason}", file=sys.stderr, flush=True)
            return None
        return graph
