"""Solves the constants that facts fix, and prints each fact's target beside what is measured (MODEL.md section 6)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spiral_env.checks import check_count
from spiral_env.core.params import PARAMETERS, Value, pack
from spiral_env.core.state import Sum
from spiral_env.evaluation.statistics import Interval, mean_interval
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS
from spiral_env.roles.business import epsilon_of_rho, rho_of_epsilon
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.own import read_own, write_own
from spiral_env.scenarios.schema import starting_law
from spiral_env.simulator.engine import Engine, World
from spiral_env.simulator.reset import LAW_COLUMNS
from spiral_env.spaces import agent_names, agent_role
from spiral_env.stages.resource_aggregation.cybersecurity import BIRTH_SHIFT
from spiral_env.stages.resource_aggregation.digital_commerce import pool_auc
from spiral_env.stages.risk_governance._patching import priority

__all__ = ["Fact", "Solution", "average_firm", "facts", "solve", "store"]

AUC_GRID: dict[int, tuple[float, ...]] = {
    1: (0.491, 0.522, 0.560, 0.628, 0.683, 0.692),
    2: (0.546, 0.582, 0.654, 0.709, 0.727, 0.743),
    4: (0.596, 0.653, 0.709, 0.742, 0.759, 0.762),
    8: (0.669, 0.723, 0.759, 0.770, 0.775, 0.775),
    16: (0.732, 0.765, 0.776, 0.781, 0.782, 0.782),
    32: (0.769, 0.781, 0.785, 0.786, 0.786, 0.786),
    64: (0.783, 0.787, 0.788, 0.788, 0.788, 0.788),
}
"""AUC by pooled SMEs of 400 records (rows) and epsilon .25, .5, 1, 2, 4, 8 (columns); own experiment."""

BREACH_RATE = 0.06
"""Platform events a year under the average firm that ``aim`` is solved for."""
MARKET = {"calm": (0.0109, 0.0228), "stress": (0.0041, 0.0536)}
"""Monthly mean and volatility of the two regimes of the S&P 500 index 1990-2022, by Markov switching."""
SEVERITY = {"C": 0.106, "H": 0.344, "M": 0.512, "L": 0.037}
"""Shares of 20,180 CVEs of 2024."""
FOLDER = Path(__file__).parent / "scenarios"
LAW_ROWS = 1024
MOST_EPISODES = 2**16
"""They are played side by side."""
BURN_IN = 24
BURN_INS = 4
ROUNDS = 4
"""Aim and appetite move each other: levels climbed raise the threat."""
AIM_STEPS, AIM_MONTHS, START_MONTHS, SCALE_MONTHS = 10, 60, 6, 60
SOLVED_MONTHS = BURN_INS * BURN_IN + ROUNDS * (AIM_STEPS * AIM_MONTHS + START_MONTHS) + SCALE_MONTHS
"""Months that ``solve`` lives at most."""
_SOLVED = ("aim", "appetite", "start_value", "scale_it", "scale_business", "scale_finance", "scale_sme", "scale_team")
_DEFAULTS = {x.name: x.default for x in PARAMETERS}


_UNSEEN = Interval(math.nan, math.nan, math.nan)
"""Measured where a scenario leaves nothing to measure: never in its target."""


class Fact(NamedTuple):
    """One fact the simulator must show."""

    number: str
    name: str
    low: float
    high: float
    measured: Interval

    @property
    def ok(self) -> bool:
        """Whether the measured mean lies in the target."""
        return self.low <= self.measured.mean <= self.high


@dataclass(frozen=True)
class Solution:
    """What calibration solved, rounded as it is stored."""

    params: dict[str, float]
    law: np.ndarray


def average_firm(num_envs: int, num_smes: int) -> np.ndarray:
    """Efforts ``[E, 3 + N, L]`` of the average firm."""
    roles = [agent_role(agent) for agent in agent_names(num_smes)]
    efforts = np.zeros((num_envs, len(roles), MAX_LEVERS))
    for k, role in enumerate(roles):
        efforts[:, k, : NUM_LEVERS[role]] = STATUS_QUO[role]
    return efforts


class _Games(NamedTuple):
    """Episodes of the average firm, always on the same seeds.

    Attributes:
        episodes: how many, side by side.
        seed: of the first.
        progress: told of every month lived by all.
    """

    episodes: int
    seed: int
    progress: Callable[[int], None] | None = None

    def play(self, world: World, months: int, each: Callable[[Engine], None] | None = None) -> Engine:
        """Run them for ``months``, calling ``each`` after every one."""
        engine = Engine(world, self.episodes)
        engine.reset(np.arange(self.seed, self.seed + self.episodes, dtype=np.int64))
        efforts = average_firm(self.episodes, world.num_smes)
        for _ in range(months):
            engine.step(efforts, observe=False)
            if each is not None:
                each(engine)
            self.tell(1)
        return engine

    def tell(self, months: int) -> None:
        """So many months more are done, or need not be."""
        if self.progress is not None:
            self.progress(months)


def _games(episodes: int, seed: int, progress: Callable[[int], None] | None) -> _Games:
    return _Games(check_count("episodes", episodes, 2, MOST_EPISODES), check_count("seed", seed, 0, 2**62), progress)


def _with(world: World, values: dict[str, float], law: np.ndarray | None = None) -> World:
    merged: dict[str, Value] = {**world.values, **values}
    return World(merged, world.ranges, world.law if law is None else law, world.num_smes, world.max_cycles)


def _burn_in(world: World, games: _Games) -> tuple[float, np.ndarray]:
    """Mean number open after 24 months of the average firm, and a sample of what is open."""
    states = games.play(world, BURN_IN).states
    rows = []
    for s in states:
        n = int(s.num_open)
        tier = s.service_tier[s.v_service[:n]]
        patch = (s.v_patch_month[:n] <= s.month).astype(float)
        rows.append(
            np.column_stack([tier, s.v_class[:n], s.v_cvss[:n], s.v_epss[:n], s.v_known[:n], patch, s.v_kev[:n]])
        )
    table = np.concatenate(rows)
    if not len(table):
        raise ValueError("scenario must have vulnerabilities for its backlog to be solved, got none in the first years")
    order = np.argsort(table[:, 3], kind="stable")
    picks = order[((np.arange(LAW_ROWS) + 0.5) / LAW_ROWS * len(order)).astype(int)]
    return float(states["num_open"].mean()), table[picks]


def _yearly_events(world: World, games: _Games) -> float:
    chances: list[float] = []
    games.play(world, AIM_MONTHS, lambda e: chances.append(float(e.states["event_probability"].mean())))
    return 12.0 * float(np.mean(chances))


def _solve_aim(world: World, games: _Games) -> float:
    """Fixed power steps on the attack aim until the average firm's episodes show ``BREACH_RATE``."""
    aim = float(pack(world.values, world.num_smes)[0]["aim"])
    for step in range(AIM_STEPS):
        rate = _yearly_events(_with(world, {"aim": aim}), games)
        if not rate > 0.0:
            raise ValueError("scenario must have attacks for its aim to be solved, got none in the average firm's play")
        if abs(rate / BREACH_RATE - 1.0) < 0.002:
            games.tell(AIM_MONTHS * (AIM_STEPS - 1 - step))
            break
        aim *= (BREACH_RATE / rate) ** 1.1
    return aim


