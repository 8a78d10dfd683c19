"""Files of a sweep that cannot be used: what was asked for, and what is searched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["BAD_RANGES", "BAD_SWEEPS"]

Harm = Callable[[Path], Any]


def _bytes(content: bytes | str) -> Harm:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * 2**30)


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


_ANY: dict[str, Harm] = {
    "pipe": _pipe,
    "device": _device,
    "sparse": _sparse,
    "folder": _folder,
    "missing": lambda path: path.unlink(missing_ok=True),
    "latin-1": _bytes(b"\xe9"),
    "utf-16": _bytes("a = 1".encode("utf-16")),
    "deep lists": _bytes("[" * 100_000),
    "deep tables": _bytes("a = " + "{a = " * 100_000),
    "null byte": _bytes(b"\0"),
}

_LONG = "x" * 300_000
BAD_RANGES: dict[str, Harm] = {
    **_ANY,
    "empty": _bytes(""),
    "twice": _bytes("hidden = [8]\nhidden = [16]"),
    "unknown": _bytes("hiden = [8, 16]"),
    "fixed": _bytes("seed = [1, 2]"),
    "long name": _bytes(f"{_LONG} = [1, 2]"),
    "long value": _bytes(f'hidden = ["{_LONG}"]'),
    "many names": _bytes("\n".join(f"x{k} = [1]" for k in range(30_000))),
    "many choices": _bytes(f"hidden = {list(range(1, 4001))}"),
    "markup": _bytes('"[/eu]" = [1]'),
    "line end": _bytes('"a\\nb" = [1]'),
    "no list": _bytes("hidden = 8"),
    "no choice": _bytes("hidden = []"),
    "half a span": _bytes("hidden = {low = 1}"),
    "odd key": _bytes("hidden = {low = 1, high = 2, lin = true}"),
    "text ends": _bytes('gamma = {low = "a", high = "b"}'),
    "bool ends": _bytes("hidden = {low = false, high = true}"),
    "text log": _bytes('gamma = {low = 0.1, high = 0.9, log = "yes"}'),
    "date ends": _bytes("gamma = {low = 2026-01-01, high = 2026-01-02}"),
    "nan": _bytes("gamma = {low = nan, high = 0.9}"),
    "inf": _bytes("learning_rate = {low = 0.1, high = inf}"),
    "backwards": _bytes("gamma = {low = 0.9, high = 0.1}"),
    "equal": _bytes("gamma = {low = 0.9, high = 0.9}"),
    "out of range": _bytes("gamma = {low = 0.9, high = 1.1}"),
    "log from zero": _bytes("ent_coef = {low = 0.0, high = 0.1, log = true}"),
    "huge": _bytes(f"hidden = {{low = 1, high = {10**300}}}"),
    "float for integer": _bytes("hidden = {low = 8.0, high = 16.0}"),
    "bool for integer": _bytes("hidden = [true, false]"),
    "integer for bool": _bytes("anneal = [0, 1]"),
    "text for integer": _bytes('hidden = ["8", "16"]'),
    "nested choice": _bytes("hidden = [[8], [16]]"),
    "table choice": _bytes("hidden = [{a = 1}]"),
    "same choice": _bytes("hidden = [8, 8]"),
    "unknown choice": _bytes('reward_mode = ["mixed", "kind"]'),
    "span of texts": _bytes("reward_mode = {low = 1, high = 2}"),
    "odd with es": _bytes("num_envs = [5, 7]"),
    "off with es": _bytes('recurrent = ["sme"]'),
}


def _changed(**values: Any) -> Harm:
    """The stored sweep with other values; ``...`` leaves one out."""

    def harm(path: Path) -> None:
        stored = json.loads(path.read_text()) | values
        path.write_text(json.dumps({k: v for k, v in stored.items() if v is not ...}))

    return harm


def _changed_base(**values: Any) -> Harm:
    def harm(path: Path) -> None:
        stored = json.loads(path.read_text())
        stored["base"] = {k: v for k, v in (stored["base"] | values).items() if v is not ...}
        path.write_text(json.dumps(stored))

    return harm


BAD_SWEEPS: dict[str, Harm] = {
    **_ANY,
    "empty": _bytes(""),
    "list": _bytes("[]"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "deep objects": _bytes('{"a":' * 100_000),
    **{f"no {name}": _changed(**{name: ...}) for name in ("base", "scenario_hash", "ranges")},
    **{f"{name} null": _changed(**{name: None}) for name in ("base", "scenario_hash", "ranges", "trials", "prune")},
    "unknown key": _changed(colour="red"),
    "base a list": _changed(base=[1]),
    "base of odd keys": _changed_base(colour=1),
    "base of a bad value": _changed_base(hidden=-1),
    "base of a bad type": _changed_base(hidden="8"),
    "ranges a list": _changed(ranges=[1]),
    "ranges empty": _changed(ranges={}),
    "ranges of a bad span": _changed(ranges={"gamma": {"low": 1}}),
    "trials a text": _changed(trials="8"),
    "trials a bool": _changed(trials=True),
    "trials a float": _changed(trials=2.0),
    "trials 0": _changed(trials=0),
    "trials huge": _changed(trials=10**12),
    "episodes negative": _changed(episodes=-1),
    "episodes huge": _changed(episodes=10**12),
    "prune a number": _changed(prune=1),
    "another world": _changed(scenario_hash="0123456789abcdef"),
    "world a number": _changed(scenario_hash=3),
}
