"""What makes the world a game worth learning: ``python -m tests.benchmarks.game``.

Trains teams on several seeds (runs that exist are not trained again), then measures, each part alone by ``--only``:
teams and dilemma, roles, the shares that a constant, a table by stage and a myopic team reach, what is lost without
private features, own views or memory, how far plans with a known future get, algorithms at equal agent-steps, and
levers and features one by one. All teams play the same held-out episodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.agents.planner import Planning, planned
from spiral_env.evaluation import EpisodeTable
from spiral_env.evaluation.statistics import Interval, mean_interval, paired_difference
from spiral_env.policy import STATUS_QUO
from spiral_env.questions.report import Part, Row, measured
from spiral_env.questions.runs import Run, Runs
from spiral_env.questions.teams import HEIGHT, VALUE, Team, held, play, team
from spiral_env.roles import FEATURES, LEVERS, ROLES
from spiral_env.scenarios import Scenario
from spiral_env.training import load_config
from tests.benchmarks.memory import WINDOWS, trained_with_memory
from tests.benchmarks.runs import KINDS, RECIPES, arguments, basis, told
from tests.benchmarks.search import best_table, by_stage
from tests.benchmarks.teams import PRIVATE, Averaged, Frozen, feature_means, mean_of, wrapped

RECIPE = RECIPES / "baseline-v1-es.toml"
NAMED = ("uniform", "status_quo", "scripted")
MODES = ("cooperative", "selfish", "mixed")
SHOWN = (VALUE, HEIGHT, "sme_participation", "trust", "collapse", "payoff_sme")
HELD = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(eq=False)
class Game:
    """What the parts need to know.

    Attributes:
        world: as it is examined.
        episodes: held-out episodes of every team, the same for all.
        runs: trainings.
        seeds: training seeds.
        budget: episodes of each search for a table.
        planning: how much is planned.
        plan_episodes: episodes that are planned in.
        best: the best known team, which plans go over too.
    """

    world: Scenario
    episodes: int
    runs: Runs
    seeds: int
    budget: int
    planning: Planning
    plan_episodes: int
    best: str = "agents/baseline-v1-es"
    _played: dict[str, list[EpisodeTable]] = field(default_factory=dict)

    def folders(self, kind: str) -> list[Path]:
        """Trained runs of a kind, one a seed."""
        return self.runs.trained(Run(kind, seed, self.world) for seed in range(self.seeds))

    def teams(self, kind: str = "cooperative") -> list[Team]:
        """Trained teams of a kind, or the one team of that name."""
        return [team(str(x)) for x in (self.folders(kind) if kind in KINDS else [kind])]

    def tables(self, kind: str = "cooperative") -> list[EpisodeTable]:
        """What they showed, played once."""
        if kind not in self._played:
            self._played[kind] = [self.play(x) for x in self.teams(kind)]
        return self._played[kind]

    def play(self, players: Team, **options: Any) -> EpisodeTable:
        """The held-out episodes."""
        return play(self.world, players, self.episodes, **options)

    def share(self, tables: list[EpisodeTable]) -> Interval:
        """(team - uniform) / (trained - uniform) in ecosystem value, over training seeds."""
        low, top = _value(self.tables("uniform")[0]), [_value(x) for x in self.tables()]
        mine = [_value(x) for x in tables] * (len(top) if len(tables) == 1 else 1)
        return mean_interval(np.array([(x - low) / (t - low) for x, t in zip(mine, top, strict=True)]))

    def change(self, tables: list[EpisodeTable], kind: str = "cooperative") -> Interval:
        """Paired change of value against trained teams, seeds averaged, over episodes."""
        return paired_difference(mean_of(tables).metrics[VALUE], mean_of(self.tables(kind)).metrics[VALUE])


def _value(table: EpisodeTable) -> float:
    return float(table.metrics[VALUE].mean())


def _spread(tables: list[EpisodeTable], measure: str) -> Interval:
    """Over training seeds if there are several, else over episodes."""
    if len(tables) == 1:
        return mean_interval(tables[0].metrics[measure])
    return mean_interval(np.array([x.metrics[measure].mean() for x in tables]))


def teams(game: Game) -> dict[str, Any]:
    """Every team, its gap to the scripted one, and what selfishness costs."""
    rows = {}
    scripted = game.tables("scripted")[0].metrics
    for kind in (*NAMED, *MODES):
        tables = game.tables(kind)
        mean = mean_of(tables).metrics
        row: dict[str, Any] = {x: _spread(tables, x) for x in SHOWN}
        row["V against scripted"] = paired_difference(mean[VALUE], scripted[VALUE])
        row["SME payoff against scripted"] = paired_difference(mean["payoff_sme"], scripted["payoff_sme"])
        rows[kind] = row
    pairs = zip(game.tables("selfish"), game.tables("cooperative"), strict=True)
    ratios = np.array([_value(a) / _value(b) for a, b in pairs])
    return {"rows": rows, "selfish / cooperative": mean_interval(ratios)}


def constant(game: Game) -> dict[str, Any]:
    """The best constant joint action."""
    return _table(game, 1)


def stage_table(game: Game) -> dict[str, Any]:
    """The best table of efforts by stage."""
    return _table(game, 3)


def _table(game: Game, stages: int) -> dict[str, Any]:
    usual = np.tile(np.concatenate([np.array(STATUS_QUO[role]) for role in ROLES]), (3, 1))
    starts = {"average firm": usual, "trained": by_stage(game.world, game.teams()[0], game.episodes)}
    found = best_table(game.world, stages, starts, game.budget)
    table = game.play(found.team())
    row = {"share": game.share([table]), "V": _spread([table], VALUE), "H": _spread([table], HEIGHT)}
    return {"rows": {"table": row}, "episodes of the search": found.episodes, "efforts": found.efforts()}


def myopic(game: Game) -> dict[str, Any]:
    """Teams that learn from the month alone, beside the same algorithm with foresight."""
    rows = {}
    for kind in ("myopic", "ippo"):
        tables = game.tables(kind)
        rows[kind] = {"share": game.share(tables), "V": _spread(tables, VALUE), "H": _spread(tables, HEIGHT)}
    return {"rows": rows}


def views(game: Game) -> dict[str, Any]:
    """Loss without private features (all roles, each), and with the mean of all SMEs' views."""
    found: dict[str, list[EpisodeTable]] = {}
    for players in game.teams():
        means = feature_means(game.world, players, game.episodes)
        frozen = {role: _frozen(means[role], PRIVATE[role]) for role in ROLES}
        without = {"private features frozen": frozen}
        without |= {f"private features of {role} frozen": {role: frozen[role]} for role in ROLES}
        without["SMEs see their mean view"] = {"sme": Averaged}
        for name, wrappers in without.items():
            found.setdefault(name, []).append(game.play(wrapped(players, wrappers)))
    return {"rows": {name: {"V": game.change(x)} for name, x in found.items()}}