def solve(
    scenario: Scenario | str = "baseline-v1",
    episodes: int = 256,
    seed: int = 10_000,
    progress: Callable[[int], None] | None = None,
) -> Solution:
    """Solve backlog, aim, appetite, starting value and reward scales under the average firm, in this order.

    It starts from an empty backlog and the parameters' defaults, so solving twice gives the same values. ``progress``
    is told of months, ``SOLVED_MONTHS`` in all.

    Raises:
        TypeError: ``episodes`` or ``seed`` is no integer.
        ValueError: they are out of range, or the scenario leaves nothing to solve for.
    """
    games = _games(episodes, seed, progress)
    world = load_scenario(scenario).world()
    params: dict[str, float] = {name: _DEFAULTS[name] for name in _SOLVED}  # type: ignore[misc]
    params["backlog_open"] = 0.0
    law = world.law
    for _ in range(BURN_INS):
        params["backlog_open"], law = _burn_in(_with(world, params, law), games)
    for _ in range(ROUNDS):
        params["aim"] = _solve_aim(_with(world, params, law), games)
        params["appetite"], params["start_value"] = _start(_with(world, params, law), games)
    params.update(_solve_scales(_with(world, params, law), games))
    rounded = np.array([[float(f"{x:.5g}") for x in row] for row in law])
    return Solution({k: float(f"{v:.4g}") for k, v in params.items()}, rounded)


