"""How fast the trainers learn: agent-steps a second beside the limit of torch, and seconds to a stated value."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import ROLES
from spiral_env.training import TrainConfig, load_config, train
from spiral_env.training.algorithms.ippo import LocalCritic
from spiral_env.training.algorithms.mappo import CentralCritic
from spiral_env.training.algorithms.ppo import Trainer
from tests.benchmarks.timing import median_seconds

__all__ = ["average_value", "race", "seconds_to", "trainers"]

RECIPES = Path(__file__).parents[2] / "train"


def trainers(rounds: int = 3) -> dict[str, float]:
    """Agent-steps a second by the recipe of ippo (4 epochs), and ratios to the limits and to stable-baselines3."""
    config = load_config(RECIPES / "baseline-v1-ippo.toml")
    ippo = Trainer(config, LocalCritic, central=False)
    mappo = Trainer(config, CentralCritic, central=True)
    functions: dict[str, Callable[[], Any]] = {"ippo": ippo.iterate, "mappo": mappo.iterate}
    plain = [Trainer(config, LocalCritic, central=False), Trainer(config, CentralCritic, central=True)]
    for name, trainer in zip(("ippo", "mappo"), plain, strict=True):
        for learner in trainer.team.values():
            learner.by_hand = False
        functions[f"{name}, by torch's autograd"] = trainer.iterate
    limit = _Limit(ippo)
    functions |= {"torch limit, one thread": limit.whole, "torch limit, two threads": limit.whole_in_two}
    functions["torch limit, two halves"] = limit.halves
    with _sb3_rows(config) as sb3:
        functions["sb3-ppo, our rollouts"] = sb3
        for function in functions.values():
            function()
        seconds = median_seconds(functions, rounds)
    steps = config.num_envs * config.num_steps * ippo.env.num_agents
    rates = {name: steps / x for name, x in seconds.items()}
    rates["stable-baselines3 as it comes"] = _sb3_as_it_comes()
    fastest = max(rate for name, rate in rates.items() if name.startswith("torch limit"))
    shares = {"ippo / fastest torch limit": rates["ippo"] / fastest}
    shares |= {f"ippo / {name}": rates["ippo"] / rates[name] for name in rates if name.startswith(("sb3", "stable"))}
    shares |= {
        f"{x} / {x}, by torch's autograd": rates[x] / rates[f"{x}, by torch's autograd"] for x in ("ippo", "mappo")
    }
    parts = _parts(ippo)
    for trainer in (ippo, mappo, *plain):
        trainer.close()
    limit.pool.shutdown()
    return rates | shares | parts


def _parts(trainer: Trainer) -> dict[str, float]:
    """Shares of an iteration's time: acting and simulating, judging, learning."""
    config = trainer.config
    start = time.perf_counter()
    rollout = trainer.player.collect(config.num_steps)
    played = time.perf_counter()
    trainer.player.judge(rollout, config.gamma, config.gae_lambda)
    judged = time.perf_counter()
    trainer.updater.step(rollout, trainer.learning_rate)
    end = time.perf_counter()
    names = ("share of time: rollout", "share of time: values and returns", "share of time: gradient steps")
    return dict(zip(names, [(b - a) / (end - start) for a, b in _pairs(start, played, judged, end)], strict=True))


def _pairs(*edges: float) -> list[tuple[float, float]]:
    return list(itertools.pairwise(edges))


class _Limit:
    """Forward passes of a rollout and forward-backward passes of its epochs, of the same networks, and nothing else."""

    def __init__(self, trainer: Trainer) -> None:
        config, team = trainer.config, trainer.team
        self.config, self.pool = config, ThreadPoolExecutor(2)
        self.nets: dict[str, tuple[nn.Module, nn.Module, int, int]] = {}
        for role, learner in team.items():
            inputs = learner.observations.mean.shape[0]
            self.nets[role] = (learner.actor, learner.critic, trainer.env.num_agents_of[role], inputs)
        self.cells = config.num_envs * config.num_steps // config.minibatches

    def whole(self) -> None:
        self._pass(1.0)

    def whole_in_two(self) -> None:
        torch.set_num_threads(2)
        try:
            self._pass(1.0)
        finally:
            torch.set_num_threads(self.config.torch_threads)

    def halves(self) -> None:
        """Two threads, half of the rows each."""
        for job in [self.pool.submit(self._pass, 0.5) for _ in range(2)]:
            job.result()

    def _pass(self, share: float) -> None:
        config = self.config
        envs, cells = int(config.num_envs * share), int(self.cells * share)
        for actor, critic, agents, inputs in self.nets.values():
            x = torch.zeros(envs, agents, inputs)
            with torch.no_grad():
                for _ in range(config.num_steps):
                    actor(x.view(-1, inputs))
                for _ in range(config.num_steps):
                    critic(x, None)
            parameters = [*actor.parameters(), *critic.parameters()]
            for _ in range(config.epochs * config.minibatches):
                torch.autograd.grad(self._sum(actor, critic, torch.zeros(cells, agents, inputs)), parameters)

    @staticmethod
    def _sum(actor: nn.Module, critic: nn.Module, x: Tensor) -> Tensor:
        logits, _ = actor(x.view(-1, x.shape[2]))
        return logits.sum() + critic(x, None).sum()


