"""An evaluation as it is asked for: played by `evaluate`, and again by `reproduce`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from spiral_env.commands._options import load_team, spread_over
from spiral_env.commands._progress import progress
from spiral_env.text import Table

if TYPE_CHECKING:
    from spiral_env.agents.known_answers import Regret
    from spiral_env.evaluation import Comparison, Scoring
    from spiral_env.scenarios import Scenario

__all__ = ["known_answer_lines", "play", "result_of"]

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


def result_of(found: Comparison, asked: Mapping[str, Any], scoring: Scoring | None = None) -> dict[str, Any]:
    """The result, with what every team misses of the known answer in a world that has one."""
    from spiral_env.evaluation.report import as_result

    rows = dict(_regrets(found, asked))
    known = {
        name: {
            **{"answer": x.answer.why, "role": x.answer.role, "levers": list(x.answer.levers)},
            **{"reached": x.reached.mean, "best": x.best.mean, "share": x.share},
            **{"regret": x.missed.mean, "interval95": list(x.missed[1:])},
        }
        for name, x in rows.items()
    }
    return as_result(found, "evaluate", asked, scoring=scoring, **({"known_answer": known} if known else {}))


def known_answer_lines(found: Comparison, data: Mapping[str, Any]) -> list[str]:
    """What is known to be best, and the regret of every team; nothing in a world without a known answer."""
    rows = data.get("known_answer", {})
    for x in rows.values():
        head = f"known answer: {x['answer']}; k$ a month of {x['role']} that moves {', '.join(x['levers'])}"
        table = Table(
            ("team", "reached", "best", "regret", "95 % interval", "share of the way from the worst constant")
        )
        break
    else:
        return []
    for name, x in rows.items():
        low, high = x["interval95"]
        figures = (f"{x[key]:.4g}" for key in ("reached", "best", "regret"))
        table.add_row(found.number(name), *figures, f"[{low:.3g}, {high:.3g}]", f"{x['share']:.3f}")
    return [f"{head}\n{table.text()}"]


def _regrets(found: Comparison, asked: Mapping[str, Any]) -> Iterator[tuple[str, Regret]]:
    """Of every team that played to the end, on the same seeds."""
    from spiral_env.agents.known_answers import ANSWERS, regret
    from spiral_env.policy import PolicyError, close_policy

    answer = ANSWERS.get(found.world.known_answer)
    for name in found.tables if answer else ():
        policy = found.teams[name][answer.role]  # type: ignore[union-attr]
        try:
            missed = regret(found.world, policy, asked["episodes"], asked["seed"])
            assert missed is not None
            yield name, missed
        except PolicyError:
            continue
        finally:
            close_policy(policy)