def _frozen(means: np.ndarray, places: Any) -> Any:
    return lambda policy: Frozen(policy, {k: float(means[k]) for k in places})


def memory(game: Game) -> dict[str, Any]:
    """Gain of teams that see means of past months too, at equal agent-steps; and of a recurrent network over IPPO."""
    stacked = []
    for seed, whole in enumerate(game.folders("cooperative")):
        values = {"scenario": str(whole.with_name("world.toml")), "seed": seed, "timesteps": game.runs.timesteps}
        values |= {"reward_mode": "cooperative", "env_threads": 1, **game.runs.overrides}
        file = whole.with_name(f"whole-stacked-{seed}.npz")
        stacked.append(game.play(trained_with_memory(load_config(RECIPE, values), file)))
    name = f"evolution strategy with means of {' and '.join(map(str, WINDOWS))} months, against without"
    rows = {name: {"V": game.change(stacked)}}
    rows["IPPO with GRU, against without"] = {"V": game.change(game.tables("gru"), "ippo")}
    return {"rows": rows}


def planner(game: Game) -> dict[str, Any]:
    """Plans over trained teams, in the true future, an upper bound, and in resampled ones, which is no clairvoyance."""
    rows, values = {}, {}
    for name, players in {"the teams of the table": game.teams(), game.best: [team(game.best)]}.items():
        for future, planning in {
            "the true future": replace(game.planning, futures=0),
            "resampled futures": replace(game.planning, futures=max(1, game.planning.futures)),
        }.items():
            pairs = [planned(game.world, x, game.plan_episodes, planning) for x in players]
            a, b = (np.mean(x, axis=0) for x in zip(*pairs, strict=True))
            row = {"team": mean_interval(a), "planned": mean_interval(b), "planned - team": paired_difference(b, a)}
            rows[f"{name}, {future}"] = row | {"planned / team": float(b.mean() / a.mean())}
            values[f"{name}, {future}"] = {"team": a.tolist(), "planned": b.tolist()}
    return {"rows": rows, "planning": vars(game.planning), "values": values}


def algorithms(game: Game) -> dict[str, Any]:
    """The evolution strategy with a hidden layer and linear, IPPO, MAPPO and with memory, at equal agent-steps."""
    rows = {}
    for kind in ("linear", "cooperative", "ippo", "mappo", "gru"):
        tables = game.tables(kind)
        row = {
            "V": _spread(tables, VALUE),
            "H": _spread(tables, HEIGHT),
            "V against linear": game.change(tables, "linear"),
        }
        rows["hidden layer" if kind == "cooperative" else kind] = row
    return {"rows": rows, "agent_steps": game.runs.timesteps}