def _start(world: World, games: _Games) -> tuple[float, float]:
    """Appetite and operating value of the average firm's first half year, at 8 SMEs."""
    months: list[tuple[float, float]] = []

    def watch(engine: Engine) -> None:
        s = engine.states
        fines = s["expected_privacy_fine"] + s["sme_expected_fine"].sum(1)
        months.append((float((s["cycle_loss"] + fines).mean()), float(s["operating_value"].mean())))

    games.play(world, START_MONTHS, watch)
    p = pack(world.values, world.num_smes)[0]
    loss, value = np.mean(months, axis=0) / (float(p["size"]), 1.0 / float(p["sme_scale"]))
    if not p["start_risk"] > 0.0:
        raise ValueError("params.start_risk must be above 0 for the appetite to be solved, got 0")
    return float(loss) / float(p["start_risk"]), float(value)


def _solve_scales(world: World, games: _Games) -> dict[str, float]:
    """Scales that put the average firm's mean monthly reward at one."""
    engine = games.play(world, SCALE_MONTHS)
    sums, p = engine.states["sums"], engine.params[0]
    months = sums[:, Sum.MONTHS]
    out = {}
    for name in ("it", "business", "finance", "sme"):
        mean = float((sums[:, getattr(Sum, f"RETURN_{name.upper()}")] / months).mean())
        out[f"scale_{name}"] = mean * float(p[f"scale_{name}"])
    out["scale_team"] = float((sums[:, Sum.ECOSYSTEM_VALUE] / months).mean()) * 8.0 / world.num_smes
    return out


def _exact(value: float) -> Interval:
    return Interval(value, value, value)


def facts(
    scenario: Scenario | str = "baseline-v1",
    episodes: int = 512,
    seed: int = 0,
    solution: Solution | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Fact]:
    """Measure every fact of MODEL.md section 6 under the average firm, with a solution's values where there is one.

    ``progress`` is told of months, the scenario's ``max_cycles`` in all.

    Raises:
        TypeError: ``episodes`` or ``seed`` is no integer.
        ValueError: they are out of range.
    """
    world = load_scenario(scenario).world()
    if solution is not None:
        world = _with(world, solution.params, solution.law)
    drawn = _Drawn()
    engine = _games(episodes, seed, progress).play(world, world.max_cycles, drawn)
    return [
        *_loss_facts(engine, drawn),
        *_survival_facts(engine),
        *_ranking_facts(engine),
        _auc_fact(engine),
        _accountant_fact(),
        *_market_facts(drawn),
        *_firm_facts(engine),
        *_severity_facts(drawn),
        *_money_facts(engine, drawn),
    ]


class _Drawn:
    """What has to be watched month by month."""

    def __init__(self) -> None:
        self.returns: list[np.ndarray] = []
        self.stress: list[np.ndarray] = []
        self.band = np.zeros((2, 0))
        self.cvss = np.zeros(4)
        self.expected: list[np.ndarray] = []
        self.lost: list[np.ndarray] = []
        self.by_episode: list[np.ndarray] = []

    def __call__(self, engine: Engine) -> None:
        s = engine.states
        self.returns.append(s["market_return"].copy())
        self.stress.append(s["stress"].copy())
        inside = (s["modules"] >= 0.4) & (s["modules"] <= 0.6)
        events = (s["sme_event"] > 0).sum(1) * inside
        borne = (s["sme_event"] == 2).sum(1) * inside
        self.by_episode.append(np.stack([borne, events]))
        self.expected.append(s["expected_breach"] + s["sme_expected"].sum(1))
        self.lost.append(s["breach_loss"] + s["sme_loss"].sum(1))
        fresh = s["v_cvss"][(s["v_uid"] >> BIRTH_SHIFT == s["month"][:, None]) & _open(s)]
        edges = np.array([-np.inf, 4.0, 7.0, 9.0, np.inf])
        self.cvss += np.histogram(fresh, edges)[0][::-1]


