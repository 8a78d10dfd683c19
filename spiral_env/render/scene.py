"""A month as a scene: what a picture of it shows, as plain named quantities read from a record and its parameters.

Frames and the replay page draw the same scene; ``Scene.as_dict()`` is what JSON can hold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spiral_env.core.ledger import ACCOUNTS, PURPOSE_CLASS, Class, Purpose
from spiral_env.core.state import LABELS, Sum
from spiral_env.render.text import STAGES
from spiral_env.roles import LEVERS, ROLES

__all__ = [
    "FIRM_STATES",
    "Attack",
    "Books",
    "Firm",
    "Flow",
    "Gate",
    "Pool",
    "Resource",
    "Role",
    "Scene",
    "Service",
    "Spiral",
    "Tier",
    "scene",
]

TIERS = LABELS["tiers"]
POSTURES = ("defer", "batch", "now")
FIRM_STATES = ("outside", "waiting", "basic", "full")
"""How a firm stands to the platform."""
_EVENTS = (None, "own", "platform")
_CLOSINGS = (None, "default", "closure")
_ESG = ("none", "claim", "invest")
_PATCHED = 1
_SMALL = 1e-9
"""k$ below which a payment is rounding."""


@dataclass(frozen=True)
class Gate:
    """What a stage asks for.

    Attributes:
        name: "A", "R", "trust" or "V".
        stage: index of the stage it ends.
        measured: what was reached.
        needed: where the gate lies.
        at_most: whether the measure must stay below it.
    """

    name: str
    stage: int
    measured: float
    needed: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the measure is on the right side."""
        return self.measured <= self.needed if self.at_most else self.measured >= self.needed

    @property
    def share(self) -> float:
        """How far the measure is, in [0, 1]."""
        near = (self.needed, self.measured) if self.at_most else (self.measured, self.needed)
        return min(1.0, max(0.0, near[0] / max(near[1], _SMALL)))


@dataclass(frozen=True)
class Spiral:
    """Where the ecosystem is on the spiral; ``held`` of ``hold`` months the gate of governance was kept in a row."""

    level: int
    stage: int
    stage_name: str
    stage_months: int
    height: float
    rose: bool
    held: int
    hold: int
    gates: tuple[Gate, ...]


@dataclass(frozen=True)
class Resource:
    """One of the four resources of A, over what the level needs of it."""

    name: str
    ratio: float


@dataclass(frozen=True)
class Service:
    """A service and its open vulnerabilities: all, those that IT knows, those known to be exploited.

    Attributes:
        tier: 0 edge, 1 core, 2 internal.
        criticality: share of the platform's, in [0, 1].
        open: vulnerabilities that no patch closed.
        known: those of them that IT has found.
        exploited: those of them in the catalogue of known exploited ones.
        hazard: hazard that it shows, before the threat.
    """

    tier: int
    criticality: float
    open: int
    known: int
    exploited: int
    hazard: float


@dataclass(frozen=True)
class Tier:
    """A tier of services, and what IT does about it: "defer", "batch" or "now"."""

    name: str
    posture: str


@dataclass(frozen=True)
class Attack:
    """The month's threat.

    Attributes:
        campaign: tier under a campaign, which nobody sees; None without.
        alert: tier that the alert names; None without an alert.
        probability: chance of a breach of the platform this month.
        expected: expected loss of the platform, k$.
        breach: whether it was breached.
        loss: k$ lost in the breach.
        patched: vulnerabilities patched this month.
        failed: patches that failed.
        arrivals: new vulnerabilities.
    """

    campaign: str | None
    alert: str | None
    probability: float
    expected: float
    breach: bool
    loss: float
    patched: int
    failed: int
    arrivals: int


@dataclass(frozen=True)
class Firm:
    """One SME.

    Attributes:
        state: one of ``FIRM_STATES``.
        waiting: months until it joins.
        share: effort of sharing records, in [0, 1].
        event: None, "own" or "platform": how it was breached.
        loss: k$ lost in that.
        green: whether it counts as green.
        esg: "none", "claim" or "invest".
        closing: None, "default" or "closure".
        revenue: k$ a month.
        cash: k$.
    """

    state: str
    waiting: int
    share: float
    event: str | None
    loss: float
    green: bool
    esg: str
    closing: str | None
    revenue: float
    cash: float


@dataclass(frozen=True)
class Pool:
    """The pooled records: good ones against the level's need, bad ones, and what they are good for."""

    records: float
    bad: float
    needed: float
    auc: float
    epsilon: float
    incident: bool