def roles(game: Game) -> dict[str, Any]:
    """Change when one role of a trained team plays at random, or as in the next seed's team."""
    all_teams = game.teams()
    rows = {}
    for role in ROLES:
        at_random = [game.play({**x, role: team("uniform")[role]}) for x in all_teams]
        others = [game.play({**x, role: all_teams[k - 1][role]}) for k, x in enumerate(all_teams)]
        rows[role] = {"at random": game.change(at_random), "from another team": game.change(others)}
    return {"rows": rows}


def levers(game: Game) -> dict[str, Any]:
    """Each lever held at constants in the trained teams: loss of the worst and of the best of them, and its use."""
    rows = {}
    use = mean_of(game.tables()).lever_use
    for role in ROLES:
        for k, lever in enumerate(LEVERS[role]):
            efforts = HELD if lever.kind == "graded" else (0.0, 0.5, 1.0)
            found = {
                x: game.change([game.play(held(t, {role: {lever.name: x}})) for t in game.teams()]) for x in efforts
            }
            worst, best = (choose(found, key=lambda x: found[x].mean) for choose in (min, max))  # type: ignore[type-var]
            low, middle, high = (round(float(x), 2) for x in use[role][k])
            row = {"worst at": worst, "loss there": found[worst], "best at": best, "change there": found[best]}
            rows[f"{role} {lever.name}"] = {**row, "use low, middle, high": f"{low}, {middle}, {high}"}
    dead = [name for name, x in rows.items() if x["loss there"].high > 0.0]
    one = [name for name, x in rows.items() if x["change there"].high > 0.0]
    return {"rows": rows, "no constant hurts": dead, "a constant is as good": one}


def features(game: Game) -> dict[str, Any]:
    """Each feature frozen at its mean in the trained teams."""
    rows = {}
    means = [feature_means(game.world, x, game.episodes) for x in game.teams()]
    for role in ROLES:
        for k, feature in enumerate(FEATURES[role]):
            pairs = zip(game.teams(), means, strict=True)
            without = [game.play(wrapped(x, {role: _frozen(mean[role], [k])})) for x, mean in pairs]
            rows[f"{role} {feature.name}"] = {"V": game.change(without)}
    matter = [name for name, x in rows.items() if x["V"].high < 0.0]
    counts = {role: f"{sum(x.startswith(role + ' ') for x in matter)} of {len(FEATURES[role])}" for role in ROLES}
    return {"rows": rows, "removal costs": counts}


def table(figures: dict[str, Any]) -> tuple[Row, list[Row]]:
    """A row a thing that was measured, a column a figure."""
    rows = figures["rows"]
    columns = list(next(iter(rows.values())))
    notes: list[Row] = [
        [f"*{name}*", _noted(value), *[""] * (len(columns) - 1)]
        for name, value in figures.items()
        if name not in ("rows", "efforts", "values")
    ]
    return ["", *columns], [[name, *x.values()] for name, x in rows.items()] + notes


def _noted(value: Any) -> object:
    """Names and settings as text; figures and intervals as they are."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {x}" for name, x in value.items())
    if isinstance(value, list) and all(isinstance(x, str) for x in value):
        return ", ".join(value) or "none"
    return f"{value:,}" if isinstance(value, int) else value


PARTS: dict[str, Part] = {
    "teams": Part("Teams, dilemma, participation", teams, table),
    "roles": Part("One role replaced", roles, table),
    "constant": Part("Best constant: share of trained above uniform", constant, table),
    "stage_table": Part("Best table by stage: share of trained above uniform", stage_table, table),
    "myopic": Part("Myopic: share of trained above uniform", myopic, table),
    "views": Part("Views: change of V", views, table),
    "memory": Part("Memory: change of V", memory, table),
    "planner": Part("Plans over snapshots", planner, table),
    "algorithms": Part("Algorithms at equal agent-steps", algorithms, table),
    "levers": Part("Levers held at a constant: change of V", levers, table),
    "features": Part("Features frozen at their mean: change of V", features, table),
}


def main() -> None:
    """Train what is missing, measure and write the parts."""
    parser = arguments(__doc__, "game")
    parser.add_argument("--seeds", type=int, default=5, help="training seeds")
    parser.add_argument("--budget", type=int, default=60_000, help="episodes of each search for a table")
    parser.add_argument("--plan-episodes", type=int, default=8)
    parser.add_argument("--best", default="agents/baseline-v1-es", help="the best known team, which plans go over too")
    for name, value in vars(Planning()).items():
        parser.add_argument(f"--{name}", type=int, default=value, help="of the planner")
    options = parser.parse_args()
    planning = Planning(**{name: getattr(options, name) for name in vars(Planning())})
    try:
        measured(PARTS, options.only)
        game = Game(
            **basis(options),
            seeds=options.seeds,
            budget=options.budget,
            planning=planning,
            plan_episodes=options.plan_episodes,
            best=options.best,
        )
    except ValueError as error:
        parser.error(str(error))
    told(PARTS, "game", game, options)


if __name__ == "__main__":
    main()