def _open(s: Any) -> np.ndarray:
    return np.arange(s["v_uid"].shape[1])[None] < s["num_open"][:, None]


def _ratio_interval(top: np.ndarray, bottom: np.ndarray) -> Interval:
    """Ratio of means with a linearised 95 % interval over episodes."""
    ratio = float(top.sum() / max(bottom.sum(), 1e-12))
    spread = mean_interval((top - ratio * bottom) / max(float(bottom.mean()), 1e-12))
    return Interval(ratio, ratio + spread.low, ratio + spread.high)


def _loss_facts(engine: Engine, drawn: _Drawn) -> list[Fact]:
    t = engine.states["sums"]
    sme = _ratio_interval(12.0 * t[:, Sum.SME_EVENTS], t[:, Sum.SME_MONTHS])
    platform = _ratio_interval(12.0 * t[:, Sum.PLATFORM_EVENTS], t[:, Sum.MONTHS])
    borne, events = np.sum(drawn.by_episode, axis=0)
    if events.sum() == 0:
        borne, events = t[:, Sum.SME_EVENTS_PLATFORM], t[:, Sum.SME_EVENTS]
    return [
        Fact("1", "SME material losses a year", 0.015, 0.045, sme),
        Fact("1", "platform events a year", 0.04, 0.09, platform),
        Fact("2", "platform-borne share of SME events, m in [.4, .6]", 0.25, 0.35, _ratio_interval(borne, events)),
    ]


def _survival_facts(engine: Engine) -> list[Fact]:
    t = engine.states["sums"]
    out = []
    for days, target in ((30, 0.68), (90, 0.50), (365, 0.18)):
        share = _ratio_interval(t[:, getattr(Sum, f"OPEN_{days}")], t[:, getattr(Sum, f"AT_RISK_{days}")])
        out.append(Fact("3", f"open after {days} days", target - 0.06, target + 0.06, share))
    return out


def _ranking_facts(engine: Engine) -> list[Fact]:
    """Coverage of expected exploitation at 10 and 25 % effort, EPSS-led over CVSS-led, per ecosystem's backlog."""
    out = []
    for effort in (0.10, 0.25):
        epss_led: list[float] = []
        cvss_led: list[float] = []
        for s in engine.states[:256]:
            n = int(s.num_open)
            if n == 0:
                continue
            epss, cvss, rank, value = s.v_epss[:n], s.v_cvss[:n], s.v_rank[:n], s.v_value[:n]
            take = max(1, round(effort * n))
            for ranking, into in ((1.0, epss_led), (0.0, cvss_led)):
                score = np.array([priority(ranking, 0.0, *x) for x in zip(cvss, rank, value, strict=True)])
                into.append(epss[np.argsort(-score)[:take]].sum() / epss.sum())
        ratio = _ratio_interval(np.array(epss_led), np.array(cvss_led)) if epss_led else _UNSEEN
        out.append(Fact("4", f"coverage EPSS-led / CVSS-led at {effort:.0%} effort", 2.0, math.inf, ratio))
    return out


def _auc_fact(engine: Engine) -> Fact:
    """Root mean square error of the closed form over the whole grid of the experiment."""
    p = engine.params[0]
    errors = []
    for smes, row in AUC_GRID.items():
        for epsilon, auc in zip((0.25, 0.5, 1.0, 2.0, 4.0, 8.0), row, strict=True):
            errors.append(pool_auc(p, 400.0 * smes, epsilon, 0.0, 1.0, 1.0) - auc)
    error = float(np.sqrt(np.mean(np.square(errors))))
    return Fact("5", "AUC grid, root mean square error", 0.0, 0.02, _exact(error))


