"""PPO of stable-baselines3 with one shared policy over homogenised agents."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

from agents.checkpoint import write_policy
from train.config import TrainConfig
from train.run import open_folder
from train.vec_env import SharedVecEnv

__all__ = ["train"]

_COLUMNS = ("timesteps", "seconds", "episodes", "ecosystem_value", "spiral_height", "collapse", "sme_participation")


class _Watch(BaseCallback):
    """Logs outcome measures, saves the policy after every rollout, stops on time or on a loss that is not a number."""

    def __init__(self, config: TrainConfig, folder: Path, inner: SharedVecEnv, norm: VecNormalize, bar: Any) -> None:
        super().__init__()
        self.config, self.folder, self.inner, self.norm, self.bar = config, folder, inner, norm, bar
        self.start = time.monotonic()
        self.failure = ""

    def _on_step(self) -> bool:
        return not self.failure and time.monotonic() - self.start < self.config.max_seconds

    def _on_rollout_end(self) -> None:
        seconds = time.monotonic() - self.start
        loss = self.logger.name_to_value.get("train/loss", 0.0)
        if not np.isfinite(loss):
            self.failure = f"loss became {loss}: stopped, the last good checkpoint is kept in {self.folder}"
            return
        rows, self.inner.finished = self.inner.finished, []
        means = {name: float(np.mean([x[name] for x in rows])) for name in _COLUMNS[3:]} if rows else {}
        for name, value in means.items():
            self.logger.record(f"outcome/{name}", value)
        with (self.folder / "progress.csv").open("a", newline="") as file:
            csv.writer(file).writerow(
                [self.num_timesteps, f"{seconds:.1f}", len(rows), *(means.get(n, "") for n in _COLUMNS[3:])]
            )
        export(self.model, self.norm, self.folder, self.config)
        share = max(self.num_timesteps / self.config.timesteps, seconds / self.config.max_seconds)
        rate = self.num_timesteps / max(seconds, 1e-9)
        text = f"{rate:,.0f} agent-steps/s  ecosystem value {means.get('ecosystem_value', float('nan')):.0f}"
        self.bar(min(share, 1.0), text)


def export(model: Any, norm: VecNormalize, folder: Path, config: TrainConfig) -> None:
    """Write the actor and its normaliser as a checkpoint."""
    policy = model.policy
    linear = [x for x in policy.mlp_extractor.policy_net if isinstance(x, torch.nn.Linear)]
    tensors = {}
    moments: Any = norm.obs_rms
    for name, layer in [*((f"layer{k}", x) for k, x in enumerate(linear)), ("head", policy.action_net)]:
        tensors[f"{name}.weight"] = layer.weight.detach().numpy().astype(np.float64)
        tensors[f"{name}.bias"] = layer.bias.detach().numpy().astype(np.float64)
    tensors["mean"] = np.asarray(moments.mean)
    tensors["std"] = np.sqrt(np.asarray(moments.var) + norm.epsilon)
    write_policy(folder, tensors, {"networks": "shared", "layers": len(linear), "scenario": config.scenario})


def _prepare(folder: Path, config: TrainConfig) -> None:
    open_folder(folder, config, resume=False)
    with (folder / "progress.csv").open("w", newline="") as file:
        csv.writer(file).writerow(_COLUMNS)


def train(config: TrainConfig, folder: Path, *, resume: bool = False, quiet: bool = False) -> Path:
    """Train until ``timesteps`` agent-steps or ``max_seconds``; Ctrl-C keeps what is learned. Returns the folder.

    Raises:
        ValueError: the folder already holds a run, or ``resume`` is asked for.
        OSError: the folder cannot be written.
    """
    if resume:
        raise ValueError("algo must be ippo or mappo to resume, got 'sb3-ppo'")
    _prepare(folder, config)
    torch.set_num_threads(config.torch_threads)
    inner = SharedVecEnv(config.scenario, config.num_envs, config.reward_mode)
    inner.seed(config.seed)
    norm = VecNormalize(inner, gamma=config.gamma, clip_obs=10.0)
    model = PPO(
        "MlpPolicy",
        norm,
        learning_rate=lambda left: config.learning_rate * (left if config.anneal else 1.0),
        n_steps=config.num_steps,
        batch_size=config.num_steps * inner.num_envs // config.minibatches,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_coef,
        max_grad_norm=config.max_grad_norm,
        vf_coef=config.vf_coef,
        ent_coef=config.ent_coef,
        policy_kwargs={"net_arch": [config.hidden] * config.layers},
        tensorboard_log=str(folder / "tensorboard"),
        seed=config.seed,
        device=config.device,
    )
    columns = (TextColumn("training"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("", total=1.0)
        watch = _Watch(
            config, folder, inner, norm, lambda x, text: progress.update(task, completed=x, description=text)
        )
        try:
            model.learn(config.timesteps, callback=watch)
            export(model, norm, folder, config)
        except KeyboardInterrupt:
            export(model, norm, folder, config)
    norm.close()
    if watch.failure:
        raise ValueError(watch.failure)
    return folder
