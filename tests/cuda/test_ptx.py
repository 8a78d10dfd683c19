"""What a GPU is given, made where there is none: ``nox -s cuda``."""

from __future__ import annotations

import re

import pytest
import torch

import spiral_env
from spiral_env.core._cuda import DeviceArray
from spiral_env.core.state import CAPACITIES
from spiral_env.cuda_engine import Buffers
from spiral_env.simulator import cuda

KERNELS = ("clear", "draw", "open", "step", "observe")


@pytest.mark.parametrize("num_smes", CAPACITIES)
def test_every_kernel_compiles_for_each_record_size(num_smes: int) -> None:
    world = spiral_env.load_scenario("procedural-v1").world(num_smes=num_smes)
    found = Buffers(torch.device("cpu"), world, 2).arguments(0, False)
    assert found.keys() == set(KERNELS)
    for name, (kernel, arguments, _) in found.items():
        for capability, target in (((9, 0), "sm_90"), ((8, 0), "sm_80")):
            ptx = kernel.ptx(arguments, capability)
            assert f".target {target}" in ptx
            head = re.search(r"\.visible \.entry \w+\((.*?)\n\)", ptx, re.S)
            assert head is not None
            handed = sum(len(x.numbers()) if isinstance(x, DeviceArray) else 1 for x in arguments)
            assert head[1].count(".param") == handed, name
            # Words of eight bytes that are read byte by byte would be thousands.
            assert len(re.findall(r"\bld\.(?:global\.)?u8", ptx)) < 200, name


def test_machine_code_is_linked_for_one_architecture() -> None:
    buffers = Buffers(torch.device("cpu"), spiral_env.load_scenario("small-v1").world(), 2)
    code = cuda.clear_rows.machine_code(buffers.arguments(0, False)["clear"][1], (9, 0))
    assert code.cubin.startswith(b"\x7fELF")
    assert "clear_rows" in code.entry
    assert code.entry.encode() in code.cubin
