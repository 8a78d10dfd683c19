"""The worked month of MODEL.md, told by the simulator: ``python -m tests.benchmarks.worked_month`` (``--write``)."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spiral_env.agents import load_policy
from spiral_env.core.ledger import Account
from spiral_env.files import write_atomically
from spiral_env.parallel_env import parallel_env
from spiral_env.policy import ask_policy, episode_keys, reset_policy
from spiral_env.render.text import STAGES
from spiral_env.roles import LEVERS, ROLES

PAGE = Path(__file__).parents[2] / "MODEL.md"
SCENARIO, POLICY, SEED, MONTH = "small-v1", "scripted", 1, 15
TIERS = ("edge", "core", "internal")
POSTURES = LEVERS["it"][0].options
BLOCK = re.compile(r"(<!-- worked month -->\n).*?(<!-- end -->)", re.S)

CHOICES = {
    "finance": """
        release {s.release:.1f} k$ to security; audit {s.audit_share:.0%} of the firms; disclosure
        {s.disclosure_effort:.2f}; green from a rating of {s.green_threshold:.2f}; {s.weight:.0%} of the book in assets
        """,
    "IT": "{postures}; scanning {s.scanning_effort:.2f}, intelligence {s.intel_effort:.2f}, triage {s.triage:.2f}",
    "business": """
        window {s.window_effort:.2f}, modules {s.modules_effort:.2f}, privacy technology {s.privacy_effort:.2f}, checks
        {s.verification_effort:.2f}; epsilon {s.epsilon:.2f} a release; fee effort {s.fee_effort:.2f}
        """,
    "SMEs, all": """
        {s.num_members} of {s.num_smes} are members and share {s.member_sharing:.0%}, curation {curation:.2f}; ESG:
        {invest} invest, {claim} claim
        """,
}
STORY = (
    """
    **Aggregation.** The pool goes from {q.pool:,.0f} to {s.pool:,.0f} good records; {s.fraud:.1%} of all held are bad.
    Its model reaches an AUC of {s.auc_pool:.3f}, a firm's own {own:.3f} on average. Members get {s.payouts:.2f} k$ for
    what was accepted. Forecast skill is {s.skill:.3f}, capital {s.capital:,.0f} k$. Of new
    vulnerabilities {s.arrivals} arrive; the tools find one within a month with a chance of {s.detection:.0%} and raise
    {s.false_findings} false findings.
    """,
    """
    **Governance.** The efforts agree on {s.hours:.1f} hours, {s.delay:.0%} of a month late. Patches: {s.patched} land,
    {s.failed} fail; {s.isolated} items are isolated, for {s.patching_cost:.1f} k$ in all; {known} known ones stay open.
    {threat}. A breach has a chance of {s.event_probability:.2%} and an expected loss of {s.expected_breach:.1f} k$, all
    firms together {firms_expected:.2f} k$; drawn: breaches {s.breach}, events at firms {events}; epsilon over twelve
    months is {s.eps12:.2f}, a privacy incident has a chance of {s.incident_probability:.2%}. The market returns
    {s.market_return:+.1%} ({regime}, which nobody sees), the book {s.portfolio_return:+.2%}. Green firms: {green};
    findings: {s.findings}; {closed} firms close.
    """,
    """
    **Value.** The platform sells for {s.sales:,.0f} k$, a margin of {s.sales_margin:,.0f}; firms earn {profit:,.0f} k$.
    Loans stand at {s.loans:,.0f} k$; interest {s.interest:.1f}, green funds {s.green_income:.1f}, to depositors
    {s.deposit_interest:.1f} k$. The book of {s.book:,.0f} k$ is worth {s.certainty_equivalent:.1f} k$ this month in
    certainty equivalent and earns {s.market_income:+.1f} drawn. The platform pays a premium of {s.premium:.1f} k$ and
    remits {s.remitted:.1f} to the treasury.
    """,
    """
    **Books.** Operating value {s.operating_value:,.1f} + certainty equivalent {s.certainty_equivalent:.1f} -
    externality {s.externality:.1f} = ecosystem value {s.ecosystem_value:,.1f} k$.
    """,
    """
    **Feedback.** Lessons: security {q.lesson_security:.3f} to {s.lesson_security:.3f}, privacy
    {q.lesson_privacy:.3f} to {s.lesson_privacy:.3f}, finance {q.lesson_finance:.3f} to {s.lesson_finance:.3f}; gains
    {s.gain_security:.2f}, {s.gain_privacy:.2f} and {s.gain_finance:.2f}. Trust {q.trust:.3f} to {s.trust:.3f}, partners
    {q.partners:.3f} to {s.partners:.3f}, deposits {q.deposits:,.0f} to {s.deposits:,.0f} k$. Proof is {s.proof:.3f},
    scope {s.scope:.2f}.
    """,
    """
    **Spiral.** A = {s.aggregation:.2f}, R = {s.risk:.2f}, V = {s.value:.2f}; trust needed {s.trust_needed:.2f}; level
    {s.level}, stage {stage}, months at the gate {s.gate_count}, height {s.height:.2f}.
    """,
)


class Lived(NamedTuple):
    """A month: the record before and after it, and what each agent was rewarded with, ``[agents, 3]`` in k$."""

    before: Any
    after: Any
    vectors: np.ndarray


def live() -> Lived:
    """Play to the month."""
    env = parallel_env(SCENARIO, action_mode="continuous")
    env.reset(seed=SEED)
    team = {role: load_policy(POLICY, role) for role in ROLES}
    for role in ROLES:
        reset_policy(team[role], role, episode_keys([SEED]))
    for _ in range(MONTH):
        before = env.engine.states[0].copy()
        efforts = [row for r in ROLES for row in ask_policy(team[r], r, env.engine.observations[r])[0]]
        *_, infos = env.step(dict(zip(env.agents, efforts, strict=True)))
    vectors = np.array([[info[x] for x in ("security", "cost", "value")] for info in infos.values()])
    return Lived(before, env.engine.states[0], vectors)


def _postures(s: Any) -> str:
    told = []
    for tier, wish, got in zip(TIERS, s.it_action[:3], s.posture, strict=True):
        wished = min(2, int(3.0 * wish))
        cut = "" if wished == got else f" (the budget pays `{POSTURES[got]}`)"
        told.append(f"`{POSTURES[wished]}` on {tier}{cut}")
    return ", ".join(told)


def _threat(s: Any) -> str:
    alert = f"The alert names the {TIERS[s.alert_tier]} tier" if s.alert else "No alert"
    return f"{alert}; unseen, {f'a campaign runs on {TIERS[s.campaign]}' if s.campaign >= 0 else 'no campaign runs'}"


def _words(q: Any, s: Any) -> dict[str, Any]:
    """What the templates name beside fields of the record before (``q``) and after (``s``) the month."""
    n = int(s.num_smes)
    return {
        "q": q,
        "s": s,
        "postures": _postures(s),
        "threat": _threat(s),
        "curation": s.sme_curation[:n].mean(),
        "invest": int((s.sme_esg_mode[:n] == 2).sum()),
        "claim": int((s.sme_esg_mode[:n] == 1).sum()),
        "own": s.sme_own_auc[:n].mean(),
        "known": int(s.tier_known.sum()),
        "firms_expected": s.sme_expected[:n].sum(),
        "events": int((s.sme_event[:n] > 0).sum()),
        "regime": "stress" if s.stress else "calm",
        "green": int(s.sme_green[:n].sum()),
        "closed": int((s.sme_closing[:n] > 0).sum()),
        "profit": s.sme_profit[:n].sum(),
        "stage": STAGES[s.stage],
    }


def _money(s: Any) -> list[tuple[float, float]]:
    """Asked for and paid, k$, in the order of ``CHOICES``."""
    n = int(s.num_smes)
    smes = (s.sme_asked[:n].sum(), s.sme_cost[:n].sum())
    return [
        (s.finance_asked, s.finance_cost),
        (s.it_asked, s.it_cost),
        (s.business_asked, s.business_cost),
        smes,
    ]


def _table(head: str, rows: list[list[str]]) -> list[str]:
    names = head.split(" | ")
    return [f"| {head} |", "|---" * len(names) + "|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _ledger(q: Any, s: Any) -> list[list[str]]:
    places = [getattr(Account, x.upper()) for x in ("platform", "treasury", "security", "smes", "world")]
    after = np.array([s.balance[k] for k in places])
    moved = after - np.array([q.balance[k] for k in places])
    rows = {"at the end": (after, ",.1f"), "moved": (moved, "+,.1f")}
    return [[name, *(f"{x:{form}}" for x in row), f"{abs(row.sum()):.0f}"] for name, (row, form) in rows.items()]


def _rewards(vectors: np.ndarray) -> list[list[str]]:
    rows = dict(zip(("IT", "business", "finance", "an SME, mean"), [*vectors[:3], vectors[3:].mean(0)], strict=True))
    return [[name, *(f"{x:,.1f}" for x in (*row, row.sum()))] for name, row in rows.items()]


def text() -> str:
    """The block as it should stand in MODEL.md."""
    q, s, vectors = live()
    words = _words(q, s)
    told = zip(CHOICES.items(), _money(s), strict=True)
    choices = [[who, " ".join(x.format(**words).split()), f"{a:.1f}", f"{b:.1f}"] for (who, x), (a, b) in told]
    story = [" ".join(x.format(**words).split()) for x in STORY]
    lines = [
        f"`{SCENARIO}`, {POLICY} team, seed {SEED}, month {MONTH}.",
        "",
        *_table("role | chose | asked, k$ | paid, k$", choices),
        *(textwrap.fill(x, 120, initial_indent="* ", subsequent_indent="  ") for x in story),
        "",
        *_table("balance, k$ | platform | treasury | security | SMEs, all | world | sum", _ledger(q, s)),
        *_table("reward, k$ | security | cost | value | sum", _rewards(vectors)),
    ]
    return "\n".join(lines)


def stored(page: str) -> str:
    """The page with the block as it should stand in it."""
    return BLOCK.sub(lambda found: found[1] + text() + found[2], page)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write_atomically(PAGE, stored(PAGE.read_text(encoding="utf-8")))
    elif not sys.argv[1:]:
        print(text())
    else:
        sys.exit("usage: python -m tests.benchmarks.worked_month [--write]")
