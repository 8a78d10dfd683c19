"""An SME that weighs its own profit: it joins when the pool beats going alone, and patches while that saves more."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.core.params import limited_mean
from spiral_env.scenarios import Scenario, load_scenario

__all__ = ["MarginalSme"]

_limited_means = np.vectorize(limited_mean, otypes=[np.float64])
_YEAR = 12.0
_TENANTS, _MODULES = 8, 0.5
"""What an SME does not see: firms among which it thinks of a share of tenants, and the platform's modules."""


class MarginalSme(Rules):
    """Membership, sharing and hygiene by marginal benefit, from the laws of the model and what an SME sees.

    Hygiene: Gordon & Loeb (2002) at the margin, month by month. Membership: the outside option of study [2] against the
    channel, the better model (study [1]) and the pay for records (study [7]). Assumed where it sees nothing: modules
    built to a half, the opening's lesson, and an episode as long as the world's. All else is the average firm's.
    """

    name, roles = "marginal_sme", ("sme",)

    def __init__(self, role: str, world: Scenario | str = "baseline-v1") -> None:
        """For one role, with the numbers of ``world``: a policy is not told in which it plays."""
        super().__init__(role)
        built = load_scenario(world).world()
        self._p, self._months = built.base()[0], built.max_cycles

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """The three levers."""
        left = np.maximum(1.0, see["months_left"] * self._months)
        revenue = self._p["sme_revenue_reference"] * np.exp(see["size"])
        return {
            "patching": self._hygiene(see, revenue, left),
            "module_tier": np.where(self._joins(see, revenue, left), 0.5, 0.0),
            "data_sharing": self._sharing(see, revenue, left),
        }

    def _scale(self, revenue: np.ndarray) -> np.ndarray:
        """Of an SME's costs."""
        scale: np.ndarray = np.sqrt(revenue / self._p["sme_revenue_reference"])
        return scale

    def _stepped(self, benefit: np.ndarray, table: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """The effort up to which a constant benefit of effort passes the slope of its cost."""
        slopes = 2.0 * np.diff(table)
        return 0.5 * (benefit > slopes[0] * scale) + 0.5 * (benefit > slopes[1] * scale)

    def _hygiene(self, see: Mapping[str, np.ndarray], revenue: np.ndarray, left: np.ndarray) -> np.ndarray:
        """What a month's effort adds to hygiene, times what hygiene saves until it has faded."""
        p, x = self._p, see["hygiene"]
        load = 1.0 + p["insurance"] * p["insured_share"] * p["insurance_load"]
        mean = _limited_means(p["sme_loss_mu"] - np.log(1000.0), p["sme_loss_sigma"], 12.0 * revenue)
        hazard = p["sme_hazard"] * p["hygiene_ratio"] ** (p["hygiene_reference"] - x)
        loss = load * mean * hazard * p["threat_growth"] ** see["level"]
        gain = p["stock_gain"] * (p["gain_base"] + p["lesson_gain"] * p["start_lesson"])
        added = gain * (1.0 - x) + p["stock_decay"] * x
        kept = 1.0 - 0.5 * (gain + p["stock_decay"])
        lasting = (1.0 - kept**left) / (1.0 - kept)
        return self._stepped(
            added * np.log(p["hygiene_ratio"]) * loss * lasting, p["cost_hygiene"], self._scale(revenue)
        )

    def _growth(self, auc_gain: np.ndarray, revenue: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Profit, k$ a month, of working for a month with a model that is better by so much."""
        p = self._p
        growth: np.ndarray = p["growth"] * p["growth_data"] * auc_gain / p["growth_auc_span"]
        return growth * revenue * p["sme_marginal"] * left

    def _sharing(self, see: Mapping[str, np.ndarray], revenue: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Access to the pool's model, and the pay for last month's records by the effort that gave them."""
        p = self._p
        better = np.maximum(0.0, see["pool_auc"] - see["own_auc"]) * (1.0 - p["access_floor"])
        given = see["last_data_sharing"]
        pay = np.where(given > 0.0, see["payout"] / np.maximum(given, 0.5), 0.0)
        return self._stepped(self._growth(better, revenue, left) + pay, p["cost_sharing"], self._scale(revenue))

    def _joins(self, see: Mapping[str, np.ndarray], revenue: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Whether a year as a basic member beats one outside; what joining costs speaks for what is."""
        p, scale = self._p, self._scale(revenue)
        firms = see["tenant_share"] * _TENANTS + p["partner_tenants"] * _TENANTS * see["partners"]
        network = np.log1p(firms) / np.log1p(_TENANTS * (1.0 + p["partner_tenants"]))
        undisturbed = 1.0 - p["interference"] * (1.0 - _MODULES) * see["tenant_share"]
        channel = p["channel_share"] * _MODULES * 2.0 * see["trust"] * network * undisturbed - p["outside_share"]
        better = np.maximum(0.0, see["pool_auc"] - see["own_auc"])
        income = p["channel_margin"] * channel * revenue + self._growth(better, revenue, left) + see["payout"]
        gain = income - see["fee_next"] - p["member_cost"][1] * scale
        inside, year = (see["member"] > 0.0) | (see["lag"] > 0.0), np.minimum(left, _YEAR)
        price = p["joining_cost"] * scale
        joins: np.ndarray = np.where(inside, gain * year > -price, gain * (year - p["joining_months"]) > price)
        return joins
