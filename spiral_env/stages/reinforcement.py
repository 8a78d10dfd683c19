"""How the domains reinforce each other while resources aggregate (paper 2.1); each arrow has a switch."""

from __future__ import annotations

from spiral_env.core._jit import kernel

__all__ = ["WRITES", "reinforce"]

WRITES = "reinforcement"


@kernel
def user_data_to_finance(s, p):
    """User data serve forecasts: skill_data (AUC - zero)/span added to q."""
    s.data_skill = p.arrow_data_finance * p.skill_data * (s.auc_pool - p.skill_auc_zero) / p.skill_auc_span


@kernel
def capital_to_commerce(s, p):
    """Capital serves SME growth: whether loans add to it."""
    s.capital_growth = p.arrow_capital_commerce


@kernel
def security_to_assets(s, p):
    """Security tools protect data and money: incidents and fraud x (1 - asset_protection detection)."""
    s.asset_protection = 1.0 - p.arrow_security_assets * p.asset_protection * s.detection


@kernel
def reinforce(s, p):
    """The three arrows, felt next month."""
    user_data_to_finance(s, p)
    capital_to_commerce(s, p)
    security_to_assets(s, p)
