"""A TorchRL EnvBase over the batched engine: one group per role, one tensor per entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spiral_env.metrics import METRICS
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed, check_split
from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    import torch
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Categorical, Composite, MultiCategorical, TensorSpec, Unbounded
    from torchrl.envs import EnvBase
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[torchrl]'") from None

__all__ = ["SpiralEnv", "outcomes"]

_DONE = ("done", "terminated", "truncated")


class _Levers(MultiCategorical):
    """A MultiCategorical that draws all its levels in one call; TorchRL's own draws them one by one."""

    def rand(self, shape: torch.Size | None = None) -> torch.Tensor:
        if self.mask is not None:
            return super().rand(shape)
        drawn = torch.rand((*(shape or ()), *self.shape), device=self.device)
        return (drawn * self.nvec.to(self.device)).to(self.dtype)


def outcomes(months: TensorDictBase) -> dict[str, float]:
    """Outcome measures, each the mean over the episodes that ended in ``months``: what a logger is to be given.

    ``months`` is what a collector or ``rollout`` returns; without an episode that ended there is nothing to tell.
    """
    ended = months["next", "outcome"][months["next", "done"].squeeze(-1)]
    means = ended.to(torch.float64).mean(0).tolist() if len(ended) else []
    return dict(zip(METRICS, means, strict=bool(means)))