@dataclass(frozen=True)
class Flow:
    """Money that moved in the month for one purpose, from one account to another, k$.

    ``kind`` is "operating", "capital" or "loss".
    """

    purpose: str
    payer: str
    payee: str
    amount: float
    kind: str


@dataclass(frozen=True)
class Books:
    """What the month was worth, k$, and what the episode was so far, k$ a month."""

    operating: float
    certainty_equivalent: float
    externality: float
    ecosystem: float
    mean: float


@dataclass(frozen=True)
class Role:
    """What a role chose, asked for and paid, k$.

    Attributes:
        levers: lever -> effort in [0, 1], SMEs averaged.
        shares: lever that is a category -> share of the role's agents that chose each of its three options.
        asked: what the levers asked for, k$.
        paid: what was paid, k$.
    """

    levers: dict[str, float]
    shares: dict[str, tuple[float, ...]]
    asked: float
    paid: float


@dataclass(frozen=True)
class Scene:
    """One month, whole."""

    month: int
    max_cycles: int
    calendar_month: int
    collapsed: bool
    spiral: Spiral
    resources: tuple[Resource, ...]
    trust: float
    trust_needed: float
    partners: float
    services: tuple[Service, ...]
    calls: tuple[tuple[int, int], ...]
    tiers: tuple[Tier, ...]
    attack: Attack
    firms: tuple[Firm, ...]
    pool: Pool
    flows: tuple[Flow, ...]
    balances: dict[str, float]
    books: Books
    roles: dict[str, Role]

    def as_dict(self) -> dict[str, Any]:
        """Nested dictionaries and lists of numbers, words, flags and None."""
        return asdict(self)


def scene(s: Any, p: Any) -> Scene:
    """What there is to see of a month.

    Args:
        s: a state record, only read.
        p: the ecosystem's parameter record, only read.
    """
    return Scene(
        month=int(s.month),
        max_cycles=int(s.max_cycles),
        calendar_month=int(s.start_month + s.month - 1) % 12,
        collapsed=bool(s.collapsed),
        spiral=_spiral(s, p),
        resources=_resources(s, p),
        trust=float(s.trust),
        trust_needed=float(s.trust_needed),
        partners=float(s.partners),
        services=_services(s),
        calls=_calls(s),
        tiers=tuple(Tier(name, POSTURES[k]) for name, k in zip(TIERS, s.posture.tolist(), strict=True)),
        attack=_attack(s),
        firms=_firms(s),
        pool=_pool(s, p),
        flows=_flows(s.month_flow),
        balances=_balances(s),
        books=_books(s),
        roles={role: _role(s, role) for role in ROLES},
    )


def _spiral(s: Any, p: Any) -> Spiral:
    gates = (
        Gate("A", 0, float(s.aggregation), 1.0),
        Gate("R", 1, float(s.risk), float(p.gate_risk), at_most=True),
        Gate("trust", 1, float(s.trust), float(s.trust_needed)),
        Gate("V", 2, float(s.value), 1.0),
    )
    return Spiral(
        level=int(s.level),
        stage=int(s.stage),
        stage_name=STAGES[int(s.stage)],
        stage_months=int(s.stage_months),
        height=float(s.height),
        rose=bool(s.level_rose),
        held=int(s.gate_count),
        hold=int(p.gate_months),
        gates=gates,
    )


def _resources(s: Any, p: Any) -> tuple[Resource, ...]:
    """The four ratios whose power mean is A."""
    need = float(s.need_scale / p.sme_scale)
    stock = float(s.need_stock)
    ratios = {
        "pool": s.pool / (p.need_pool * need),
        "capital": s.capital / (p.need_capital * need),
        "modules": s.modules / stock,
        "scanners": s.scanners.mean() / stock,
    }
    return tuple(Resource(name, float(ratio)) for name, ratio in ratios.items())


def _services(s: Any) -> tuple[Service, ...]:
    count, slots = int(s.num_services), int(s.num_open)
    left = s.v_fate[:slots] != _PATCHED
    where = s.v_service[:slots]
    per = [
        np.bincount(where[left & chosen], minlength=count).tolist()
        for chosen in (True, s.v_known[:slots] == 1, s.v_kev[:slots] == 1)
    ]
    rows = zip(s.service_tier[:count].tolist(), s.criticality.tolist(), *per, s.base_hazard.tolist(), strict=False)
    return tuple(Service(*row) for row in rows)


