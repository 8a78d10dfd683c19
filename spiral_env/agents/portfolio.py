"""Finance by its portfolio (study [6]): equal weight, and an LSTM's forecasts with mean-variance weights by skfolio.

All else is the average firm's. An effort for an asset is its weight in every shipped world.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.roles import FEATURES, LEVERS
from spiral_env.roles.finance import ASSETS
from spiral_env.scenarios import Scenario, load_scenario

__all__ = ["EqualWeight", "LstmPortfolio", "mean_variance_weights"]

_WEIGHTS = [k for k, lever in enumerate(LEVERS["finance"]) if lever.name.startswith("asset_")]
_LAST = [k for k, x in enumerate(FEATURES["finance"]) if x.name.startswith("last_asset_")]
_DECIMALS = 3
"""A solver's last digits depend on what else it solves; what is done must not."""


class EqualWeight(Rules):
    """All money in the assets, alike (1/N; DeMiguel et al. 2009)."""

    name, roles = "equal_weight", ("finance",)

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """One weight for all."""
        return {f"asset_{asset}": 1.0 / len(ASSETS) for asset in ASSETS}


class LstmPortfolio(Rules):
    """Forecasts by the shipped LSTM (``spiral_env.agents.forecaster``), weights by mean and variance after costs.

    Attributes:
        covariance: of the assets' returns that weights are chosen by, ``[assets, assets]``.
    """

    name, roles = "lstm_portfolio", ("finance",)

    def __init__(self, role: str, forecaster: Any = None, world: Scenario | str = "baseline-v1") -> None:
        """For one role.

        Args:
            role: finance.
            forecaster: a ``Forecaster``; None for the shipped one.
            world: whose cash rate, trading cost and risk aversion count: a policy is not told in which it plays.

        Raises:
            ImportError: torch or skfolio is missing.
        """
        super().__init__(role)
        try:
            import skfolio  # noqa: F401

            from spiral_env.agents.forecaster import load_forecaster
        except ModuleNotFoundError as error:
            raise ImportError(f"no module {error.name}: pip install 'spiral-env[baselines]'") from None
        self._forecaster = (forecaster or load_forecaster()).double()
        self.covariance = self._forecaster.covariance.numpy()
        p = load_scenario(world).world().base()[0]
        self._cash, self._cost, self._aversion = (float(p[x]) for x in ("cash_rate", "trading_cost", "risk_aversion"))
        self._memory: Any = None

    def reset(self, keys: np.ndarray) -> None:
        """Forget what was seen."""
        self._memory = None

    def forecast(self, observation: np.ndarray) -> np.ndarray:
        """Returns expected of the next month ``[E, assets]`` from finance's observations ``[E, 1, O]``; remembers."""
        import torch

        from spiral_env.agents.forecaster import RETURN_SCALE, inputs

        seen = torch.from_numpy(inputs(observation[:, 0])).double()
        with torch.no_grad():
            out, self._memory = self._forecaster(seen.flatten(0, 1).unsqueeze(1), self._memory)
        return RETURN_SCALE * out.numpy().reshape(len(observation), len(ASSETS))

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, 1, L]``."""
        efforts = super().act(observation)
        held = observation[:, 0, _LAST].astype(np.float64)
        excess = self.forecast(observation) - self._cash
        weights = mean_variance_weights(excess, self.covariance, self._aversion, held, self._cost)
        efforts[:, 0, _WEIGHTS] = weights
        return efforts


def mean_variance_weights(
    excess: np.ndarray, covariance: np.ndarray, aversion: float, held: np.ndarray, cost: float
) -> np.ndarray:
    """Weights ``[E, assets]``, none below 0 nor above 1 in sum, the rest in cash (Markowitz 1952).

    They maximise excess . w - aversion/2 w . covariance w - cost |w - held|. All portfolios are one problem of
    skfolio's, a block each.

    Args:
        excess: expected returns above cash ``[E, assets]``.
        covariance: of the returns ``[assets, assets]``.
        aversion: to variance.
        held: weights before ``[E, assets]``.
        cost: of what is traded.
    """
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    count, assets = excess.shape
    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_measure=RiskMeasure.VARIANCE,
        risk_aversion=aversion / 2.0,
        budget=None,
        left_inequality=np.kron(np.eye(count), np.ones(assets)),
        right_inequality=np.ones(count),
        transaction_costs=cost,
        previous_weights=held.reshape(-1),
        prior_estimator=_given(excess.reshape(-1), np.kron(np.eye(count), covariance)),
    )
    # skfolio asks for returns; with the moments given only their number of assets counts.
    model.fit(np.zeros((2, count * assets)))
    weights: np.ndarray = np.round(np.clip(model.weights_.reshape(count, assets), 0.0, 1.0), _DECIMALS)
    return weights


def _given(mean: np.ndarray, covariance: np.ndarray) -> Any:
    """A prior of skfolio's that holds given moments."""
    from skfolio.prior import BasePrior, ReturnDistribution

    class Given(BasePrior):
        def __init__(self, mean: Any = None, covariance: Any = None) -> None:
            self.mean, self.covariance = mean, covariance

        def fit(self, X: Any, y: Any = None, **options: Any) -> Given:
            self.return_distribution_ = ReturnDistribution(self.mean, self.covariance, X)
            return self

    return Given(mean, covariance)
