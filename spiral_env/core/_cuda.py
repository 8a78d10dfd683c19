"""The compile layer of GPUs: kernels become machine code, kept on disk, and are started on a stream.

``_jit`` and this are the only files that name numba. A function decorated with ``kernel`` can be called from a
``row_kernel``, so that what is done to a row is written once. Machine code is kept as that of the processor is: under
the hash of the package's sources.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import types

from spiral_env.core._jit import Entries, Once, cache_folder, source_hash

if importlib.util.find_spec("numba_cuda") is not None:
    from numba import cuda
    from numba.cuda import dispatcher, grid

    _VERSION = importlib.metadata.version("numba-cuda")
else:
    _VERSION = "none"

    def grid(dimensions: int) -> int:  # type: ignore[misc]
        """Stand for the index of a thread, where nothing can be compiled."""
        raise NotImplementedError


__all__ = ["DeviceArray", "Launch", "RowKernel", "grid", "row_kernel"]

_tell_of_compiling = Once()


class DeviceArray(NamedTuple):
    """An array in a device's memory."""

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""
    dtype: np.dtype

    @property
    def type(self) -> types.Array:
        """Of the compiler."""
        size, contiguous = self.dtype.itemsize, True
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            contiguous &= length == 1 or stride == size
            size *= length
        return types.Array(numba.from_dtype(_aligned(self.dtype)), len(self.shape), "C" if contiguous else "A")

    def numbers(self) -> list[int]:
        """What a kernel is handed: no owner, no parent, items, bytes of one, pointer, shape and strides."""
        return [0, 0, int(np.prod(self.shape)), self.dtype.itemsize, self.pointer, *self.shape, *self.strides]


def _aligned(dtype: np.dtype) -> np.dtype:
    """A record's type that says that its fields lie at multiples of their sizes: a GPU reads others byte by byte."""
    if dtype.fields is None:
        return dtype
    names = list(dtype.fields)
    formats, offsets = zip(*(dtype.fields[name][:2] for name in names), strict=True)
    spec = {"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize}
    return np.dtype(spec, align=True)  # type: ignore[call-overload,no-any-return]


class MachineCode(NamedTuple):
    """A compiled kernel: the name of its entry, and code for one architecture."""

    entry: str
    cubin: bytes


class RowKernel:
    """A kernel that is compiled for the arguments it is first bound to."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        version = source_hash(_VERSION)
        self._entries = Entries(function, cache_folder(version))
        self._loaded: dict[Any, ctypes.c_void_p] = {}
        self._lock = threading.Lock()

    def signature(self, arguments: Sequence[DeviceArray | int]) -> tuple[Any, ...]:
        """Types of the arguments; whole numbers have 64 bits."""
        return tuple(x.type if isinstance(x, DeviceArray) else types.int64 for x in arguments)

    def ptx(self, arguments: Sequence[DeviceArray | int], capability: tuple[int, int]) -> str:
        """The kernel in the assembly language of GPUs of a compute capability; needs none.

        Raises:
            ImportError: the compiler is not installed.
        """
        if _VERSION == "none":
            raise ImportError("no module numba_cuda: a GPU needs pip install 'spiral-env[cuda]'")
        with _capability(capability):
            return str(cuda.compile_ptx(self.function, types.void(*self.signature(arguments)), cc=capability)[0])

    def machine_code(
        self, arguments: Sequence[DeviceArray | int], capability: tuple[int, int], registers: int | None = None
    ) -> MachineCode:
        """Machine code for GPUs of a compute capability, from the disk where it is there."""
        key = repr((self.signature(arguments), capability, registers))
        found = self._entries.load(key)
        if found is not None:
            return MachineCode(*found)
        _tell_of_compiling("compiling the simulator for the GPU (once per version, a minute or two) ...")
        code = _linked(self.ptx(arguments, capability), capability, registers)
        self._entries.try_save(key, tuple(code))
        return code

    def bind(
        self,
        arguments: Sequence[DeviceArray | int],
        threads: int,
        *,
        capability: tuple[int, int],
        device: int,
        block: int = 64,
        registers: int | None = None,
    ) -> Launch:
        """What starts ``threads`` threads of the kernel on these arguments, on a device that is current."""
        key = (self.signature(arguments), capability, device, registers)
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = driver().load(self.machine_code(arguments, capability, registers))
        return Launch(self._loaded[key], arguments, -(-threads // block), block)


def row_kernel(function: Callable[..., None]) -> RowKernel:
    """A function that every thread of a grid runs, each for the row ``grid(1)``."""
    return RowKernel(function)


class Launch:
    """A kernel with its arguments; to call it starts it on a stream."""

    def __init__(
        self, function: ctypes.c_void_p, arguments: Sequence[DeviceArray | int], blocks: int, threads: int
    ) -> None:
        """Lay out the arguments, once."""
        numbers = [n for x in arguments for n in (x.numbers() if isinstance(x, DeviceArray) else [int(x)])]
        self._values = (ctypes.c_int64 * len(numbers))(*numbers)
        first = ctypes.addressof(self._values)
        self._pointers = (ctypes.c_void_p * len(numbers))(*(first + 8 * k for k in range(len(numbers))))
        self._function, self._blocks, self._threads = function, blocks, threads

    def __call__(self, stream: int) -> None:
        """Start on the stream of this address, on the current device; waits for nothing."""
        driver().call(
            "cuLaunchKernel",
            self._function,
            *(self._blocks, 1, 1),
            *(self._threads, 1, 1),
            *(0, ctypes.c_void_p(stream)),
            *(self._pointers, None),
        )


class _Driver:
    """The few functions of NVIDIA's driver that are needed."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function.

        Raises:
            RuntimeError: it fails.
        """
        code = getattr(self._library, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(code, ctypes.byref(text))
            raise RuntimeError(f"the GPU's driver failed in {name}: {(text.value or b'unknown error').decode()}")

    def load(self, code: MachineCode) -> ctypes.c_void_p:
        """Bring code to the current device; it stays there."""
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), code.cubin)
        self.call("cuModuleGetFunction", ctypes.byref(function), module, code.entry.encode())
        return function


_driver: list[_Driver] = []


def driver() -> _Driver:
    """NVIDIA's driver.

    Raises:
        OSError: there is none.
    """
    if not _driver:
        _driver.append(_Driver())
    return _driver[0]


def _linked(ptx: str, capability: tuple[int, int], registers: int | None) -> MachineCode:
    from cuda.core import Linker, LinkerOptions, ObjectCode

    entry = re.search(r"\.visible \.entry (\w+)", ptx)
    assert entry is not None
    major, minor = capability
    options = LinkerOptions(arch=f"sm_{major}{minor}", max_register_count=registers)
    return MachineCode(entry[1], bytes(Linker(ObjectCode.from_ptx(ptx.encode()), options=options).link("cubin").code))


@contextmanager
def _capability(capability: tuple[int, int]) -> Iterator[None]:
    """Answer the compiler, which asks the current device what it can do, as often as one kernel calls another."""
    asked = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        dispatcher.get_current_device = asked
