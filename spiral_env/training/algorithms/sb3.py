"""PPO of stable-baselines3: one network for all agents, or one a role, all learning from the same months."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import set_random_seed

from spiral_env.roles import ROLES
from spiral_env.tensor_engine import as_device
from spiral_env.training.learning.normalisation import Normaliser
from spiral_env.training.learning.torch_state import adam_tensors, layer_tensors, load_adam
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.run import Report, run
from spiral_env.training.runs.state import check_whole
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Sb3Trainer", "train"]

_LOSSES = {
    "policy_loss": "policy_gradient_loss",
    "value_loss": "value_loss",
    "entropy": "entropy_loss",
    "kl": "approx_kl",
}


def _batch_size(rows: int, limit: int) -> int:
    """Largest divisor of ``rows`` in [2, limit], so that no minibatch is cut; all rows if there is none."""
    return next((n for n in range(min(limit, rows), 1, -1) if rows % n == 0), rows)


@dataclass
class _Group:
    """Agents that share a network, as rows environment by environment."""

    roles: tuple[str, ...]
    model: PPO
    observations: Normaliser
    returns: Normaliser
    discounted: np.ndarray

    def rows(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """Role -> ``[E, A, ...]`` to ``[rows, ...]``."""
        joined = np.concatenate([blocks[role] for role in self.roles], axis=1)
        return joined.reshape(-1, *joined.shape[2:])

    def tensor(self, rows: np.ndarray) -> torch.Tensor:
        """Normalised rows on the model's device."""
        return torch.from_numpy(self.observations.apply(rows)).to(self.model.device)

    def scaled(self, rewards: np.ndarray, done: np.ndarray, gamma: float) -> np.ndarray:
        """Rewards in standard deviations of the discounted return, float32 ``[rows]``."""
        self.discounted = self.discounted * gamma + rewards
        self.returns.update(self.discounted[:, None])
        self.discounted[done] = 0.0
        return np.clip(rewards / self.returns.std[0], -10.0, 10.0).astype(np.float32)

    @torch.no_grad()
    def values(self, rows: np.ndarray) -> torch.Tensor:
        """The critic's values ``[rows, 1]``."""
        return self.model.policy.predict_values(self.tensor(rows))


