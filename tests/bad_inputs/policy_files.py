"""Ways to spoil the folder of a policy: name -> what is done to a good one (shared network, two layers)."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from spiral_env.roles import ROLES

HEADER, TENSORS = "policy.json", "policy.safetensors"
Spoil = Callable[[Path], None]


def _replace(name: str, make: Spoil, folder: Path) -> None:
    (folder / name).unlink()
    make(folder / name)


def _link(target: str, path: Path) -> None:
    path.symlink_to(target)


def _sparse(size: int, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def _header(key: str, value: Any, folder: Path) -> None:
    header = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps({**header, key: value}))


def _without(key: str, folder: Path) -> None:
    header = json.loads((folder / HEADER).read_text())
    del header[key]
    (folder / HEADER).write_text(json.dumps(header))


def _text(text: str, folder: Path) -> None:
    (folder / HEADER).write_text(text)


def _tensor(name: str, change: Callable[[np.ndarray], np.ndarray], folder: Path) -> None:
    tensors = load_file(folder / TENSORS)
    with np.errstate(all="ignore"):
        tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, folder / TENSORS)


def _packed(table: Any, data: bytes, folder: Path, length: int | None = None) -> None:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    size = len(text) if length is None else length
    (folder / TENSORS).write_bytes(struct.pack("<Q", size) + text + data)


def _typed(dtype: str, folder: Path) -> None:
    """The first layer's bias, of another type, with data of the right length."""
    width = {"BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "BOOL": 1, "U8": 1}[dtype]
    table = {"layer0.bias": {"dtype": dtype, "shape": [6], "data_offsets": [0, 6 * width]}}
    _packed(table, bytes(6 * width), folder)


FILES: dict[str, Spoil] = {
    "a missing file": lambda path: None,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "an endless device": partial(_link, "/dev/zero"),
    "an empty device": partial(_link, "/dev/null"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nowhere": partial(_link, "nowhere"),
    "a sparse file of 3 GB": partial(_sparse, 3 * 10**9),
    "an empty file": partial(_bytes, b""),
    "zeros": partial(_bytes, bytes(1000)),
    "a pickle": partial(_bytes, b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix."),
    "no UTF-8": partial(_bytes, b'{"format": "\xff\xfe"}'),
    "UTF-16": partial(_bytes, '{"format": 1}'.encode("utf-16")),
}
TEXTS = {
    "a list": "[]",
    "a text": '"policy"',
    "a number": "3",
    "null": "null",
    "true": "true",
    "an empty object": "{}",
    "lists 200,000 deep": "[" * 200_000,
    "objects 100,000 deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "objects 100 deep": '{"a":' * 100 + "1" + "}" * 100,
    "a number that is none": '{"format": NaN}',
    "an infinite number": '{"layers": 1e999}',
    "a number of 5,000 digits": f'{{"layers": {"9" * 5000}}}',
    "a key twice": '{"format": 1, "format": 2}',
    "text behind": "{} {}",
    "half an object": '{"format": "spiral_env-policy"',
}
VALUES: list[tuple[str, Any]] = [
    ("format", "other"),
    ("format", ["spiral_env-policy"]),
    ("version", 2),
    ("version", "1"),
    ("features", None),
    ("features", []),
    ("features", {}),
    ("features", "it"),
    ("features", {role: [] for role in ROLES}),
    ("features", {role: None for role in ROLES}),
    ("layers", "2"),
    ("layers", -1),
    ("layers", 2.0),
    ("layers", True),
    ("layers", None),
    ("layers", 1),
    ("layers", 3),
    ("layers", 64),
    ("layers", 100_000),
    ("layers", 10**30),
    ("layers", [2]),
    ("networks", "other"),
    ("networks", []),
    ("networks", {}),
    ("networks", None),
    ("networks", "per_role"),
    ("networks", "x" * 5000),
    ("head", "continuous"),
    ("head", "other"),
    ("head", 7),
    ("head", []),
    ("recurrent", "sme"),
    ("recurrent", ["auditor"]),
    ("recurrent", [[]]),
    ("recurrent", ["sme"]),
    ("recurrent", {"sme": 1}),
    ("scenario", 3),
    ("scenario_hash", ["0"]),
]
CHANGES: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
    ("layer0.weight", "nan", lambda x: x * np.float32("nan")),
    ("head.bias", "inf", lambda x: x + np.float32("inf")),
    ("layer1.weight", "short", lambda x: x[:, :-1]),
    ("layer1.weight", "flat", lambda x: x.reshape(-1)),
    ("layer1.weight", "turned", lambda x: np.concatenate([x, x]).T),
    ("layer1.bias", "short", lambda x: x[:-1]),
    ("head.bias", "deep", lambda x: x[:, None]),
    ("head.weight", "a number", lambda x: x[0, 0]),
    ("head.weight", "empty", lambda x: x[:0]),
    ("head.bias", "empty", lambda x: x[:0]),
    ("head.weight", "integers", lambda x: x.astype(np.int64)),
    ("head.weight", "truths", lambda x: x > 0),
    ("layer0.weight", "beyond float32", lambda x: x.astype(np.float64) * 1e300),
    ("mean", "short", lambda x: x[:-1]),
    ("mean", "nan", lambda x: x * np.nan),
    ("std", "zero", lambda x: x * 0.0),
    ("std", "negative", lambda x: -x),
    ("std", "tiny", lambda x: x * 1e-300),
    ("std", "deep", lambda x: x[None]),
]
TABLES: dict[str, tuple[Any, bytes, int | None]] = {
    "a length beyond the file": ({}, b"", 10**6),
    "a length beyond 2^63": ({}, b"", 2**64 - 1),
    "a table that is a list": ([], b"", None),
    "a table that is no JSON": (b"{", b"", None),
    "a table 10,000 deep": (b"[" * 10_000, b"", None),
    "no tensor": ({}, b"", None),
    "offsets beyond the data": ({"mean": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"", None),
    "negative offsets": ({"mean": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}, b"", None),
    "a shape of 2^62": ({"mean": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}}, bytes(4), None),
    "a shape that is text": ({"mean": {"dtype": "F32", "shape": "4", "data_offsets": [0, 4]}}, bytes(4), None),
    "a type that is none": ({"mean": {"dtype": "X99", "shape": [1], "data_offsets": [0, 4]}}, bytes(4), None),
    "data that begins late": ({"mean": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8), None),
}

CASES: dict[str, Spoil] = {
    **{
        f"{what} as {file}": partial(_replace, file, make) for what, make in FILES.items() for file in (HEADER, TENSORS)
    },
    **{f"{HEADER}: {what}": partial(_text, text) for what, text in TEXTS.items()},
    **{f"{key} {json.dumps(value)[:30]}": partial(_header, key, value) for key, value in VALUES},
    **{f"without {key}": partial(_without, key) for key in ("format", "version", "features", "layers")},
    **{f"{name} {what}": partial(_tensor, name, change) for name, what, change in CHANGES},
    **{what: partial(_packed, table, data, length=length) for what, (table, data, length) in TABLES.items()},
    **{f"a tensor of {dtype}": partial(_typed, dtype) for dtype in ("BF16", "F8_E4M3", "F8_E5M2", "I64", "BOOL", "U8")},
}
