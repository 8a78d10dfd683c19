"""The comparisons of studies [5] and [6], and known answers: ``python -m tests.benchmarks.studies``.

Parts, each alone by ``--only``: ``patching`` and ``patching_public`` (who patches what first, in the world and where
EPSS is public knowledge), ``portfolio`` (LSTM, equal weight, market: Sharpe ratio after costs), ``forecasts`` (skill,
and what the world allows), ``known`` (trained policies against known answers). Held-out episodes, the same for all
rows; what is trained (in ``--runs``) learns on training seeds, and is not trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.agents import NetworkPolicy, load_policy, team_of
from spiral_env.agents.known_answers import ANSWERS, regret
from spiral_env.agents.patch_planner import Foresighted
from spiral_env.evaluation import mean_interval, paired_difference
from spiral_env.policy import Policy, StatusQuo
from spiral_env.questions.report import Part, Row, measured
from spiral_env.questions.teams import altered
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario, scenario_ids
from tests.benchmarks.alone import trained_answer, trained_role
from tests.benchmarks.markets import forecasts, portfolios
from tests.benchmarks.runs import arguments, told, world_of
from tests.benchmarks.watched import watched

RANKINGS = ("status_quo", "cvss_first", "epss_first", "kev_first", "hybrid_risk", "patch_planner")
_BATCH = (1, 1, 1)
PLANNERS: dict[str, Callable[[], Foresighted]] = {
    "planner, whole state, batch": lambda: Foresighted(_BATCH),
    "planner, whole state": Foresighted,
}
_SMALL = {"num_envs": 32}
ANSWER_STEPS: dict[str, tuple[int, dict[str, Any]]] = {
    "one_month_pool": (50_000, {}),
    "patching_dilemma": (1_000_000, {}),
    "gordon_loeb": (2_000_000, _SMALL),
    "zero_threat": (4_000_000, _SMALL),
}
"""Agent-steps of a training for each known answer, and what else differs from its defaults."""


@dataclass(eq=False)
class Studies:
    """What the parts need to know.

    Attributes:
        world: as it is examined.
        episodes: held-out episodes of every row, the same for all.
        planned: of them those that a planner with the whole state plays, and all rows beside it.
        runs: folder of trainings.
        timesteps: agent-steps of the trained IT.
    """

    world: Scenario
    episodes: int
    planned: int
    runs: Path
    timesteps: int

    @cached_property
    def trained_it(self) -> Policy:
        """IT that has learned beside the average firm."""
        return NetworkPolicy(trained_role(self.world, "it", self.runs, self.timesteps, **_SMALL), "it")


def _patching(studies: Studies, world: Scenario) -> dict[str, Any]:
    """Every IT beside the average firm: losses, what patching costs, and how long it takes."""
    average = {role: StatusQuo(role) for role in ROLES}
    teams: dict[str, Mapping[str, Policy]] = {
        name: {role: load_policy(spec, role) for role, spec in team_of(name).items()} for name in RANKINGS
    }
    teams["trained IT"] = {**average, "it": studies.trained_it}
    seeds = world.evaluation_seeds(0, studies.planned)
    played = {name: _months(world, team, seeds, None) for name, team in teams.items()}
    played |= {name: _months(world, average, seeds, make()) for name, make in PLANNERS.items()}
    first = played["cvss_first"]["total"]
    rows = {
        name: {
            **{column: mean_interval(x) for column, x in figures.items()},
            "total against CVSS first": paired_difference(figures["total"], first),
        }
        for name, figures in played.items()
    }
    return {"rows": rows, "episodes": studies.planned}


def _months(
    world: Scenario, team: Mapping[str, Policy], seeds: list[int], planner: Foresighted | None
) -> dict[str, np.ndarray]:
    """Figures ``[episodes]``, k$ a month: expected loss with its load, patches, all of security; days; value."""
    fields = ("patching_cost", "month", "availability")
    seen, metrics, params = watched(world, team, seeds, fields, planner)
    load = 1.0 + params["insurance"] * params["insured_share"] * params["insurance_load"]
    loss = metrics["expected_loss"] * load
    return {
        "expected loss": loss,
        "patching": seen["patching_cost"].sum(0) / metrics["episode_length"],
        "security in all": metrics["security_spending"],
        "total": loss + metrics["security_spending"],
        "days to patch": 365.0 / 12.0 * metrics["time_to_remediate"],
        "open after 90 days, %": 100.0 * metrics["open_90"],
        "V": metrics["ecosystem_value"],
    }


def patching(studies: Studies) -> dict[str, Any]:
    """In the world as it is."""
    return _patching(studies, studies.world)


def patching_public(studies: Studies) -> dict[str, Any]:
    """Where EPSS counts in full without own intelligence: rankings are pure."""
    return _patching(studies, altered(studies.world, {"triage_public": 1.0}))


def known(studies: Studies) -> dict[str, Any]:
    """Trained policies, rules and the average firm against the best known decision."""
    rows = {}
    for scenario in scenario_ids():
        world = load_scenario(scenario)
        if not world.known_answer:
            continue
        answer = ANSWERS[world.known_answer]
        steps, values = ANSWER_STEPS[world.known_answer]
        run = trained_answer(world, studies.runs, steps, **values)
        policies = {"trained": NetworkPolicy(run, answer.role), "average firm": StatusQuo(answer.role)}
        if answer.role == "sme":
            policies["marginal_sme"] = load_policy("marginal_sme", "sme")
        for name, policy in policies.items():
            found = regret(world, policy, studies.episodes)
            assert found is not None
            row = {"best": found.best, "reached": found.reached, "regret": found.missed}
            rows[f"{scenario}: {name}"] = row | {"share, %": 100.0 * found.share}
    return {"rows": rows, "unit": "k$ a month of the role's payoff"}


def portfolio(studies: Studies) -> dict[str, Any]:
    """Finance by its portfolio, beside the average firm."""
    return {"rows": portfolios(studies.world, studies.episodes)}


def skill(studies: Studies) -> dict[str, Any]:
    """Correlation of forecasts with what came."""
    return {"rows": forecasts(studies.world, studies.episodes)}


def table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a policy, a column a figure."""
    rows = figures["rows"]
    columns = list(next(iter(rows.values())))
    return ["", *columns], [[name, *(x.get(c) for c in columns)] for name, x in rows.items()]


