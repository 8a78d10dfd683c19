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
DAMAGE = """
import numpy as np, spiral_env
from numba.core import config
from spiral_env.core.state import FIELDS
from spiral_env.roles import NUM_LEVERS
assert config.BOUNDSCHECK == 1
env = spiral_env.vector_env("procedural-v1", 4, autoreset_mode="disabled", max_cycles=60)
rng = np.random.default_rng(7)
draw = lambda: {role: rng.integers(0, 3, (4, n, NUM_LEVERS[role])) for role, n in env.num_agents_of.items()}
env.reset(seed=3)
for _ in range(20):
    env.step(draw())
saved, tally = env.snapshot(), {"refused": 0, "run": 0}
wild = (-1, 0, 1, 2, 3, 12, 77, 120, 255, 1e4, 1e9, 1e10, 2.0**62, -(2.0**62), 0.5, 1e-300, 1e300, np.nan, np.inf)
for k in range(700):
    states, params = saved["states"].copy(), saved["params"].copy()
    records = states.view(env.engine.states.dtype)
    field = FIELDS[k % len(FIELDS)]
    block = records[field.name]
    chosen = rng.random(block.shape) < rng.choice([0.02, 0.3, 1.0])
    with np.errstate(invalid="ignore", over="ignore"):
        if k % 5 == 0:
            (states, params)[k % 2].reshape(-1)[rng.integers(0, params.size, 3)] = rng.integers(0, 256, 3)
        elif k % 5 == 1:
            block[chosen] = np.frombuffer(rng.bytes(chosen.sum() * block.itemsize), block.dtype)
        elif k % 5 == 2:
            block[chosen] = rng.integers(0, 4, chosen.sum())
        elif k % 5 == 3:
            block[chosen] = rng.permutation(block.reshape(-1))[: chosen.sum()]
        else:
            block[chosen] = np.array(rng.choice(wild)).astype(block.dtype)
    try:
        env.restore({**saved, "states": states, "params": params})
    except ValueError as error:
        assert len(str(error)) < 300 and "\\n" not in str(error), error
        tally["refused"] += 1
    else:
        tally["run"] += 1
        for _ in range(3):
            env.step(draw())
assert min(tally.values()) > 100, tally
print("checked", tally)
"""


@pytest.mark.parametrize("scenario", ["small-v1", pytest.param("sme-boom-v1", marks=pytest.mark.slow)])
def test_no_kernel_leaves_its_arrays(scenario: str) -> None:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-c", PROGRAM, scenario, "36"]
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "checked"


def test_no_damaged_record_reaches_a_kernel_that_it_could_lead_astray() -> None:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-c", DAMAGE]
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("checked")


def test_the_bounds_check_finds_an_index_outside() -> None:
    program = (
        "import numpy as np\nfrom spiral_env.core._jit import kernel\n"
        "@kernel\ndef read(x, k):\n    return x[k]\n"
        "try:\n    read(np.zeros(3), 3)\nexcept IndexError:\n    print('found')\n"
    )
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "found"
