"""Golden episodes: every shipped scenario id means the same world for ever, to the last bit.

The record is `tests/golden/trajectories.json`. Where a change is meant, rewrite it with

    python tests/test_golden.py --write

and say so in the changelog. `names` are those of all features and levers and of `state()`. `sha256` covers the bytes
of every observation, reward and `state()` of an episode; the other numbers are coarse, so that a mismatch shows what it
is: other names, another behaviour (a coarse number moves too), or rounding alone (only the hash moves).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episodes import as_bytes, digest, whole

import spiral_env
from spiral_env.files import write_atomically
from spiral_env.roles import FEATURES, LEVERS, ROLES
from spiral_env.spaces import agent_role

GOLDEN = Path(__file__).resolve().parent / "golden" / "trajectories.json"
SEEDS = (0, 1)
REWRITE = "if that is meant: python tests/test_golden.py --write, and a line in CHANGELOG.md"
ROUNDING = 1e-6
"""What another processor's or compiler's rounding may move a coarse number by, as a share of it."""


def names() -> dict[str, list[str]]:
    """What the numbers of an episode are called."""
    state = list(dict.fromkeys(name.split("[")[0] for name in spiral_env.parallel_env().state_names))
    tables = {"features": FEATURES, "levers": LEVERS}
    return {f"{kind} of {r}": [x.name for x in table[r]] for kind, table in tables.items() for r in ROLES} | {
        "state()": state
    }


def coarse(rows: list[np.ndarray]) -> float:
    """Mean of the entries on a logarithmic scale, later ones weighing more: places count too."""
    block = np.asarray(rows, dtype=np.float64)
    return float(
        np.average(np.sign(block) * np.log1p(np.abs(block)), axis=1, weights=np.arange(1, block.shape[1] + 1)).mean()
    )


def measure(scenario: str, seed: int) -> dict[str, Any]:
    """One golden entry: a whole episode under keyed play."""
    env = spiral_env.parallel_env(scenario)
    months = whole(env, seed)
    outcome = env.metrics()
    entry = {
        "sha256": digest([as_bytes(month) for month in months]),
        "months": len(months) - 1,
        "height": outcome["spiral_height"],
        "value": outcome["ecosystem_value"],
    }
    for role in ROLES:
        members = [agent for agent in env.possible_agents if agent_role(agent) == role]
        entry[f"observations of {role}"] = coarse([seen[agent] for seen, _, _ in months for agent in members])
        entry[f"rewards of {role}"] = coarse([np.array([paid[a] for a in members]) for _, paid, _ in months[1:]])
    return entry | {"state()": coarse([state for _, _, state in months])}


def differences(measured: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What has changed and how to mend it, in a sentence; nothing if all is the same."""
    apart = [
        f"{name} {wanted.get(name)} -> {measured[name]}"
        for name in measured
        if name != "sha256" and measured[name] != pytest.approx(wanted.get(name), rel=ROUNDING, abs=ROUNDING)
    ]
    if apart:
        return f"the values have changed ({'; '.join(apart)}); {REWRITE}"
    if measured["sha256"] != wanted["sha256"]:
        return f"only the last digits differ: another processor, compiler or order of operations? {REWRITE}"
    return ""


def renamed(found: dict[str, list[str]], wanted: dict[str, list[str]]) -> str:
    """Which names have come, gone or moved; nothing if all are the same."""
    told = []
    for kind, mine in found.items():
        old = wanted.get(kind, [])
        moves = [f"+{x}" for x in mine if x not in old] + [f"-{x}" for x in old if x not in mine]
        if mine != old:
            told.append(f"{kind}: {', '.join(moves) or 'another order'}")
    return f"names have changed ({'; '.join(told)}): every episode differs; {REWRITE}" if told else ""


def rewrite() -> None:
    """Measure every scenario and replace the record."""
    record = {s: {str(k): measure(s, k) for k in SEEDS} for s in spiral_env.scenario_ids()}
    GOLDEN.parent.mkdir(exist_ok=True)
    write_atomically(GOLDEN, json.dumps({"names": names(), "episodes": record}, indent=1) + "\n")


def golden(part: str) -> dict[str, Any]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))[part]


def test_every_scenario_has_golden_episodes() -> None:
    found = {scenario: set(seeds) for scenario, seeds in golden("episodes").items()}
    assert found == {scenario: {"0", "1"} for scenario in spiral_env.scenario_ids()}, REWRITE


def test_the_names_are_the_golden_ones() -> None:
    told = renamed(names(), golden("names"))
    assert not told, told


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", spiral_env.scenario_ids())
def test_an_episode_is_the_golden_one(scenario: str, seed: int) -> None:
    told = renamed(names(), golden("names")) or differences(
        measure(scenario, seed), golden("episodes")[scenario][str(seed)]
    )
    assert not told, told


def test_what_differs_is_called_by_its_name() -> None:
    wanted = golden("episodes")["one-month-pool-v1"]["0"]
    rounded = wanted | {"sha256": "0", "value": wanted["value"] * (1.0 + 1e-12)}
    assert differences(wanted, wanted) == ""
    assert differences(rounded, wanted).startswith("only the last digits differ")
    for name in ("observations of sme", "rewards of it", "state()", "height"):
        moved = differences(rounded | {name: wanted[name] + 1e-3}, wanted)
        assert moved.startswith(f"the values have changed ({name} ")
        assert "test_golden.py --write" in moved
    assert "months 1 -> 2" in differences(rounded | {"months": 2}, wanted)


def test_names_that_come_go_or_move_are_told() -> None:
    known = golden("names")
    mine = known["features of sme"]
    assert renamed(known, known) == ""
    assert "features of sme: +spending)" in renamed(known | {"features of sme": [*mine, "spending"]}, known)
    assert f"features of sme: -{mine[-1]})" in renamed(known | {"features of sme": mine[:-1]}, known)
    assert "features of sme: another order)" in renamed(known | {"features of sme": mine[::-1]}, known)


def test_a_scale_or_a_place_moves_the_coarse_number() -> None:
    rows = np.random.default_rng(0).random((60, 40))
    scaled, swapped = rows.copy(), rows.copy()
    scaled[:, 7] /= 2.0
    swapped[:, [3, 4]] = rows[:, [4, 3]]
    for changed in (scaled, swapped):
        assert coarse(list(changed)) != pytest.approx(coarse(list(rows)), rel=ROUNDING)
    assert coarse(list(rows * (1.0 + 1e-9))) == pytest.approx(coarse(list(rows)), rel=ROUNDING)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_golden.py --write")
    rewrite()
    print(f"wrote {GOLDEN}")
