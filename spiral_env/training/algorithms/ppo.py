"""The loop that IPPO and MAPPO share: play, judge, learn; they differ only in what the critic is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from spiral_env.policy import STATUS_QUO
from spiral_env.roles import ROLES
from spiral_env.training.learning.gradients import Weights
from spiral_env.training.learning.learner import CriticFactory, Learner
from spiral_env.training.learning.networks import Actor
from spiral_env.training.learning.rollout import Player
from spiral_env.training.learning.torch_state import check_device, layer_tensors
from spiral_env.training.learning.update import Rule, Updater
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.state import check_generator
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["Trainer"]


class Trainer:
    """Proximal policy optimisation of one network per role on a batch of ecosystems.

    Attributes:
        agent_steps: agent-steps lived so far.
        iteration: rollouts learned from so far.
    """

    def __init__(self, config: TrainConfig, critic: CriticFactory, *, central: bool) -> None:
        """Build the batch, the networks and the optimisers from the seed alone.

        Raises:
            ValueError: the device is not there.
        """
        check_device(config.device)
        torch.set_num_threads(config.torch_threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.env = SpiralVectorEnv(
            config.world,
            config.num_envs,
            config.env_threads,
            "disabled",
            action_mode="continuous" if config.continuous else "multi_discrete",
            reward_mode=config.reward_mode,
        )
        self.team = {role: self._learner(role, critic, central) for role in ROLES}
        self.player = Player(self.env, self.team, central=central, seed=config.seed)
        rule = Rule(
            epochs=config.epochs,
            minibatches=config.minibatches,
            pieces=config.gradient_pieces,
            max_grad_norm=config.max_grad_norm,
            target_kl=config.target_kl,
        )
        weights = Weights(config.clip_coef, config.ent_coef, config.vf_coef)
        self.updater = Updater(
            self.team, rule, weights, np.random.default_rng(np.random.SeedSequence([config.seed, 2]))
        )
        self.agent_steps = 0
        self.iteration = 0

    def _learner(self, role: str, critic: CriticFactory, central: bool) -> Learner:
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
        state = self.env.state().shape[1] if central else 0
        return Learner(
            counts, inputs, actor, critic(inputs, state, config.hidden, config.layers), torch.device(config.device)
        )

    @property
    def learning_rate(self) -> float:
        """Falls in a line to a twentieth over ``timesteps``."""
        left = max(0.05, 1.0 - self.agent_steps / self.config.timesteps)
        return self.config.learning_rate * (left if self.config.anneal else 1.0)

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; returns losses and the outcomes of episodes that ended."""
        config = self.config
        rollout = self.player.collect(config.num_steps)
        self.player.judge(rollout, config.gamma, config.gae_lambda)
        losses = self.updater.step(rollout, self.learning_rate)
        self.agent_steps += config.num_steps * self.env.num_envs * self.env.num_agents
        self.iteration += 1
        outcomes = {name: float(np.mean(values)) for name, values in rollout.outcomes.items()}
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
        return {
            "agent_steps": self.agent_steps,
            "iteration": self.iteration,
            "player_rng": self.player.rng.bit_generator.state,
            "updater_rng": self.updater.rng.bit_generator.state,
            "env": {k: v for k, v in self.env.snapshot().items() if k not in ("states", "params")},
        }

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""
        for role, learner in self.team.items():
            learner.load({k.removeprefix(f"{role}."): v for k, v in tensors.items() if k.startswith(f"{role}.")})
        arrays = {name: tensors[f"env.{name}"] for name in ("states", "params")}
        self.player.observations = self.env.restore(counters["env"] | arrays)
        self.player.load({k.removeprefix("player."): v for k, v in tensors.items() if k.startswith("player.")})
        self.agent_steps, self.iteration = counters["agent_steps"], counters["iteration"]
        for name, part in (("player_rng", self.player), ("updater_rng", self.updater)):
            part.rng.bit_generator.state = check_generator(name, counters[name])

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
        self.updater.close()
        self.env.close()
