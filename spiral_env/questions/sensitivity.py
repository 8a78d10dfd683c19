"""Does the answer hang on the numbers that are assumed? Morris screening of all, then Sobol of the few that matter.

Each assumed number is multiplied by a factor from 0.7 to 1.3, within its range; every point is played with and without
the change on the same luck, and what is looked at is the paired change (Morris 1991, Campolongo et al. 2007; Sobol
2001, Saltelli et al. 2010; by SALib).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np

from spiral_env.evaluation.statistics import Interval, student_quantile
from spiral_env.questions.assumed import HIGH, LOW, scaled, varied
from spiral_env.questions.report import number
from spiral_env.questions.sentences import Sign, sign
from spiral_env.questions.side_by_side import play_worlds
from spiral_env.questions.teams import VALUE, altered, team
from spiral_env.questions.what_if import Question

__all__ = ["MAX_CHANGES", "Screening", "check_screening", "sensitivity", "verdict", "work"]

MAX_CHANGES = 4
"""Changes whose sensitivity one call looks at."""
CHANCE = 0.025
"""Share of points that turn clearly by chance alone where nothing changes: a tail of a 95 % interval."""
_LEVELS = 4
_SHOWN = 12
_NOISY = 0.5


@dataclass(frozen=True)
class Screening:
    """How much is looked at.

    Attributes:
        trajectories: of Morris; each takes a point more than there are parameters.
        few: parameters that go on to Sobol.
        base: N of Sobol's N (few + 2) points, a power of 2.
        episodes: at every point, at least 2.
        seed: of the points.
    """

    trajectories: int = 4
    few: int = 5
    base: int = 64
    episodes: int = 8
    seed: int = 0


def work(question: Question, how: Screening) -> int:
    """Episodes that are played in all."""
    names = _names(question)
    points = how.trajectories * (len(names) + 1)
    sobol = how.base * (min(how.few, len(names)) + 2)
    return (points * (1 + len(question.changes)) + 2 * sobol * len(question.changes)) * how.episodes


def _names(question: Question) -> list[str]:
    changed = {name for x in question.changes for name in x.params}
    return varied(question.world, changed)


def check_screening(question: Question, how: Screening) -> None:
    """Refuse what would fail after the answer was played.

    Raises:
        ImportError: SALib is not installed.
        ValueError: there are too many changes, or ``base`` is no power of 2.
    """
    import_module("SALib")
    if len(question.changes) > MAX_CHANGES:
        raise ValueError(f"sensitivity takes at most {MAX_CHANGES} changes at once, got {len(question.changes)}")
    if how.base < 2 or how.base & (how.base - 1):
        raise ValueError(f"N of Sobol must be a power of 2, got {how.base}")


def sensitivity(
    question: Question,
    answers: Sequence[Interval],
    how: Screening | None = None,
    measure: str = VALUE,
    progress: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """For every change: ``morris``, ``sobol``, ``signs`` over all points of the screening, and a ``sentence``.

    Args:
        question: with behaviour as it is.
        answers: the change of the measure at the scenario's own numbers, an interval for each change.
        how: how much is looked at.
        measure: whose change is the answer.
        progress: told how many more episodes have been played.

    Raises:
        ImportError: SALib is not installed.
        ValueError: as of ``check_screening``.
    """
    from SALib.analyze import morris as analysed
    from SALib.sample import morris as sampled

    how = how or Screening()
    check_screening(question, how)
    names = _names(question)
    problem = _problem(names)
    points = sampled.sample(problem, how.trajectories, num_levels=_LEVELS, seed=how.seed)
    gaps = _gaps(question, names, points, measure, how.episodes, range(len(question.changes)), progress)
    out = []
    for k, gap in enumerate(gaps):
        mean = gap.mean(1)
        moved = float(np.ptp(mean)) > 0.0
        found = analysed.analyze(problem, points, mean, num_levels=_LEVELS, seed=how.seed) if moved else None
        ranked = [] if found is None else _ranked(names, found, ("mu", "mu_star", "mu_star_conf", "sigma"), "mu_star")
        few = [row["name"] for row in ranked[: how.few] if row["mu_star"] > 0.0]
        sobol = _sobol(question, k, few, measure, how, progress)
        signs = _signs(gap)
        told = verdict(answers[k], signs, [row["name"] for row in sobol or ranked[: how.few]], measure)
        out.append(
            {
                "measure": measure,
                "screening": asdict(how),
                "factor": [LOW, HIGH],
                "parameters": len(names),
                "points": len(points),
                "morris": ranked[:_SHOWN],
                "sobol": sobol,
                "signs": signs,
                "sentence": told,
            }
        )
    return out


def _problem(names: Sequence[str]) -> dict[str, Any]:
    return {"num_vars": len(names), "names": list(names), "bounds": [[LOW, HIGH]] * len(names)}


def _gaps(
    question: Question,
    names: Sequence[str],
    points: np.ndarray,
    measure: str,
    episodes: int,
    changes: Sequence[int],
    progress: Callable[[int], None] | None,
) -> np.ndarray:
    """Paired change of the measure, ``[changes, points, episodes]``."""
    worlds = []
    for point in points:
        values = scaled(question.world, dict(zip(names, map(float, point), strict=True)))
        worlds += [altered(question.world, values)]
        worlds += [altered(question.world, {**values, **question.changes[k].params}) for k in changes]
    players = team(question.spec)
    played = play_worlds(worlds, players, episodes, question.seed, progress=progress).metrics[measure]
    by_point = played.reshape(len(points), 1 + len(changes), episodes)
    return np.asarray((by_point[:, 1:] - by_point[:, :1]).transpose(1, 0, 2))


def _ranked(names: Sequence[str], found: Any, columns: Sequence[str], by: str) -> list[dict[str, Any]]:
    """A row a parameter, the most important first."""
    rows = [{"name": name, **{x: float(found[x][k]) for x in columns}} for k, name in enumerate(names)]
    return sorted(rows, key=lambda row: -row[by])


def _sobol(
    question: Question,
    change: int,
    few: Sequence[str],
    measure: str,
    how: Screening,
    progress: Callable[[int], None] | None,
) -> list[dict[str, Any]]:
    """First-order and total shares of the variance of the answer, the other numbers as they are."""
    from SALib.analyze import sobol as analysed
    from SALib.sample import sobol as sampled

    if not few:
        return []
    problem = _problem(few)
    points = sampled.sample(problem, how.base, calc_second_order=False, seed=how.seed)
    (gap,) = _gaps(question, few, points, measure, how.episodes, [change], progress)
    mean = gap.mean(1)
    if float(np.ptp(mean)) == 0.0:
        return []
    found = analysed.analyze(problem, mean, calc_second_order=False, seed=how.seed)
    return _ranked(few, found, ("S1", "S1_conf", "ST", "ST_conf"), "ST")


def _signs(gap: np.ndarray) -> dict[str, float]:
    """Shares of the points ``[points, episodes]`` at which the answer clearly rises, clearly falls, or neither.

    ``noise`` is the share of the variance over points that the luck of their few episodes makes.
    """
    episodes = gap.shape[1]
    mean, error = gap.mean(1), gap.std(1, ddof=1) / np.sqrt(episodes)
    half = student_quantile(episodes - 1) * error
    rises, falls = float((mean - half > 0.0).mean()), float((mean + half < 0.0).mean())
    low, middle, high = (float(x) for x in np.quantile(mean, [0.05, 0.5, 0.95]))
    noise = min(1.0, float((error**2).mean() / mean.var())) if mean.var() > 0.0 else 0.0
    shares = {"rises": rises, "falls": falls, "unclear": 1.0 - rises - falls}
    return shares | {"q05": low, "q50": middle, "q95": high, "noise": noise}


def verdict(answer: Interval, signs: Mapping[str, float], most: Sequence[str], measure: str = VALUE) -> str:
    """Whether the sign of the answer depends on the assumed numbers, in a sentence or two."""
    at_home = sign(answer)
    what = measure.replace("_", " ")
    spread = f"from {number(signs['q05'], '+')} to {number(signs['q95'], '+')} (5 % to 95 % of the points)"
    noisy = ""
    if signs["noise"] > _NOISY:
        noisy = f" The luck of few episodes makes {signs['noise']:.0%} of that spread: indices are rough; ask for more."
    if at_home in (Sign.UNCLEAR, Sign.SAME):
        said = (
            f"At the scenario's own numbers the change of {what} has no clear sign; where the assumed numbers are "
            f"others it clearly rises at {signs['rises']:.0%} and clearly falls at {signs['falls']:.0%} of the points, "
            f"{spread}."
        )
        return said + noisy
    same, other = ("rises", "falls") if at_home is Sign.RISES else ("falls", "rises")
    if signs[other] <= CHANCE:
        said = (
            f"The sign does not depend on the assumed numbers: {what} {same}, and clearly so at {signs[same]:.0%} of "
            f"the points; it clearly {other} at {signs[other]:.1%}, no more than chance ({CHANCE:.1%}) gives; {spread}."
        )
        return said + noisy
    return (
        f"The sign depends on the assumed numbers: {what} {same} here, but clearly {other} at {signs[other]:.0%} of "
        f"the points (chance gives {CHANCE:.1%}), {spread}; it hangs most on {', '.join(most)}.{noisy}"
    )
