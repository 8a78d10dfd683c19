"""Business by the investment rule of Gordon and Loeb (2002): security up to where the last k$ saves a k$ of loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.scenarios import Scenario, load_scenario

__all__ = ["GordonLoeb", "optimal_investment"]

_LEVERS = {"maintenance_window": "window_hours", "privacy_tech": "cost_privacy"}
"""What business spends on security alone -> the table of what it costs; an hour of the window is a k$."""
_HALVES = np.array([0.0, 0.5, 1.0])


def optimal_investment(loss: np.ndarray, productivity: float) -> np.ndarray:
    """What to spend where a breach function of class I with beta = 1, loss/(productivity z + 1), is the world's.

    z = (sqrt(productivity loss) - 1)/productivity, where it is positive; it never passes 1/e of the loss (Gordon &
    Loeb 2002, propositions 1 and 3).

    Args:
        loss: expected loss without security, k$ a month.
        productivity: of a k$, 1/k$.
    """
    best: np.ndarray = (np.sqrt(np.maximum(productivity * loss, 1.0)) - 1.0) / productivity
    return best


class GordonLoeb(Rules):
    """Spends on the maintenance window and on privacy technology what the rule says of the premium that it sees.

    The premium tells the expected loss at what was spent last month, and the breach function what it would be without.
    Productivity is assumed: both levers at their highest divide the loss by ``hygiene_ratio``. All else is the average
    firm's. Money is a k$ at 8 SMEs, as the observation is.
    """

    name, roles = "gordon_loeb", ("business",)

    def __init__(self, role: str, world: Scenario | str = "baseline-v1") -> None:
        """For one role, with the prices of ``world``: a policy is not told in which it plays."""
        super().__init__(role)
        p = load_scenario(world).world().base()[0]
        self._costs = {lever: np.array(p[table]) for lever, table in _LEVERS.items()}
        self._costs["maintenance_window"] *= p["window_price"]
        self._table = np.sum(list(self._costs.values()), axis=0)
        self._productivity = (float(p["hygiene_ratio"]) - 1.0) / float(self._table[-1])
        insured, load = float(p["insured_share"]), float(p["insurance_load"])
        self._loss_by_premium = (1.0 + insured * load) / (insured * (1.0 + load))

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """One effort for both levers."""
        spent = sum(np.interp(see[f"last_{lever}"], _HALVES, table) for lever, table in self._costs.items())
        loss = see["premium"] * self._loss_by_premium * (self._productivity * spent + 1.0)
        effort = np.interp(optimal_investment(loss, self._productivity), self._table, _HALVES)
        return dict.fromkeys(_LEVERS, effort)