def _calls(s: Any) -> tuple[tuple[int, int], ...]:
    """Caller and callee of every call."""
    ends = s.calls_end[: int(s.num_services)].tolist()
    starts = [0, *ends[:-1]]
    callee = s.callee.tolist()
    return tuple((a, b) for a, (x, y) in enumerate(zip(starts, ends, strict=True)) for b in callee[x:y])


def _attack(s: Any) -> Attack:
    return Attack(
        campaign=TIERS[int(s.campaign)] if s.campaign >= 0 and s.month > 0 else None,
        alert=TIERS[int(s.alert_tier)] if s.alert else None,
        probability=float(s.event_probability),
        expected=float(s.expected_breach),
        breach=bool(s.breach),
        loss=float(s.breach_loss),
        patched=int(s.patched),
        failed=int(s.failed),
        arrivals=int(s.arrivals),
    )


def _firms(s: Any) -> tuple[Firm, ...]:
    n = int(s.num_smes)
    fields = ("sme_member", "sme_lag", "sme_share", "sme_event", "sme_loss", "sme_green", "sme_esg_mode")
    columns = [s[name][:n].tolist() for name in (*fields, "sme_closing", "sme_revenue", "sme_cash")]
    return tuple(_firm(*row) for row in zip(*columns, strict=True))


def _firm(
    member: int,
    lag: int,
    share: float,
    event: int,
    loss: float,
    green: int,
    esg: int,
    closing: int,
    revenue: float,
    cash: float,
) -> Firm:
    outside, waiting, *tiers = FIRM_STATES
    return Firm(
        state=tiers[member - 1] if member else waiting if lag > 0 else outside,
        waiting=lag,
        share=share if member else 0.0,
        event=_EVENTS[event],
        loss=loss,
        green=bool(green),
        esg=_ESG[esg],
        closing=_CLOSINGS[closing],
        revenue=revenue,
        cash=cash,
    )


def _pool(s: Any, p: Any) -> Pool:
    return Pool(
        records=float(s.pool),
        bad=float(s.pool_bad),
        needed=float(p.need_pool * s.need_scale / p.sme_scale),
        auc=float(s.auc_pool),
        epsilon=float(s.eps12),
        incident=bool(s.privacy_incident),
    )


def _flows(statement: np.ndarray) -> tuple[Flow, ...]:
    """Payers matched with payees purpose by purpose: in each, one side is a single account."""
    out = []
    for purpose, row in zip(Purpose._fields, statement.tolist(), strict=True):
        paid = {name: -x for name, x in zip(ACCOUNTS, row, strict=True) if x < -_SMALL}
        got = {name: x for name, x in zip(ACCOUNTS, row, strict=True) if x > _SMALL}
        total = sum(got.values())
        kind = Class._fields[PURPOSE_CLASS[getattr(Purpose, purpose)]].lower()
        out += [
            Flow(purpose.lower(), payer, payee, amount * part / total, kind)
            for payer, amount in paid.items()
            for payee, part in got.items()
        ]
    return tuple(out)


def _balances(s: Any) -> dict[str, float]:
    """k$ of each account; the firms' is that of all together."""
    held = dict(zip(ACCOUNTS, s.balance.tolist(), strict=True))
    return held | {"smes": float(s.sme_cash[: int(s.num_smes)].sum())}


def _books(s: Any) -> Books:
    return Books(
        operating=float(s.operating_value),
        certainty_equivalent=float(s.certainty_equivalent),
        externality=float(s.externality),
        ecosystem=float(s.ecosystem_value),
        mean=float(s.sums[Sum.ECOSYSTEM_VALUE] / max(1.0, s.sums[Sum.MONTHS])),
    )


def _role(s: Any, role: str) -> Role:
    """Efforts as they were chosen; a firm's are means over the firms."""
    efforts = s[f"{role}_action"].reshape(-1, len(LEVERS[role]))
    if role == "sme":
        efforts = efforts[: int(s.num_smes)]
    thirds = np.minimum((efforts * 3.0).astype(np.int64), 2)
    means = efforts.mean(0).tolist()
    return Role(
        levers={lever.name: effort for lever, effort in zip(LEVERS[role], means, strict=True)},
        shares={
            lever.name: tuple((np.bincount(chosen, minlength=3) / len(chosen)).tolist())
            for lever, chosen in zip(LEVERS[role], thirds.T, strict=True)
            if lever.kind == "category"
        },
        asked=float(np.sum(s[f"{role}_asked"])),
        paid=float(np.sum(s[f"{role}_cost"])),
    )
