"""Portfolios after costs, and how well returns can be forecast (study [6])."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiral_env.agents.forecaster import INPUTS, RETURN_SCALE, history, inputs
from spiral_env.agents.portfolio import EqualWeight, LstmPortfolio, mean_variance_weights
from spiral_env.evaluation import Interval
from spiral_env.policy import STATUS_QUO, Policy, StatusQuo
from spiral_env.roles import LEVERS, ROLES
from spiral_env.roles.finance import NUM_ASSETS
from spiral_env.scenarios import Scenario
from tests.benchmarks.watched import watched

__all__ = ["NAMES", "Linear", "TrueMoments", "forecasts", "portfolios"]

NAMES = ("market", "equal weight", "average firm", "LSTM", "linear regression", "true expected returns")
_FIELDS = ("portfolio_return", "weight_change", "market_return", "month")
_YEAR = 12.0
_DRAWS = 1000
_FITTED = 1024
"""Episodes that the regression is fitted to."""


class Linear:
    """Least squares on what the LSTM reads of the month, with its covariance: what memory adds is the difference."""

    def __init__(self, world: Scenario, fitted: int = _FITTED) -> None:
        """Fit to so many training episodes of the world."""
        import torch

        observations, returns = history(world, world.training_seeds(0, fitted))
        seen = inputs(observations).reshape(-1, INPUTS).astype(np.float64)
        columns = np.column_stack([np.ones(len(seen)), seen])
        weights = np.linalg.lstsq(columns, returns.reshape(-1) / RETURN_SCALE, rcond=None)[0]
        self._weights = torch.from_numpy(weights)
        self.covariance = torch.from_numpy(np.cov(returns.reshape(-1, NUM_ASSETS).T))

    def double(self) -> Linear:
        """As a module of torch's."""
        return self

    def __call__(self, seen: Any, memory: Any = None) -> tuple[Any, Any]:
        """Forecasts ``[B, T]`` of ``seen`` ``[B, T, INPUTS]``; nothing is remembered."""
        return self._weights[0] + seen @ self._weights[1:], None


class TrueMoments:
    """Finance that knows the regime and each asset's expected return: no forecast can do better.

    It plays from the state, which no policy sees.
    """

    role = "finance"

    def __init__(self, covariance: np.ndarray) -> None:
        """``covariance``: of the returns, as others weigh it ``[assets, assets]``."""
        self._covariance = covariance

    def plan(self, engine: Any) -> np.ndarray:
        """Efforts ``[E, 1, L]``."""
        p, s = engine.params[0], engine.states
        excess = true_excess(s, p)
        held = s["asset_weight"]
        cost, aversion = float(p["trading_cost"]), float(p["risk_aversion"])
        efforts = np.tile(np.array(STATUS_QUO["finance"]), (engine.num_envs, 1, 1))
        places = [k for k, lever in enumerate(LEVERS["finance"]) if lever.name.startswith("asset_")]
        efforts[:, 0, places] = mean_variance_weights(excess, self._covariance, aversion, held, cost)
        return efforts

    def put_back(self, engine: Any) -> None:
        """Nothing was changed."""


def true_excess(states: Any, p: Any) -> np.ndarray:
    """Expected returns above cash in the month that comes, ``[E, assets]``, from the true regime and alphas."""
    stay = p["market_stay"][states["stress"]]
    mean, other = p["market_mean"][states["stress"]], p["market_mean"][1 - states["stress"]]
    market = stay * mean + (1.0 - stay) * other - p["cash_rate"]
    return np.asarray(p["asset_beta"] * market[:, None] + states["asset_alpha"])


def portfolios(world: Scenario, episodes: int) -> dict[str, Any]:
    """Name -> return and volatility in % a year, turnover a year, Sharpe ratio after costs, against equal weight."""
    seeds = world.evaluation_seeds(0, episodes)
    lstm, linear = LstmPortfolio("finance"), LstmPortfolio("finance", Linear(world))
    covariance = lstm.covariance
    players: dict[str, Policy] = {"equal weight": EqualWeight("finance"), "average firm": StatusQuo("finance")}
    players |= {"LSTM": lstm, "linear regression": linear}
    found = {}
    for name, policy in players.items():
        found[name] = _series(world, policy, seeds, None)
    found["true expected returns"] = _series(world, StatusQuo("finance"), seeds, TrueMoments(covariance))
    market = found["average firm"]["market"]
    found["market"] = {"excess": market, "turnover": np.zeros_like(market)}
    base = found["equal weight"]["excess"]
    return {name: _row(found[name], base) for name in NAMES}


