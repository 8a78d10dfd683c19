"""The batch of ``spiral_env.vector_env`` with torch tensors on a device in the place of arrays.

Names, shapes, modes and numbers are those of ``SpiralVectorEnv``. ``step`` waits for nothing: all it gives and takes is
on the device, on torch's current stream. So it cannot look whether a row has ended or an action was outside its space:

* ``final_metrics`` and ``_final_metrics`` are in every info, and so are ``final_obs`` and ``_final_obs`` with
  ``autoreset_mode="same_step"``. The measures are computed when one is asked for, and are those of each row's last
  ended episode.
* An action outside its space leaves the effort at the nearest end; the next call that looks (``check``, ``reset``,
  ``snapshot``, ``restore``, ``metrics`` or ``close``) raises the ``ValueError``. On the CPU ``step`` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from spiral_env.checks import check_options, shown
from spiral_env.metrics import METRICS, Library, outcome
from spiral_env.roles import LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios.seeds import check_seed, row_seeds, series
from spiral_env.simulator.engine import central_fields
from spiral_env.simulator.month import SUMMARY
from spiral_env.spaces import padded_width
from spiral_env.tensor_engine import Records, TensorEngine, as_device, engine_for
from spiral_env.vector_env import SpiralVectorEnv, check_roles

__all__ = ["TensorVectorEnv"]

_DONE, _COLLAPSED = SUMMARY.index("done"), SUMMARY.index("collapsed")
_LARGEST = float(np.finfo(np.float32).max)
_TORCH = Library(
    larger=lambda x, low: x.clamp(min=low),
    ordered=lambda x: x.sort(-1).values,
    own=torch.clone,
    real=lambda x: x.to(torch.float64),
    ranks=lambda x: torch.arange(1, x.shape[-1] + 1, device=x.device),
)


class TensorVectorEnv(SpiralVectorEnv):
    """A batch of ecosystems on a device; made by ``SpiralVectorEnv(device=...)``.

    Attributes:
        device: of all tensors.
    """

    engine: TensorEngine  # type: ignore[assignment]
    _tops: dict[str, torch.Tensor]  # type: ignore[assignment]
    _base_seeds: torch.Tensor | None  # type: ignore[assignment]
    _episodes: torch.Tensor  # type: ignore[assignment]
    _needs_reset: torch.Tensor  # type: ignore[assignment]

    def _allocate(self, device: str | None, num_threads: int) -> None:
        """Make the engine and the buffers."""
        self.device = as_device(device)
        realised = self.options.reward_basis == "realised"
        self.engine = engine_for(
            self.device, self.world, self.num_envs, self.options.reward_mode, realised, num_threads
        )
        self._tops = {role: torch.from_numpy(self.options.counts(role) - 1).to(self.device) for role in ROLES}
        self._base_seeds = None
        self._episodes = self._zeros(torch.int64)
        self._needs_reset = self._zeros(torch.bool)
        self._wrong = {role: torch.zeros((), dtype=torch.bool, device=self.device) for role in ROLES}
        self._last = _LastEpisodes(self.engine)
        self._padded = {role: self._pad_for(role) for role in ROLES} if self.options.homogenize else {}

    def _zeros(self, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(self.num_envs, dtype=dtype, device=self.device)

    def _pad_for(self, role: str) -> torch.Tensor:
        """Room for padded observations: zeros, and the role's one-hot."""
        out = torch.zeros((*self.engine.observations[role].shape[:2], padded_width()), device=self.device)
        out[..., ROLES.index(role) - len(ROLES)] = 1.0
        return out

    def reset(  # type: ignore[override]
        self, seed: int | Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Open an episode in every row, or in some; see ``SpiralVectorEnv.reset``.

        Args:
            seed: one seed for the batch, a sequence with one for each row, or None.
            options: ``{"reset_mask": mask}``, bool ``[E]``, a tensor or an array.

        Returns:
            Observations, role -> float32 ``[E, A, O]``, and an empty info.

        Raises:
            TypeError: a seed is neither an integer nor a sequence.
            ValueError: a sequence or mask of the wrong length, a seed outside [0, 2^63), or an earlier action was
                outside its space.
        """
        self.check()
        mask = self._mask(options)
        if seed is not None or self._base_seeds is None:
            given = row_seeds(check_seed(None) if seed is None else seed, self.num_envs, self.split)
            fresh = torch.tensor([check_seed(x) for x in given], dtype=torch.int64, device=self.device)
            self._keep_seeds(fresh if self._base_seeds is None else torch.where(mask, fresh, self._base_seeds))
            self._episodes.masked_fill_(mask, 0)
        else:
            self._episodes += mask
        self._needs_reset.masked_fill_(mask, False)
        self._open(mask)
        return self._observations(), {}

    def _keep_seeds(self, seeds: torch.Tensor) -> None:
        """Always in the same memory, as all else that a step reads: a CUDA graph may hold it."""
        if self._base_seeds is None:
            self._base_seeds = seeds
        else:
            self._base_seeds.copy_(seeds)

    def reopen(self, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Open the next episode of masked rows as ``reset`` with a ``reset_mask`` does, without waiting for the device.

        Args:
            mask: bool ``[E]`` on the device.

        Returns:
            Observations, role -> float32 ``[E, A, O]``.
        """
        self._needs_reset.masked_fill_(mask, False)
        self._reopen(mask)
        return self._observations()

    def _mask(self, options: dict[str, Any] | None) -> torch.Tensor:
        given = check_options(options).get("reset_mask")
        if isinstance(given, torch.Tensor):
            options = {"reset_mask": given.cpu().numpy()}
        return torch.from_numpy(self.reset_mask(options)).to(self.device)

    def _open(self, mask: torch.Tensor) -> None:  # type: ignore[override]
        """Open the episodes that the counts say in the masked rows."""
        assert self._base_seeds is not None
        within = self.scenario.held_out_seeds if self.split == "held_out" else self.scenario.train_seeds
        seeds = series(self._base_seeds, self._episodes, within)
        if self.split is None:
            seeds = torch.where(self._episodes == 0, self._base_seeds, seeds)
        self.engine.reset(seeds, mask)

    def _reopen(self, mask: torch.Tensor) -> None:  # type: ignore[override]
        self._episodes += mask
        self._open(mask)

    def _play(self, actions: Any) -> None:
        """Write the efforts of a step."""
        check_roles(actions)
        for role in ROLES:
            given, want = actions[role], self._action_shape(role)
            if not isinstance(given, torch.Tensor) or given.device != self.device or given.shape != want:
                raise ValueError(f"actions of {role} must be a tensor {want} on {self.device}, got {_told(given)}")
            efforts, wrong = self._efforts_of(role, given)
            self.engine.efforts[:, self._slice(role), : NUM_LEVERS[role]] = efforts[..., : NUM_LEVERS[role]]
            self._wrong[role] |= wrong
        if self.device.type == "cpu":
            self.check()

    def _efforts_of(self, role: str, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Efforts ``[E, A, L]`` in [0, 1], and whether an action was outside its space."""
        if self.options.action_mode == "continuous":
            efforts = given.to(torch.float64)
            return efforts.clamp(0.0, 1.0).nan_to_num(0.0), efforts.isnan().any()
        if given.is_floating_point() or given.dtype == torch.bool:
            raise ValueError(f"actions of {role} must be integers, got dtype {given.dtype}")
        if self.options.action_mode == "discrete":
            last = 3 ** self.options.num_levers(role) - 1
            inside = given.clamp(0, last)
            efforts = inside[..., None] // self._digits[role] % 3 / 2.0
            return efforts.to(torch.float64), (inside != given).any()
        inside = given.clamp(min=0).minimum(self._tops[role])
        return inside.to(torch.float64) / self._tops[role], (inside != given).any()

    @cached_property
    def _digits(self) -> dict[str, torch.Tensor]:
        """Role -> what the value of each lever counts in a flat action."""
        lengths = {role: self.options.num_levers(role) for role in ROLES}
        return {r: torch.tensor([3**k for k in range(n - 1, -1, -1)], device=self.device) for r, n in lengths.items()}

    def check(self) -> None:
        """Raise what a step could not; waits for the device.

        Raises:
            ValueError: an action was outside its space.
        """
        found = [role for role in ROLES if bool(self._wrong[role])]
        for role in found:
            self._wrong[role].fill_(False)
        if found:
            levels = f"{LEVERS[found[0]][0].name} ..." if self.options.action_mode != "discrete" else "an action"
            raise ValueError(f"actions of {found[0]}: {levels} must be inside {self.single_action_space[found[0]]}")

    def step(  # type: ignore[override]
        self, actions: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Live one month in every row, without waiting for the device; see ``SpiralVectorEnv.step``.

        Args:
            actions: role -> tensor on the device, ``[E, A, L]`` of int64 levels or float efforts of its L levers, or
                with ``action_mode="discrete"`` of int64 ``[E, A]``.

        Returns:
            Observations (role -> float32 ``[E, A, O]``), rewards (role -> float64 ``[E, A]``), terminations and
            truncations (bool ``[E]``), and an info with ``asked`` and ``paid`` (role -> float64 ``[E, A]`` in k$),
            ``final_metrics`` (of each row's last ended episode) and the mask ``_final_metrics`` of the rows that ended
            now; in ``same_step`` mode also ``final_obs`` and ``_final_obs``.

        Raises:
            RuntimeError: there was no reset.
            ValueError: a role is unknown or missing, or its actions are of the wrong shape, type or device; on the CPU
                also if they are outside the space.
        """
        if self._base_seeds is None:
            raise RuntimeError("step() needs a reset() first")
        self._play(actions)
        engine = self.engine
        before = engine.summary[:, _DONE] > 0.0
        engine.step()
        ended = (engine.summary[:, _DONE] > 0.0) & ~before
        fallen = engine.summary[:, _COLLAPSED] > 0.0
        self._last.keep(ended)
        info: dict[str, Any] = {"final_metrics": self.last_metrics(), "_final_metrics": ended, **self._asked_and_paid()}
        ends = ended & fallen, ended & ~fallen
        if self.autoreset_mode == "same_step":
            info |= {"final_obs": _cloned(self._observations()), "_final_obs": ended}
            rewards, vectors, spent = _cloned(self._rewards()), engine.vectors.clone(), engine.spent.clone()
            self._reopen(ended)
            engine.vectors.copy_(vectors)
            engine.spent.copy_(spent)
            return self._observations(), rewards, *ends, info
        if self.autoreset_mode == "next_step":
            self._reopen(self._needs_reset)
            self._needs_reset.copy_(ended)
        return self._observations(), self._rewards(), *ends, info

    def _observations(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        blocks = self.engine.observations
        for role, room in self._padded.items():
            room[..., : blocks[role].shape[-1]] = blocks[role]
        blocks = self._padded or blocks
        return _cloned(blocks) if self.copy else dict(blocks)

    def _rewards(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        blocks = {role: self.engine.scalars[:, self._slice(role)] for role in ROLES}
        return _cloned(blocks) if self.copy else blocks

    def reward_vectors(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Last month's (security, cost, value) in k$: role -> float64 ``[E, A, 3]``."""
        return {role: self.engine.vectors[:, self._slice(role)].clone() for role in ROLES}

    def spending(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Last month's k$ that the levers asked for, and that were paid: role -> float64 ``[E, A, 2]``."""
        return {role: self.engine.spent[:, self._slice(role)].clone() for role in ROLES}

    def last_metrics(self) -> Mapping[str, torch.Tensor]:
        """Outcome measures of each row's last ended episode, float64 ``[E]``, computed when one is looked at."""
        return _Measures(self._last)

    def metrics(self) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """Outcome measures of each row's episode so far, float64 ``[E]``."""
        self.check()
        return outcome(self.engine.states, self.engine.params, _TORCH)

    def state(self) -> torch.Tensor:  # type: ignore[override]
        """Everything but single backlog slots, float32 ``[E, D]``; see ``state_names`` and ``state_units``."""
        fields = ((self.engine.states[name], cut) for name, cut in central_fields(*self._sizes))
        parts = [x[(slice(None), *cut)].reshape(self.num_envs, -1).to(torch.float32) for x, cut in fields]
        return torch.cat(parts, dim=1).clamp_(-_LARGEST, _LARGEST)

    def snapshot(self) -> dict[str, Any]:
        """All that is needed to go on, on any device: arrays of bytes on the host, and what JSON can hold."""
        self.check()
        if self._base_seeds is None:
            raise RuntimeError("snapshot() needs a reset() first")
        states, params = (x.view(np.uint8).reshape(self.num_envs, -1) for x in self.engine.save())
        return {
            "states": states,
            "params": params,
            "base_seeds": self._base_seeds.tolist(),
            "episodes": self._episodes.tolist(),
            "needs_reset": self._needs_reset.tolist(),
        }

    def _load(
        self, states: np.ndarray, params: np.ndarray, seeds: list[int], episodes: list[int], due: list[bool]
    ) -> None:
        """Take over a checked snapshot."""
        self.check()
        self.engine.load(states, params)
        self._keep_seeds(torch.tensor(seeds, dtype=torch.int64, device=self.device))
        self._episodes.copy_(torch.tensor(episodes))
        self._needs_reset.copy_(torch.tensor(due))

    def close(self) -> None:
        """End the worker threads."""
        self.engine.close()
        self.check()


class _LastEpisodes:
    """What outcome measures need of each row's last ended episode."""

    def __init__(self, engine: TensorEngine) -> None:
        """Make room for it."""
        asked = _asked_of_records(engine)
        self._words: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        kept = []
        for records, names in zip((engine.states, engine.params), asked, strict=True):
            kept.append(records if len(records) != engine.num_envs else self._room(records, names))
        self.states, self.params = kept

    def _room(self, records: Records, names: list[str]) -> Records:
        """Records of some fields alone, and where their words lie in the whole ones."""
        dtype = np.dtype([(name, records.dtype[name]) for name in names])
        room = torch.zeros((len(records), dtype.itemsize // 8), dtype=torch.int64, device=records.data.device)
        assert records.dtype.fields is not None
        places = [np.arange(records.dtype[name].itemsize // 8) + records.dtype.fields[name][1] // 8 for name in names]
        words = torch.from_numpy(np.concatenate(places)).to(records.data.device)
        self._words.append((records.data.view(torch.int64), words, room))
        return Records(room.view(torch.uint8), dtype, records.known)

    def keep(self, ended: torch.Tensor) -> None:
        """Keep what there is of the rows that ended."""
        for whole, words, room in self._words:
            room.copy_(torch.where(ended[:, None], whole.index_select(1, words), room))


def _asked_of_records(engine: TensorEngine) -> list[list[str]]:
    """Fields of states and parameters that outcome measures are made of."""
    states, params = _Asked(engine.states), _Asked(engine.params)
    outcome(states, params, _TORCH)
    return [[name for name in x.records if name in x.names - x.records.known.keys()] for x in (states, params)]


class _Asked:
    """Records that remember which of their fields somebody looked at."""

    def __init__(self, records: Records) -> None:
        self.records, self.names = records, set[str]()

    def __getitem__(self, name: str) -> torch.Tensor:
        self.names.add(name)
        return self.records[name]

    def __len__(self) -> int:
        return len(self.records)


class _Measures(Mapping[str, torch.Tensor]):
    """Outcome measures float64 ``[E]`` of each row's last ended episode, computed when one is looked at."""

    def __init__(self, last: _LastEpisodes) -> None:
        self._last = last

    @cached_property
    def _values(self) -> dict[str, torch.Tensor]:
        return outcome(self._last.states, self._last.params, _TORCH)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(METRICS)

    def __len__(self) -> int:
        return len(METRICS)


def _cloned(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in tensors.items()}


def _told(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} on {value.device}"
    return shown(value)
