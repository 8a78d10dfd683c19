"""The numbers that kernels read: one table, each with group, unit, range and source; one record, all ``f8``.

``PARAMETERS`` holds what an analyst may vary, and scenarios override its entries by name. Structural constants (tiers
of services, windows of means, exponents of shape) and published tables (EPSS, CVSS) stand beside the kernel that uses
them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["DERIVED", "PARAMETERS", "PARAMS_DTYPE", "Parameter", "limited_mean", "pack"]

Value = float | tuple[float, ...]


class Parameter(NamedTuple):
    """One number (or short vector) of the model."""

    name: str
    group: str
    default: Value
    unit: str
    low: float
    high: float
    source: str


def _group(name: str, *rows: tuple[str, Value, str, float, float, str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(row[0], name, *row[1:]) for row in rows)


_INF = 1e9
_ASSUMED = "assumed"

_TIME = _group(
    "time_and_value",
    ("discount_rate", 0.0064, "1/month", 0.0, 0.1, "8 % a year, assumed"),
    ("terminal_multiple", 12.0, "months", 0.0, 120.0, "assumed: a year's value"),
    ("overdraft_rate", 0.01, "1/month", 0.0, 0.1, _ASSUMED),
    ("size_exponent", 0.7, "1", 0.0, 1.5, "assumed: economies of scale in the number of SMEs"),
    (
        "season",
        (0.75, 0.70, 0.80, 0.85, 0.85, 0.85, 0.80, 0.80, 0.90, 1.00, 2.20, 1.50),
        "x mean sales",
        0.0,
        10.0,
        "assumed: retail calendar with a peak in November",
    ),
)

_WORLD = _group(
    "world",
    ("num_services", 12.0, "services", 4.0, 32.0, "small microservice systems: median 9.5, range 5-25"),
    ("out_degree", 1.9, "calls a service", 0.0, 6.0, "small microservice systems: mean out-degree 1.87"),
    (
        "backlog_open",
        96.0,
        "vulnerabilities at 12 services",
        0.0,
        230.0,
        "solved: law after 24 months of the average firm",
    ),
    ("sme_revenue_mu", 5.118, "ln k$ a month", 0.0, 10.0, "annual revenue about 2,000 k$"),
    ("sme_revenue_sigma", 1.0, "1", 0.0, 2.0, "assumed: firms unlike in size, from a few to a hundred employees"),
    ("sme_revenue_reference", 166.67, "k$ a month", 1.0, 1e6, "2,000 k$ a year"),
    ("records_mean", 60.0, "records a month", 0.0, 1e5, "400 records a firm in force"),
    ("records_sigma", 0.3, "1", 0.0, 2.0, _ASSUMED),
    ("records_retained", 0.85, "share a month", 0.0, 0.99, _ASSUMED),
    ("hygiene_low", 0.2, "1", 0.0, 1.0, _ASSUMED),
    ("hygiene_high", 0.7, "1", 0.0, 1.0, _ASSUMED),
    ("esg_low", 0.2, "1", 0.0, 1.0, _ASSUMED),
    ("esg_high", 0.6, "1", 0.0, 1.0, _ASSUMED),
    ("age_high", 120.0, "months", 1.0, 1200.0, _ASSUMED),
    ("platform_cash", 800.0, "k$ at 8 SMEs", -1e5, 1e6, _ASSUMED),
    ("treasury_cash", 3500.0, "k$ at 8 SMEs", -1e5, 1e6, _ASSUMED),
    ("security_cash", 60.0, "k$ at 8 SMEs", 0.0, 1e5, _ASSUMED),
    ("sa_size", -0.737, "per ln M$", -5.0, 5.0, "SA index of financial constraint"),
    ("sa_size_squared", 0.043, "per (ln M$)^2", -5.0, 5.0, "SA index"),
    ("sa_age", -0.040, "per year", -5.0, 5.0, "SA index"),
    ("sa_low", -1.6, "1", -10.0, -0.01, "assumed: index at which the constraint is .1"),
    ("start_stock", 0.2, "1", 0.0, 1.0, "assumed: modules, privacy, scanners, intel, disclosure"),
    ("start_trust", 0.5, "1", 0.0, 1.0, _ASSUMED),
    ("start_users", 0.5, "1", 0.0, 1.0, _ASSUMED),
    ("start_partners", 0.1, "share", 0.0, 1.0, "assumed: outside parties present at the start"),
    ("start_lesson", 0.3, "1", 0.0, 1.0, "assumed: what past incidents have taught"),
    ("start_proof", 0.7, "1", 0.0, 1.0, "assumed: what the turn before has proved"),
)

_LEVERS = _group(
    "levers",
    ("posture_effort", (0.0, 0.75, 1.0), "1", 0.0, 1.0, "assumed: defer, batch, now"),
    ("posture_cost", (0.0, 5.0, 14.0), "k$ a month", 0.0, 1e4, _ASSUMED),
    ("patch_cost", (0.0, 1.5, 3.0), "k$ a patch", 0.0, 1e3, "2-6 staff hours and downtime, assumed"),
    ("posture_relief", 0.85, "share of threat", 0.0, 1.0, _ASSUMED),
    ("posture_fatigue", 0.7, "1/month", 0.0, 1.0, _ASSUMED),
    ("posture_price", 0.067, "share of sales a tier", 0.0, 1.0, _ASSUMED),
    (
        "posture_part",
        0.4,
        "share of the security cash",
        0.0,
        1.0,
        "assumed: postures leave money for tools and patches",
    ),
    ("tools_part", 0.5, "share of what postures leave", 0.0, 1.0, "assumed: tools leave money for patches"),
    (
        "triage_threat",
        (0.0, 1.0, 1.0),
        "weight of EPSS beside CVSS",
        0.0,
        1.0,
        "study [4]: from CVSS to exploit likelihood",
    ),
    ("triage_public", 0.4, "1", 0.0, 1.0, "assumed: how far public EPSS serves without own intelligence"),
    (
        "triage_business",
        (0.0, 0.0, 1.0),
        "weight of revenue at risk",
        0.0,
        1.0,
        "study [4]: business impact in the score",
    ),
    ("cost_scanning", (0.0, 12.0, 24.0), "k$ a month", 0.0, 1e4, _ASSUMED),
    ("cost_intel", (0.0, 10.0, 20.0), "k$ a month", 0.0, 1e4, _ASSUMED),
    ("window_hours", (0.0, 10.0, 30.0), "h a month", 0.0, 720.0, _ASSUMED),
    ("window_price", 1.0, "k$ an hour", 0.0, 1e3, _ASSUMED),
    ("cost_modules", (0.0, 50.0, 100.0), "k$ a month", 0.0, 1e4, _ASSUMED),
    ("cost_privacy", (0.0, 12.0, 24.0), "k$ a month", 0.0, 1e4, _ASSUMED),
    ("tenant_fee", (0.0, 1.0, 3.0), "k$ a month", 0.0, 1e3, _ASSUMED),
    ("fee_full_tier", 1.4, "x", 1.0, 10.0, _ASSUMED),
    ("epsilon_month", (0.25, 0.7, 2.0), "epsilon", 1e-3, 20.0, "range of the calibration grid"),
    (
        "cost_verification",
        (0.0, 4.0, 10.0),
        "k$ a month",
        0.0,
        1e4,
        "study [7]; 0.5-2 $ a thousand interactions, and staff",
    ),
    (
        "payout_record",
        (0.0, 0.002, 0.008),
        "k$ a record",
        0.0,
        1.0,
        "study [7]: pay by verified contribution; size assumed",
    ),
    ("security_release", (15.0, 50.0, 110.0), "k$ a month", 1e-3, 1e4, "the low value is a statutory floor, assumed"),
    ("security_returned", 0.7, "share of the unspent", 0.0, 1.0, "use it or lose it, assumed"),
    ("lending_offer", (0.0, 0.04, 0.10), "share of lendable cash", 0.0, 1.0, _ASSUMED),
    ("book_admin", 0.0025, "1/month", 0.0, 0.1, "assumed: servicing small loans, 3 % a year"),
    ("portfolio_weight", (0.0, 0.5, 1.0), "weight", 0.0, 1.0, "long only"),
    ("trading_cost", 0.0015, "share of turnover", 0.0, 0.1, "10-20 bp a turn"),
    ("audit_share", (0.0, 0.06, 0.20), "share of SMEs a month", 0.0, 1.0, _ASSUMED),
    ("audit_cost", 0.4, "k$ an audit", 0.0, 1e3, _ASSUMED),
    ("cost_disclosure", (0.0, 5.0, 10.0), "k$ a month", 0.0, 1e4, _ASSUMED),
    ("green_threshold", (0.35, 0.5, 0.65), "rating", 0.0, 1.0, "assumed: least rating that counts as green"),
    ("cost_hygiene", (0.0, 0.8, 1.6), "k$ a month", 0.0, 1e3, "0.5-1 % of revenue"),
    ("member_cost", (0.0, 0.3, 0.8), "k$ a month", 0.0, 1e3, _ASSUMED),
    ("joining_cost", 3.0, "k$", 0.0, 1e3, _ASSUMED),
    ("joining_months", 2.0, "months", 0.0, 24.0, _ASSUMED),
    ("cost_esg", (0.0, 0.05, 0.8), "k$ a month", 0.0, 1e3, _ASSUMED),
    ("borrowing_draw", (0.0, 0.02, 0.05), "share of annual revenue", 0.0, 1.0, _ASSUMED),
    ("cost_sharing", (0.0, 0.1, 0.3), "k$ a month", 0.0, 1e3, _ASSUMED),
    ("cost_curation", (0.0, 0.25, 0.8), "k$ a month", 0.0, 1e3, "assumed: checking own records before they are given"),
    ("fee_step", 0.5, "effort a month", 0.0, 1.0, "assumed: a posted fee moves by half a lever"),
)

_STOCKS = _group(
    "resource_aggregation",
    ("stock_gain", 0.10, "1/month", 0.0, 1.0, _ASSUMED),
    ("stock_decay", 0.08, "1/month", 0.0, 1.0, _ASSUMED),
    ("gain_base", 0.4, "x", 0.0, 10.0, "assumed: what effort builds without a lesson or a proof"),
    ("lesson_gain", 4.0, "x", 0.0, 50.0, "feedback edge 1: incidents and findings drive tools; size assumed"),
    ("lesson_memory", 0.6, "1/month", 0.0, 0.999, "assumed: half of a lesson is forgotten in two months"),
    ("lesson_exposure", 3.0, "EPSS x exposure at 12 services", 1e-3, 1e3, "assumed: exposure that teaches all it can"),
    ("proof_gain", 3.0, "x", 0.0, 50.0, "feedback edge 3: what a turn proved builds the next; size assumed"),
    ("proof_memory", 0.9, "1/month", 0.0, 0.999, "assumed: half of a proof fades in ten months"),
    ("auc_ceiling", 0.291, "AUC - .5", 0.0, 0.5, "own DP-GD experiment, A = .791"),
    ("auc_sampling", 364.0, "records", 0.0, 1e6, "own DP-GD experiment, k1 d"),
    ("auc_noise", 1_614_400.0, "(records epsilon)^2", 0.0, 1e9, "own DP-GD experiment, k2 d^2"),
    ("own_auc_ceiling", 0.301, "AUC - .5", 0.0, 0.5, "own DP-GD experiment, one firm"),
    ("own_auc_sampling", 251.0, "records", 0.0, 1e6, "own DP-GD experiment, one firm"),
    ("access_floor", 0.3, "1", 0.0, 1.0, "assumed: access of a member that shares nothing"),
    ("fraud_base", 0.15, "share of records", 0.0, 1.0, "bad contributions about .15, at middling care"),
    ("verify_recall", 0.9, "1", 0.0, 1.0, "study [7]: proofs leave .02-.03 of .15; at full privacy technology"),
    ("verify_false", 0.06, "1", 0.0, 1.0, "assumed: good contributions rejected by heuristics, none by proofs"),
    ("partner_records", 150.0, "records a month at 8 SMEs", 0.0, 1e6, "assumed: data partners, all of them"),
    ("poison", 4.0, "x share^2", 0.0, 100.0, "assumed: crafted updates do twice what flipped labels did (.28 at 40 %)"),
    (
        "model_growth",
        1.5,
        "x features at full modules",
        0.0,
        100.0,
        "assumed: each module learns from features of its own",
    ),
    ("secure_noise", 0.5, "share of noise", 0.0, 1.0, "study [1]: secure aggregation; size assumed"),
    ("release_modules", 2.0, "releases a month at full modules", 0.0, 100.0, "assumed: each module releases a model"),
    ("skill_ceiling", 0.08, "information coefficient", 0.0, 0.5, "evidence: .06-.08"),
    ("skill_base", 0.5, "1", 0.0, 10.0, _ASSUMED),
    ("skill_disclosure", 2.0, "1", 0.0, 10.0, _ASSUMED),
    ("skill_data", 3.0, "1", 0.0, 10.0, "review 2.1: user data serve forecasts; size assumed"),
    ("skill_auc_zero", 0.6, "AUC", 0.5, 1.0, _ASSUMED),
    ("skill_auc_span", 0.19, "AUC", 1e-3, 0.5, "to the ceiling .79"),
    ("asset_protection", 0.3, "1", 0.0, 1.0, "review 2.1: tools protect data and money; size assumed"),
    ("crowding_memory", 0.9, "1/month", 0.0, 0.999, _ASSUMED),
    ("crowding_base", 0.1, "1", 0.0, 1.0, _ASSUMED),
    ("crowding_disclosure", 0.25, "1", 0.0, 1.0, _ASSUMED),
    ("crowding_noise", 0.02, "1", 0.0, 0.2, _ASSUMED),
    ("lending_reserve", 1500.0, "k$ at 8 SMEs", 0.0, 1e6, _ASSUMED),
    ("facility_share", 0.25, "share of lendable cash", 0.0, 1.0, _ASSUMED),
    ("facility_months", 6.0, "months", 1.0, 60.0, _ASSUMED),
    ("arrival_rate", 0.55, "1/(service month)", 0.0, 2.0, "a third of CVEs ever seen live, assumed"),
    ("surface_modules", 0.3, "1", 0.0, 3.0, "assumed: attack surface +30 % at m = 1"),
    ("class_share", (0.35, 0.15, 0.40, 0.10), "code, runtime, dependency, interaction", 0.0, 1.0, _ASSUMED),
    ("severity_share", (0.106, 0.344, 0.512, 0.037), "C, H, M, L", 0.0, 1.0, "CVE-2024, n = 20,180"),
    ("severity_epss", (3.0, 1.5, 1.0, 0.5), "x EPSS", 0.0, 20.0, "SSVC activity by severity"),
    ("patch_at_birth", 0.55, "share", 0.0, 1.0, "assumed: most advisories come with a fix"),
    ("patch_rate", 0.3, "1/month", 1e-3, 1.0, _ASSUMED),
    ("kev_share", 0.015, "share", 0.0, 1.0, ".5 % of CVEs, a third of CVEs live"),
    ("kev_at_once", 0.63, "share of entries", 0.0, 1.0, "63 % of entries within 30 days"),
    ("kev_lag", 5.0, "months", 0.1, 120.0, "90th percentile 251 days"),
    ("kev_epss", 0.5, "1/30 d", 0.0, 0.99, "assumed: least EPSS of an entry"),
    ("detect_outside", 0.5, "share", 0.0, 0.999, "half of all is reported from outside, assumed"),
    ("detect_power", 0.912, "1", 0.1, 1.0, "pairs of SAST tools: phi = .18"),
    ("recall_sast", (0.60, 0.20, 0.0, 0.15), "1", 0.0, 0.999, "OWASP Benchmark: .60; other classes assumed"),
    ("recall_dast", (0.17, 0.45, 0.10, 0.25), "1", 0.0, 0.999, "OWASP Benchmark: .17; other classes assumed"),
    ("recall_sca", (0.0, 0.0, 0.90, 0.0), "1", 0.0, 0.999, "SCA recall .85-.95"),
    ("recall_iast", (0.55, 0.60, 0.30, 0.35), "1", 0.0, 0.999, "IAST x test coverage"),
    ("tool_gain", (1.0, 0.9, 1.2, 0.8), "x", 0.0, 5.0, "assumed: SCA is bought fastest, IAST slowest"),
    ("tool_fpr", (0.30, 0.02, 0.40, 0.05), "1", 0.0, 1.0, "OWASP Benchmark; SCA by reachability"),
    ("false_cells", 80.0, "cells a month", 0.0, 1e3, _ASSUMED),
    ("false_cut", 0.52, "share", 0.0, 1.0, "study [4]: false findings -46 to -57 %"),
    ("false_hours", 1.0, "h", 0.0, 10.0, "assumed: triage of a finding that is none"),
    ("tail_decay", 0.05, "1/month", 0.0, 1.0, "assumed: forgotten findings leave with their services"),
    ("shock_month", 0.0, "month (0 = none)", 0.0, 600.0, "scenario"),
    ("shock_count", 0.0, "vulnerabilities", 0.0, 200.0, "scenario"),
    ("shock_epss", 0.9, "1/30 d", 0.0, 0.99, "scenario"),
)

_GOVERNANCE = _group(
    "risk_governance",
    (
        "capacity_hours",
        149.0,
        "h a month at 12 services",
        0.0,
        1e4,
        "capacity constrains: 7 / 15 / 27 % of the open a month",
    ),
    ("integration_hours", 30.0, "h a month at 12 services", 0.0, 1e3, "assumed: the same people build modules"),
    ("effort_floor", 0.05, "1", 1e-3, 1.0, _ASSUMED),
    ("window_floor", 0.35, "1", 1e-3, 1.0, _ASSUMED),
    ("soft_minimum", 4.0, "1", 0.5, 20.0, _ASSUMED),
    ("patch_hours", (0.0, 8.0, 12.0), "h a patch", 0.0, 100.0, _ASSUMED),
    ("delay_days", 12.0, "days", 0.0, 30.0, "coordination across departments costs 12 days"),
    ("patch_failure", (0.0, 0.08, 0.12), "share", 0.0, 1.0, "change failure 5-15 %"),
    ("failure_hours", 8.0, "h down", 0.0, 100.0, _ASSUMED),
    ("cascade_probability", 0.05, "1", 0.0, 1.0, "assumed; study [5] names cascades"),
    ("cascade_hours", 24.0, "h down", 0.0, 720.0, _ASSUMED),
    ("restart_hours", 0.5, "h a patch", 0.0, 24.0, "assumed: outside the maintenance window"),
    ("outage_weight", 3.0, "x criticality", 0.0, 32.0, "assumed: callers suffer with a service"),
    ("isolation_count", 3.0, "a tier", 0.0, 20.0, _ASSUMED),
    ("isolation_relief", 0.5, "x exposure", 0.0, 1.0, _ASSUMED),
    ("isolation_cost", 2.0, "k$ each", 0.0, 100.0, _ASSUMED),
    ("exposure", (1.0, 0.5, 0.25), "edge, core, internal", 1e-3, 1.0, _ASSUMED),
    ("threat_quiet", 0.2, "x", 0.0, 10.0, _ASSUMED),
    ("threat_campaign", 10.0, "x", 0.0, 100.0, _ASSUMED),
    ("campaign_onset", 0.10, "1/month", 0.0, 1.0, _ASSUMED),
    ("campaign_end", 0.33, "1/month", 1e-3, 1.0, _ASSUMED),
    ("alert_truth", 0.55, "1", 0.0, 1.0, _ASSUMED),
    ("alert_intel", 0.40, "1", 0.0, 1.0, _ASSUMED),
    ("alert_false", 0.10, "1/month", 0.0, 1.0, "assumed: alarms without a campaign"),
    ("aim", 0.005, "x", 0.0, 10.0, "solved: 6 % platform events a year under the average firm"),
    ("threat_growth", 1.35, "x a level", 1.0, 3.0, _ASSUMED),
    ("call_reach", 0.5, "1", 0.0, 1.0, "downtime spreads to callers with .3-.6"),
    ("module_isolation", 0.8, "1", 0.0, 1.0, _ASSUMED),
    ("isolation_reference", 0.6, "1", 0.1, 1.0, "1 - .8 x .5"),
    ("breach_mu", 12.56, "ln $", 0.0, 25.0, "IRIS 2022"),
    ("breach_sigma", 3.07, "1", 0.01, 6.0, "IRIS 2022"),
    ("breach_cap", 10_000.0, "k$", 1.0, 1e7, "assumed cap of 10 M$"),
    ("stake_exponent", 0.5, "1", 0.0, 1.0, "assumed: losses grow with sales, less than in proportion (IRIS)"),
    ("sme_hazard", 0.0020, "1/month", 0.0, 0.5, "about 3 % a year, twice the rate of claims of 1.5 % (Coalition 2024)"),
    ("hygiene_ratio", 6.0, "x", 1.0, 50.0, "hardening divides by about 6 (Marsh McLennan 2023)"),
    ("hygiene_reference", 0.45, "1", 0.0, 1.0, _ASSUMED),
    ("spill", 0.085, "1", 0.0, 1.0, "30 % of SME events platform-borne"),
    ("member_entry", 0.03, "1", 0.0, 1.0, "assumed: small beside own exposure"),
    ("sme_loss_mu", 10.40, "ln $", 0.0, 25.0, "SME claims: mean 115 k$ (Coalition 2024)"),
    ("sme_loss_sigma", 1.6, "1", 0.01, 6.0, "SME claims: mean over median 3.6"),
    ("trust_breach", 0.08, "trust", 0.0, 1.0, _ASSUMED),
    ("trust_published", 0.005, "trust", 0.0, 1.0, "assumed: a published incident, at full intel"),
    ("delta", 1e-5, "1", 1e-12, 0.1, "accountant, conventional"),
    ("epsilon_cap", _INF, "epsilon over 12 months", 0.01, _INF, "policy"),
    ("privacy_incident", 0.04, "1/month", 0.0, 1.0, "assumed: about one in twenty years"),
    ("fine_share", 0.15, "share of incidents", 0.0, 1.0, "assumed: 5-20 % of detected violations are fined"),
    ("privacy_harm", 600.0, "k$ an incident at 8 SMEs", 0.0, 1e6, "assumed: harm to users, not money"),
    ("pool_reference", 3200.0, "records", 1.0, 1e7, "8 firms with 400 records"),
    ("fine_mu", 10.7, "ln $", 0.0, 25.0, "first GDPR fines: LogNormal(10.74, 1.83)"),
    ("fine_sigma", 1.8, "1", 0.01, 6.0, "first GDPR fines"),
    ("fine_cap", 0.04, "share of annual revenue", 0.0, 1.0, "GDPR article 83"),
    ("trust_privacy", 0.10, "trust", 0.0, 1.0, _ASSUMED),
    ("compliance_rate", 0.001, "1/month", 0.0, 1.0, _ASSUMED),
    ("compliance_part", 0.5, "x the fine of a platform", 0.0, 1.0, "assumed: half for an SME"),
    ("market_mean", (0.0109, 0.0041), "1/month, calm and stress", -0.1, 0.1, "index 1990-2022, Markov switching"),
    ("market_volatility", (0.0228, 0.0536), "1/month", 1e-4, 0.5, "index 1990-2022, Markov switching"),
    ("market_stay", (0.964, 0.975), "1/month", 0.0, 1.0, "index 1990-2022, Markov switching"),
    ("market_start_calm", 0.41, "1", 0.0, 1.0, "stationary share of calm"),
    ("cash_rate", 0.0027, "1/month", 0.0, 0.1, "US bills 1926-2018"),
    ("asset_beta", (1.0, 0.8, 1.2, 0.9), "x market", 0.0, 3.0, "assumed: four sectors"),
    ("asset_sd", 0.05, "1/month", 1e-4, 1.0, "stocks 9 %, correlation .25: a sector of several"),
    ("alpha_sd", 0.006, "1/month", 1e-6, 0.5, "evidence: skill .08 of 5 % is .4 % a month"),
    ("alpha_memory", 0.85, "1/month", 0.0, 0.999, "assumed: expected returns last half a year"),
    ("volatility_noise", 0.35, "1", 0.0, 5.0, "VIX: mean 14.9, sd 4.3"),
    ("risk_aversion", 4.0, "1", 0.0, 50.0, _ASSUMED),
    ("drawdown_limit", 0.10, "1", 0.01, 1.0, _ASSUMED),
    ("trust_drawdown", 0.02, "trust", 0.0, 1.0, _ASSUMED),
    ("claim_step", 0.08, "1/month", 0.0, 1.0, _ASSUMED),
    ("claim_fade", 0.04, "1/month", 0.0, 1.0, "assumed: a claim not repeated fades"),
    ("esg_gain", 0.04, "1/month", 0.0, 1.0, _ASSUMED),
    ("esg_decay", 0.005, "1/month", 0.0, 1.0, _ASSUMED),
    ("constraint_cash", 0.2, "1", 0.0, 1.0, "study [3]: constraint follows cash; size assumed"),
    ("esg_cost", 0.01, "k$ per k$ of revenue", 0.0, 1.0, "100 t CO2 per M$ of sales at 100 $ a t; assumed"),
    ("rating_memory", 0.9, "1/month", 0.0, 0.999, _ASSUMED),
    (
        "rating_noise",
        0.1066,
        "1",
        0.0,
        1.0,
        "raters agree with .54 = .735^2 (Berg et al. 2022): .678/.735 x sd of ESG in .2-.6",
    ),
    ("gap_limit", 0.15, "1", 0.0, 1.0, _ASSUMED),
    ("audit_recall", 0.65, "1", 0.0, 1.0, "assumed from detector accuracies"),
    ("audit_false", 0.08, "1", 0.0, 1.0, "assumed from detector accuracies"),
    ("ban_months", 12.0, "months", 0.0, 120.0, _ASSUMED),
    ("trust_finding", 0.01, "trust at 8 SMEs", 0.0, 1.0, _ASSUMED),
    ("press_rate", 0.04, "1/month", 0.0, 1.0, _ASSUMED),
    ("trust_press", 0.02, "trust at 8 SMEs", 0.0, 1.0, _ASSUMED),
    ("default_rate", (0.0015, 0.0045), "1/month, calm and stress", 0.0, 1.0, "SBA charge-offs"),
    ("default_leverage", 2.0, "x loan/annual revenue", 0.0, 100.0, _ASSUMED),
    ("default_shock", 3.0, "x", 1.0, 100.0, "assumed: 6 months after a loss over 10 % of revenue"),
    ("shock_months", 6.0, "months", 0.0, 60.0, _ASSUMED),
    ("shock_loss", 0.10, "share of annual revenue", 0.0, 1.0, _ASSUMED),
    ("default_gap", 1.6, "x", 1.0, 100.0, _ASSUMED),
    ("loss_given_default", 0.63, "1", 0.0, 1.0, "SBA loans: mean .63"),
    ("closure_young", 0.016, "1/month", 0.0, 1.0, "20-25 % exit in the first year"),
    ("closure_old", 0.006, "1/month", 0.0, 1.0, "mature firms: 90-95 % a year survive"),
    ("closure_age", 60.0, "months", 1.0, 600.0, _ASSUMED),
    ("closure_margin", 3.0, "1", 0.0, 100.0, _ASSUMED),
    ("closure_clip", (0.3, 3.0), "x, least and most", 0.0, 100.0, "assumed: what a margin may do to closures"),
    ("margin_reference", 0.10, "1", 0.001, 1.0, _ASSUMED),
)

_VALUE = _group(
    "value_addition",
    ("growth_data", 0.011, "1/month", 0.0, 0.1, "+13 % a year at the ceiling, assumed"),
    ("growth_auc_zero", 0.70, "AUC", 0.5, 1.0, "own-firm model"),
    ("growth_auc_span", 0.091, "AUC", 1e-3, 0.5, "to the ceiling .791"),
    ("growth_capital", 0.004, "1/month", 0.0, 0.1, _ASSUMED),
    ("growth_loan_scale", 0.10, "share of annual revenue", 1e-3, 10.0, _ASSUMED),
    ("growth_noise", 0.02, "1/month", 0.0, 0.5, _ASSUMED),
    ("sme_margin", 0.10, "1", 0.0, 1.0, _ASSUMED),
    ("sme_marginal", 0.25, "1", 0.0, 1.0, _ASSUMED),
    ("channel_share", 0.16, "share of revenue", 0.0, 1.0, _ASSUMED),
    ("channel_margin", 0.25, "1", 0.0, 1.0, _ASSUMED),
    ("green_channel", 0.40, "1", 0.0, 5.0, "assumed: green tier sells more"),
    (
        "interference",
        0.3,
        "share of the channel",
        0.0,
        1.0,
        "study [2]: tenants disturb each other without modules; assumed",
    ),
    ("outside_share", 0.03, "share of revenue", 0.0, 1.0, "assumed: other markets, the outside option of a firm"),
    ("partner_tenants", 0.5, "x SMEs", 0.0, 10.0, "assumed: outside tenants, all of them"),
    ("sales_network", 0.3, "share of sales", 0.0, 1.0, "assumed: sales that need tenants, after n log n"),
    ("platform_sales", 600.0, "k$ a month at 8 SMEs, in proportion to them", 0.0, 1e7, _ASSUMED),
    ("platform_margin", 0.35, "1", 0.0, 1.0, _ASSUMED),
    ("platform_fixed", 90.0, "k$ a month at 8 SMEs", 0.0, 1e6, _ASSUMED),
    ("users_innovation", 0.0025, "1/month", 0.0, 1.0, "Bass p .03 a year"),
    ("users_imitation", 0.033, "1/month", 0.0, 1.0, "Bass q .40 a year"),
    ("users_churn", 0.02, "1/month", 0.0, 1.0, _ASSUMED),
    ("users_reference", 0.5, "share", 0.01, 1.0, "assumed: users at which sales are platform_sales"),
    ("tenant_cost", 3.0, "k$", 0.0, 1e3, "unit cost falls with tenants"),
    ("tenant_exponent", 0.6, "1", 0.0, 1.0, "unit cost ~ tenants^-.4"),
    ("loan_rate", 0.095, "1/year", 0.0, 1.0, "SME loans"),
    ("loan_months", 36.0, "months", 1.0, 360.0, _ASSUMED),
    ("loan_limit", 0.10, "share of annual revenue", 1e-3, 5.0, _ASSUMED),
    ("loan_limit_green", 0.20, "share of annual revenue", 1e-3, 5.0, "green credit acts through access"),
    ("deposit_rate", 0.04, "1/year", 0.0, 1.0, "assumed: outside investors"),
    ("green_income", 0.0005, "1/month of the book", 0.0, 0.1, "assumed: outside green funds"),
    ("book_cap", 4500.0, "k$ at 8 SMEs", 1e-3, 1e7, _ASSUMED),
    ("remittance", 0.40, "share of operating profit", 0.0, 1.0, _ASSUMED),
    ("owners_share", 0.60, "share of SME profit", 0.0, 1.0, _ASSUMED),
    ("owners_months", 2.0, "months of revenue", 0.0, 24.0, _ASSUMED),
    ("insured_share", 0.8, "1", 0.0, 1.0, "cyber insurance, assumed"),
    ("insurance_load", 1.3, "1", 0.0, 5.0, "US cyber loss ratio 42 % (2023)"),
    ("retained_cap", 150.0, "k$ an event", 0.0, 1e6, _ASSUMED),
    ("intel_relief", 0.25, "1", 0.0, 1.0, "no evidence on its size: assumed"),
    ("intel_rate", 2.5, "1", 0.0, 20.0, _ASSUMED),
    ("intel_sharing", 0.5, "share of intelligence", 0.0, 1.0, "assumed: what needs members that share"),
)

_SPIRAL = _group(
    "spiral",
    ("trust_gain", 0.05, "1/month", 0.0, 1.0, _ASSUMED),
    ("trust_fade", 0.008, "1/month", 0.0, 1.0, "assumed: trust has to be renewed"),
    (
        "trust_strictness",
        0.008,
        "1/month per strictness",
        0.0,
        1.0,
        "review 4.3: strict rules that are kept earn trust",
    ),
    ("kept_epsilon", 4.0, "epsilon over 12 months", 0.0, 1e3, "assumed: account that counts as kept"),
    ("partners_innovation", 0.005, "1/month", 0.0, 1.0, "feedback edge 2; Bass p, size assumed"),
    ("partners_imitation", 0.10, "1/month", 0.0, 1.0, "feedback edge 2; Bass q, size assumed"),
    ("partners_churn", 0.04, "1/month", 0.0, 1.0, _ASSUMED),
    ("partners_privacy", 0.7, "share of those who come", 0.0, 1.0, "assumed: partners who ask for privacy technology"),
    ("investor_deposit", 2500.0, "k$ at 8 SMEs", 0.0, 1e6, "feedback edge 2; size assumed"),
    ("deposit_pace", 0.25, "1/month", 0.0, 1.0, "assumed: money comes and leaves over some months"),
    ("scope_gain", 0.6, "x a turn of quality 1", 0.0, 3.0, "feedback edge 3; size assumed"),
    ("need_growth", 1.35, "x a level", 1.0, 3.0, "assumed: each round is asked for more"),
    ("trust_neutral", 1.1, "R", 0.0, 10.0, _ASSUMED),
    ("trust_disclosure", 0.01, "1/month", 0.0, 1.0, _ASSUMED),
    ("trust_openness", 0.7, "share of a drawdown's loss", 0.0, 1.0, "assumed: spared at full disclosure"),
    ("outside_capital", 300.0, "k$ at 8 SMEs", 0.0, 1e6, "feedback edge 3; size assumed"),
    ("need_pool", 2500.0, "records at 8 SMEs", 1.0, 1e8, _ASSUMED),
    ("need_capital", 2500.0, "k$ at 8 SMEs", 1.0, 1e8, _ASSUMED),
    ("need_stock", 0.34, "1", 0.01, 1.0, _ASSUMED),
    ("need_stock_step", 0.06, "1 a level", 0.0, 0.5, _ASSUMED),
    ("need_clip", 1.5, "1", 1.0, 10.0, _ASSUMED),
    ("appetite", 60.0, "k$ a month at 8 SMEs", 0.1, 1e6, "solved: average firm starts at R of .9"),
    ("appetite_members", 0.4, "share of the appetite", 0.0, 0.95, "assumed: risk is accepted for what is at stake"),
    ("risk_months", 6.0, "months", 1.0, 60.0, _ASSUMED),
    ("start_risk", 0.9, "R", 0.0, 10.0, "assumed: R at the opening, which appetite is solved for"),
    ("gate_risk", 0.5, "R", 0.0, 10.0, _ASSUMED),
    ("gate_trust", 0.5, "trust", 0.0, 1.0, _ASSUMED),
    ("gate_trust_step", 0.07, "trust a level", 0.0, 1.0, _ASSUMED),
    ("gate_months", 3.0, "months", 1.0, 24.0, _ASSUMED),
    ("stage_months", 2.0, "months", 1.0, 24.0, _ASSUMED),
    ("fallback_risk", 1.1, "R", 0.0, 100.0, _ASSUMED),
    ("fallback_months", 3.0, "months", 1.0, 24.0, _ASSUMED),
    (
        "start_value",
        200.0,
        "k$ a month at 8 SMEs",
        1.0,
        1e6,
        "solved: operating value of the average firm's first months",
    ),
    ("value_months", 3.0, "months", 1.0, 24.0, _ASSUMED),
    ("collapse_trust", 0.22, "trust", 0.0, 1.0, _ASSUMED),
    ("collapse_trust_months", 6.0, "months", 1.0, 60.0, _ASSUMED),
    ("collapse_cash", -600.0, "k$ at 8 SMEs", -1e7, 0.0, _ASSUMED),
    ("collapse_cash_months", 3.0, "months", 1.0, 60.0, _ASSUMED),
)

_REWARD = _group(
    "reward",
    ("loss_share", (0.40, 0.30, 0.30), "IT, business, finance", 0.0, 1.0, _ASSUMED),
    ("charge_back", 0.25, "share of security spending", 0.0, 1.0, _ASSUMED),
    ("weight_it", (1.0, 1.0, 1.0), "security, cost, value", 0.0, 100.0, _ASSUMED),
    ("weight_business", (1.0, 1.0, 1.0), "security, cost, value", 0.0, 100.0, _ASSUMED),
    ("weight_finance", (1.0, 1.0, 1.0), "security, cost, value", 0.0, 100.0, _ASSUMED),
    ("weight_sme", (1.0, 1.0, 1.0), "security, cost, value", 0.0, 100.0, _ASSUMED),
    ("kappa", 0.25, "k$ per k$ of ecosystem value", 0.0, 100.0, "assumed: at .03 trained teams end like selfish ones"),
    ("scale_it", 60.0, "k$", 1e-3, 1e6, "solved: average firm's monthly reward near 1"),
    ("scale_business", 100.0, "k$", 1e-3, 1e6, "solved"),
    ("scale_finance", 100.0, "k$", 1e-3, 1e6, "solved"),
    ("scale_sme", 90.0, "k$", 1e-3, 1e6, "solved"),
    ("scale_team", 300.0, "k$", 1e-3, 1e6, "solved"),
)

_SWITCHES = _group(
    "switches",
    *(
        (name, 1.0, "0 or 1", 0.0, 1.0, what)
        for name, what in (
            ("edge_aggregation_governance", "feedback edge 1"),
            ("edge_governance_value", "feedback edge 2"),
            ("edge_value_aggregation", "feedback edge 3"),
            ("arrow_data_finance", "reinforcement: user data serve forecasts"),
            ("arrow_capital_commerce", "reinforcement: capital serves SME growth"),
            ("arrow_security_assets", "reinforcement: security tools protect data and money"),
            ("modularity", "driver 1: AI modularity"),
            ("privacy_technology", "driver 1: privacy technology"),
            ("sme_participation", "driver 2: SMEs take part"),
            ("insurance", "losses are insured"),
            ("pool", "cell aggregation x commerce: federated pool"),
            ("forecasting", "cell aggregation x finance: forecast skill"),
            ("detection", "cell aggregation x cybersecurity: scanners find"),
            ("privacy_incidents", "cell governance x commerce: privacy incidents and fines"),
            ("market_risk", "cell governance x finance: market regimes"),
            ("greenwashing", "cell governance x finance: ratings, audits and press"),
            ("seat_turnover", "cell governance x finance: default and closure"),
            ("attacks", "cell governance x cybersecurity: attacks"),
            ("growth", "cell value x commerce: SME growth"),
            ("credit", "cell value x finance: loans"),
            ("shared_intelligence", "cell value x cybersecurity: threat intelligence"),
        )
    ),
)

_POLICY = _group(
    "policy",
    ("subsidy_tools", 0.0, "share of SME tool cost", 0.0, 1.0, "review 4.3"),
    ("tax_break_esg", 0.0, "share of ESG cost", 0.0, 1.0, "review 4.3"),
    ("privacy_strictness", 1.0, "x fines and incidents", 0.0, 20.0, "review 4.3"),
    ("verification_norm", 0.0, "least audited share", 0.0, 1.0, "review 4.3"),
    ("adaptive_rules", 0.0, "strictness per level", 0.0, 5.0, "review 4.3: rules that adapt to the level"),
)

_OBSERVATION = _group(
    "observation",
    (
        "observation_noise",
        (0.2, 0.2, 0.2, 0.05),
        "sd of premium and fraud (x), 10 IC and crowding (+)",
        0.0,
        10.0,
        _ASSUMED,
    ),
)

PARAMETERS: tuple[Parameter, ...] = (
    _TIME + _WORLD + _LEVERS + _STOCKS + _GOVERNANCE + _VALUE + _SPIRAL + _REWARD + _SWITCHES + _POLICY + _OBSERVATION
)

DERIVED: tuple[str, ...] = ("size", "breach_mean", "threat_mean", "sme_scale")
"""Numbers that follow from the parameters: (N/8)^size_exponent, mean breach k$, mean threat, 8/N."""


def _shape(value: Value) -> tuple[int, ...]:
    return (len(value),) if isinstance(value, tuple) else ()


PARAMS_DTYPE = np.dtype(
    (
        np.record,
        [(q.name, "f8", _shape(q.default)) for q in PARAMETERS] + [(name, "f8") for name in DERIVED],
    )
)


def limited_mean(mu: float, sigma: float, cap: float) -> float:
    """E[min(cap, LogNormal(mu, sigma))], in the unit of ``cap``; closed form."""
    if cap <= 0.0:
        return 0.0
    z = (math.log(cap) - mu) / sigma
    below = 0.5 * math.erfc(-(z - sigma) / math.sqrt(2.0))
    above = 0.5 * math.erfc(z / math.sqrt(2.0))
    return math.exp(mu + 0.5 * sigma * sigma) * below + cap * above


def pack(values: dict[str, Value], num_smes: int) -> np.ndarray:
    """One parameter record as an array of shape ``[1]``: ``values`` over the defaults, with what follows from them."""
    out = np.zeros(1, dtype=PARAMS_DTYPE)
    record = out[0]
    for q in PARAMETERS:
        record[q.name] = values.get(q.name, q.default)
    record["size"] = (num_smes / 8.0) ** float(record["size_exponent"])
    record["sme_scale"] = 8.0 / num_smes
    record["breach_mean"] = limited_mean(
        float(record["breach_mu"]) - math.log(1e3), float(record["breach_sigma"]), float(record["breach_cap"])
    )
    onset, end = float(record["campaign_onset"]), float(record["campaign_end"])
    busy = onset / (onset + end) if onset > 0.0 else 0.0
    third = float(record["threat_campaign"]) / 3.0 + 2.0 * float(record["threat_quiet"]) / 3.0
    record["threat_mean"] = busy * third + (1.0 - busy) * float(record["threat_quiet"])
    return out
