"""What goes over the pipes between an evaluator and a policy: a JSON header and the bytes of one array.

Nothing is ever unpickled: a header is a small JSON object, an array plain numbers of a shape that the header names.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import time
from typing import Any

import numpy as np

__all__ = ["MOST_BYTES", "receive", "send"]

MOST_BYTES = 2**28
"""Of an array."""
_MOST_HEADER = 2**16
_LENGTH = struct.Struct("<I")
_NUMBERS = "biuf"
"""Kinds of numbers that an array may hold: booleans, integers and floats."""


def send(
    descriptor: int, header: dict[str, Any], array: np.ndarray | None = None, seconds: float | None = None
) -> None:
    """Write one message.

    Raises:
        TimeoutError: it is not read within ``seconds``.
        OSError: nobody reads.
    """
    end = _end(seconds)
    body = b""
    if array is not None:
        array = np.ascontiguousarray(array)
        header = {**header, "shape": array.shape, "dtype": array.dtype.str}
        body = array.tobytes()
    text = json.dumps(header).encode()
    rest = memoryview(_LENGTH.pack(len(text)) + text + body)
    while rest:
        _wait(descriptor, end, writes=True)
        # Small enough to fit what a pipe that can be written to has room for.
        rest = rest[os.write(descriptor, rest[: select.PIPE_BUF] if end is not None else rest) :]


def receive(descriptor: int, seconds: float | None = None) -> tuple[dict[str, Any], np.ndarray | None]:
    """Read one message: its header, and its array if it has one.

    Raises:
        TimeoutError: it is not whole within ``seconds``.
        EOFError: the other side is gone.
        ValueError: it is no message.
    """
    end = _end(seconds)
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, end))
    if length > _MOST_HEADER:
        raise ValueError(f"a header must have at most {_MOST_HEADER} bytes, has {length}")
    header = json.loads(_read(descriptor, length, end))
    if not isinstance(header, dict):
        raise ValueError("a header must be an object")
    if "shape" not in header:
        return header, None
    shape, dtype = tuple(int(x) for x in header["shape"]), np.dtype(str(header["dtype"]))
    if dtype.kind not in _NUMBERS or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > MOST_BYTES:
        raise ValueError(f"an array must hold plain numbers, got {dtype} of shape {shape}")
    data = _read(descriptor, math.prod(shape) * dtype.itemsize, end)
    return header, np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def _end(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _wait(descriptor: int, end: float | None, *, writes: bool = False) -> None:
    if end is None:
        return
    left = end - time.monotonic()
    ready = select.select([] if writes else [descriptor], [descriptor] if writes else [], [], max(0.0, left))
    if not any(ready):
        raise TimeoutError


def _read(descriptor: int, count: int, end: float | None) -> bytes:
    parts, missing = [], count
    while missing:
        _wait(descriptor, end)
        part = os.read(descriptor, min(missing, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
