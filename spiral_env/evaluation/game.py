"""A look at the game: what needs the state, and which levers are decided once for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spiral_env.evaluation.game_play import PARTS, WIDTH, Deviation, live
from spiral_env.evaluation.rollout import EpisodeTable
from spiral_env.policy import StatusQuo
from spiral_env.roles import LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario

__all__ = ["ConstantTeam", "best_constant", "constant_share", "lever_ends"]

_VALUES = (0.0, 0.5, 1.0)
_FIRST = 0.15
"""Share of the search's work that looks at random joint actions."""
_STEP = 0.9
"""Share of an ascent that is left after each of its steps, as far as progress is told."""


@dataclass(frozen=True)
class ConstantTeam:
    """A joint action that never changes.

    Attributes:
        efforts: role -> an effort for each of its levers.
        value: mean of the measure on the seeds of the search (optimistic: measure it again on others).
        tried: joint actions looked at.
    """

    efforts: dict[str, tuple[float, ...]]
    value: float
    tried: int


def _values(
    world: Scenario,
    joint: np.ndarray,
    seeds: np.ndarray,
    measure: str,
    threads: int,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Mean of ``measure`` over ``seeds`` for every joint action ``[C, all levers]``."""
    out = []
    block = max(1, 4096 // len(seeds))
    for start in range(0, len(joint), block):
        part = np.repeat(joint[start : start + block, None], len(seeds), axis=0)
        team = {role: Deviation(StatusQuo(role), role, part[..., of_role], False) for role, of_role in PARTS.items()}
        lived = live(world, team, np.tile(seeds, len(part) // len(seeds)), threads=threads)
        out.append(lived.metrics[measure].reshape(-1, len(seeds)).mean(1))
        progress(min(1.0, (start + block) / len(joint)))
    return np.concatenate(out)


def best_constant(
    scenario: str | Path | Scenario = "baseline-v1",
    measure: str = "ecosystem_value",
    *,
    random: int = 1000,
    corners: int = 3000,
    seed: int = 50_000,
    threads: int = 2,
    progress: Callable[[float], None] | None = None,
) -> ConstantTeam:
    """Search constant joint actions: random ones, random corners, then coordinate ascent from the best and the middle.

    Every lever takes low, middle or high. The search plays seeds from ``seed`` on. ``progress`` is told a share of the
    work; how many steps an ascent takes shows only at its end.

    Raises:
        ValueError: ``random`` and ``corners`` are both 0.
    """
    if random + corners < 1:
        raise ValueError(f"random + corners must be >= 1, got {random} + {corners}")
    world = load_scenario(scenario)
    rng = np.random.default_rng(seed)
    joint = np.concatenate(
        [rng.choice(_VALUES, (random, WIDTH)), rng.choice((0.0, 1.0), (corners, WIDTH)), np.full((1, WIDTH), 0.5)]
    )
    told = progress or (lambda share: None)
    first = _values(world, joint, seed + np.arange(4), measure, threads, lambda share: told(_FIRST * share))
    tried = len(joint)
    many = seed + 1000 + np.arange(48)
    best, best_value = joint[0], -np.inf
    # The best three, and the middle of everything: random joint actions rarely pass a tipping point.
    starts = (*joint[np.argsort(-first)[:3]], joint[-1])
    for k, start in enumerate(starts):

        def climbed(step: int, before: int = k) -> None:
            told(_FIRST + (1.0 - _FIRST) * (before + 1.0 - _STEP**step) / len(starts))

        point, value, looked = _ascend(world, start, many, measure, threads, climbed)
        tried += looked
        if value > best_value:
            best, best_value = point, value
    efforts = {role: tuple(float(x) for x in best[of_role]) for role, of_role in PARTS.items()}
    return ConstantTeam(efforts, float(best_value), tried)


def _ascend(
    world: Scenario,
    start: np.ndarray,
    seeds: np.ndarray,
    measure: str,
    threads: int,
    climbed: Callable[[int], None],
) -> tuple[np.ndarray, float, int]:
    """Best single change of a lever, again and again, until none helps."""
    point, tried, step = start, 0, 0
    value = float(_values(world, point[None], seeds, measure, threads)[0])
    while True:
        around = np.array(
            [np.where(np.arange(WIDTH) == k, x, point) for k in range(WIDTH) for x in _VALUES if x != point[k]]
        )
        values = _values(world, around, seeds, measure, threads)
        tried, step = tried + len(around), step + 1
        climbed(step)
        if values.max() <= value:
            return point, value, tried
        point, value = around[int(values.argmax())], float(values.max())


def constant_share(tables: Mapping[str, EpisodeTable], measure: str = "ecosystem_value") -> float:
    """(best constant - uniform) / (team - uniform): what needs no state; names as in ``tables``.

    Not a number where the team gains nothing over uniform play.
    """
    mean = {name: float(tables[name].metrics[measure].mean()) for name in ("uniform", "constant", "team")}
    gained = mean["team"] - mean["uniform"]
    return (mean["constant"] - mean["uniform"]) / gained if gained else float("nan")


def lever_ends(table: EpisodeTable, limit: float = 0.95) -> list[dict[str, str | float]]:
    """Per lever the share of decisions low, middle and high, and whether one end holds more than ``limit``."""
    rows: list[dict[str, str | float]] = []
    for role in ROLES:
        for k, lever in enumerate(LEVERS[role]):
            low, middle, high = (round(float(x), 3) for x in table.lever_use[role][k])
            stuck = "low" if low > limit else "high" if high > limit else ""
            rows.append({"role": role, "lever": lever.name, "low": low, "middle": middle, "high": high, "stuck": stuck})
    return rows
