"""Golden episodes: every shipped scenario id means the same world for ever, to the last bit.

The record is `tests/golden/trajectories.json`. Where a change of behaviour is meant, rewrite it with

    python tests/test_golden.py --write

and say so in the changelog. `sha256` covers the bytes of every observation, reward and `state()` of an episode;
`height` and `value` are coarse, so that a mismatch shows whether another processor rounds otherwise (only the hash
moves) or the model behaves otherwise (all move).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from episodes import digest, episode

import spiral_env
from spiral_env.files import write_atomically

GOLDEN = Path(__file__).resolve().parent / "golden" / "trajectories.json"
SEEDS = (0, 1)


def measure(scenario: str, seed: int) -> dict[str, Any]:
    """One golden entry: a whole episode under keyed play."""
    env = spiral_env.parallel_env(scenario)
    entries = episode(env, seed)
    outcome = env.metrics()
    return {
        "sha256": digest(entries),
        "months": len(entries) - 1,
        "height": outcome["spiral_height"],
        "value": outcome["ecosystem_value"],
    }


def rewrite() -> None:
    """Measure every scenario and replace the record."""
    record = {s: {str(k): measure(s, k) for k in SEEDS} for s in spiral_env.scenario_ids()}
    GOLDEN.parent.mkdir(exist_ok=True)
    write_atomically(GOLDEN, json.dumps(record, indent=1) + "\n")


def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


def test_every_scenario_has_golden_episodes() -> None:
    assert {s: set(x) for s, x in golden().items()} == {s: {"0", "1"} for s in spiral_env.scenario_ids()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", spiral_env.scenario_ids())
def test_an_episode_is_the_golden_one(scenario: str, seed: int) -> None:
    measured, wanted = measure(scenario, seed), golden()[scenario][str(seed)]
    coarse = {k: measured[k] for k in ("months", "height", "value")}
    assert coarse == pytest.approx({k: wanted[k] for k in coarse}, rel=1e-6), "the model behaves otherwise"
    assert measured["sha256"] == wanted["sha256"], "only the rounding differs: another processor or compiler?"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_golden.py --write")
    rewrite()
    print(f"wrote {GOLDEN}")
