"""A TorchRL EnvBase over the batched engine: one group per role, one tensor per entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.parallel_env import check_seed
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    import torch
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Categorical, Composite, MultiCategorical, TensorSpec, Unbounded
    from torchrl.envs import EnvBase
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[torchrl]'") from None

__all__ = ["SpiralEnv"]

_DONE = ("done", "terminated", "truncated")


class _Levers(MultiCategorical):
    """A MultiCategorical that draws all its levels in one call; TorchRL's own draws them one by one."""

    def rand(self, shape: torch.Size | None = None) -> torch.Tensor:
        if self.mask is not None:
            return super().rand(shape)
        drawn = torch.rand((*(shape or ()), *self.shape), device=self.device)
        return (drawn * self.nvec.to(self.device)).to(self.dtype)


class SpiralEnv(EnvBase):
    """A batch of ecosystems with the keys of TorchRL's ``PettingZooWrapper``.

    ``(role, "observation")``, ``(role, "action")`` and ``(role, "reward")`` are ``[E, A, ...]``; ``done``,
    ``terminated`` and ``truncated`` stand at the root, ``[E, 1]``, and in each group, ``[E, A, 1]``. Ecosystems that
    ended are opened anew one by one, by TorchRL's partial resets.

    Attributes:
        batch: the ecosystems.
        group_map: role -> names of its agents.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v0",
        num_envs: int = 1,
        num_threads: int = 1,
        *,
        seed: int | None = None,
        device: str | torch.device = "cpu",
        return_state: bool = False,
        **options: Any,
    ) -> None:
        """Build ``num_envs`` ecosystems; ``options`` as in ``vector_env``.

        ``return_state=True`` adds the whole state, ``state`` ``[E, D]``, for central critics.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        batch = SpiralVectorEnv(scenario, num_envs, num_threads, "disabled", **(options | {"copy": True}))
        super().__init__(device=torch.device(device), batch_size=torch.Size([num_envs]))
        self.batch = batch
        self.return_state = return_state
        self.group_map: dict[str, list[str]] = {role: [] for role in ROLES}
        for agent in agent_names(batch.num_agents_of["sme"]):
            self.group_map[agent_role(agent)].append(agent)
        self._seed: int | None = None if seed is None else check_seed(seed)
        self._make_specs()

    def _make_specs(self) -> None:
        state = {"state": self._unbounded(self.batch.state().shape)} if self.return_state else {}
        self.observation_spec = self._composite(
            {r: {"observation": self._observation_spec_of(r)} for r in ROLES}, state
        )
        self.action_spec = self._composite({r: {"action": self._action_spec_of(r)} for r in ROLES})
        self.reward_spec = self._composite({r: {"reward": self._unbounded((*self._shape(r), 1))} for r in ROLES})
        root = {name: self._flag(self.batch_size) for name in _DONE}
        self.done_spec = self._composite({r: {k: self._flag(self._shape(r)) for k in _DONE} for r in ROLES}, root)

    def _composite(
        self, groups: dict[str, dict[str, TensorSpec]], root: dict[str, TensorSpec] | None = None
    ) -> Composite:
        """Specs of each role's group and of the root."""
        nested = {role: Composite(specs, shape=self._shape(role), device=self.device) for role, specs in groups.items()}
        return Composite(nested | (root or {}), shape=self.batch_size, device=self.device)

    def _shape(self, role: str) -> torch.Size:
        return torch.Size([*self.batch_size, self.batch.num_agents_of[role]])

    def _flag(self, shape: torch.Size) -> TensorSpec:
        return Categorical(n=2, shape=torch.Size([*shape, 1]), dtype=torch.bool, device=self.device)

    def _unbounded(self, shape: tuple[int, ...]) -> TensorSpec:
        return Unbounded(torch.Size(shape), dtype=torch.float32, device=self.device)

    def _observation_spec_of(self, role: str) -> TensorSpec:
        return self._box(self.batch.single_observation_space[role], self._shape(role))

    def _box(self, space: Any, shape: torch.Size) -> TensorSpec:
        size = torch.Size([*shape, *space.shape])
        low, high = (torch.as_tensor(x, device=self.device).expand(size) for x in (space.low, space.high))
        return Bounded(low, high, size, dtype=torch.float32, device=self.device)

    def _action_spec_of(self, role: str) -> TensorSpec:
        space: Any = self.batch.single_action_space[role]
        shape = self._shape(role)
        if self.batch.options.action_mode == "continuous":
            return self._box(space, shape)
        if self.batch.options.action_mode == "discrete":
            return Categorical(int(space.n), shape=shape, dtype=torch.int64, device=self.device)
        return _Levers(torch.as_tensor(space.nvec), shape=torch.Size([*shape, len(space.nvec)]), device=self.device)

    def _set_seed(self, seed: int | None) -> None:
        """The next full reset opens ecosystem ``e`` with the seed ``seed + e``."""
        self._seed = None if seed is None else check_seed(seed)

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDictBase:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is None or mask.all():
            observations, _info = self.batch.reset(seed=self._seed)
            self._seed = None
        else:
            chosen = mask.reshape(self.batch.num_envs).cpu().numpy()
            observations, _info = self.batch.reset(options={"reset_mask": chosen})
        never = np.zeros(self.batch.num_envs, dtype=np.bool_)
        return self._tensordict({r: {"observation": self._tensor(observations[r])} for r in ROLES}, never, never)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        actions = {role: tensordict.get((role, "action")).cpu().numpy() for role in ROLES}
        observations, rewards, terminations, truncations, _ = self.batch.step(actions)
        groups = {
            role: {
                "observation": self._tensor(observations[role]),
                "reward": self._tensor(rewards[role].astype(np.float32)[..., None]),
            }
            for role in ROLES
        }
        return self._tensordict(groups, terminations, truncations)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def _tensordict(
        self, groups: dict[str, dict[str, torch.Tensor]], terminations: np.ndarray, truncations: np.ndarray
    ) -> TensorDictBase:
        """Groups and root with their flags."""
        arrays = zip(_DONE, (terminations | truncations, terminations, truncations), strict=True)
        flags = {name: self._tensor(array.copy())[:, None] for name, array in arrays}
        out: dict[str, Any] = dict(flags)
        for role, entries in groups.items():
            shape = self._shape(role)
            spread = {name: flag[:, None].expand(*shape, 1).clone() for name, flag in flags.items()}
            out[role] = TensorDict(entries | spread, batch_size=shape, device=self.device)
        if self.return_state:
            out["state"] = self._tensor(self.batch.state())
        return TensorDict(out, batch_size=self.batch_size, device=self.device)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """End the worker threads."""
        if not self.is_closed:
            self.batch.close()
        super().close(raise_if_closed=raise_if_closed)