def _accountant_fact() -> Fact:
    """Accountant against the optimum of the Renyi conversion, found by a fine search over orders."""
    worst = 0.0
    delta = 1e-5
    for epsilon in (0.25, 0.7, 2.0, 3.0, 8.0):
        rho = float(rho_of_epsilon(epsilon, delta))
        alpha = 1.0 + np.exp(np.linspace(-8.0, 12.0, 2_000_001))
        best = float((rho * alpha + math.log(1.0 / delta) / (alpha - 1.0)).min())
        worst = max(worst, abs(best - epsilon), abs(float(epsilon_of_rho(rho, delta)) - epsilon))
    return Fact("6", "accountant, error against Renyi search", 0.0, 1e-6, _exact(worst))


def _market_facts(drawn: _Drawn) -> list[Fact]:
    returns, stress = np.concatenate(drawn.returns), np.concatenate(drawn.stress)
    out = []
    for k, (name, (mean, sd)) in enumerate(MARKET.items()):
        x = returns[stress == k]
        interval, volatility = _UNSEEN, _UNSEEN
        if len(x):
            half = 1.96 / math.sqrt(2.0 * len(x)) * x.std()
            interval = mean_interval(x)
            volatility = Interval(float(x.std()), float(x.std() - half), float(x.std() + half))
        out.append(Fact("7", f"market mean, {name}", 0.9 * mean, 1.1 * mean, interval))
        out.append(Fact("7", f"market volatility, {name}", 0.9 * sd, 1.1 * sd, volatility))
    return out


def _firm_facts(engine: Engine) -> list[Fact]:
    t = engine.states["sums"]
    default = _ratio_interval(t[:, Sum.DEFAULTS], t[:, Sum.BORROWER_MONTHS])
    exits = _ratio_interval(t[:, Sum.CLOSURES] + t[:, Sum.DEFAULTS], t[:, Sum.SME_MONTHS])
    lifetime = Interval(*(1.0 - (1.0 - max(x, 0.0)) ** 60 for x in default))
    survival = Interval(*((1.0 - x) ** 48 for x in (exits.mean, exits.high, exits.low)))
    return [
        Fact("8", "lifetime default of borrowers (60 months)", 0.15, 0.25, lifetime),
        Fact("8", "4-year survival of SMEs", 0.44, 0.66, survival),
    ]


def _severity_facts(drawn: _Drawn) -> list[Fact]:
    total = drawn.cvss.sum()
    out = []
    for (name, target), count in zip(SEVERITY.items(), drawn.cvss, strict=True):
        measured = _UNSEEN
        if total > 0.0:
            share = float(count / total)
            half = 1.96 * math.sqrt(share * (1.0 - share) / total)
            measured = Interval(share, share - half, share + half)
        out.append(Fact("9", f"severity {name} of arrivals", target - 0.02, target + 0.02, measured))
    return out


def _money_facts(engine: Engine, drawn: _Drawn) -> list[Fact]:
    s = engine.states
    drift = float(np.abs(s["balance"].sum(1)).max())
    lost = np.sum(drawn.lost, axis=0)
    expected = np.sum(drawn.expected, axis=0)
    return [
        Fact("10", "money not conserved, k$", 0.0, 1e-6, _exact(drift)),
        Fact("10", "drawn / expected loss", 0.9, 1.1, _ratio_interval(lost, expected)),
    ]


def store(solution: Solution) -> None:
    """Write the solved values into the package's baseline and starting backlog, both or neither.

    Whatever else the baseline says stays as it is.
    """
    text = read_own("baseline-v1.toml", FOLDER)
    for name, value in sorted(solution.params.items()):
        text, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        if not found:
            text = re.sub(r"(?m)^\[params\]\n", f"[params]\n{name} = {value}\n", text)
    rows = [",".join(f"{x:.5g}" for x in row) for row in solution.law]
    law = "\n".join([",".join(LAW_COLUMNS), *rows, ""])
    write_own({"baseline-v1.toml": text, "starting_backlog.csv": law}, FOLDER)
    starting_law.cache_clear()
