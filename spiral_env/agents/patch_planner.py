"""The month's patch plan as an integer program, solved by HiGHS through SciPy (study [5]).

The program knows the model: hours that the departments agree on for each set of postures, money, prices, what a month
of an open vulnerability costs. It chooses a posture a tier and how many of each item to patch in ``batch`` or ``now``:

    maximise   sum_im gain_im x_im - sum_c cost_c z_c
    subject to sum_c z_c = 1,   x_im <= count_i sum_(c: tier of i in m) z_c,   sum_m x_im <= count_i,
               sum_im hours_m x_im <= sum_c hours_c z_c,   sum_im price_m x_im <= sum_c money_c z_c

with c over the 27 sets of postures. ``PatchPlanner`` is a policy like any other: its items are what IT counts in each
tier. ``Foresighted`` is given the whole state and orders the queue itself, which no policy can: an upper comparison.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.core.ledger import Account
from spiral_env.roles import FEATURES, LEVERS
from spiral_env.roles.public import TIERS
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.stages.resource_aggregation.cybersecurity import PATCHED, rank_of_threat

__all__ = ["Foresighted", "Items", "PatchPlanner", "Plan", "Setting", "solve"]

SETS = np.array(list(itertools.product(range(3), repeat=len(TIERS))))
"""Postures of the tiers, ``[27, 3]``: 0 defer, 1 batch, 2 now."""
_GAP, _SECONDS = 1e-3, 2.0


@dataclass(frozen=True)
class Items:
    """What can be patched.

    Attributes:
        tier: int ``[I]``.
        count: of each, ``[I]``.
        month: expected loss of a month open under the mean threat, k$ ``[I]``.
        this_month: the same under the threat that is expected now.
    """

    tier: np.ndarray
    count: np.ndarray
    month: np.ndarray
    this_month: np.ndarray


@dataclass(frozen=True)
class Setting:
    """What the month allows.

    Attributes:
        cash: security cash that postures, tools and patches share, k$.
        tools: efforts for scanning and intelligence, in k$ as asked for.
        size: of the institutions' prices.
        release: effort of finance's budget.
        window: effort of business's window.
        services: of the platform.
        sales: k$ a month.
        lost_hours: hours of false findings and of building modules.
        months_in_now: of each tier, ``[3]``.
        tier_loss: expected loss of the month through each tier, k$ ``[3]``.
        months: for which a patch counts.
    """

    cash: float
    tools: float
    size: float
    release: float
    window: float
    services: float
    sales: float
    lost_hours: float
    months_in_now: np.ndarray
    tier_loss: np.ndarray
    months: float


@dataclass(frozen=True)
class Plan:
    """What is best: the posture of each tier ``[3]``, and how many of each item are patched ``[I]``."""

    postures: np.ndarray
    patched: np.ndarray


def _agreed(p: Any, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Hours that each set of postures gets, and the late share of the month, ``[27]`` (MODEL.md 4.5, Agree)."""
    it = np.maximum(p["effort_floor"], p["posture_effort"][SETS].mean(1))
    finance = max(p["effort_floor"], setting.release)
    business = p["window_floor"] + (1.0 - p["window_floor"]) * setting.window
    efforts = np.stack(np.broadcast_arrays(it, finance, business))
    k, high = p["soft_minimum"], efforts.max(0)
    hours = p["capacity_hours"] * setting.services / 12.0 * (efforts**-k).mean(0) ** (-1.0 / k)
    return hours - setting.lost_hours, p["delay_days"] / 30.0 * (high - efforts.min(0)) / high


