"""An LSTM that forecasts asset returns from the history that finance is shown (study [6]).

One small network reads each asset alike: its return and signal of the month, the market's return and the published
volatility. It is trained on training seeds of a world by least squares, and kept with the covariance of the returns it
was trained on. ``python -m spiral_env.agents.forecaster`` trains the one that is shipped anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spiral_env.files import read_file, write_atomically
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import FEATURES, ROLES
from spiral_env.roles.finance import ASSETS
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["SHIPPED", "Forecaster", "history", "inputs", "load_forecaster", "train_forecaster"]

SHIPPED = Path(__file__).with_name("forecaster.safetensors")
HIDDEN, INPUTS = 16, 4
_LARGEST = 2**20
_NAMES = [x.name for x in FEATURES["finance"]]
_RETURNS = [_NAMES.index(f"asset_return_{x}") for x in ASSETS]
_SIGNALS = [_NAMES.index(f"asset_signal_{x}") for x in ASSETS]
_MARKET = [_NAMES.index(x) for x in ("market_return", "volatility")]
RETURN_SCALE = FEATURES["finance"][_RETURNS[0]].scale


class Forecaster(nn.Module):
    """Next month's return of an asset in units of ``RETURN_SCALE`` from what was seen of it so far."""

    covariance: Tensor
    """Of the assets' returns in the worlds of the training, ``[assets, assets]``."""

    def __init__(self) -> None:
        """With weights of PyTorch's start."""
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)
        self.register_buffer("covariance", torch.zeros(len(ASSETS), len(ASSETS)))

    def forward(self, seen: Tensor, memory: Any = None) -> tuple[Tensor, Any]:
        """Forecasts ``[B, T]`` of the months after each of ``seen`` ``[B, T, INPUTS]``, and the memory then."""
        out, memory = self.lstm(seen, memory)
        return self.head(out).squeeze(-1), memory


def inputs(observation: np.ndarray) -> np.ndarray:
    """What the network reads, float32 ``[..., assets, INPUTS]``, of finance's observations ``[..., O]``."""
    common = np.broadcast_to(observation[..., None, _MARKET], (*observation.shape[:-1], len(ASSETS), len(_MARKET)))
    own = np.stack([observation[..., _RETURNS], observation[..., _SIGNALS]], axis=-1)
    return np.concatenate([own, common], axis=-1, dtype=np.float32)


def history(world: Scenario | str, seeds: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """What finance sees ``[E, T, O]`` under the average firm, and the returns of the month after ``[E, T, assets]``.

    Of the episodes of ``seeds`` those that did not collapse.
    """
    env = SpiralVectorEnv(world, len(seeds), autoreset_mode="disabled", action_mode="continuous")
    count = {role: (len(seeds), n, 1) for role, n in env.num_agents_of.items()}
    efforts = {role: np.tile(np.array(STATUS_QUO[role]), count[role]) for role in ROLES}
    seen, _ = env.reset(seed=seeds)
    observations, returns = [], []
    for _ in range(env.max_cycles):
        observations.append(seen["finance"][:, 0].copy())
        seen, *_ = env.step(efforts)
        returns.append(env.engine.states["asset_return"].copy())
    whole = env.engine.states["month"] == env.max_cycles
    env.close()
    return np.stack(observations, axis=1)[whole], np.stack(returns, axis=1)[whole]


def train_forecaster(
    world: Scenario | str, episodes: int = 2048, epochs: int = 20, seed: int = 0
) -> tuple[Forecaster, list[float]]:
    """A forecaster, and its mean squared error after each epoch in the last eighth of the episodes, kept back.

    Args:
        world: on whose training seeds it learns.
        episodes: of history.
        epochs: passes over it.
        seed: of weights, worlds and order.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Forecaster()
    observations, returns = history(world, load_scenario(world).training_seeds(seed, episodes))
    # One sequence an asset: [E, T, assets, ...] to [E assets, T, ...].
    seen = torch.from_numpy(inputs(observations).swapaxes(1, 2).reshape(-1, observations.shape[1], INPUTS))
    target = torch.from_numpy((returns / RETURN_SCALE).swapaxes(1, 2).reshape(seen.shape[:2])).float()
    model.covariance.copy_(torch.from_numpy(np.cov(returns.reshape(-1, len(ASSETS)).T)))
    kept = max(1, len(seen) // 8)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs)
    rng, errors = np.random.default_rng(seed), []
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(seen) - kept), max(1, len(seen) // 256)):
            adam.zero_grad()
            nn.functional.mse_loss(model(seen[rows])[0], target[rows]).backward()
            adam.step()
        schedule.step()
        with torch.no_grad():
            errors.append(float(nn.functional.mse_loss(model(seen[-kept:])[0], target[-kept:])))
    return model.eval(), errors


def load_forecaster(path: Path = SHIPPED) -> Forecaster:
    """The forecaster of a file, in 64-bit numbers.

    Raises:
        ValueError: it cannot be read, or is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    model = Forecaster()
    try:
        model.load_state_dict(load(read_file(path, _LARGEST, "forecaster")))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"forecaster {path} cannot be read: {str(error).splitlines()[0]:.120}") from None
    return model.double().eval()


def main() -> None:
    """Train and write the forecaster that is shipped."""
    from safetensors.torch import save

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="baseline-v1")
    parser.add_argument("--episodes", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    model, errors = train_forecaster(options.scenario, options.episodes, options.epochs, options.seed)
    write_atomically(options.out, save(model.state_dict()))
    print(json.dumps({"file": str(options.out), "squared_errors": errors}))


if __name__ == "__main__":
    main()