class SpiralEnv(EnvBase):
    """A batch of ecosystems with the keys of TorchRL's ``PettingZooWrapper``, and ``outcome``.

    ``(group, "observation")``, ``(group, "action")`` and ``(group, "reward")`` are ``[E, A, ...]``; ``done``,
    ``terminated`` and ``truncated`` stand at the root, ``[E, 1]``, and in each group, ``[E, A, 1]``. A group is a
    role, or all agents. Ecosystems that ended are opened anew one by one, by TorchRL's partial resets. ``outcome``,
    ``[E, M]``, holds ``spiral_env.metrics.METRICS`` of the episodes that end with a step, and NaN elsewhere;
    ``outcomes`` makes means of them.

    Attributes:
        batch: the ecosystems.
        group_map: group -> names of its agents.
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v1",
        num_envs: int = 1,
        num_threads: int = 1,
        *,
        seed: int | None = None,
        device: str | torch.device = "cpu",
        return_state: bool = False,
        one_group: bool = False,
        split: str | None = "train",
        **options: Any,
    ) -> None:
        """Build ``num_envs`` ecosystems; ``options`` as in ``vector_env``.

        ``return_state=True`` adds the whole state, ``state`` ``[E, D]``, for central critics. ``one_group=True`` puts
        all agents in the group ``agents``; it needs ``homogenize=True``. Evaluate with ``split="held_out"``.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed, or the spaces of one group differ.
        """
        device = torch.device(device)
        # A device that cannot simulate is given copies of what the processor made.
        simulated = {"copy": True, "split": split, "device": device if device.type == "cuda" else "cpu"}
        batch = SpiralVectorEnv(scenario, num_envs, num_threads, "disabled", **(options | simulated))
        if one_group and not batch.options.homogenize:
            raise ValueError("homogenize must be True with one_group=True, got False")
        super().__init__(device=device, batch_size=torch.Size([num_envs]))
        self.batch: Any = batch
        self.return_state = return_state
        self._roles: dict[str, tuple[str, ...]] = {"agents": ROLES} if one_group else {role: (role,) for role in ROLES}
        names = agent_names(batch.num_agents_of["sme"])
        self.group_map = {g: [x for x in names if agent_role(x) in roles] for g, roles in self._roles.items()}
        self._seed: int | None = None if seed is None else check_seed(seed)
        self._make_specs()

    def _make_specs(self) -> None:
        groups, observation, action = self.group_map, self.batch.single_observation_space, self._action_spec_of
        whole = {"outcome": self._unbounded((*self.batch_size, len(METRICS)))}
        whole |= {"state": self._unbounded(self.batch.state().shape)} if self.return_state else {}
        seen = {g: {"observation": self._box(observation[self._roles[g][0]], self._shape(g))} for g in groups}
        self.observation_spec = self._composite(seen, whole)
        self.action_spec = self._composite({g: {"action": action(g)} for g in groups})
        self.reward_spec = self._composite({g: {"reward": self._unbounded((*self._shape(g), 1))} for g in groups})
        root = {name: self._flag(self.batch_size) for name in _DONE}
        self.done_spec = self._composite({g: {k: self._flag(self._shape(g)) for k in _DONE} for g in groups}, root)

    def _composite(
        self, groups: dict[str, dict[str, TensorSpec]], root: dict[str, TensorSpec] | None = None
    ) -> Composite:
        """Specs of the groups and of the root."""
        nested = {g: Composite(specs, shape=self._shape(g), device=self.device) for g, specs in groups.items()}
        return Composite(nested | (root or {}), shape=self.batch_size, device=self.device)

    def _shape(self, group: str) -> torch.Size:
        return torch.Size([*self.batch_size, len(self.group_map[group])])

    def _flag(self, shape: torch.Size) -> TensorSpec:
        return Categorical(n=2, shape=torch.Size([*shape, 1]), dtype=torch.bool, device=self.device)

    def _unbounded(self, shape: tuple[int, ...]) -> TensorSpec:
        return Unbounded(torch.Size(shape), dtype=torch.float32, device=self.device)

    def _box(self, space: Any, shape: torch.Size) -> TensorSpec:
        size = torch.Size([*shape, *space.shape])
        low, high = (torch.as_tensor(x, device=self.device).expand(size) for x in (space.low, space.high))
        return Bounded(low, high, size, dtype=torch.float32, device=self.device)

    def _action_spec_of(self, group: str) -> TensorSpec:
        space: Any = self.batch.single_action_space[self._roles[group][0]]
        shape = self._shape(group)
        if self.batch.options.action_mode == "continuous":
            return self._box(space, shape)
        if self.batch.options.action_mode == "discrete":
            return Categorical(int(space.n), shape=shape, dtype=torch.int64, device=self.device)
        return _Levers(torch.as_tensor(space.nvec), shape=torch.Size([*shape, len(space.nvec)]), device=self.device)

    def draw_from(self, split: str | None) -> None:
        """Draw the worlds of all episodes that are opened from now on from another split.

        Raises:
            ValueError: there is no such split.
        """
        self.batch.split = check_split(split)

    def _set_seed(self, seed: int | None) -> None:
        """The next full reset opens the worlds of ``seed``, as ``vector_env`` does."""
        self._seed = None if seed is None else check_seed(seed)

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDictBase:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is None or mask.all():
            observations, _info = self.batch.reset(seed=self._seed)
            self._seed = None
        else:
            observations, _info = self.batch.reset(options={"reset_mask": mask.reshape(self.batch.num_envs)})
        never = torch.zeros(self.batch.num_envs, dtype=torch.bool)
        return self._tensordict({"observation": observations}, never, never, {})

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        actions: dict[str, torch.Tensor] = {}
        for group, roles in self._roles.items():
            chosen = tensordict.get((group, "action")).detach().to(self.batch.device)
            counts = [self.batch.num_agents_of[role] for role in roles]
            actions |= zip(roles, chosen.split(counts, dim=1), strict=True)
        observations, rewards, terminations, truncations, info = self.batch.step(actions)
        paid = {role: x.to(torch.float32)[..., None] for role, x in rewards.items()}
        return self._tensordict({"observation": observations, "reward": paid}, terminations, truncations, info)

    def _of_group(self, blocks: dict[str, torch.Tensor], group: str) -> torch.Tensor:
        """Role -> ``[E, A, ...]`` to the group's ``[E, A, ...]``."""
        parts = [blocks[role] for role in self._roles[group]]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).to(self.device)

    def _outcome(self, info: dict[str, Any]) -> torch.Tensor:
        """``[E, M]`` of the episodes that ended, NaN in the other rows."""
        block = torch.full((self.batch.num_envs, len(METRICS)), torch.nan, device=self.batch.device)
        ended = info.get("_final_metrics")
        # Collectors wait for the device anyway, to look who is done.
        if ended is not None and ended.any():
            measures = torch.stack([info["final_metrics"][name] for name in METRICS], dim=1)
            block = torch.where(ended[:, None], measures.to(torch.float32), block)
        return block.to(self.device)

    def _tensordict(
        self,
        entries: dict[str, dict[str, torch.Tensor]],
        terminations: torch.Tensor,
        truncations: torch.Tensor,
        info: dict[str, Any],
    ) -> TensorDictBase:
        """Entry -> role -> tensor to groups, with the flags of groups and root, and what the root alone has."""
        ends = zip(_DONE, (terminations | truncations, terminations, truncations), strict=True)
        flags = {name: x.to(self.device, copy=True)[:, None] for name, x in ends}
        out: dict[str, Any] = flags | {"outcome": self._outcome(info)}
        for group in self.group_map:
            shape = self._shape(group)
            content = {name: self._of_group(blocks, group) for name, blocks in entries.items()}
            content |= {name: flag[:, None].expand(*shape, 1).clone() for name, flag in flags.items()}
            out[group] = TensorDict(content, batch_size=shape, device=self.device)
        if self.return_state:
            out["state"] = self.batch.state().to(self.device)
        return TensorDict(out, batch_size=self.batch_size, device=self.device)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """End the worker threads."""
        if not self.is_closed:
            self.batch.close()
        super().close(raise_if_closed=raise_if_closed)
