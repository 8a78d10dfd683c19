"""An evaluation as it is asked for: played by `evaluate`, and again by `reproduce`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from spiral_env.commands._options import load_team, spread_over
from spiral_env.commands._progress import progress

if TYPE_CHECKING:
    from spiral_env.evaluation import Comparison
    from spiral_env.scenarios import Scenario

__all__ = ["play"]

_SIDE_BY_SIDE = 8_192
"""Episodes that are played side by side on a device."""
_PLAYED = ("reward_mode", "reward_basis", "num_smes", "max_cycles", "device")


def play(
    asked: Mapping[str, Any], world: Scenario | None = None, engine: str | None = None, address: str | None = None
) -> Comparison:
    """Teams on the same episodes, as ``options`` of a result say it.

    Args:
        asked: scenario, teams (name -> role -> policy), episodes, seed, time_limit and the options of ``run_episodes``.
        world: in the place of what ``asked`` names.
        engine: where it is played.
        address: of a Ray cluster.
    """
    from spiral_env.evaluation import compare

    teams = {name: load_team(team, asked["time_limit"]) for name, team in asked["teams"].items()}
    options: dict[str, Any] = {name: asked[name] for name in _PLAYED}
    if asked["device"] is not None:
        options["num_envs"] = _SIDE_BY_SIDE
    total = asked["episodes"] * len(teams)
    with spread_over(engine, address) as spread, progress("evaluate", total, "episodes") as shown:
        advance: Callable[[int], None] = shown.advance
        where = asked["scenario"] if world is None else world
        return compare(where, teams, asked["episodes"], asked["seed"], progress=advance, spread=spread, **options)