def solve(p: Any, items: Items, setting: Setting, postures: tuple[int, ...] | None = None) -> Plan:
    """The best plan of a month.

    Args:
        p: the world's parameter record.
        items: what is known and has a patch.
        setting: what the month allows.
        postures: of the tiers, if they are not to be chosen.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    hours, delay = _agreed(p, setting)
    fixed = (p["posture_cost"][SETS] * setting.size).sum(1)
    tools = np.minimum(setting.tools, p["tools_part"] * np.maximum(0.0, setting.cash - fixed))
    money = setting.cash - fixed - tools
    relief = p["posture_relief"] * p["posture_fatigue"] ** setting.months_in_now * setting.tier_loss
    now = SETS == 2
    worth = (now * relief).sum(1) - fixed - p["posture_price"] * setting.sales * now.sum(1)
    allowed = (fixed <= p["posture_part"] * setting.cash) | ~SETS.any(1)
    if postures is not None:
        allowed = np.equal(SETS, postures).all(1)

    later = items.month * max(0.0, setting.months - 1.0)
    gains = [later - items.month * delay.mean(), later + items.this_month * (1.0 - delay.mean())]
    count, sets = len(items.tier), len(SETS)
    objective = [-worth]
    rows_hours, rows_money = [-np.maximum(hours, 0.0)], [-np.maximum(money, 0.0)]
    open_in = []
    for mode, gain in enumerate(gains, 1):
        landed = 1.0 - p["patch_failure"][mode]
        price = p["patch_cost"][mode] * setting.size
        objective.append(price - landed * gain)
        rows_hours.append(np.full(count, p["patch_hours"][mode]))
        rows_money.append(np.full(count, price))
        open_in.append(-items.count[:, None] * (mode == SETS[:, items.tier].T))
    none, each = np.zeros((count, count)), np.eye(count)
    matrix = np.block([[open_in[0], each, none], [open_in[1], none, each], [np.zeros((count, sets)), each, each]])
    top = np.concatenate([np.zeros(2 * count), items.count])
    limits = np.stack([np.concatenate(rows_hours), np.concatenate(rows_money)])
    one = np.concatenate([np.ones(sets), np.zeros(2 * count)])
    found = milp(
        np.concatenate(objective),
        integrality=np.ones(sets + 2 * count),
        bounds=Bounds(0.0, np.concatenate([allowed.astype(float), items.count, items.count])),
        constraints=[
            LinearConstraint(one[None], 1.0, 1.0),
            LinearConstraint(matrix, -np.inf, top),
            LinearConstraint(limits, -np.inf, 0.0),
        ],
        options={"mip_rel_gap": _GAP, "time_limit": _SECONDS},
    )
    assert found.x is not None, found.message
    patched = np.round(found.x[sets : sets + count] + found.x[sets + count :])
    return Plan(SETS[int(found.x[:sets].argmax())], patched)


_EFFORTS = np.array([0.0, 0.5, 1.0])
_HORIZON = 12.0
"""Months that a patch is credited with: what would otherwise stay open that long is a quarter of all."""
_BEHIND = 0.1
"""Of the rank that what was not chosen keeps: hours that are left go to it by value, too."""
_LEVERS = [lever.name for lever in LEVERS["it"]]


def _tools(p: Any, efforts: dict[str, float], size: float) -> float:
    """What scanning and intelligence cost, k$."""
    costs = (
        np.interp(efforts[x], _EFFORTS, p[f"cost_{y}"])
        for x, y in (("scanning", "scanning"), ("threat_intel", "intel"))
    )
    return float(sum(costs)) * size


class PatchPlanner(Rules):
    """Postures by the integer program over what IT counts in each tier; the queue by the hybrid score.

    Items of a tier are the worst of those known, the entries of the catalogue and the rest. The premium tells what all
    of them cost. Prices, capacity and threat are those of ``world``: a policy is not told in which it plays. What IT
    does not see, business's window and the sales, is taken as the average firm's.
    """

    name, roles = "patch_planner", ("it",)

    def __init__(self, role: str, world: Scenario | str = "baseline-v1") -> None:
        """For one role."""
        super().__init__(role)
        built = load_scenario(world).world()
        self._p, self._months = built.base()[0], built.max_cycles
        self._sales = float(self._p["platform_sales"] * built.num_smes / 8.0 / self._p["size"])
        self._average = {lever.name: lever.average for lever in LEVERS["it"]}

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, 1, L]``: a program for each ecosystem."""
        efforts = super().act(observation)
        for e, row in enumerate(observation[:, 0].astype(np.float64)):
            see = {x.name: row[k] * x.scale for k, x in enumerate(FEATURES["it"])}
            plan = solve(self._p, self._items(see), self._setting(see))
            efforts[e, 0, [_LEVERS.index(tier) for tier in TIERS]] = _EFFORTS[plan.postures]
        efforts[..., _LEVERS.index("triage")] = 1.0
        return efforts

    def _unit(self, see: dict[str, float]) -> float:
        """Expected loss of a month, k$, of an EPSS of one that is fully exposed, by the premium."""
        p = self._p
        insured, load = p["insured_share"], p["insurance_load"]
        loss = see["premium"] * (1.0 + insured * load) / (insured * (1.0 + load))
        return float(loss / max(0.1, sum(see[f"exposure_{tier}"] for tier in TIERS)))

    def _items(self, see: dict[str, float]) -> Items:
        p, rows = self._p, []
        for tier, name in enumerate(TIERS):
            ready = np.floor(see[f"known_{name}"] * (1.0 - see["unpatchable"]))
            worst, left = see[f"worst_{name}"], see[f"exposure_{name}"] / p["exposure"][tier]
            listed = max(0.0, min(see[f"kev_{name}"], ready) - (worst >= p["kev_epss"]))
            rest = max(0.0, ready - 1.0 - listed)
            mean = max(0.0, left - worst - listed * p["kev_epss"]) / max(1.0, see[f"known_{name}"] - 1.0 - listed)
            groups = ((min(1.0, ready), worst), (listed, p["kev_epss"]), (rest, mean))
            rows += [(tier, count, threat * p["exposure"][tier]) for count, threat in groups]
        tiers, counts, threats = (np.array(x) for x in zip(*rows, strict=True))
        month = self._unit(see) * threats
        return Items(tiers, counts, month, month * self._alarm(see)[tiers])

    def _alarm(self, see: dict[str, float]) -> np.ndarray:
        """Threat to each tier that the alert lets expect, against its mean ``[3]`` (Bayes)."""
        p = self._p
        busy = p["campaign_onset"] / (p["campaign_onset"] + p["campaign_end"]) / 3.0
        truth = p["alert_truth"] + p["alert_intel"] * see["intel"]
        other, false = (1.0 - truth) / 2.0, p["alert_false"] / 3.0
        share = busy * truth / (busy * (truth + 2.0 * other) + (1.0 - 3.0 * busy) * false)
        threat = share * p["threat_campaign"] + (1.0 - share) * p["threat_quiet"]
        return np.array([threat / p["threat_mean"] if see[f"alert_{tier}"] > 0.5 else 1.0 for tier in TIERS])

    def _setting(self, see: dict[str, float]) -> Setting:
        p = self._p
        release = see["release"] or float(p["security_release"][1])
        loss = self._unit(see) * np.array([see[f"exposure_{tier}"] for tier in TIERS]) * self._alarm(see)
        return Setting(
            cash=min(max(0.0, see["security_cash"]), release) + release,
            tools=_tools(p, self._average, 1.0),
            size=1.0,
            release=min(1.0, release / float(p["security_release"][2])),
            window=0.5,
            services=12.0,
            sales=self._sales,
            lost_hours=see["false_hours"] + 0.5 * float(p["integration_hours"]),
            months_in_now=np.array([see[f"posture_months_{tier}"] for tier in TIERS]),
            tier_loss=loss,
            months=min(_HORIZON, see["months_left"] * self._months),
        )