@contextmanager
def _sb3_rows(config: TrainConfig) -> Iterator[Callable[[], Any]]:
    """An iteration of ``--algo sb3-ppo``: stable-baselines3's networks and learning on rollouts of our batch."""
    from spiral_env.training.algorithms.sb3 import Sb3Trainer

    trainer = Sb3Trainer(replace(config, algo="sb3-ppo"))
    yield trainer.iterate
    trainer.close()


def _sb3_as_it_comes(months: int = 2048) -> float:
    """Agent-steps a second of ``PPO("MlpPolicy", ...)`` with its defaults but four epochs, 64 x 64 networks."""
    from stable_baselines3 import PPO

    from spiral_env.adapters.stable_baselines3 import SharedVecEnv

    env = SharedVecEnv("baseline-v1", num_envs=1)
    model = PPO("MlpPolicy", env, n_steps=months, n_epochs=4, device="cpu")
    start = time.perf_counter()
    model.learn(months * env.num_envs)
    seconds = time.perf_counter() - start
    env.close()
    return months * env.num_envs / seconds


def race(seconds: float = 120.0, gain: float = 0.04) -> dict[str, float]:
    """Seconds of training until the running policy's episodes are worth ``1 + gain`` times those of the average firm.

    A trainer that does not get there in ``seconds`` has infinity.
    """
    average = average_value()
    target = (1.0 + gain) * average
    out = {"ecosystem value of the average firm": average, "ecosystem value to reach": target}
    for algo in ("ippo", "mappo", "es", "sb3-ppo"):
        config = load_config(RECIPES / f"baseline-v1-{algo}.toml", {"reward_mode": "mixed"})
        out[f"{algo}: seconds"], out[f"{algo}: best value seen"] = seconds_to(config, target, seconds)
    out["stable-baselines3 as it comes: seconds"], out["stable-baselines3 as it comes: best value seen"] = (
        _sb3_seconds_to(target, seconds)
    )
    return out


def average_value(episodes: int = 512) -> float:
    """Ecosystem value of the average firm."""
    team = {role: load_policy("status_quo", role) for role in ROLES}
    return float(run_episodes("baseline-v1", team, episodes).metrics["ecosystem_value"].mean())


def seconds_to(config: TrainConfig, target: float, limit: float) -> tuple[float, float]:
    """Seconds until a rollout's ended episodes reach the target, infinite if never, and the best seen until then."""
    seen: list[float] = []
    start = time.perf_counter()

    def reached(_share: float, figures: dict[str, float]) -> bool:
        seen.append(figures.get("outcome/ecosystem_value", float("-inf")))
        return seen[-1] >= target

    config = replace(config, max_seconds=limit, checkpoint_seconds=1e6)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        train(config, Path(folder) / "run", report=reached)
    spent = time.perf_counter() - start
    return (spent if seen[-1] >= target else float("inf")), max(seen)


def _sb3_seconds_to(target: float, limit: float) -> tuple[float, float]:
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    from spiral_env.adapters.stable_baselines3 import SharedVecEnv

    class Watch(BaseCallback):
        """Mean of the last 64 episodes; looks at the clock while it plays, not while it learns."""

        def __init__(self) -> None:
            super().__init__()
            self.values: list[float] = []
            self.best, self.start = float("-inf"), time.perf_counter()

        def _on_step(self) -> bool:
            info = self.locals["infos"][0]
            self.values += [info["outcome_ecosystem_value"]] if "outcome_ecosystem_value" in info else []
            if len(self.values) >= 64:
                self.best = max(self.best, sum(self.values[-64:]) / 64.0)
            return self.best < target and time.perf_counter() - self.start < limit

    env = SharedVecEnv("baseline-v1", num_envs=1)
    watch = Watch()
    PPO("MlpPolicy", env, device="cpu").learn(10**9, callback=watch)
    spent = time.perf_counter() - watch.start
    env.close()
    return (spent if watch.best >= target else float("inf")), watch.best