class Sb3Trainer:
    """Rollouts of one batch of ecosystems into the buffers of one PPO a group; ``PPO.train`` learns from them.

    Attributes:
        agent_steps: agent-steps lived so far.
        iteration: rollouts learned from so far.
    """

    def __init__(self, config: TrainConfig) -> None:
        """Build the batch and the models from the seed alone.

        Raises:
            ValueError: the device is not there.
        """
        as_device(config.device)
        torch.set_num_threads(config.torch_threads)
        set_random_seed(config.seed % 2**32)
        self.config, self.shared = config, config.policy == "shared"
        self.env = SpiralVectorEnv(
            config.world,
            config.num_envs,
            config.env_threads,
            "same_step",
            homogenize=self.shared,
            reward_mode=config.reward_mode,
        )
        self.seen, _ = self.env.reset(seed=self.env.scenario.training_seeds(config.seed, config.num_envs))
        self.starts = np.ones(config.num_envs, dtype=np.bool_)
        teams = {"shared": ROLES} if self.shared else {role: (role,) for role in ROLES}
        self.groups = {name: self._group(roles) for name, roles in teams.items()}
        self.agent_steps = 0
        self.iteration = 0

    def _group(self, roles: tuple[str, ...]) -> _Group:
        config, agents = self.config, sum(self.env.num_agents_of[role] for role in roles)
        rows = agents * config.num_envs
        model = PPO(
            "MlpPolicy",
            env=None,  # type: ignore[arg-type]
            learning_rate=lambda left: config.learning_rate * (max(left, 0.05) if config.anneal else 1.0),
            n_steps=config.num_steps,
            batch_size=_batch_size(rows * config.num_steps, rows * config.num_steps // config.minibatches),
            n_epochs=config.epochs,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            clip_range=config.clip_coef,
            ent_coef=config.ent_coef,
            vf_coef=config.vf_coef,
            max_grad_norm=config.max_grad_norm,
            target_kl=config.target_kl or None,
            policy_kwargs={"net_arch": [config.hidden] * config.layers},
            device=config.device,
            _init_setup_model=False,
        )
        model.observation_space = self.env.single_observation_space[roles[0]]
        model.action_space = self.env.single_action_space[roles[0]]
        model.n_envs = rows
        model._setup_model()
        model.set_logger(Logger(None, []))
        width = self.env.single_observation_space[roles[0]].shape[0]
        return _Group(roles, model, Normaliser(width), Normaliser(1), np.zeros(rows))

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; returns losses and the outcomes of episodes that ended."""
        outcomes = self._collect()
        figures: dict[str, float] = {}
        for name, group in self.groups.items():
            figures |= self._learn(name, group)
        self.agent_steps += self.config.num_steps * self.env.num_envs * self.env.num_agents
        self.iteration += 1
        return figures | {f"outcome/{name}": float(np.mean(values)) for name, values in outcomes.items()}

    def _collect(self) -> dict[str, list[float]]:
        outcomes: dict[str, list[float]] = {}
        seen: dict[str, list[np.ndarray]] = {name: [] for name in self.groups}
        for group in self.groups.values():
            group.model.policy.set_training_mode(False)
            group.model.rollout_buffer.reset()
        for _ in range(self.config.num_steps):
            for name, group in self.groups.items():
                seen[name].append(group.rows(self.seen))
            self._month(outcomes)
        for group in self.groups.values():
            last = group.values(group.rows(self.seen))
            done = np.repeat(self.starts, len(last) // self.env.num_envs)
            group.model.rollout_buffer.compute_returns_and_advantage(last_values=last, dones=done)
        for name, group in self.groups.items():
            group.observations.update(np.stack(seen[name]))
        return outcomes

    def _month(self, outcomes: dict[str, list[float]]) -> None:
        """Act, step, and add the month to every buffer, as ``collect_rollouts`` of stable-baselines3 does."""
        before: dict[str, tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]] = {}
        actions: dict[str, np.ndarray] = {}
        for name, group in self.groups.items():
            x = group.tensor(group.rows(self.seen))
            with torch.no_grad():
                chosen, values, log_p = group.model.policy(x)
            before[name] = (x.cpu().numpy(), chosen.cpu().numpy(), values, log_p)
            actions |= self._by_role(group, before[name][1])
        starts = self.starts
        self.seen, rewards, terminated, truncated, info = self.env.step(actions)
        self.starts = terminated | truncated
        if self.starts.any():
            for measure, column in info["final_metrics"].items():
                outcomes.setdefault(measure, []).extend(column[self.starts].tolist())
        for name, group in self.groups.items():
            agents = len(group.discounted) // self.env.num_envs
            scaled = group.scaled(group.rows(rewards), np.repeat(self.starts, agents), self.config.gamma)
            if truncated.any():
                cut = np.repeat(truncated, agents)
                last = group.values(group.rows(info["final_obs"])[cut]).flatten().cpu().numpy()
                scaled[cut] += self.config.gamma * last
            row, chosen, values, log_p = before[name]
            group.model.rollout_buffer.add(row, chosen, scaled, np.repeat(starts, agents), values, log_p)

    def _by_role(self, group: _Group, rows: np.ndarray) -> dict[str, np.ndarray]:
        counts = [self.env.num_agents_of[role] for role in group.roles]
        shaped = rows.reshape(self.env.num_envs, sum(counts), self.env.options.num_levers(group.roles[0]))
        return dict(zip(group.roles, np.split(shaped, np.cumsum(counts)[:-1], axis=1), strict=True))

    def _learn(self, name: str, group: _Group) -> dict[str, float]:
        model = group.model
        model._current_progress_remaining = 1.0 - self.agent_steps / self.config.timesteps
        try:
            model.train()
        except ValueError:
            # torch refuses a distribution whose parameters are not numbers before any loss is known.
            return {f"loss/{name}": math.nan}
        if not all(bool(torch.isfinite(p).all()) for p in model.policy.parameters()):
            return {f"loss/{name}": math.nan}
        figures = {f"{ours}/{name}": float(model.logger.name_to_value[f"train/{its}"]) for ours, its in _LOSSES.items()}
        return figures | {f"entropy/{name}": -figures[f"entropy/{name}"]}

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays that must be stored to go on bit for bit."""
        snapshot = self.env.snapshot()
        out = {f"env.{name}": snapshot[name] for name in ("states", "params")}
        out |= {"starts": self.starts, "torch_rng": torch.get_rng_state().numpy(), "numpy_rng": _numpy_rng()[1]}
        for name, group in self.groups.items():
            out |= {f"{name}.net.{k}": v.detach().cpu().numpy() for k, v in group.model.policy.state_dict().items()}
            out |= {f"{name}.adam.{k}": v for k, v in adam_tensors(group.model.policy.optimizer).items()}
            for kind, norm in (("observations", group.observations), ("returns", group.returns)):
                out |= {f"{name}.{kind}.{k}": v for k, v in norm.tensors().items()}
            out[f"{name}.discounted"] = group.discounted
        return {k: np.array(v) for k, v in out.items()}

    def counters(self) -> dict[str, Any]:
        """All numbers that must be stored to go on bit for bit."""
        kept = {k: v for k, v in self.env.snapshot().items() if k not in ("states", "params")}
        _, _, position, has_gauss, cached = _numpy_rng()
        generator = {"position": position, "has_gauss": has_gauss, "cached": cached}
        return {"agent_steps": self.agent_steps, "iteration": self.iteration, "env": kept, "numpy_rng": generator}

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""
        arrays = {name: tensors[f"env.{name}"] for name in ("states", "params")}
        self.seen = self.env.restore(counters["env"] | arrays)
        self.starts = tensors["starts"].copy()
        for name, group in self.groups.items():
            _load_group(group, {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")})
        self.agent_steps, self.iteration = counters["agent_steps"], counters["iteration"]
        torch.set_rng_state(torch.from_numpy(tensors["torch_rng"].copy()))
        g = counters["numpy_rng"]
        check_whole("numpy_rng.position", g["position"], 624)
        check_whole("numpy_rng.has_gauss", g["has_gauss"], 1)
        np.random.set_state(("MT19937", tensors["numpy_rng"], g["position"], g["has_gauss"], float(g["cached"])))  # noqa: NPY002

    def policy(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors and header of the policy as a checkpoint holds it."""
        out: dict[str, np.ndarray] = {}
        for name, group in self.groups.items():
            prefix = "" if self.shared else f"{name}."
            network: Any = group.model.policy
            layers = [x for x in network.mlp_extractor.policy_net if isinstance(x, torch.nn.Linear)]
            out |= {prefix + key: x for key, x in layer_tensors(layers, network.action_net).items()}
            out[f"{prefix}mean"], out[f"{prefix}std"] = group.observations.mean, group.observations.std
        return out, {"networks": self.config.policy, "layers": self.config.layers, "head": "categorical"}

    def close(self) -> None:
        """End all threads."""
        self.env.close()


def _numpy_rng() -> tuple[str, np.ndarray, int, int, float]:
    """State of numpy's global generator: stable-baselines3 orders its minibatches by it."""
    return np.random.get_state()  # type: ignore[return-value]  # noqa: NPY002


def _load_group(group: _Group, tensors: dict[str, np.ndarray]) -> None:
    network = group.model.policy
    network.load_state_dict({k: torch.from_numpy(tensors[f"net.{k}"].copy()) for k in network.state_dict()})
    load_adam(network.optimizer, {k.removeprefix("adam."): v for k, v in tensors.items() if k.startswith("adam.")})
    for kind, norm in (("observations", group.observations), ("returns", group.returns)):
        norm.load({k: tensors[f"{kind}.{k}"] for k in ("count", "mean", "m2")})
    group.discounted = tensors["discounted"].copy()


def train(config: TrainConfig, folder: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Train until ``timesteps`` agent-steps or ``max_seconds``. Returns the folder.

    Raises:
        ValueError: the folder does not fit, or a loss is no longer a number (the last good state is kept).
        OSError: the folder cannot be written, the disk is full.
        KeyboardInterrupt: Ctrl-C, after the rollout in hand was learned from and the state stored.
    """
    return run(Sb3Trainer(config), folder, resume=resume, report=report)
