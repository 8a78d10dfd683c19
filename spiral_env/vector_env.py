"""Thousands of ecosystems stepped by one compiled call: arrays in, arrays out, one per role."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.metrics import outcome
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.seeds import check_seed, check_split, row_seeds
from spiral_env.signatures import takes_arguments_of
from spiral_env.simulator.engine import Engine, flat_state, state_labels
from spiral_env.simulator.month import SUMMARY
from spiral_env.spaces import Options

__all__ = ["AUTORESET_MODES", "SpiralVectorEnv", "vector_env"]

AUTORESET_MODES = ("next_step", "same_step", "disabled")
_DONE, _COLLAPSED = SUMMARY.index("done"), SUMMARY.index("collapsed")
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
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v0",
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

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        for name, count in (("num_envs", num_envs), ("num_threads", num_threads)):
            if isinstance(count, bool) or not isinstance(count, int | np.integer):
                raise TypeError(f"{name} must be an integer, got {count!r}")
            if count < 1:
                raise ValueError(f"{name} must be >= 1, got {count}")
        if autoreset_mode not in AUTORESET_MODES:
            allowed = ", ".join(AUTORESET_MODES)
            raise ValueError(f"autoreset_mode must be one of {allowed}, got {autoreset_mode!r}")
        self.options = Options(action_mode, levels, homogenize, reward_mode, reward_basis)
        self.scenario = load_scenario(scenario)
        self.split = check_split(split)
        world = self.scenario.world(num_smes, max_cycles)
        self.engine = Engine(world, int(num_envs), int(num_threads), reward_mode, reward_basis == "realised")
        self.num_envs = int(num_envs)
        self.max_cycles = world.max_cycles
        self.autoreset_mode = autoreset_mode
        self.copy = copy
        self.num_agents_of = {"it": 1, "business": 1, "finance": 1, "sme": world.num_smes}
        self.num_agents = self.engine.num_agents
        self.single_observation_space = {role: self.options.observation_space(role) for role in ROLES}
        self.single_action_space = {role: self.options.action_space(role) for role in ROLES}
        self._efforts = np.zeros((self.num_envs, self.num_agents, MAX_LEVERS))
        self._tops: dict[str, np.ndarray] = {}
        if action_mode == "multi_discrete":
            self._tops = {r: np.tile(self.options.counts(r) - 1, n) for r, n in self.num_agents_of.items()}
        self._places = {role: self.engine.places(role, self.options.num_levers(role)) for role in ROLES}
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
        return self._observations(), {}

    def reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        """Rows that ``reset`` opens, bool ``[E]``: those of ``options["reset_mask"]``, or all.

        Args:
            options: as of ``reset``.

        Raises:
            ValueError: the mask is of the wrong shape or type, or the first reset leaves rows out.
        """
        given = (options or {}).get("reset_mask")
        if given is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = np.asarray(given)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(f"reset_mask must be bool of shape ({self.num_envs},), got {mask.dtype} {mask.shape}")
        if self._base_seeds is None and not mask.all():
            raise ValueError("reset_mask must cover every row in the first reset")
        return mask

    def _open(self, mask: np.ndarray) -> None:
        assert self._base_seeds is not None
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for e in np.flatnonzero(mask):
            seeds[e] = self.scenario.episode_seed(self._base_seeds[e], int(self._episodes[e]), self.split)
        self.engine.reset(seeds, mask)

    def _encode(self, actions: dict[str, np.ndarray]) -> np.ndarray:
        unknown = sorted(set(actions) - set(ROLES))
        if unknown:
            raise ValueError(f"actions name an unknown role {unknown[0]!r}, allowed are {', '.join(ROLES)}")
        for role in ROLES:
            if role not in actions:
                raise ValueError(f"actions must name every role, {role!r} is missing")
            given = np.asarray(actions[role])
            want = (self.num_envs, self.num_agents_of[role], *self.options.action_shape(role))
            if given.shape != want:
                raise ValueError(f"actions of {role} must have shape {want}, got {given.shape}")
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
            truncations (bool ``[E]``), and an info that holds, in a step in which rows end, ``final_metrics`` with the
            mask ``_final_metrics``, and in ``same_step`` mode ``final_obs`` (role -> ``[E, A, O]``) with the mask
            ``_final_obs``.

        Raises:
            RuntimeError: there was no reset.
            ValueError: a role is unknown or missing, or its actions are of the wrong shape or outside the space.
        """
        if self._base_seeds is None:
            raise RuntimeError("step() needs a reset() first")
        efforts = self._encode(actions)
        before = self.engine.summary[:, _DONE] > 0.0
        pending = self._needs_reset.copy()
        self.engine.step(efforts)
        done = self.engine.summary[:, _DONE] > 0.0
        fallen = self.engine.summary[:, _COLLAPSED] > 0.0
        ended = done & ~before
        terminations, truncations = ended & fallen, ended & ~fallen
        info: dict[str, Any] = {}
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
            vectors = self.engine.vectors.copy()
            self._reopen(ended)
            self.engine.vectors[:] = vectors
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

    def metrics(self) -> dict[str, np.ndarray]:
        """Outcome measures of each row's episode so far, float64 ``[E]``."""
        return outcome(self.engine.states, self.engine.params)

    def state(self) -> np.ndarray:
        """Everything but single backlog slots, float32 ``[E, D]``; see ``state_names`` and ``state_units``."""
        return flat_state(self.engine.states, *self._sizes)

    @property
    def _sizes(self) -> tuple[int, int]:
        """Numbers of SMEs and services."""
        return self.num_agents_of["sme"], int(self.engine.params[0]["num_services"])

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
        return {
            "states": self.engine.states.view(np.uint8).reshape(self.num_envs, -1).copy(),
            "params": self.engine.params.view(np.uint8).reshape(self.num_envs, -1).copy(),
            "base_seeds": list(self._base_seeds or []),
            "episodes": self._episodes.tolist(),
            "needs_reset": self._needs_reset.tolist(),
        }

    def restore(self, snapshot: dict[str, Any]) -> dict[str, np.ndarray]:
        """Go on from ``snapshot()`` of a batch of the same size and options.

        Args:
            snapshot: what ``snapshot()`` gave.

        Returns:
            The observations, role -> float32 ``[E, A, O]``.

        Raises:
            ValueError: the snapshot is of another batch.
        """
        for name, records in (("states", self.engine.states), ("params", self.engine.params)):
            rows = records.view(np.uint8).reshape(self.num_envs, -1)
            if snapshot[name].shape != rows.shape:
                raise ValueError(f"snapshot must hold {name} of shape {rows.shape}, got {snapshot[name].shape}")
            rows[:] = snapshot[name]
        self._base_seeds = [int(x) for x in snapshot["base_seeds"]]
        self._episodes[:] = snapshot["episodes"]
        self._needs_reset[:] = snapshot["needs_reset"]
        self.engine.observe()
        return self._observations()

    def close(self) -> None:
        """End the worker threads."""
        self.engine.close()


@takes_arguments_of(SpiralVectorEnv)
def vector_env(*args: Any, **options: Any) -> SpiralVectorEnv:
    """A batch of ecosystems: arrays in, arrays out, one per role; a month a step."""
    return SpiralVectorEnv(*args, **options)
