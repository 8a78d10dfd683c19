"""A GPU's engine and kernels where there is no GPU; ``nox -s cuda`` compiles them besides."""

from __future__ import annotations

import ast
import contextlib
import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_own_worlds import own

import spiral_env
from spiral_env import cuda_engine, tensor_engine, tensor_vector_env
from spiral_env.core import _cuda
from spiral_env.simulator import batch, cuda
from tests.benchmarks.gpu import levels

PACKAGE = Path(spiral_env.__file__).parent
STREAM = 7


def taken(argument: Any, numbers: Iterator[int]) -> Any:
    """An argument out of the numbers that the card would be handed, as compiled kernels lay them out."""
    if not isinstance(argument, _cuda.DeviceArray):
        return next(numbers)
    owner, parent, size, itemsize, pointer = (next(numbers) for _ in range(5))
    shape = tuple(next(numbers) for _ in argument.shape)
    strides = tuple(next(numbers) for _ in argument.strides)
    assert (owner, parent, size, itemsize) == (0, 0, int(np.prod(shape)), argument.dtype.itemsize)
    reach = itemsize + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    memory = (ctypes.c_char * reach).from_address(pointer)
    return np.ndarray(shape, argument.dtype, memory, 0, strides)


def clear(words: np.ndarray, template: np.ndarray, mask: np.ndarray) -> None:
    words[mask] = template


def draw(params: np.ndarray, base: np.ndarray, ranges: np.ndarray, seeds: np.ndarray, mask: np.ndarray) -> None:
    params[mask] = base
    batch.draw_rows(params, ranges, seeds, mask, 0, len(params))


def open_(states, params, law, seeds, mask, smes, cycles, ranks, vectors, scalars, spent, summary, observed) -> None:
    rows = len(states)
    assert ranks.shape == states["criticality"].shape
    batch.open_rows(states, each(params, rows), law, seeds, mask, smes, cycles, 0, rows)
    vectors[mask] = scalars[mask] = spent[mask] = 0.0
    batch.observe_rows(states, each(params, rows), summary, observed, mask, 0, rows)


def step(states, params, actions, mode, realised, order, ranks, tickets, *out) -> None:
    rows = len(states)
    assert tickets.shape == states["v_uid"].shape
    batch.step_rows(states, each(params, rows), actions, mode, realised == 1, order, *out, 0, rows)


def observe(states, params, summary, observed, mask) -> None:
    batch.observe_rows(states, each(params, len(states)), summary, observed, mask, 0, len(states))