class Foresighted:
    """The integer program over every single vulnerability, with the queue in the order of its plan.

    No policy: it is given the engine, reads the state (the running campaign, all that is known of each item, exact
    losses) and, for the month, writes CVSS and value ranks so that of what it knows its choice comes first, by value;
    ``put_back`` undoes that.
    What an integer program could save that knows the model, but not what will be drawn.
    """

    name, role = "patch planner, whole state", "it"

    def __init__(self, postures: tuple[int, ...] | None = None) -> None:
        """Nothing is kept between months but what is to be put back.

        Args:
            postures: of the tiers; None for the program to choose them too.
        """
        self._postures = postures
        self._average = {lever.name: lever.average for lever in LEVERS["it"]}
        self._kept: list[dict[int, float]] = []

    def plan(self, engine: Any) -> np.ndarray:
        """Efforts ``[E, 1, L]`` for the month that comes; the engine's queues are put in order for it."""
        efforts = np.tile(np.array(list(self._average.values())), (engine.num_envs, 1, 1))
        efforts[..., _LEVERS.index("triage")] = 1.0
        self._kept = []
        for e in range(engine.num_envs):
            s, p = engine.states[e], engine.params[e]
            ready, items, tier_loss = _whole_items(s, p)
            plan = solve(p, items, self._setting(s, p, tier_loss), self._postures)
            efforts[e, 0, [_LEVERS.index(tier) for tier in TIERS]] = _EFFORTS[plan.postures]
            self._kept.append({int(s["v_uid"][j]): float(s["v_cvss"][j]) for j in ready})
            # The score is then the rank by value alone: a grave arrival of the month still comes before lesser ones.
            rank = np.where(plan.patched > 0.5, 1.0, _BEHIND) * s["v_value"][ready]
            engine.states["v_cvss"][e, ready] = 10.0 * rank
            engine.states["v_value"][e, ready] = rank
        return efforts

    def put_back(self, engine: Any) -> None:
        """Give what ``plan`` has reordered its own CVSS and rank again."""
        for e, kept in enumerate(self._kept):
            s = engine.states[e]
            for j in range(int(s["num_open"])):
                if int(s["v_uid"][j]) in kept:
                    threat = float(s["v_epss"][j]) * float(s["service_value"][s["v_service"][j]])
                    engine.states["v_cvss"][e, j] = kept[int(s["v_uid"][j])]
                    engine.states["v_value"][e, j] = rank_of_threat(threat)

    def _setting(self, s: Any, p: Any, tier_loss: np.ndarray) -> Setting:
        """Money, hours and efforts of the others as last month; of the opening as the average firm's."""
        size = float(p["size"])
        release = float(s["release"]) or float(p["security_release"][1]) * size
        return Setting(
            cash=min(max(0.0, float(s["balance"][Account.SECURITY])), release) + release,
            tools=_tools(p, self._average, size),
            size=size,
            release=min(1.0, release / (float(p["security_release"][2]) * size)),
            window=float(s["window_effort"]) if s["month"] else 0.5,
            services=float(s["num_services"]),
            sales=float(s["sales"]) or float(p["platform_sales"]) * int(s["num_smes"]) / 8.0,
            lost_hours=float(
                s["false_findings"] * p["false_hours"]
                + p["integration_hours"] * s["num_services"] / 12.0 * (s["modules_effort"] if s["month"] else 0.5)
            ),
            months_in_now=np.array(s["posture_months"]),
            tier_loss=tier_loss,
            months=min(_HORIZON, float(s["max_cycles"] - s["month"])),
        )