PARTS: dict[str, Part] = {
    "patching": Part("Study [5]: who patches what first, k$ a month", patching, table),
    "patching_public": Part("The same where EPSS is public knowledge", patching_public, table),
    "portfolio": Part("Study [6]: portfolios after costs, a year", portfolio, table),
    "forecasts": Part("Study [6]: correlation of forecasts with the next month", skill, table),
    "known": Part("Known answers: best, reached and missed, k$ a month", known, table),
}


def conclude(stored: Mapping[str, Any]) -> tuple[list[str], str]:
    """What the stored parts say, a sentence each."""
    said = []
    for name, where in {"patching": "As it is", "patching_public": "Where EPSS is public knowledge"}.items():
        if name in stored:
            said.append(f"{where}, " + _about_patching(stored[name]["figures"]["rows"]))
    if "portfolio" in stored:
        said.append(_about_portfolios(stored["portfolio"]["figures"]["rows"]))
    if "forecasts" in stored:
        said.append(_about_forecasts(stored["forecasts"]["figures"]["rows"]))
    if "known" in stored:
        rows = stored["known"]["figures"]["rows"]
        reached = [f"{x.partition(':')[0]} {rows[x]['share, %']:.1f} %" for x in rows if x.endswith(": trained")]
        said.append(f"Trained policies go this far from the worst constant decision to the best: {', '.join(reached)}.")
    return said, "\n".join(f"* {line}" for line in said) + "\n"


def _about_patching(rows: Mapping[str, Any]) -> str:
    loss = {name: x["expected loss"][0] for name, x in rows.items()}
    total = {name: x["total"][0] for name, x in rows.items()}
    cheapest, safest = min(total, key=lambda x: total[x]), min(loss, key=lambda x: loss[x])
    return (
        f"expected loss is {loss['cvss_first']:.1f} k$ a month with CVSS first, {loss['epss_first']:.1f} with EPSS, "
        f"{loss['hybrid_risk']:.1f} with the hybrid score; least with {safest} ({loss[safest]:.1f}). Loss and "
        f"security together cost least with {cheapest} ({total[cheapest]:.0f} against {total['cvss_first']:.0f} of "
        f"CVSS first), which leaves {rows[cheapest]['open after 90 days, %'][0]:.0f} % open after 90 days."
    )


def _about_portfolios(rows: Mapping[str, Any]) -> str:
    ratio = {name: x["Sharpe ratio"][0] for name, x in rows.items()}
    gain, low, high = rows["LSTM"]["against equal weight"]
    return (
        f"Sharpe ratio after costs: LSTM {ratio['LSTM']:.2f}, equal weight {ratio['equal weight']:.2f}, market "
        f"{ratio['market']:.2f}; knowing regime and expected returns {ratio['true expected returns']:.2f}. The LSTM "
        f"gains {gain:.2f} [{low:.2f}, {high:.2f}] on equal weight."
    )


def _about_forecasts(rows: Mapping[str, Any]) -> str:
    own = {name: x["with the own part"] for name, x in rows.items()}
    return (
        f"Correlation with the own part of next month's return: LSTM {own['LSTM'][0]:.3f}, the signal alone "
        f"{own['signal'][0]:.3f}; no forecast can pass {own['true expected own return'][0]:.3f}."
    )


def main() -> None:
    """Train what is missing, measure and write the parts."""
    parser = arguments(__doc__, "studies")
    parser.set_defaults(episodes=100, timesteps=12_000_000)
    parser.add_argument("--planned", type=int, default=20, help="episodes of each table of study [5]")
    options = parser.parse_args()
    try:
        measured(PARTS, options.only)
        studies = Studies(world_of(options), options.episodes, options.planned, options.runs, options.timesteps)
    except ValueError as error:
        parser.error(str(error))
    told(PARTS, "studies", studies, options, conclude)


if __name__ == "__main__":
    main()