def each(params: np.ndarray, rows: int) -> np.ndarray:
    return np.repeat(params, rows // len(params))


TWINS: dict[_cuda.RowKernel, Callable[..., None]] = {
    cuda.clear_rows: clear,
    cuda.draw_rows: draw,
    cuda.open_rows: open_,
    cuda.step_rows: step,
    cuda.observe_rows: observe,
}
"""What each kernel does, by the loops of the processor."""


def on_the_processor(kernel: _cuda.RowKernel, arguments: list[Any], threads: int, **how: Any) -> Callable[[int], None]:
    launch = _cuda.Launch(ctypes.c_void_p(), arguments, -(-threads // how["block"]), how["block"])
    numbers = iter([ctypes.c_int64.from_address(place).value for place in launch._pointers])
    arrays = [taken(x, numbers) for x in arguments]
    assert next(numbers, None) is None
    rows = next(x for x in arguments if isinstance(x, _cuda.DeviceArray)).shape[0]
    assert threads == rows * (cuda.LANES if kernel is cuda.clear_rows else 1)

    def start(stream: int) -> None:
        assert stream == STREAM
        TWINS[kernel](*arrays)

    return start


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The processor in the place of a GPU; what a test puts in is what torch says of it."""
    about: dict[str, Any] = {"free": 2**30}
    device = torch.device("cpu")
    monkeypatch.setattr(tensor_vector_env, "as_device", lambda _: device)
    monkeypatch.setattr(tensor_vector_env, "engine_for", lambda device, *x: cuda_engine.CudaEngine(device, *x[:-1]))
    monkeypatch.setattr(_cuda.RowKernel, "bind", on_the_processor)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: SimpleNamespace(cuda_stream=STREAM))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (about["free"], 2**31))
    for name in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda _: 0)
    return about


@pytest.mark.parametrize(
    ("world", "mode"),
    [("small-v1", "next_step"), ("procedural-v1", "same_step"), pytest.param(own(), "same_step", id="own services")],
)
def test_the_engine_of_a_gpu_lives_the_months_of_the_processors(card: Any, world: Any, mode: str) -> None:
    options = {"autoreset_mode": mode, "max_cycles": 3, "split": "train", "num_envs": 3}
    there = spiral_env.vector_env(world, device="cuda", **options)
    here = spiral_env.vector_env(world, **options)
    assert type(there.engine) is cuda_engine.CudaEngine
    for env in (there, here):
        env.reset(seed=3)
    for month in range(9):
        actions = levels(here, month)
        got, expected = there.step({role: torch.as_tensor(x) for role, x in actions.items()}), here.step(actions)
        for one, other in zip(got[:2], expected[:2], strict=True):
            assert all(np.array_equal(one[role], other[role]) for role in other)
        assert np.array_equal(got[3], expected[3])
    kept = there.snapshot()
    assert all(np.array_equal(kept[name], value) for name, value in here.snapshot().items())
    there.step(levels_of(there, 9))
    there.restore(kept)
    assert all(np.array_equal(there.snapshot()[name], value) for name, value in kept.items())


def levels_of(env: Any, month: int) -> dict[str, torch.Tensor]:
    return {role: torch.as_tensor(x) for role, x in levels(env, month).items()}


def test_one_world_takes_one_record_of_parameters(card: Any) -> None:
    assert len(spiral_env.vector_env("small-v1", 4, device="cuda").engine.params) == 1
    assert len(spiral_env.vector_env("procedural-v1", 4, device="cuda").engine.params) == 4


def test_too_little_memory_is_one_line(card: dict[str, Any]) -> None:
    card["free"] = 2**20
    with pytest.raises(ValueError, match=r"^num_envs must be at most \d+ in 0.0 GiB free on cpu, got 64$") as raised:
        spiral_env.vector_env("small-v1", 64, device="cuda")
    most = int(str(raised.value).split("most ")[1].split()[0])
    assert spiral_env.vector_env("small-v1", most, device="cuda").num_envs == most
    assert most * cuda_engine.bytes_of_a_row(spiral_env.load_scenario("small-v1").world()) <= 2**20


def test_a_missing_driver_an_unknown_device_and_a_missing_compiler_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match=r"^device must be cpu, cuda or cuda:N, got 'tpu'$"):
        spiral_env.vector_env(device="tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^device 'cuda' cannot be used: .*torch"):
        spiral_env.vector_env(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"^device must be cpu or cuda:0 to cuda:0, got 'cuda:3'$"):
        spiral_env.vector_env(device="cuda:3")
    assert tensor_engine.as_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(ValueError, match=r"^num_threads must be 1 on a GPU, got 2$"):
        spiral_env.vector_env(device="cuda:0", num_threads=2)
    monkeypatch.setattr(_cuda, "_VERSION", "none")
    with pytest.raises(ImportError, match=r"^no module numba_cuda: a GPU needs pip install 'spiral-env\[cuda\]'$"):
        cuda.clear_rows.ptx([], (9, 0))


def test_a_driver_that_fails_is_one_line() -> None:
    class Library:
        def cuGetErrorString(self, code: int, text: Any) -> None:
            text._obj.value = b"out of memory"

        def cuModuleLoadData(self, *_: Any) -> int:
            return 2

    driver = object.__new__(_cuda._Driver)
    driver._library = Library()
    with pytest.raises(RuntimeError, match=r"^the GPU's driver failed in cuModuleLoadData: out of memory$"):
        driver.load(_cuda.MachineCode("entry", b""))


def test_machine_code_comes_from_the_disk_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[Any] = []

    def ptx(self: Any, arguments: Any, capability: Any) -> str:
        made.append(capability)
        return "text"

    monkeypatch.setattr(_cuda.RowKernel, "ptx", ptx)
    monkeypatch.setattr(_cuda, "_linked", lambda text, *_: _cuda.MachineCode("entry", text.encode()))
    monkeypatch.setattr(_cuda, "_tell_of_compiling", lambda line: made.append(line))
    for _ in range(2):
        kernel = _cuda.RowKernel(cuda.clear_rows.function)
        kernel._entries._folder = tmp_path
        assert kernel.machine_code([1], (9, 0)) == _cuda.MachineCode("entry", b"text")
    assert len(made) == 2
    assert "compiling the simulator for the GPU" in made[0]
    kernel.machine_code([1], (8, 0))
    assert made[-1] == (8, 0)


def test_the_kernels_of_a_gpu_hold_no_arithmetic_of_the_model() -> None:
    """They find their row, call what the processor's loops call, and write zeros."""
    tree = ast.parse((PACKAGE / "simulator" / "cuda.py").read_text(encoding="utf-8"))
    numbers = {x.value for x in ast.walk(tree) if isinstance(x, ast.Constant) and not isinstance(x.value, str)}
    assert numbers == {0, 1, 32}
    operators = {type(x.op) for x in ast.walk(tree) if isinstance(x, ast.BinOp | ast.AugAssign)}
    assert operators == {ast.FloorDiv, ast.Mod}
    assert {x.left.id for x in ast.walk(tree) if isinstance(x, ast.BinOp)} == {"thread", "e"}
    called = {x.func.id for x in ast.walk(tree) if isinstance(x, ast.Call)}
    kernels = {"copy", "draw_row", "step_row", "observe", "summarise", "open_episode"}
    assert called == kernels | {"grid", "range"}