def _series(world: Scenario, policy: Policy, seeds: list[int], privileged: Any) -> dict[str, np.ndarray]:
    """Monthly returns above cash after costs, of the book and of the market, and turnover, ``[T, E]``; nan: ended."""
    team = {role: StatusQuo(role) for role in ROLES} | {"finance": policy}
    seen, _, p = watched(world, team, seeds, _FIELDS, privileged)
    lived = np.where(seen["month"] > 0.0, 1.0, np.nan)
    excess = seen["portfolio_return"] - p["trading_cost"] * seen["weight_change"] - p["cash_rate"]
    return {
        "excess": excess * lived,
        "turnover": seen["weight_change"] * lived,
        "market": (seen["market_return"] - p["cash_rate"]) * lived,
    }


def sharpe(excess: np.ndarray) -> float:
    """Annual Sharpe ratio of monthly returns above cash, nan left out."""
    return float(np.sqrt(_YEAR) * np.nanmean(excess) / np.nanstd(excess))


def _row(series: dict[str, np.ndarray], base: np.ndarray) -> dict[str, Any]:
    excess = series["excess"]
    rng = np.random.default_rng(0)
    picks = rng.integers(0, excess.shape[1], (_DRAWS, excess.shape[1]))
    drawn = np.array([[sharpe(excess[:, k]), sharpe(excess[:, k]) - sharpe(base[:, k])] for k in picks])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        "return above cash, %": 100.0 * _YEAR * float(np.nanmean(excess)),
        "volatility, %": 100.0 * float(np.sqrt(_YEAR) * np.nanstd(excess)),
        "turnover": _YEAR * float(np.nanmean(series["turnover"])),
        "Sharpe ratio": Interval(sharpe(excess), float(low[0]), float(high[0])),
        "against equal weight": Interval(sharpe(excess) - sharpe(base), float(low[1]), float(high[1])),
    }


def forecasts(world: Scenario, episodes: int, fitted: int = _FITTED) -> dict[str, Any]:
    """Name -> correlation with the next month's return, with its own part, and of its order among the assets."""
    seeds = world.evaluation_seeds(0, episodes)
    fields = ("asset_return", "asset_signal", "asset_alpha", "market_return", "skill", "month", "stress")
    lstm, linear = _Listening(LstmPortfolio("finance")), _Listening(LstmPortfolio("finance", Linear(world, fitted)))
    given = {}
    for name, policy in {"LSTM": lstm, "linear regression": linear}.items():
        team: dict[str, Policy] = {role: StatusQuo(role) for role in ROLES} | {"finance": policy}
        seen, _, p = watched(world, team, seeds, fields)
        # What is forecast before a month, from the second on: the first has seen nothing.
        given[name] = np.stack(policy.heard)[1:]
    market = seen["market_return"][..., None] - p["cash_rate"]
    own = seen["asset_return"] - p["cash_rate"] - p["asset_beta"] * market
    states = {name: x[:-1] for name, x in seen.items()}
    flat = {"stress": states["stress"].astype(int).reshape(-1)}
    flat["asset_alpha"] = states["asset_alpha"].reshape(-1, NUM_ASSETS)
    given |= {"signal": states["asset_signal"], "true expected own return": states["asset_alpha"]}
    given["true expected return"] = true_excess(flat, p).reshape(states["asset_alpha"].shape)
    whole = seen["month"][1:] > 0.0
    targets = {"with the return": seen["asset_return"][1:], "with the own part": own[1:]}
    rows: dict[str, Any] = {
        name: {column: _correlation(x, y, whole) for column, y in targets.items()} for name, x in given.items()
    }
    skill = seen["skill"][1:][whole]
    rows["skill of the model, mean"] = {"with the return": None, "with the own part": float(skill.mean())}
    return rows


class _Listening:
    """An LSTM portfolio whose forecasts are kept."""

    def __init__(self, policy: LstmPortfolio) -> None:
        self._policy, self.name, self.heard = policy, policy.name, []
        self._forecast = policy.forecast
        policy.forecast = self._kept  # type: ignore[method-assign]

    def _kept(self, observation: np.ndarray) -> np.ndarray:
        self.heard.append(self._forecast(observation))
        return self.heard[-1]

    def reset(self, keys: np.ndarray) -> None:
        self._policy.reset(keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        return self._policy.act(observation)


def _correlation(x: np.ndarray, y: np.ndarray, whole: np.ndarray) -> Interval:
    """Of forecasts and returns ``[T, E, assets]`` pooled where ``whole`` ``[T, E]``, with a bootstrap over episodes."""

    def of(episodes: np.ndarray) -> float:
        kept = whole[:, episodes]
        return float(np.corrcoef(x[:, episodes][kept].reshape(-1), y[:, episodes][kept].reshape(-1))[0, 1])

    rng, count = np.random.default_rng(0), whole.shape[1]
    drawn = [of(rng.integers(0, count, count)) for _ in range(_DRAWS // 4)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(of(np.arange(count)), float(low), float(high))
