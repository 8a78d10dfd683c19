"""A run with numba's bounds check: no kernel reads or writes outside an array."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PROGRAM = """
import sys
from numba.core import config
from episodes import opened, keyed_efforts, world
assert config.BOUNDSCHECK == 1
scenario, months = sys.argv[1], int(sys.argv[2])
seeds, most = range(24), 0
flooded = {"arrival_rate": 2.0, "surface_modules": 3.0, "start_stock": 1.0, "shock_month": 1.0, "shock_count": 200.0}
for params in ({}, {"arrival_rate": 2.0, "backlog_open": 230.0}, flooded):
    engine = opened(world(scenario, months, **params), seeds)
    for month in range(months):
        engine.step(keyed_efforts(seeds, month, engine.num_agents))
        most = max(most, int(engine.states["arrivals"].max()))
    engine.observe()
assert most > engine.states["v_uid"].shape[1], "never more arrivals than slots"
full = engine.states["tail"].max()
assert full > 0.0, "the backlog never overflowed"
print("checked")
"""


@pytest.mark.parametrize("scenario", ["baseline-v0", pytest.param("sme-boom-v0", marks=pytest.mark.slow)])
def test_no_kernel_leaves_its_arrays(scenario: str) -> None:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-c", PROGRAM, scenario, "36"]
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "checked"


def test_the_bounds_check_finds_an_index_outside() -> None:
    program = (
        "import numpy as np\nfrom spiral_env.core._jit import kernel\n"
        "@kernel\ndef read(x, k):\n    return x[k]\n"
        "try:\n    read(np.zeros(3), 3)\nexcept IndexError:\n    print('found')\n"
    )
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "found"
