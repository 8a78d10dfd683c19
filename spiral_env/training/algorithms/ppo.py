"""The loop that IPPO and MAPPO share: play, judge, learn; they differ only in what the critic is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from spiral_env.policy import STATUS_QUO
from spiral_env.roles import ROLES
from spiral_env.training.learning.gradients import Weights
from spiral_env.training.learning.learner import CriticFactory, Learner
from spiral_env.training.learning.networks import Actor
from spiral_env.training.learning.rollout import Player
from spiral_env.training.learning.torch_state import layer_tensors
from spiral_env.training.learning.update import Rule, Updater
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.state import check_generator
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["PpoTrainer", "Trainer", "make_trainer"]

L = TypeVar("L", bound=Learner)


class _Plays(Protocol):
    """Keeps the thread from rollout to rollout."""

    def tensors(self) -> dict[str, np.ndarray]:
        """What must be stored to go on, beside the batch itself."""

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""


class PpoTrainer(ABC, Generic[L]):
    """Proximal policy optimisation of one network per role on a batch of ecosystems, wherever they are computed.

    Attributes:
        env: the batch.
        team: role -> its learner.
        agent_steps: agent-steps lived so far.
        iteration: rollouts learned from so far.
    """

    player: _Plays

    def __init__(self, config: TrainConfig, critic: CriticFactory, *, central: bool) -> None:
        """Build the batch, the networks and the optimisers from the seed alone."""
        torch.set_num_threads(config.torch_threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.env = self._new_batch(
            scenario=config.world,
            num_envs=config.num_envs,
            autoreset_mode="disabled",
            action_mode="continuous" if config.continuous else "multi_discrete",
            reward_mode=config.reward_mode,
        )
        self.team = {role: self._learner(role, critic, central) for role in ROLES}
        self.rule = Rule(
            epochs=config.epochs,
            minibatches=config.minibatches,
            pieces=config.gradient_pieces,
            max_grad_norm=config.max_grad_norm,
            target_kl=config.target_kl,
        )
        self.weights = Weights(config.clip_coef, config.ent_coef, config.vf_coef)
        self.agent_steps = 0
        self.iteration = 0

    @abstractmethod
    def _new_batch(self, **options: Any) -> SpiralVectorEnv:
        """The batch with these options."""

    @abstractmethod
    def _new_learner(self, counts: np.ndarray, inputs: int, actor: Actor, critic: nn.Module) -> L:
        """A learner as ``Learner`` takes its parts."""

    @abstractmethod
    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; returns losses and the outcomes of episodes that ended."""

    def _learner(self, role: str, critic: CriticFactory, central: bool) -> L:
        config = self.config
        counts = self.env.options.counts(role)
        inputs = self.env.single_observation_space[role].shape[0]
        actor = Actor(
            inputs,
            counts,
            config.hidden,
            config.layers,
            continuous=config.continuous,
            recurrent=role in config.recurrent_roles,
            start=STATUS_QUO[role],
            start_logit=config.start_logit,
        )
        state = len(self.env.state_names) if central else 0
        return self._new_learner(counts, inputs, actor, critic(inputs, state, config.hidden, config.layers))

    @property
    def learning_rate(self) -> float:
        """Falls in a line to a twentieth over ``timesteps``."""
        left = max(0.05, 1.0 - self.agent_steps / self.config.timesteps)
        return self.config.learning_rate * (left if self.config.anneal else 1.0)

    def count(self, losses: dict[str, float], outcomes: dict[str, float]) -> dict[str, float]:
        """Count an iteration; returns its figures."""
        self.agent_steps += self.config.num_steps * self.env.num_envs * self.env.num_agents
        self.iteration += 1
        return losses | {f"outcome/{name}": value for name, value in outcomes.items()}

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays that must be stored to go on bit for bit."""
        out: dict[str, np.ndarray] = {}
        for role, learner in self.team.items():
            out |= {f"{role}.{name}": x for name, x in learner.tensors().items()}
        out |= {f"player.{name}": x for name, x in self.player.tensors().items()}
        snapshot = self.env.snapshot()
        out |= {f"env.{name}": snapshot[name] for name in ("states", "params")}
        return out

    def counters(self) -> dict[str, Any]:
        """All numbers that must be stored to go on bit for bit."""
        env = {k: v for k, v in self.env.snapshot().items() if k not in ("states", "params")}
        return {"agent_steps": self.agent_steps, "iteration": self.iteration, "env": env}

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""
        for role, learner in self.team.items():
            learner.load({k.removeprefix(f"{role}."): v for k, v in tensors.items() if k.startswith(f"{role}.")})
        arrays = {name: tensors[f"env.{name}"] for name in ("states", "params")}
        self._restore(counters["env"] | arrays)
        self.player.load({k.removeprefix("player."): v for k, v in tensors.items() if k.startswith("player.")})
        self.agent_steps, self.iteration = counters["agent_steps"], counters["iteration"]

    @abstractmethod
    def _restore(self, snapshot: dict[str, Any]) -> None:
        """Let the batch and the player go on from a snapshot."""

    def policy(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors and header of the policy as a checkpoint holds it."""
        out: dict[str, np.ndarray] = {}
        for role, learner in self.team.items():
            actor = learner.actor
            out |= {f"{role}.{name}": x for name, x in layer_tensors(actor.body, actor.head).items()}
            if actor.continuous:
                out[f"{role}.head.bias"] += 0.5
            if actor.cell is not None:
                cell = actor.cell.state_dict()
                out |= {f"{role}.memory.{name}": x.detach().cpu().numpy() for name, x in cell.items()}
            out[f"{role}.mean"], out[f"{role}.std"] = learner.observations.mean, learner.observations.std
        head = "continuous" if self.config.continuous else "categorical"
        memory = [role for role, learner in self.team.items() if learner.recurrent]
        return out, {"networks": "per_role", "layers": self.config.layers, "head": head, "recurrent": memory}

    def close(self) -> None:
        """End all threads."""
        self.env.close()


