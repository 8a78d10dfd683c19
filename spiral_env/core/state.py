"""The record that holds one ecosystem: every field with shape, unit, and the one kernel that writes it.

``reset`` (the opening of an episode, or of an SME's seat) sets fields too; in a month each has one writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from spiral_env.core.ledger import ACCOUNTS, NUM_PURPOSES, SmeSlot

__all__ = ["CAPACITIES", "FIELDS", "LABELS", "METRIC_SUMS", "Capacity", "Field", "Sum", "capacity_for", "state_dtype"]


class Field(NamedTuple):
    """One field of the state."""

    name: str
    kind: str
    shape: tuple[int | str, ...]
    unit: str
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

Sum = cast(Any, IntEnum("Sum", {name.upper(): k for k, name in enumerate(METRIC_SUMS)}))  # type: ignore[misc]


def _fields(writer: str, spec: str, *, central: bool = True) -> tuple[Field, ...]:
    """Parse lines ``name kind[shape] unit``.

    The shape may use N (SMEs), S (services), C (calls), V (slots), ``<role>_levers`` and the axes of ``LABELS``.
    """
    out = []
    for line in filter(None, (part.strip() for part in spec.splitlines())):
        name, kind, unit = line.split(maxsplit=2)
        shape: tuple[int | str, ...] = ()
        if "[" in kind:
            kind, inner = kind[:-1].split("[")
            shape = tuple(int(x) if x.isdigit() else x for x in inner.split(","))
        out.append(Field(name, kind, shape, unit, writer, central))
    return tuple(out)


FIELDS: tuple[Field, ...] = (
    _fields(
        "reset",
        """
        seed i8 key
        num_smes i8 SMEs
        num_services i8 services
        max_cycles i8 months
        service_tier i8[S] 0_edge_1_core_2_internal
        criticality f8[S] share
        calls_end i8[S] offset_in_callee
        callee i1[C] service
        mean_reach f8 share
        start_month i8 calendar_month
        sme_start_revenue f8[N] k$/month
        sme_records_base f8[N] records/month
        sme_constraint f8[N] 1
        sme_entry i8[N] month_of_entry
        """,
        central=False,
    )
    + _fields(
        "simulator.month", "month i8 months\ncollapsed i8 0_or_1\ndone i8 0_or_1\nsums f8[sums] mixed", central=False
    )
    + _fields(
        "ledger",
        """
        balance f8[accounts] k$
        sme_cash f8[N] k$
        """,
    )
    + _fields(
        "ledger",
        """
        month_flow f8[purposes,accounts] k$
        sme_flow f8[N,slots] k$
        """,
        central=False,
    )
    + _fields(
        "roles.it",
        """
        it_action f8[it_levers] effort
        posture i8[tiers] 0_defer_1_batch_2_now
        tier_effort f8 1
        posture_months f8[tiers] months
        posture_factor f8[tiers] x_threat
        posture_mean f8[tiers] x_threat
        scanning_effort f8 1
        intel_effort f8 1
        it_cost f8 k$
        """,
    )
    + _fields(
        "roles.business",
        """
        business_action f8[business_levers] effort
        window_effort f8 1
        modules_effort f8 1
        privacy_effort f8 1
        fee_effort f8 1
        fee_next f8 1
        epsilon f8 epsilon
        business_cost f8 k$
        """,
    )
    + _fields(
        "roles.finance",
        """
        finance_action f8[finance_levers] effort
        release f8 k$
        release_effort f8 1
        returned f8 k$
        lapsed f8 k$
        lending_effort f8 1
        weight f8 1
        weight_change f8 1
        audit_share f8 share
        disclosure_effort f8 1
        finance_cost f8 k$
        """,
    )
    + _fields(
        "roles.sme",
        """
        sme_action f8[N,sme_levers] effort
        sme_annual f8[N] k$_restated_yearly
        sme_patch_effort f8[N] 1
        sme_member i8[N] 0_none_1_basic_2_full
        sme_lag i8[N] months
        sme_esg_mode i8[N] 0_none_1_claim_2_invest
        sme_esg_scale f8[N] 1
        sme_borrow f8[N] share_of_annual_revenue
        sme_share f8[N] 1
        sme_fee f8[N] k$
        sme_cost f8[N] k$
        num_members i8 SMEs
        member_sharing f8 1
        mean_sharing f8 1
        fee_income f8 k$
        joined i8 SMEs
        left i8 SMEs
        """,
    )
    + _fields(
        "resource_aggregation.digital_commerce",
        """
        modules f8 1
        pool f8 records
        fraud f8 share
        auc_pool f8 AUC
        sme_stock f8[N] records
        sme_auc f8[N] AUC
        sme_own_auc f8[N] AUC
        """,
    )
    + _fields(
        "resource_aggregation.finance",
        """
        disclosure f8 1
        crowding f8 1
        skill f8 IC
        lending_mean f8 1
        lendable f8 k$
        capital f8 k$
        sme_capital f8[N] k$
        """,
    )
    + _fields(
        "resource_aggregation.cybersecurity",
        """
        scanners f8[tools] 1
        intel f8 1
        detection f8 share/month
        detect_hazard f8[4] 1
        false_findings i8 findings
        num_open i8 vulnerabilities
        arrivals i8 vulnerabilities
        recent_arrivals i8[12] vulnerabilities
        tail f8[S] hazard
        """,
    )
    + _fields(
        "resource_aggregation.cybersecurity",
        """
        v_uid i8[V] birth_month*1024+k
        v_cvss f8[V] CVSS
        v_epss f8[V] 1/30_d
        v_hazard f8[V] hazard
        v_rank f8[V] rank_of_EPSS_x_criticality
        v_detect f8[V] hazard
        v_patch_month i2[V] month
        v_kev_month i2[V] month
        v_service i1[V] service
        v_tier i1[V] 0_edge_1_core_2_internal
        v_class i1[V] class
        v_kev i1[V] 0_or_1
        v_known i1[V] 0_or_1
        """,
        central=False,
    )
    + _fields(
        "reinforcement",
        """
        data_skill f8 1
        capital_growth f8 0_or_1
        asset_protection f8 1
        """,
    )
    + _fields("risk_governance.cybersecurity", "v_fate i1[V] 0_open_1_patched_2_failed_3_isolated", central=False)
    + _fields(
        "risk_governance.cybersecurity",
        """
        sme_hygiene f8[N] 1
        ranking f8 1
        hours f8 h
        delay f8 share_of_month
        patched i8 vulnerabilities
        patched_age f8 months
        failed i8 patches
        isolated i8 vulnerabilities
        patching_cost f8 k$
        outage_hours f8 h
        base_hazard f8[S] hazard
        carry_hazard f8[S] hazard_before_exposure
        campaign i8 tier_or_-1
        alert i8 0_or_1
        alert_tier i8 tier_or_-1
        event_probability f8 1/month
        expected_breach f8 k$
        cycle_loss f8 k$
        breach i8 0_or_1
        breach_loss f8 k$
        sme_own_hazard f8[N] 1/month
        sme_mean_loss f8[N] k$
        sme_probability f8[N] 1/month
        sme_expected f8[N] k$
        sme_event i8[N] 0_none_1_own_2_platform
        sme_loss f8[N] k$
        tier_known f8[tiers] vulnerabilities
        tier_exposure f8[tiers] EPSS
        tier_worst f8[tiers] EPSS
        tier_kev f8[tiers] vulnerabilities
        unpatchable f8 share
        open_at f8[3] vulnerabilities
        """,
    )
    + _fields(
        "risk_governance.digital_commerce",
        """
        privacy f8 1
        rho_window f8[12] rho
        rho12 f8 rho
        eps12 f8 epsilon
        incident_probability f8 1/month
        expected_privacy_fine f8 k$
        privacy_incident i8 0_or_1
        privacy_fine f8 k$
        incidents_year f8 incidents
        sme_mean_fine f8[N] k$
        sme_expected_fine f8[N] k$
        sme_fine f8[N] k$
        """,
    )
    + _fields(
        "risk_governance.finance",
        """
        stress i8 0_or_1
        market_return f8 1/month
        portfolio_return f8 1/month
        calm_filter f8 probability
        portfolio_index f8 1
        portfolio_peak f8 1
        drawdown f8 1
        drawdown_event i8 0_or_1
        sme_esg f8[N] 1
        sme_claim f8[N] 1
        sme_rating_noise f8[N] 1
        sme_rating f8[N] 1
        sme_ban i8[N] months
        sme_green i8[N] 0_or_1
        findings i8 SMEs
        findings_year f8 SMEs
        exposed i8 SMEs
        sme_closing i8[N] 0_no_1_default_2_closure
        expected_credit_loss f8 k$
        credit_loss f8 k$
        """,
    )
    + _fields(
        "value_addition.digital_commerce",
        """
        sme_revenue f8[N] k$/month
        sme_profit f8[N] k$
        sme_growth f8[N] 1/month
        users f8 share
        availability f8 share
        sales f8 k$
        sales_margin f8 k$
        sales_ring f8[12] k$
        sales_ratio f8 x
        tenant_service f8 k$
        posture_price f8 k$
        """,
    )
    + _fields(
        "value_addition.finance",
        """
        sme_loan f8[N] k$
        sme_interest f8[N] k$
        loans f8 k$
        green_book f8 k$
        audited_year f8 share
        book f8 k$
        interest f8 k$
        green_income f8 k$
        portfolio_cost f8 k$
        certainty_equivalent f8 k$
        market_income f8 k$
        """,
    )
    + _fields(
        "value_addition.cybersecurity",
        """
        premium f8 k$
        retained f8 k$
        premium_mean f8 k$
        sme_premium f8[N] k$
        sme_retained f8[N] k$
        sme_premium_mean f8[N] k$
        sme_shock i8[N] months
        sme_quiet i8[N] months
        intel_factor f8 x_hazard
        """,
    )
    + _fields(
        "feedback",
        """
        surface f8 x_arrivals
        privacy_exposure f8 1
        privacy_gain f8 x_gain
        scanner_gain f8 x_gain
        trust f8 1
        need_scale f8 x
        need_stock f8 1
        records_factor f8 x
        """,
    )
    + _fields(
        "spiral",
        """
        level i8 levels
        stage i8 0_aggregation_1_governance_2_value
        stage_months i8 months
        aggregation f8 A
        risk f8 R
        risk_mean f8 k$
        value f8 V
        value_sum f8 k$
        gate_count i8 months
        fallback_count i8 months
        level_rose i8 0_or_1
        trust_count i8 months
        cash_count i8 months
        height f8 levels
        """,
    )
    + _fields(
        "simulator.closing",
        """
        business_profit f8 k$
        profit_mean f8 k$
        remitted f8 k$
        sme_margin f8[N] 1
        operating_value f8 k$
        realised_value f8 k$
        ecosystem_value f8 k$
        value_ring f8[6] k$
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
