"""Results in the form that marl-eval reads: environment, task, algorithm, run, metrics (Gorsane et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ENVIRONMENT", "as_marl_eval"]

ENVIRONMENT = "spiral_env"


def as_marl_eval(result: Mapping[str, Any], run: str = "run_1") -> dict[str, Any]:
    """What an evaluation measured, as raw experiment data of marl-eval.

    A policy that is evaluated is done with learning: there is one step, whose metrics are those of every episode, as
    are the absolute ones. Commas, which marl-eval does not allow, become semicolons in names.

    Args:
        result: of ``as_result``.
        run: name of the run; results of several training seeds of one algorithm are merged under one name each.
    """
    task = str(result["scenario"]["id"])
    teams = {name.replace(",", ";"): x for name, x in result["teams"].items() if "metrics" in x}
    return {ENVIRONMENT: {task: {name: {run: _run(x["metrics"])} for name, x in teams.items()}}}


def _run(metrics: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: x["episodes"] for name, x in metrics.items()}
    return {"step_0": {"step_count": 0, **values}, "absolute_metrics": values}
