"""Evolution strategy: antithetic perturbations of one small policy per role (Salimans et al. 2017).

A generation plays ``num_envs`` whole episodes. Its first half perturbs the policies by ``+noise``, its second half by
``-noise`` in the same worlds: with ``d`` the difference of the two returns in standard deviations of all differences,

    gradient = mean over pairs of d * noise.

Under cooperative rewards a role's agents share their noise, since they share the return; otherwise each agent has noise
and a return of its own.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spiral_env.policy import STATUS_QUO
from spiral_env.roles import ROLES
from spiral_env.training.learning.flat import Adam
from spiral_env.training.learning.normalisation import Normaliser
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.run import Report, run
from spiral_env.vector_env import SpiralVectorEnv

__all__ = ["EsTrainer", "Species", "make_trainer", "train"]


class Species:
    """The policy of a role, and a generation of its neighbours.

    Attributes:
        flat: all parameters as one vector.
        noise: what the neighbours differ by, ``[pairs * groups, D]``, in standard deviations.
        observations: moments of what was seen.
    """

    def __init__(
        self, inputs: int, counts: np.ndarray, config: TrainConfig, role: str, groups: int, device: torch.device
    ) -> None:
        """Start at zero but for the bias towards what the average firm does."""
        widths = [inputs, *[config.hidden] * config.layers, len(counts) * int(counts.max())]
        self.shapes = [s for a, b in itertools.pairwise(widths) for s in ((a, b), (b,))]
        self.counts, self.groups, self.observations = counts, groups, Normaliser(inputs)
        self._absent = torch.arange(int(counts.max()), device=device) >= torch.as_tensor(counts, device=device)[:, None]
        self.flat = torch.zeros(sum(int(np.prod(s)) for s in self.shapes))
        generator = torch.Generator().manual_seed(config.seed)
        parts = self._split(self.flat)
        for weight in parts[:-2:2]:
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[0] ** 0.5)
        chosen = np.rint(np.array(STATUS_QUO[role]) * (counts - 1)).astype(int)
        parts[-1].view(len(counts), -1)[torch.arange(len(counts)), torch.from_numpy(chosen)] = config.start_logit
        self.flat = self.flat.to(device)
        self.adam, self.noise = Adam(self.flat), torch.empty(0)

    def _split(self, flat: Tensor) -> list[Tensor]:
        """Weights ``[..., in, out]`` and biases ``[..., out]`` of vectors ``[..., D]``."""
        parts = flat.split([int(np.prod(s)) for s in self.shapes], dim=-1)
        return [x.view(*flat.shape[:-1], *s) for x, s in zip(parts, self.shapes, strict=True)]

    def noise_shape(self, pairs: int) -> tuple[int, int]:
        """Of the noise of a generation: a row for each pair and group."""
        return pairs * self.groups, len(self.flat)

    def act(self, x: Tensor, sigma: float) -> Tensor:
        """Likeliest actions ``[E, A, L]`` of observations ``[E, A, O]``, the second half of E with the noise turned."""
        envs, agents, _ = x.shape
        pairs, each = envs // 2, agents // self.groups
        # Rows of one noise vector side by side: [pairs * groups, 2 * each, O], the turned ones last.
        x = x.view(2, pairs, self.groups, each, -1).permute(1, 2, 0, 3, 4).reshape(-1, 2 * each, x.shape[2])
        sign = torch.ones((2 * each, 1), device=x.device)
        sign[each:] = -1.0
        base, noise = self._split(self.flat), self._split(self.noise)
        for k in range(0, len(base), 2):
            turned = torch.baddbmm(noise[k + 1].unsqueeze(1), x, noise[k])
            x = torch.addmm(base[k + 1], x.flatten(0, 1), base[k]).view_as(turned).addcmul_(turned, sign, value=sigma)
            if k < len(base) - 2:
                x = x.tanh_()
        logits = x.view(pairs, self.groups, 2, each, -1).permute(2, 0, 1, 3, 4)
        values = logits.reshape(envs, agents, len(self.counts), -1)
        return values.masked_fill(self._absent, -torch.inf).argmax(-1)

    def learn(self, returns: Tensor, learning_rate: float, decay: float) -> float:
        """Climb by the returns ``[E, A]``; returns the gradient's norm."""
        grouped = returns.reshape(2, len(returns) // 2, self.groups, -1).mean(-1).view(2, -1)
        difference = grouped[0] - grouped[1]
        weights = (difference / (difference.std(correction=0) + 1e-8)).clamp(-3.0, 3.0).float() / len(difference)
        gradient = torch.mv(self.noise.t(), weights)
        self.adam.step(decay * self.flat - gradient, learning_rate)
        return float(gradient.norm())

    def layers(self) -> dict[str, np.ndarray]:
        """Weights and biases by the names of a checkpoint."""
        parts, out = self._split(self.flat), {}
        for k in range(0, len(parts), 2):
            name = "head" if k == len(parts) - 2 else f"layer{k // 2}"
            out[f"{name}.weight"], out[f"{name}.bias"] = _copied(parts[k].t()), _copied(parts[k + 1])
        return out


class EsTrainer:
    """A generation an iteration.

    Attributes:
        agent_steps: agent-steps lived so far.
        iteration: generations so far.
    """

    device = torch.device("cpu")

    def __init__(self, config: TrainConfig) -> None:
        """Build the batch and the policies from the seed alone."""
        torch.set_num_threads(config.torch_threads)
        self.config = config
        self.env = self._new_batch(
            scenario=config.world,
            num_envs=config.num_envs,
            autoreset_mode="disabled",
            reward_mode=config.reward_mode,
        )
        apart = config.reward_mode != "cooperative"
        self.species = {role: self._species(role, self.env.num_agents_of[role] if apart else 1) for role in ROLES}
        self.agent_steps = 0
        self.iteration = 0

    def _new_batch(self, **options: Any) -> SpiralVectorEnv:
        return SpiralVectorEnv(num_threads=self.config.env_threads, **options)

    def _species(self, role: str, groups: int) -> Species:
        inputs = self.env.single_observation_space[role].shape[0]
        return Species(inputs, self.env.options.counts(role), self.config, role, groups, self.device)

    def iterate(self) -> dict[str, float]:
        """One generation; returns minus the mean return, gradient norms and the outcomes of its episodes."""
        config = self.config
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 3, self.iteration]))
        for species in self.species.values():
            self.mutate(species, rng)
        seeds = np.tile(rng.integers(*self.env.scenario.train_seeds, config.num_envs // 2), 2)
        returns, outcomes, months = self._play(seeds)
        left = max(0.05, 1.0 - self.agent_steps / config.timesteps) if config.anneal else 1.0
        figures = {}
        for role, species in self.species.items():
            figures[f"policy_loss/{role}"] = -float(returns[role].mean())
            norm = species.learn(returns[role], config.learning_rate * left, config.es_decay)
            figures[f"gradient_norm/{role}"] = norm
        self.agent_steps += months * config.num_envs * self.env.num_agents
        self.iteration += 1
        return figures | {f"outcome/{name}": x for name, x in outcomes.items()}

    def mutate(self, species: Species, rng: np.random.Generator) -> None:
        """Draw the noise of a generation."""
        shape = species.noise_shape(self.env.num_envs // 2)
        species.noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    def _play(self, seeds: np.ndarray) -> tuple[dict[str, Tensor], dict[str, float], int]:
        """Whole episodes: returns ``[E, A]`` by role, mean outcome measures, months; what was seen is taken in."""
        seen, _ = self.env.reset(seed=seeds)
        returns = {role: np.zeros(seen[role].shape[:2]) for role in ROLES}
        rows = {role: torch.empty(seen[role].shape) for role in ROLES}
        running, months = np.ones(len(seeds), dtype=np.bool_), 0
        while running.any():
            actions = {}
            for role, species in self.species.items():
                species.observations.note(seen[role], rows[role].numpy(), running)
                actions[role] = species.act(rows[role], self.config.es_sigma).numpy()
            seen, rewards, terminated, truncated, _ = self.env.step(actions)
            for role in ROLES:
                returns[role] += rewards[role] * running[:, None]
            running &= ~(terminated | truncated)
            months += 1
        for species in self.species.values():
            species.observations.take_noted()
        outcomes = {name: float(np.mean(x)) for name, x in self.env.metrics().items()}
        return {role: torch.from_numpy(x) for role, x in returns.items()}, outcomes, months

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays that must be stored to go on bit for bit."""
        out = {}
        for role, species in self.species.items():
            out[f"{role}.flat"] = _copied(species.flat)
            out |= {f"{role}.adam.{k}": v for k, v in species.adam.tensors().items()}
            out |= {f"{role}.observations.{k}": v for k, v in species.observations.tensors().items()}
        return out

    def counters(self) -> dict[str, Any]:
        """All numbers that must be stored to go on bit for bit; draws depend on the seed and these alone."""
        return {"agent_steps": self.agent_steps, "iteration": self.iteration}

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``."""
        for role, species in self.species.items():
            mine = {k.removeprefix(f"{role}."): v for k, v in tensors.items() if k.startswith(f"{role}.")}
            species.flat.copy_(torch.from_numpy(mine["flat"]))
            species.adam.load({k.removeprefix("adam."): v for k, v in mine.items() if k.startswith("adam.")})
            moments = {k: v for k, v in mine.items() if k.startswith("observations.")}
            species.observations.load({k.removeprefix("observations."): v for k, v in moments.items()})
        self.agent_steps, self.iteration = counters["agent_steps"], counters["iteration"]

    def policy(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors and header of the policy as a checkpoint holds it."""
        out: dict[str, np.ndarray] = {}
        for role, species in self.species.items():
            out |= {f"{role}.{k}": v for k, v in species.layers().items()}
            out[f"{role}.mean"], out[f"{role}.std"] = species.observations.mean, species.observations.std
        return out, {"networks": "per_role", "layers": self.config.layers, "head": "categorical", "recurrent": []}

    def close(self) -> None:
        """End all threads."""
        self.env.close()


def train(config: TrainConfig, folder: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Train; see ``spiral_env.training.runs.run.run``."""
    return run(make_trainer(config), folder, resume=resume, report=report)


def make_trainer(config: TrainConfig) -> EsTrainer:
    """The trainer of ``config.device``.

    Raises:
        ImportError: a package that the device needs is missing.
        ValueError: the device is not there.
    """
    if config.device == "cpu":
        return EsTrainer(config)
    from spiral_env.training.device.es import DeviceEsTrainer

    return DeviceEsTrainer(config)


def _copied(x: Tensor) -> np.ndarray:
    return x.cpu().numpy().copy()
