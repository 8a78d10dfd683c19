"""RLlib's PPO shaped as ours: one network per role, the batched engine in each runner, even minibatches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spiral_env.adapters.rllib import SpiralBatch, SpiralEnvRunner, role_of
from spiral_env.policy import STATUS_QUO, Uniform, episode_keys
from spiral_env.roles import ROLES
from spiral_env.training.learning.networks import Actor, Critic
from spiral_env.training.learning.normalisation import Normaliser
from spiral_env.training.runs.config import TrainConfig
from spiral_env.vector_env import SpiralVectorEnv

try:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical
    from ray.rllib.core.rl_module.apis import ValueFunctionAPI
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.core.rl_module.torch import TorchRLModule
    from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[train,rllib]'") from None

__all__ = ["RoleLearner", "RoleModule", "first_play", "ppo_config"]

_LEARNED_FROM = (Columns.OBS, Columns.ACTIONS, Columns.ACTION_LOGP, Columns.ACTION_DIST_INPUTS)
_JUDGED = ("advantages", "value_targets")


class RoleModule(TorchRLModule, ValueFunctionAPI):
    """The actor and the critic of a role.

    ``model_config`` holds ``hidden``, ``layers``, ``start`` and ``start_logit`` as in ``Actor``, the moments ``mean``
    and ``std`` of the observations, and those of the returns, ``value_mean`` and ``value_std``: the critic predicts
    in their units.
    """

    def setup(self) -> None:
        """Build the networks."""
        given = self.model_config
        counts = np.asarray(self.action_space.nvec)
        inputs = self.observation_space.shape[0]
        self.actor = Actor(
            inputs,
            counts,
            given["hidden"],
            given["layers"],
            continuous=False,
            recurrent=False,
            start=given["start"],
            start_logit=given["start_logit"],
        )
        self.critic = Critic(inputs, given["hidden"], given["layers"])
        for name in ("mean", "std", "value_mean", "value_std"):
            self.register_buffer(name, torch.tensor(given[name], dtype=torch.float32))
        lengths = [int(n) for n in counts]
        self.action_dist_cls = TorchMultiCategorical.get_partial_dist_cls(space=self.action_space, input_lens=lengths)

    def _scaled(self, batch: dict[str, Tensor]) -> Tensor:
        return ((batch[Columns.OBS] - self.mean) / self.std).clamp(-10.0, 10.0)

    def _forward(self, batch: dict[str, Tensor], **_kwargs: Any) -> dict[str, Tensor]:
        logits, _ = self.actor(self._scaled(batch))
        return {Columns.ACTION_DIST_INPUTS: logits.flatten(-2)}

    def compute_values(self, batch: dict[str, Tensor], embeddings: Any = None) -> Tensor:
        """Values ``[B]`` in units of reward."""
        return self.critic(self._scaled(batch)) * self.value_std + self.value_mean


class RoleLearner(PPOTorchLearner):
    """PPO whose minibatches are the same share of every role's rows.

    RLlib's own take the same number of rows of every module: with eight SMEs, the other roles would pass eight times
    as often over theirs.
    """

    def _create_iterator_if_necessary(
        self, *, training_data: Any, num_epochs: int = 1, **_kwargs: Any
    ) -> Iterator[MultiAgentBatch]:
        whole = self._make_batch_if_necessary(training_data=training_data)
        rows = {role: _learnable(batch) for role, batch in whole.policy_batches.items()}
        parts = self.config.learner_config_dict["minibatches"]
        for _ in range(num_epochs):
            cuts = {role: torch.randperm(len(x[Columns.OBS])).tensor_split(parts) for role, x in rows.items()}
            for k in range(parts):
                piece = {role: SampleBatch({c: v[cuts[role][k]] for c, v in x.items()}) for role, x in rows.items()}
                yield MultiAgentBatch(piece, whole.env_steps())


def _learnable(batch: SampleBatch) -> dict[str, Tensor]:
    """Columns that the loss reads, without the rows that only carry the value after the last month."""
    keep = batch[Columns.LOSS_MASK]
    return {column: batch[column][keep] for column in (*_LEARNED_FROM, *_JUDGED)}


def first_play(config: TrainConfig) -> dict[str, dict[str, Any]]:
    """Role -> moments of observations and of discounted returns when all play uniformly, fixed by the seed."""
    env = SpiralVectorEnv(
        config.world, 64, autoreset_mode="disabled", action_mode="continuous", reward_mode=config.reward_mode
    )
    seeds = env.scenario.training_seeds(config.seed, env.num_envs)
    seen, _ = env.reset(seed=seeds)
    team = {role: Uniform(role) for role in ROLES}
    for policy in team.values():
        policy.reset(episode_keys(seeds))
    observations = {role: [seen[role].copy()] for role in ROLES}
    rewards: dict[str, list[np.ndarray]] = {role: [] for role in ROLES}
    for _ in range(min(config.num_steps, env.max_cycles)):
        seen, paid, *_ = env.step({role: team[role].act(seen[role]) for role in ROLES})
        for role in ROLES:
            observations[role].append(seen[role].copy())
            rewards[role].append(paid[role].copy())
    env.close()
    return {role: _moments(np.stack(observations[role]), np.stack(rewards[role]), config.gamma) for role in ROLES}


def _moments(observations: np.ndarray, rewards: np.ndarray, gamma: float) -> dict[str, Any]:
    """Of observations ``[T + 1, E, A, O]`` and of the returns to go of rewards ``[T, E, A]``."""
    seen, returns = Normaliser(observations.shape[-1]), Normaliser(1)
    seen.update(observations)
    to_go = np.zeros_like(rewards)
    ahead = np.zeros(rewards.shape[1:])
    for t in range(len(rewards) - 1, -1, -1):
        to_go[t] = ahead = rewards[t] + gamma * ahead
    returns.update(to_go[..., None])
    moments = {"mean": seen.mean.tolist(), "std": seen.std.tolist()}
    return moments | {"value_mean": float(returns.mean[0]), "value_std": float(returns.std[0])}


def ppo_config(config: TrainConfig, seed: int) -> PPOConfig:
    """Our hyperparameters as RLlib's PPO; runners that die are started again, as often as it takes.

    The KL penalty is off (``kl_coeff`` 0 keeps it measured); the value loss is in standard deviations of the return.
    """
    moments = first_play(config)
    env = SpiralVectorEnv(config.world, 1)
    shape = {"hidden": config.hidden, "layers": config.layers, "start_logit": config.start_logit}
    modules = {
        role: RLModuleSpec(
            RoleModule,
            observation_space=env.single_observation_space[role],
            action_space=env.single_action_space[role],
            model_config={**shape, "start": STATUS_QUO[role], **moments[role]},
        )
        for role in ROLES
    }
    env.close()
    weights = {
        role: PPOConfig.overrides(vf_loss_coeff=config.vf_coef / moments[role]["value_std"] ** 2) for role in ROLES
    }
    world = {"scenario": config.world, "reward_mode": config.reward_mode}
    return (
        PPOConfig()
        .environment(SpiralBatch, env_config=world)
        .env_runners(
            env_runner_cls=SpiralEnvRunner,
            num_env_runners=config.runners,
            num_envs_per_env_runner=config.num_envs // config.runners,
            rollout_fragment_length=config.num_steps,
            sample_timeout_s=600.0,
        )
        .multi_agent(policies=set(ROLES), policy_mapping_fn=role_of, algorithm_config_overrides_per_module=weights)
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=modules))
        .learners(num_learners=0)
        .training(
            learner_class=RoleLearner,
            learner_config_dict={"minibatches": config.minibatches},
            lr=config.learning_rate,
            gamma=config.gamma,
            lambda_=config.gae_lambda,
            clip_param=config.clip_coef,
            vf_clip_param=float("inf"),
            entropy_coeff=config.ent_coef,
            kl_coeff=0.0,
            grad_clip=config.max_grad_norm,
            grad_clip_by="global_norm",
            num_epochs=config.epochs,
            minibatch_size=config.num_steps,
            train_batch_size_per_learner=config.num_envs * config.num_steps,
        )
        .fault_tolerance(
            restart_failed_env_runners=True,
            max_num_env_runner_restarts=1_000_000,
            num_consecutive_env_runner_failures_tolerance=1_000_000,
            delay_between_env_runner_restarts_s=1.0,
            env_runner_health_probe_timeout_s=2.0,
            env_runner_restore_timeout_s=60.0,
        )
        .debugging(seed=seed, log_level="ERROR")
    )
