"""One role's networks, normalisers and what it needs to act and to value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from spiral_env.training.learning.by_hand import HandPlayer
from spiral_env.training.learning.flat import Adam, FusedAdam, flatten, length
from spiral_env.training.learning.losses import categorical_terms, gaussian_terms
from spiral_env.training.learning.networks import Actor
from spiral_env.training.learning.normalisation import Normaliser

__all__ = ["Learner"]


class Learner:
    """The learner of a role; all agents of the role share it.

    Attributes:
        actor: the policy, on normalised observations.
        critic: called with observations ``[U, A, O]`` and the state ``[U, D]`` (or None).
        observations: moments of the role's observations.
        targets: moments of the value targets; the critic predicts in their units.
        by_hand: whether passes are made without autograd, as on a CPU where the actor is plain.
        flat: all parameters as one vector, the actor's first.
    """

    def __init__(
        self,
        counts: np.ndarray,
        inputs: int,
        actor: Actor,
        critic: nn.Module,
        device: torch.device,
        adam: type[Adam] | type[FusedAdam] = Adam,
    ) -> None:
        """Take over freshly initialised networks."""
        self.counts, self.device = counts, device
        self.actor, self.critic = actor.to(device), critic.to(device)
        self.observations, self.targets = Normaliser(inputs), Normaliser(1)
        self._tops = torch.as_tensor(counts - 1, device=device)
        self.hidden = actor.cell.hidden_size if actor.cell is not None else 0
        self.by_hand = device.type == "cpu" and actor.plain
        self.flat = flatten(self.parameters())
        cut = length(list(actor.parameters()))
        self._cut, self.adam = cut, {"actor": adam(self.flat[:cut]), "critic": adam(self.flat[cut:])}
        self._player = HandPlayer(actor, counts)

    @property
    def recurrent(self) -> bool:
        """Whether the actor has a memory."""
        return self.hidden > 0

    def tensor(self, array: np.ndarray) -> Tensor:
        """A numpy array on the learner's device."""
        return torch.from_numpy(array).to(self.device)

    @torch.no_grad()
    def act(
        self, x: np.ndarray, memory: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Sample for normalised observations ``[E, A, O]``: actions ``[E, A, L]``, log-probabilities, new memory."""
        shape = x.shape[:-1]
        if self.by_hand:
            drawn, its_log_p = self._player.act(x.reshape(-1, x.shape[-1]), rng)
            return drawn.reshape(*shape, -1), its_log_p.reshape(shape), None
        rows = self.tensor(x.reshape(-1, x.shape[-1]))
        parameters, after = self.actor(rows, None if memory is None else self.tensor(memory))
        actions, log_p = self.draw(parameters, self.tensor(self._luck(rng, len(rows))))
        out = actions.cpu().numpy().reshape(*shape, -1)
        return out, log_p.cpu().numpy().reshape(shape), None if after is None else after.cpu().numpy()

    def _luck(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        shape = (rows, len(self.counts))
        return (rng.standard_normal if self.actor.continuous else rng.random)(shape, dtype=np.float32)

    def draw(self, parameters: Tensor, luck: Tensor) -> tuple[Tensor, Tensor]:
        """Actions ``[B, L]`` under the actor's output and their log-probabilities ``[B]``.

        ``luck`` ``[B, L]`` is standard normal for a continuous actor, otherwise uniform in [0, 1).
        """
        if self.actor.continuous:
            actions = parameters + luck * self._log_std().exp()
        else:
            edges = torch.softmax(parameters, -1).cumsum(-1)[..., :-1]
            # Where rounding leaves a gap below 1, the last value that a lever has is taken.
            actions = torch.minimum((luck.unsqueeze(-1) > edges).sum(-1), self._tops)
        return actions, self.terms(parameters, actions)[0]

    def _log_std(self) -> Tensor:
        assert self.actor.log_std is not None
        return self.actor.log_std.clamp(-4.0, 0.5)

    def terms(self, parameters: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of actions under the actor's output."""
        if self.actor.continuous:
            return gaussian_terms(parameters, self._log_std(), actions)
        return categorical_terms(parameters, actions)

    @torch.no_grad()
    def values(self, x: np.ndarray, state: np.ndarray | None, rows: int = 512) -> np.ndarray:
        """Values ``[U, A]`` in units of reward, of normalised observations ``[U, A, O]`` and states ``[U, D]``."""
        parts = []
        for a in range(0, len(x), rows):
            s = None if state is None else self.tensor(state[a : a + rows])
            parts.append(self.critic(self.tensor(x[a : a + rows]), s).cpu().numpy())
        return np.concatenate(parts) * self.targets.std[0] + self.targets.mean[0]

    def rescale(self, targets: np.ndarray) -> np.ndarray:
        """Take in new value targets, keep what the critic says (van Hasselt et al. 2016); targets in its units."""
        before = float(self.targets.mean[0]), float(self.targets.std[0])
        self.targets.update(targets[..., None])
        self.keep_values(*before)
        return ((targets - self.targets.mean[0]) / self.targets.std[0]).astype(np.float32)

    @torch.no_grad()
    def keep_values(self, mean: float, std: float) -> None:
        """Let the critic say the same under the moments of the targets as under ``mean`` and ``std`` before."""
        new_mean, new_std = self.targets.mean[0], self.targets.std[0]
        head = self.critic.head
        assert isinstance(head, nn.Linear)
        head.weight.mul_(std / new_std)
        head.bias.copy_((head.bias * std + mean - new_mean) / new_std)

    def step(self, gradient: Tensor, learning_rate: float, *, moving: bool) -> None:
        """Move against a gradient laid out as ``flat``; an actor that is not ``moving`` keeps every bit."""
        parts = {"actor": gradient[: self._cut], "critic": gradient[self._cut :]}
        for name, adam in self.adam.items():
            assert isinstance(adam, Adam)
            if moving or name == "critic":
                adam.step(parts[name], learning_rate)

    def parameters(self) -> list[nn.Parameter]:
        """Actor's parameters, then the critic's."""
        return [*self.actor.parameters(), *self.critic.parameters()]

    def tensors(self) -> dict[str, np.ndarray]:
        """All that must be stored to go on, by name."""
        out = {f"actor.{k}": v.detach().cpu().numpy().copy() for k, v in self.actor.state_dict().items()}
        out |= {f"critic.{k}": v.detach().cpu().numpy().copy() for k, v in self.critic.state_dict().items()}
        parts = {"observations": self.observations, "targets": self.targets}
        for name, part in (parts | {f"adam.{k}": x for k, x in self.adam.items()}).items():
            out |= {f"{name}.{k}": v for k, v in part.tensors().items()}
        return out

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from ``tensors()``."""
        for name, module in (("actor", self.actor), ("critic", self.critic)):
            state = {k: torch.from_numpy(tensors[f"{name}.{k}"].copy()) for k in module.state_dict()}
            module.load_state_dict(state)
        for name, norm in (("observations", self.observations), ("targets", self.targets)):
            norm.load({k: tensors[f"{name}.{k}"] for k in ("count", "mean", "m2")})
        for name, adam in self.adam.items():
            adam.load({k: tensors[f"adam.{name}.{k}"] for k in ("mean", "square", "steps")})


CriticFactory = Callable[[int, int, int, int], nn.Module]