class Trainer(PpoTrainer[Learner]):
    """On a CPU: compiled loops, gradients by hand, threads."""

    player: Player

    def __init__(self, config: TrainConfig, critic: CriticFactory, *, central: bool) -> None:
        """Build the batch, the networks and the optimisers from the seed alone."""
        super().__init__(config, critic, central=central)
        self.player = Player(self.env, self.team, central=central, seed=config.seed)
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 2]))
        self.updater = Updater(self.team, self.rule, self.weights, rng)

    def _new_batch(self, **options: Any) -> SpiralVectorEnv:
        return SpiralVectorEnv(num_threads=self.config.env_threads, **options)

    def _new_learner(self, counts: np.ndarray, inputs: int, actor: Actor, critic: nn.Module) -> Learner:
        return Learner(counts, inputs, actor, critic, torch.device("cpu"))

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; returns losses and the outcomes of episodes that ended."""
        config = self.config
        rollout = self.player.collect(config.num_steps)
        self.player.judge(rollout, config.gamma, config.gae_lambda)
        losses = self.updater.step(rollout, self.learning_rate)
        return self.count(losses, {name: float(np.mean(values)) for name, values in rollout.outcomes.items()})

    def counters(self) -> dict[str, Any]:
        """All numbers that must be stored to go on bit for bit."""
        states = {f"{name}_rng": x.rng.bit_generator.state for name, x in self._drawing().items()}
        return super().counters() | states

    def _drawing(self) -> dict[str, Player | Updater]:
        return {"player": self.player, "updater": self.updater}

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""
        super().load(tensors, counters)
        for name, part in self._drawing().items():
            part.rng.bit_generator.state = check_generator(f"{name}_rng", counters[f"{name}_rng"])

    def _restore(self, snapshot: dict[str, Any]) -> None:
        self.player.observations = self.env.restore(snapshot)

    def close(self) -> None:
        """End all threads."""
        self.updater.close()
        super().close()


def make_trainer(config: TrainConfig, critic: CriticFactory, *, central: bool) -> PpoTrainer[Any]:
    """The trainer of ``config.device``.

    Raises:
        ImportError: a package that the device needs is missing.
        ValueError: the device is not there.
    """
    if config.device == "cpu":
        return Trainer(config, critic, central=central)
    from spiral_env.training.device.ppo import DeviceTrainer

    return DeviceTrainer(config, critic, central=central)
