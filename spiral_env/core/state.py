"""The record that holds one ecosystem: every field with shape, unit, range, and the one kernel that writes it.

``reset`` (the opening of an episode, or of an SME's seat) sets fields too; in a month each has one writer.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from spiral_env.core.ledger import ACCOUNTS, NUM_PURPOSES, SmeSlot

__all__ = ["CAPACITIES", "FIELDS", "LABELS", "METRIC_SUMS", "Capacity", "Field", "Sum", "capacity_for", "state_dtype"]


class Field(NamedTuple):
    """One field of the state."""

    name: str
    kind: str
    shape: tuple[int | str, ...]
    unit: str
    low: str
    high: str
    writer: str
    central: bool
    """Whether ``state()`` shows it."""


class Capacity(NamedTuple):
    """Sizes of the record: SME seats, services, backlog slots."""

    smes: int
    services: int
    slots: int


LABELS: Mapping[str, tuple[str, ...]] = {
    "accounts": ACCOUNTS,
    "tiers": ("edge", "core", "internal"),
    "tools": ("sast", "dast", "sca", "iast"),
    "assets": ("1", "2", "3", "4"),
}
"""What the entries of a field are called, by the name of its axis."""

CAPACITIES = (8, 32, 128, 512)


def capacity_for(num_smes: int, num_services: int) -> Capacity:
    """Smallest record that holds the scenario; few sizes exist, so few are compiled."""
    smes = next(size for size in CAPACITIES if num_smes <= size)
    services = 12 if num_services <= 12 else 32
    return Capacity(smes, services, 256 if services == 12 else 704)


METRIC_SUMS: tuple[str, ...] = (
    "months",
    "ecosystem_value",
    "present_value",
    "operating_value",
    "certainty_equivalent",
    "market_income",
    "expected_loss",
    "realised_loss",
    "platform_events",
    "sme_events",
    "sme_events_platform",
    "sme_months",
    "members",
    "sharing",
    "closures",
    "defaults",
    "borrower_months",
    "arrivals",
    "patched",
    "patched_age",
    "at_risk_30",
    "at_risk_90",
    "at_risk_365",
    "open_30",
    "open_90",
    "open_365",
    "security_spending",
    "privacy_incidents",
    "greenwash_gap",
    "forecast_skill",
    "payoff_it",
    "payoff_business",
    "payoff_finance",
    "payoff_sme",
    "return_it",
    "return_business",
    "return_finance",
    "return_sme",
    "availability",
)
"""Sums over the months of an episode, kept in ``sums`` in this order."""

Sum: Any = namedtuple("Sum", [name.upper() for name in METRIC_SUMS])(*range(len(METRIC_SUMS)))  # type: ignore[misc]
"""Place of each of them in ``sums``."""


def _fields(writer: str, spec: str, *, central: bool = True) -> tuple[Field, ...]:
    """Parse lines ``name kind[shape] unit low..high``.

    A shape may use the record's N (SMEs), S (services), C (calls), V (slots), ``<role>_levers`` and the axes of
    ``LABELS``. A range holds in every world; it may use the world's N, S and T (months of an episode), C and V, is open
    where nothing stands, and leaves an end out with ``<``.
    """
    out = []
    for line in filter(None, (part.strip() for part in spec.splitlines())):
        name, kind, unit, bounds = line.split()
        low, high = bounds.split("..")
        shape: tuple[int | str, ...] = ()
        if "[" in kind:
            kind, inner = kind[:-1].split("[")
            shape = tuple(int(x) if x.isdigit() else x for x in inner.split(","))
        out.append(Field(name, kind, shape, unit, low, high, writer, central))
    return tuple(out)


FIELDS: tuple[Field, ...] = (
    _fields(
        "reset",
        """
        seed i8 key 0..
        num_smes i8 SMEs N..N
        num_services i8 services S..S
        max_cycles i8 months T..T
        service_tier i8[S] 0_edge_1_core_2_internal 0..2
        criticality f8[S] share 0..1
        calls_end i8[S] offset_in_callee 0..C
        callee i1[C] service 0..<S
        mean_reach f8 share 0<..
        service_value f8[S] x_mean 0..
        start_month i8 calendar_month 0..11
        sme_start_revenue f8[N] k$/month 0<..
        sme_records_base f8[N] records/month 0..
        sme_entry i8[N] month_of_entry -1200..T
        """,
        central=False,
    )
    + _fields(
        "simulator.month",
        """
        month i8 months 0..T
        collapsed i8 0_or_1 0..1
        done i8 0_or_1 0..1
        sums f8[sums] mixed ..
        """,
        central=False,
    )
    + _fields(
        "ledger",
        """
        balance f8[accounts] k$ ..
        sme_cash f8[N] k$ ..
        """,
    )
    + _fields(
        "ledger",
        """
        month_flow f8[purposes,accounts] k$ ..
        sme_flow f8[N,slots] k$ ..
        """,
        central=False,
    )
    + _fields(
        "roles.it",
        """
        it_action f8[it_levers] effort 0..1
        posture i8[tiers] 0_defer_1_batch_2_now 0..2
        tier_effort f8 1 0..1
        posture_months f8[tiers] months 0..T
        posture_factor f8[tiers] x_threat 0..1
        scanning_effort f8 1 0..1
        intel_effort f8 1 0..1
        triage f8 effort 0..1
        it_asked f8 k$ 0..
        it_cost f8 k$ 0..
        """,
    )
    + _fields(
        "roles.business",
        """
        business_action f8[business_levers] effort 0..1
        window_effort f8 1 0..1
        modules_effort f8 1 0..1
        privacy_effort f8 1 0..1
        verification_effort f8 1 0..1
        payout_rate f8 k$/record 0..
        fee_effort f8 1 0..1
        fee_next f8 1 0..1
        epsilon f8 epsilon 0..
        releases f8 releases 0..
        business_asked f8 k$ 0..
        business_cost f8 k$ 0..
        """,
    )
    + _fields(
        "roles.finance",
        """
        finance_action f8[finance_levers] effort 0..1
        release f8 k$ 0..
        release_effort f8 1 0..1
        returned f8 k$ 0..
        lapsed f8 k$ 0..
        lending_effort f8 1 0..1
        asset_weight f8[assets] 1 0..1
        weight f8 1 0..1
        weight_change f8 1 0..2
        audit_share f8 share 0..1
        green_threshold f8 rating 0..1
        disclosure_effort f8 1 0..1
        finance_asked f8 k$ 0..
        finance_cost f8 k$ 0..
        """,
    )
    + _fields(
        "roles.sme",
        """
        sme_action f8[N,sme_levers] effort 0..1
        sme_annual f8[N] k$_restated_yearly 0<..
        sme_patch_effort f8[N] 1 0..1
        sme_member i8[N] 0_none_1_basic_2_full 0..2
        sme_lag i8[N] months 0..24
        sme_esg_mode i8[N] 0_none_1_claim_2_invest 0..2
        sme_esg_scale f8[N] 1 0..1
        sme_borrow f8[N] share_of_annual_revenue 0..1
        sme_share f8[N] 1 0..1
        sme_curation f8[N] 1 0..1
        sme_fee f8[N] k$ 0..
        sme_asked f8[N] k$ 0..
        sme_cost f8[N] k$ ..
        num_members i8 SMEs 0..N
        member_sharing f8 1 0..1
        mean_sharing f8 1 0..1
        fee_income f8 k$ 0..
        joined i8 SMEs 0..N
        left i8 SMEs 0..N
        """,
    )
    + _fields(
        "resource_aggregation.digital_commerce",
        """
        modules f8 1 0..1
        pool f8 records 0..
        pool_bad f8 records 0..
        fraud f8 share 0..1
        payouts f8 k$ 0..
        sme_payout f8[N] k$ 0..
        auc_pool f8 AUC 0..1
        sme_stock f8[N] records 0..
        sme_auc f8[N] AUC 0..1
        sme_own_auc f8[N] AUC 0..1
        """,
    )
    + _fields(
        "resource_aggregation.finance",
        """
        disclosure f8 1 0..1
        crowding f8 1 0..1
        skill f8 IC 0..1
        lending_mean f8 1 0..1
        lendable f8 k$ 0..
        capital f8 k$ 0..
        sme_capital f8[N] k$ 0..
        """,
    )
    + _fields(
        "resource_aggregation.cybersecurity",
        """
        scanners f8[tools] 1 0..1
        intel f8 1 0..1
        detection f8 share/month 0..1
        detect_hazard f8[4] 1 0..
        false_findings i8 findings 0..400
        num_open i8 vulnerabilities 0..V
        arrivals i8 vulnerabilities 0..600
        recent_arrivals i8[12] vulnerabilities 0..600
        tail f8[S] hazard 0..
        """,
    )
    + _fields(
        "resource_aggregation.cybersecurity",
        """
        v_uid i8[V] birth_month*1024+k 0..<1048576
        v_cvss f8[V] CVSS 0..10
        v_epss f8[V] 1/30_d 0..0.99
        v_hazard f8[V] hazard 0..
        v_rank f8[V] rank_of_EPSS 0..1
        v_value f8[V] rank_of_EPSS_x_revenue_at_risk 0..1
        v_detect f8[V] hazard 0..
        v_patch_month i2[V] month 0..32000
        v_kev_month i2[V] month 0..32000
        v_service i1[V] service 0..<S
        v_tier i1[V] 0_edge_1_core_2_internal 0..2
        v_class i1[V] class 0..3
        v_kev i1[V] 0_or_1 0..1
        v_known i1[V] 0_or_1 0..1
        """,
        central=False,
    )
    + _fields(
        "reinforcement",
        """
        data_skill f8 1 ..
        capital_growth f8 0_or_1 0..1
        asset_protection f8 1 0..1
        """,
    )
    + _fields("risk_governance.cybersecurity", "v_fate i1[V] 0_open_1_patched_2_failed_3_isolated 0..3", central=False)
    + _fields(
        "risk_governance.cybersecurity",
        """
        sme_hygiene f8[N] 1 0..1
        ranking f8 1 0..1
        hours f8 h 0..
        delay f8 share_of_month 0..1
        patched i8 vulnerabilities 0..V
        patched_age f8 months 0..
        failed i8 patches 0..V
        isolated i8 vulnerabilities 0..V
        patching_cost f8 k$ 0..
        outage_hours f8 h 0..
        base_hazard f8[S] hazard 0..
        carry_hazard f8[S] hazard_before_exposure 0..
        campaign i8 tier_or_-1 -1..2
        threat_seen f8[tiers] x 0..
        threat_met f8[tiers] x 0..
        alert i8 0_or_1 0..1
        alert_tier i8 tier_or_-1 -1..2
        event_probability f8 1/month 0..1
        expected_breach f8 k$ 0..
        cycle_loss f8 k$ 0..
        breach i8 0_or_1 0..1
        breach_loss f8 k$ 0..
        sme_own_hazard f8[N] 1/month 0..1
        sme_mean_loss f8[N] k$ 0..
        sme_probability f8[N] 1/month 0..1
        sme_expected f8[N] k$ 0..
        sme_event i8[N] 0_none_1_own_2_platform 0..2
        sme_loss f8[N] k$ 0..
        tier_known f8[tiers] vulnerabilities 0..V
        tier_exposure f8[tiers] EPSS 0..
        tier_worst f8[tiers] EPSS 0..1
        tier_kev f8[tiers] vulnerabilities 0..V
        unpatchable f8 share 0..1
        open_at f8[3] vulnerabilities 0..V
        """,
    )
    + _fields(
        "risk_governance.digital_commerce",
        """
        privacy f8 1 0..1
        rho_window f8[12] rho 0..
        rho12 f8 rho 0..
        eps12 f8 epsilon 0..
        incident_probability f8 1/month 0..1
        expected_harm f8 k$ 0..
        harm f8 k$ 0..
        expected_privacy_fine f8 k$ 0..
        privacy_incident i8 0_or_1 0..1
        privacy_fine f8 k$ 0..
        incidents_year f8 incidents 0..
        sme_mean_fine f8[N] k$ 0..
        sme_expected_fine f8[N] k$ 0..
        sme_fine f8[N] k$ 0..
        """,
    )
    + _fields(
        "risk_governance.finance",
        """
        stress i8 0_or_1 0..1
        market_return f8 1/month ..
        portfolio_return f8 1/month ..
        volatility_index f8 1/month 0..
        asset_alpha f8[assets] 1/month ..
        asset_edge f8[assets] 1/month ..
        asset_return f8[assets] 1/month ..
        asset_signal f8[assets] sd ..
        portfolio_index f8 1 0..
        portfolio_peak f8 1 1..
        drawdown f8 1 0..1
        drawdown_event i8 0_or_1 0..1
        sme_constraint f8[N] 1 0..1
        sme_esg f8[N] 1 0..1
        sme_claim f8[N] 1 0..1
        sme_rating_noise f8[N] 1 ..
        sme_rating f8[N] 1 0..1
        sme_ban i8[N] months 0..120
        sme_green i8[N] 0_or_1 0..1
        findings i8 SMEs 0..N
        findings_year f8 SMEs 0..
        exposed i8 SMEs 0..N
        sme_closing i8[N] 0_no_1_default_2_closure 0..2
        expected_credit_loss f8 k$ 0..
        credit_loss f8 k$ 0..
        """,
    )
    + _fields(
        "value_addition.digital_commerce",
        """
        sme_revenue f8[N] k$/month 0<..
        sme_profit f8[N] k$ ..
        sme_growth f8[N] 1/month ..
        users f8 share 0..1
        availability f8 share 0..1
        sales f8 k$ 0..
        sales_margin f8 k$ 0..
        sales_ring f8[12] k$ 0..
        sales_ratio f8 x 0..
        tenant_service f8 k$ 0..
        posture_price f8 k$ 0..
        """,
    )
    + _fields(
        "value_addition.finance",
        """
        sme_loan f8[N] k$ 0..
        sme_interest f8[N] k$ 0..
        loans f8 k$ 0..
        green_book f8 k$ 0..
        audited_year f8 share 0..1
        book f8 k$ 0..
        interest f8 k$ 0..
        green_income f8 k$ 0..
        portfolio_cost f8 k$ 0..
        deposit_interest f8 k$ 0..
        certainty_equivalent f8 k$ ..
        market_income f8 k$ ..
        """,
    )
    + _fields(
        "value_addition.cybersecurity",
        """
        premium f8 k$ 0..
        retained f8 k$ 0..
        premium_mean f8 k$ 0..
        sme_premium f8[N] k$ 0..
        sme_retained f8[N] k$ 0..
        sme_premium_mean f8[N] k$ 0..
        sme_shock i8[N] months 0..60
        sme_quiet i8[N] months 0..660
        intel_factor f8 x_hazard 0..1
        """,
    )
    + _fields(
        "feedback",
        """
        surface f8 x_arrivals 0..
        privacy_exposure f8 1 0..1
        lesson_security f8 1 0..1
        lesson_privacy f8 1 0..1
        lesson_finance f8 1 0..1
        gain_security f8 x 0..
        gain_privacy f8 x 0..
        gain_finance f8 x 0..
        gain_modules f8 x 0..
        gain_scanners f8 x 0..
        trust f8 1 0..1
        partners f8 share 0..1
        deposits f8 k$ 0..
        scope f8 x_market 1..
        proof f8 1 0..1
        need_scale f8 x 1..
        need_stock f8 1 0<..
        """,
    )
    + _fields(
        "spiral",
        """
        level i8 levels 0..T
        stage i8 0_aggregation_1_governance_2_value 0..2
        stage_months i8 months 0..T
        aggregation f8 A 0..
        risk f8 R 0..
        risk_mean f8 k$ 0..
        value f8 V ..
        value_sum f8 k$ ..
        value_passed f8 V ..
        trust_needed f8 1 0..1
        gate_count i8 months 0..T
        fallback_count i8 months 0..T
        level_rose i8 0_or_1 0..1
        trust_count i8 months 0..T
        cash_count i8 months 0..T
        height f8 levels 0..
        """,
    )
    + _fields(
        "simulator.closing",
        """
        business_profit f8 k$ ..
        profit_mean f8 k$ ..
        remitted f8 k$ 0..
        sme_margin f8[N] 1 ..
        operating_value f8 k$ ..
        realised_value f8 k$ ..
        externality f8 k$ 0..
        ecosystem_value f8 k$ ..
        value_ring f8[6] k$ ..
        """,
    )
)


@cache
def state_dtype(capacity: Capacity, levers: tuple[tuple[str, int], ...]) -> np.dtype:
    """The record of one ecosystem; every field fills whole words of eight bytes, so there is no padding.

    ``levers`` are the roles with how many levers each has.
    """
    sizes: Mapping[str, int] = {
        "N": capacity.smes,
        "S": capacity.services,
        "V": capacity.slots,
        "C": capacity.services**2 // 2,
        "purposes": NUM_PURPOSES,
        "slots": len(SmeSlot),
        "sums": len(METRIC_SUMS),
        **{axis: len(names) for axis, names in LABELS.items()},
        **{f"{role}_levers": count for role, count in levers},
    }
    spec = [(f.name, f.kind, tuple(sizes[x] if isinstance(x, str) else x for x in f.shape)) for f in FIELDS]
    return np.dtype((np.record, spec))