def _threat(s: Any, p: Any) -> np.ndarray:
    """Threat to each tier expected in the month that comes, from the campaign that runs now ``[3]``."""
    on = np.full(3, float(p["campaign_onset"]) / 3.0 if s["campaign"] < 0 else 0.0)
    if s["campaign"] >= 0:
        on[int(s["campaign"])] = 1.0 - float(p["campaign_end"])
    return np.asarray(on * p["threat_campaign"] + (1.0 - on) * p["threat_quiet"])


def _whole_items(s: Any, p: Any) -> tuple[np.ndarray, Items, np.ndarray]:
    """Slots of what is known and has a patch, these as items, and the expected loss of the month by tier."""
    slots = np.flatnonzero((np.arange(len(s["v_uid"])) < s["num_open"]) & (s["v_fate"] != PATCHED))
    services = s["v_service"][slots]
    common = p["attacks"] * p["aim"] * p["threat_growth"] ** s["level"] * s["intel_factor"]
    stake = (s["scope"] / p["sme_scale"]) ** p["stake_exponent"]
    load = 1.0 + p["insurance"] * p["insured_share"] * p["insurance_load"]
    exposure = p["exposure"][s["service_tier"][: s["num_services"]]].mean()
    worth = common * p["breach_mean"] * stake * load * exposure * s["service_value"][services]
    month, tiers, threat = worth * s["v_hazard"][slots], s["v_tier"][slots].astype(np.int64), _threat(s, p)
    tier_loss = np.bincount(tiers, month * threat[tiers], 3)
    ready = (s["v_known"][slots] == 1) & (s["v_patch_month"][slots] <= s["month"] + 1)
    tiers, month = tiers[ready], month[ready]
    items = Items(tiers, np.ones(len(tiers)), month * p["threat_mean"], month * threat[tiers])
    return slots[ready], items, tier_loss
