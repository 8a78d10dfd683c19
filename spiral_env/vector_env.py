"""Thousands of ecosystems stepped by one compiled call: arrays in, arrays out, one per role."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.checks import (
    as_array,
    check_choice,
    check_count,
    check_flag,
    check_keys,
    check_list,
    check_options,
    shown,
)
from spiral_env.metrics import outcome
from spiral_env.render.view import RENDER_FPS, RENDER_MODES, View
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.seeds import check_seed, check_split, row_seeds
from spiral_env.signatures import takes_arguments_of
from spiral_env.simulator.engine import Engine, World, flat_state, state_labels
from spiral_env.simulator.month import SUMMARY
from spiral_env.spaces import Options

__all__ = ["AUTORESET_MODES", "SpiralVectorEnv", "vector_env"]

MAX_THREADS = 1024
AUTORESET_MODES = ("next_step", "same_step", "disabled")
_DONE, _COLLAPSED = SUMMARY.index("done"), SUMMARY.index("collapsed")
_SNAPSHOT = ("states", "params", "base_seeds", "episodes", "needs_reset")
_FIRST = {"it": 0, "business": 1, "finance": 2, "sme": 3}


class SpiralVectorEnv:
    """A batch of ecosystems with Gymnasium's vector names.

    Arrays are ``[num_envs, agents of the role, features]``. Observations and rewards are views of buffers that
    the next call overwrites; ``copy=True`` gives arrays of your own.

    Attributes:
        single_observation_space: role -> space of one agent.
        single_action_space: role -> space of one agent.
        num_agents_of: role -> number of agents.
        num_agents: agents of one ecosystem.
        num_envs: ecosystems E in the batch.
        max_cycles: months an episode lasts at most.
        scenario: the world.
        render_mode: as given.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v1",
        num_envs: int = 1,
        num_threads: int = 1,
        autoreset_mode: str = "next_step",
        *,
        num_smes: int | None = None,
        action_mode: str = "multi_discrete",
        levels: int = 3,
        homogenize: bool = False,
        reward_mode: str = "mixed",
        reward_basis: str = "expected",
        max_cycles: int | None = None,
        copy: bool = False,
        split: str | None = None,
        device: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Allocate the batch.

        Args:
            scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
            num_envs: ecosystems E in the batch.
            num_threads: worker threads that step them; the results are the same bits with any number.
            autoreset_mode: what a row does after its last month. "next_step": the next step opens its next episode.
                "same_step": the same step does, and the last observation is in the info. "disabled": it rests until
                ``reset``.
            num_smes: SMEs, in [1, 512]; None for the scenario's.
            action_mode: how an agent acts, with L levers of its role. "multi_discrete": int64 ``[L]``, a level a lever.
                "continuous": float ``[L]``, an effort a lever, clipped to [0, 1]. "discrete": one integer that stands
                for the three levels of all levers, the first lever's the most significant.
            levels: values of a graded lever, in [2, 101], evenly spread over the efforts 0 to 1; a category has three.
            homogenize: give all roles one space: observations padded with zeros to the longest, a one-hot of the role
                behind them; actions as long as the longest, the surplus without effect.
            reward_mode: "mixed" (own reward and a share of the ecosystem's value), "selfish" or "cooperative".
            reward_basis: losses and market income as "expected" or as "realised".
            max_cycles: months an episode lasts at most, in [1, 600]; None for the scenario's.
            copy: give arrays of your own rather than views of buffers that the next call overwrites.
            split: None, "train" or "held_out": which worlds a seed opens, see ``spiral_env.scenarios.seeds``.
            device: None for NumPy arrays; "cuda" ("cuda:1") simulates on that GPU and "cpu" on the processor, both with
                torch tensors there, see ``spiral_env.tensor_vector_env``.
            render_mode: what ``render()`` gives of each row: None, "ansi" or "rgb_array", as of
                ``spiral_env.parallel_env``; "human" shows row 0 in a window. None with a device.

        Raises:
            ImportError: a GPU or a window is asked for, and what that needs is not installed.
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed, or there is no such device.
        """
        self.num_envs = check_count("num_envs", num_envs, 1, 2**62)
        threads = check_count("num_threads", num_threads, 1, MAX_THREADS)
        self.autoreset_mode = check_choice("autoreset_mode", autoreset_mode, AUTORESET_MODES)
        self.copy = check_flag("copy", copy)
        self.options = Options(action_mode, levels, homogenize, reward_mode, reward_basis)
        self.scenario = load_scenario(scenario)
        self._view = View(render_mode, self.scenario.id)
        self.render_mode = self._view.mode
        if device is not None and self.render_mode is not None:
            raise ValueError(f"render_mode must be None with a device, got {shown(render_mode)}")
        self.split = check_split(split)
        world = self.scenario.world(num_smes, max_cycles)
        self.world = world
        self.max_cycles = world.max_cycles
        self.num_agents_of = world.agents
        self.num_agents = sum(self.num_agents_of.values())
        self.single_observation_space = {role: self.options.observation_space(role) for role in ROLES}
        self.single_action_space = {role: self.options.action_space(role) for role in ROLES}
        self._allocate(device, threads)

    def __new__(cls, *args: Any, device: str | None = None, **options: Any) -> SpiralVectorEnv:
        """The class for arrays, or the one for the tensors of a device."""
        if device is None or cls is not SpiralVectorEnv:
            return super().__new__(cls)
        try:
            from spiral_env.tensor_vector_env import TensorVectorEnv
        except ModuleNotFoundError as error:
            raise ImportError(f"no module {error.name}: device needs pip install 'spiral-env[cuda]'") from error
        return super().__new__(TensorVectorEnv)

    def _allocate(self, device: str | None, num_threads: int) -> None:
        """Make the engine and the buffers."""
        check_memory(self.world, self.num_envs)
        realised = self.options.reward_basis == "realised"
        self.engine = Engine(self.world, self.num_envs, num_threads, self.options.reward_mode, realised)
        self._efforts = np.zeros((self.num_envs, self.num_agents, MAX_LEVERS))
        self._tops: dict[str, np.ndarray] = {}
        if self.options.action_mode == "multi_discrete":
            self._tops = {r: np.tile(self.options.counts(r) - 1, n) for r, n in self.num_agents_of.items()}
        self._places = {role: self.world.places(role, self.options.num_levers(role)) for role in ROLES}
        self._base_seeds: list[int] | None = None
        self._episodes = np.zeros(self.num_envs, dtype=np.int64)
        self._needs_reset = np.zeros(self.num_envs, dtype=np.bool_)

    def _slice(self, role: str) -> slice:
        first = _FIRST[role]
        return slice(first, first + self.num_agents_of[role])

    def reset(
        self, seed: int | Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Open an episode in every row, or in some.

        Args:
            seed: one seed for the batch, or a sequence with one for each row; None goes on to the next episode of
                each row's series. Which worlds these are follows from ``split``: see ``spiral_env.scenarios.seeds``.
            options: ``{"reset_mask": mask}`` (bool ``[E]``) opens an episode in the masked rows only.

        Returns:
            Observations, role -> float32 ``[E, A, O]``, and an empty info.

        Raises:
            TypeError: a seed is neither an integer nor a sequence.
            ValueError: a sequence or mask of the wrong length, or a seed outside [0, 2^63).
        """
        mask = self.reset_mask(options)
        if seed is not None or self._base_seeds is None:
            given = check_seed(None) if seed is None else seed
            fresh = [check_seed(x) for x in row_seeds(given, self.num_envs, self.split)]
            old = self._base_seeds or fresh
            self._base_seeds = [new if m else kept for new, kept, m in zip(fresh, old, mask, strict=True)]
            self._episodes[mask] = 0
        else:
            self._episodes[mask] += 1
        self._needs_reset[mask] = False
        self._open(mask)
        self._show()
        return self._observations(), {}

    def reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        """Rows that ``reset`` opens, bool ``[E]``: those of ``options["reset_mask"]``, or all.

        Args:
            options: as of ``reset``.

        Raises:
            ValueError: the mask is of the wrong shape or type, or the first reset leaves rows out.
        """
        given = check_options(options).get("reset_mask")
        if given is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = as_array("reset_mask", given, (self.num_envs,))
        if mask.dtype != np.bool_:
            raise ValueError(f"reset_mask must be bool of shape ({self.num_envs},), got {mask.dtype}")
        if self._base_seeds is None and not mask.all():
            raise ValueError("reset_mask must cover every row in the first reset")
        return mask

    def _open(self, mask: np.ndarray) -> None:
        assert self._base_seeds is not None
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for e in np.flatnonzero(mask):
            seeds[e] = self.scenario.episode_seed(self._base_seeds[e], int(self._episodes[e]), self.split)
        self.engine.reset(seeds, mask)

    def _action_shape(self, role: str) -> tuple[int, ...]:
        return (self.num_envs, self.num_agents_of[role], *self.options.action_shape(role))

    def _encode(self, actions: dict[str, np.ndarray]) -> np.ndarray:
        check_roles(actions)
        for role in ROLES:
            given = as_array(f"actions of {role}", actions[role], self._action_shape(role))
            if self._tops and given.dtype == np.int64:
                # Compiled; a level outside its range is left to the checked way, which names it.
                levels = np.ascontiguousarray(given).reshape(self.num_envs, -1)
                if self.engine.decode(levels, self._tops[role], self._places[role], self._efforts) < 0:
                    continue
            self._efforts[:, self._slice(role), : NUM_LEVERS[role]] = self.options.efforts(role, given)
        return self._efforts

    def step(
        self, actions: dict[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray, np.ndarray, dict[str, Any]]:
        """Live one month in every row.

        Args:
            actions: role -> array ``[E, A, L]`` of int64 levels or float efforts of its L levers, or with
                ``action_mode="discrete"`` of int64 ``[E, A]``.

        Returns:
            Observations (role -> float32 ``[E, A, O]``), rewards (role -> float64 ``[E, A]``), terminations and
            truncations (bool ``[E]``), and an info that holds ``asked`` and ``paid``, what the levers of the month cost
            (role -> float64 ``[E, A]`` in k$), and, in a step in which rows end, ``final_metrics`` with the mask
            ``_final_metrics``, and in ``same_step`` mode ``final_obs`` (role -> ``[E, A, O]``) with the mask
            ``_final_obs``.

        Raises:
            RuntimeError: there was no reset.
            ValueError: a role is unknown or missing, or its actions are of the wrong shape or outside the space.
        """
        if self._base_seeds is None:
            raise RuntimeError("step() needs a reset() first")
        out = self._lived(self._encode(actions))
        self._show()
        return out

    def _lived(
        self, efforts: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray, np.ndarray, dict[str, Any]]:
        """What ``step`` gives."""
        before = self.engine.summary[:, _DONE] > 0.0
        pending = self._needs_reset.copy()
        self.engine.step(efforts)
        done = self.engine.summary[:, _DONE] > 0.0
        fallen = self.engine.summary[:, _COLLAPSED] > 0.0
        ended = done & ~before
        terminations, truncations = ended & fallen, ended & ~fallen
        info: dict[str, Any] = self._asked_and_paid()
        if ended.any():
            info["final_metrics"] = outcome(self.engine.states, self.engine.params)
            info["_final_metrics"] = ended.copy()
        if self.autoreset_mode == "next_step" and pending.any():
            self._reopen(pending)
        self._needs_reset = ended if self.autoreset_mode == "next_step" else self._needs_reset
        if self.autoreset_mode == "same_step" and ended.any():
            rewards = {role: self.engine.scalars[:, self._slice(role)].copy() for role in ROLES}
            info["final_obs"] = {role: x.copy() for role, x in self._observations().items()}
            info["_final_obs"] = ended.copy()
            vectors, spent = self.engine.vectors.copy(), self.engine.spent.copy()
            self._reopen(ended)
            self.engine.vectors[:], self.engine.spent[:] = vectors, spent
            return self._observations(), rewards, terminations, truncations, info
        return self._observations(), self._rewards(), terminations, truncations, info

    def _reopen(self, mask: np.ndarray) -> None:
        self._episodes[mask] += 1
        self._open(mask)

    def _observations(self) -> dict[str, np.ndarray]:
        out = {}
        for role in ROLES:
            block = self.engine.observations[role]
            if self.options.homogenize:
                out[role] = self.options.pad(role, block)
            else:
                out[role] = block.copy() if self.copy else block
        return out

    def _rewards(self) -> dict[str, np.ndarray]:
        blocks = {role: self.engine.scalars[:, self._slice(role)] for role in ROLES}
        return {role: x.copy() for role, x in blocks.items()} if self.copy else blocks

    def reward_vectors(self) -> dict[str, np.ndarray]:
        """Last month's (security, cost, value) in k$: role -> float64 ``[E, A, 3]``."""
        return {role: self.engine.vectors[:, self._slice(role)].copy() for role in ROLES}

    def spending(self) -> dict[str, np.ndarray]:
        """Last month's k$ that the levers asked for, and that were paid: role -> float64 ``[E, A, 2]``."""
        return {role: self.engine.spent[:, self._slice(role)].copy() for role in ROLES}

    def _asked_and_paid(self) -> dict[str, Any]:
        """``spending`` as the info shows it."""
        spent = self.spending()
        return {word: {role: x[..., k] for role, x in spent.items()} for k, word in enumerate(("asked", "paid"))}

    def metrics(self) -> dict[str, np.ndarray]:
        """Outcome measures of each row's episode so far, float64 ``[E]``."""
        return outcome(self.engine.states, self.engine.params)

    def state(self) -> np.ndarray:
        """Everything but single backlog slots, float32 ``[E, D]``; see ``state_names`` and ``state_units``."""
        return flat_state(self.engine.states, *self._sizes)

    @property
    def _sizes(self) -> tuple[int, int]:
        """Numbers of SMEs and services."""
        return self.world.num_smes, self.world.num_services

    @functools.cached_property
    def state_names(self) -> tuple[str, ...]:
        """Name of each column of ``state()``: ``pool``, ``sme_revenue[3]``, ``balance[treasury]``."""
        return tuple(name for name, _ in state_labels(*self._sizes))

    @functools.cached_property
    def state_units(self) -> tuple[str, ...]:
        """Unit of each column of ``state()``; "1" where it has none."""
        return tuple(unit for _, unit in state_labels(*self._sizes))

    def snapshot(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit: arrays of bytes, and what JSON can hold."""
        if self._base_seeds is None:
            raise RuntimeError("snapshot() needs a reset() first")
        return {
            "states": self.engine.states.view(np.uint8).reshape(self.num_envs, -1).copy(),
            "params": self.engine.params.view(np.uint8).reshape(self.num_envs, -1).copy(),
            "base_seeds": list(self._base_seeds),
            "episodes": self._episodes.tolist(),
            "needs_reset": self._needs_reset.tolist(),
        }

    def restore(self, snapshot: dict[str, Any]) -> dict[str, np.ndarray]:
        """Go on from ``snapshot()`` of a batch of the same world, size and options.

        Args:
            snapshot: what ``snapshot()`` gave.

        Returns:
            The observations, role -> float32 ``[E, A, O]``.

        Raises:
            TypeError: not a snapshot.
            ValueError: a snapshot of another batch, or a damaged one; this batch is as it was.
        """
        check_keys("snapshot", snapshot, _SNAPSHOT)
        seeds, episodes, due = (check_list(name, snapshot[name], self.num_envs) for name in _SNAPSHOT[2:])
        seeds = [check_count("base_seeds", x, 0, 2**63 - 1) for x in seeds]
        episodes = [check_count("episodes", x, 0, 2**62) for x in episodes]
        due = [check_flag("needs_reset", x) for x in due]
        states = self._records("states", snapshot, self.engine.states.dtype)
        params = self._records("params", snapshot, self.engine.params.dtype)
        self._load(states, params, seeds, episodes, due)
        return self._observations()

    def _load(
        self, states: np.ndarray, params: np.ndarray, seeds: list[int], episodes: list[int], due: list[bool]
    ) -> None:
        self.engine.load(states, params)
        self._base_seeds = seeds
        self._episodes[:] = episodes
        self._needs_reset[:] = due

    def _records(self, name: str, snapshot: dict[str, Any], dtype: np.dtype) -> np.ndarray:
        """Records out of a snapshot's bytes."""
        given = snapshot[name]
        want = (self.num_envs, dtype.itemsize)
        if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.shape != want:
            raise ValueError(f"{name} of a snapshot must be bytes of shape {want}, got {shown(given)}")
        return np.ascontiguousarray(given).view(dtype).reshape(-1)

    def render(self) -> tuple[Any, ...] | None:
        """Every row's month: texts with ``render_mode="ansi"``, uint8 ``[H, W, 3]`` with "rgb_array", else None.

        Raises:
            ImportError: what draws frames is not installed.
            RuntimeError: there was no reset to draw a frame of.
        """
        if self.render_mode is None:
            return None
        rows = zip(self.engine.states, self.engine.params, strict=True)
        if not self._view.live:
            return tuple(self._view.show(*row) for row in rows)
        self._view.show(*next(rows))
        return None

    def _show(self) -> None:
        if self._view.live:
            self.render()

    def close(self) -> None:
        """End the worker threads, and close the window, if one is open."""
        self._view.close()
        self.engine.close()


# help() asks __new__ first.
SpiralVectorEnv.__new__.__signature__ = inspect.signature(SpiralVectorEnv.__init__)  # type: ignore[attr-defined]


def check_roles(actions: Any) -> None:
    """Demand a dictionary with the actions of every role.

    Raises:
        TypeError: no dictionary.
        ValueError: a role is unknown or missing.
    """
    if not isinstance(actions, Mapping):
        raise TypeError(f"actions must be a dictionary from role to actions, got {shown(actions)}")
    unknown = [role for role in actions if role not in ROLES]
    if unknown:
        raise ValueError(f"actions name an unknown role {shown(unknown[0])}, allowed are {', '.join(ROLES)}")
    missing = [role for role in ROLES if role not in actions]
    if missing:
        raise ValueError(f"actions must name every role, {missing[0]!r} is missing")


def check_memory(world: World, num_envs: int) -> None:
    """Refuse a batch that this machine cannot hold, before anything is allocated.

    Raises:
        ValueError: it needs more than all memory there is.
    """
    record = world.record().itemsize + world.base().itemsize
    need = num_envs * record / 2**30
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, OSError, ValueError):
        there = 2.0**10
    if need > there:
        most = int(there * 2**30 / record)
        raise ValueError(f"num_envs must be at most {most} in {there:.0f} GiB of memory, got {shown(num_envs)}")


@takes_arguments_of(SpiralVectorEnv)
def vector_env(*args: Any, **options: Any) -> SpiralVectorEnv:
    """A batch of ecosystems: arrays in, arrays out, one per role; a month a step."""
    return SpiralVectorEnv(*args, **options)
