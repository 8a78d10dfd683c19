"""Worlds: versioned TOML files, validated, with unit, range and source for every number."""

from __future__ import annotations

from spiral_env.scenarios.loading import load_scenario, scenario_ids
from spiral_env.scenarios.schema import Scenario

__all__ = ["Scenario", "load_scenario", "scenario_ids"]
