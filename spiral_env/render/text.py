"""One month as a row of numbers, and as text for ``render_mode="ansi"``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spiral_env.core.ledger import Account
from spiral_env.metrics import SPENDING_KEYS, spending

__all__ = ["MONTH_COLUMNS", "STAGES", "episode_words", "month_row", "render_text"]

STAGES = ("aggregation", "governance", "value")
MONTH_COLUMNS: dict[str, str] = {
    "month": "months",
    "level": "levels",
    "stage": "stage",
    "A": "need",
    "R": "appetite",
    "V": "target",
    "height": "levels",
    "trust": "share",
    "alert": "tier",
    "open": "vulnerabilities",
    "patched": "vulnerabilities",
    "members": "SMEs",
    "auc": "AUC",
    "eps12": "epsilon",
    "expected_loss": "k$",
    "realised_loss": "k$",
    "operating_value": "k$",
    "ecosystem_value": "k$",
    "platform_cash": "k$",
    "treasury_cash": "k$",
    **dict.fromkeys(SPENDING_KEYS, "k$"),
}
_TIERS = ("edge", "core", "internal")


def month_row(s: Any) -> dict[str, float | int | str]:
    """The month just lived of a state record, in the columns of ``MONTH_COLUMNS``."""
    smes = slice(0, int(s.num_smes))
    return {
        "month": int(s.month),
        "level": int(s.level),
        "stage": STAGES[int(s.stage)],
        "A": float(s.aggregation),
        "R": float(s.risk),
        "V": float(s.value),
        "height": float(s.height),
        "trust": float(s.trust),
        "alert": _TIERS[int(s.alert_tier)] if s.alert else "-",
        "open": int(s.num_open),
        "patched": int(s.patched),
        "members": int(s.num_members),
        "auc": float(s.auc_pool),
        "eps12": float(s.eps12),
        "expected_loss": float(s.expected_breach + s.sme_expected[smes].sum()),
        "realised_loss": float(s.breach_loss + s.sme_loss[smes].sum()),
        "operating_value": float(s.operating_value),
        "ecosystem_value": float(s.ecosystem_value),
        "platform_cash": float(s.balance[Account.PLATFORM]),
        "treasury_cash": float(s.balance[Account.TREASURY]),
        **spending(s),
    }


def episode_words(months: Sequence[Mapping[str, Any]]) -> str:
    """What the rows of an episode's months come to, in a sentence."""
    last = months[-1]
    value = sum(row["ecosystem_value"] for row in months) / len(months)
    lost = [row["realised_loss"] for row in months if row["realised_loss"] > 0.0]
    count = f"{len(lost)} month{'s' * (len(lost) != 1)}"
    said = f"Breaches cost {sum(lost):,.1f} k$ in {count}." if lost else "No breach cost anything."
    return (
        f"After {last['month']} months: {last['level']} levels climbed, stage {last['stage']}, "
        f"trust {last['trust']:.2f}.\n"
        f"The ecosystem was worth {value:,.1f} k$ a month.\n{said}"
    )


def render_text(s: Any, p: Any) -> str:
    """The month as aligned lines of name, value and unit."""
    row = month_row(s)
    lines = [f"month {row['month']} of {int(s.max_cycles)}"]
    for name, unit in MONTH_COLUMNS.items():
        value = row[name]
        shown = f"{value:,.2f}" if isinstance(value, float) else str(value)
        lines.append(f"  {name:<16}{shown:>14} {unit}")
    return "\n".join(lines)
