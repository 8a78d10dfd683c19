"""Thousands of ecosystems as one array of records, and the calls that move them."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from spiral_env.core._jit import first_compile_notice
from spiral_env.core.params import DERIVED, PARAMETERS, PARAMS_DTYPE, Value, pack
from spiral_env.core.state import FIELDS, capacity_for, state_dtype
from spiral_env.roles import FEATURES, ROLES
from spiral_env.simulator.batch import draw_rows, observe_rows, open_rows, step_rows

__all__ = ["REWARD_MODES", "Engine", "World", "episode_seed"]

REWARD_MODES = ("mixed", "selfish", "cooperative")
_ORDER = np.arange(3, dtype=np.int64)
_NUM_PARAMS = PARAMS_DTYPE.itemsize // 8
_MASK64 = (1 << 64) - 1


def episode_seed(seed: int, episode: int) -> int:
    """Seed of the n-th episode after ``reset(seed)``: ``seed`` itself, then SplitMix64 of both."""
    if episode == 0:
        return seed
    z = (seed * 0x9E3779B97F4A7C15 + episode * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return int((z ^ (z >> 31)) >> 1)


@dataclass(frozen=True)
class World:
    """What an engine needs to know of a scenario."""

    values: dict[str, Value]
    ranges: dict[str, tuple[float, float]]
    law: np.ndarray
    num_smes: int
    max_cycles: int


def _bounds(role: str) -> np.ndarray:
    table = FEATURES[role]
    return np.array([[f.low for f in table], [f.high for f in table]], dtype=np.float64)


def _range_rows(ranges: dict[str, tuple[float, float]]) -> np.ndarray:
    """[2, P] low and high of what the procedural world draws; equal where nothing is drawn."""
    rows = np.zeros((2, _NUM_PARAMS))
    fields = PARAMS_DTYPE.fields
    assert fields is not None
    for name, (low, high) in ranges.items():
        offset = fields[name][1] // 8
        rows[:, offset] = (low, high)
    return rows


class Engine:
    """A batch of ``num_envs`` ecosystems. Buffers are allocated once and reused.

    Attributes:
        states: records, shape ``[E]``.
        params: parameter records, shape ``[E]``.
        observations: role -> float32 ``[E, A, O]``.
        vectors: float64 ``[E, 3 + N, 3]`` (security, cost, value) in k$.
        scalars: float64 ``[E, 3 + N]``.
    """

    def __init__(
        self, world: World, num_envs: int, num_threads: int = 1, mode: str = "mixed", realised: bool = False
    ) -> None:
        """Allocate everything; nothing is simulated before ``reset``."""
        self.world = world
        self.num_envs = num_envs
        self.num_threads = num_threads
        self.mode = REWARD_MODES.index(mode)
        self.realised = realised
        self.num_agents = 3 + world.num_smes
        self._base = pack(world.values, world.num_smes)
        capacity = capacity_for(world.num_smes, int(self._base[0]["num_services"]))
        self.states = np.zeros(num_envs, dtype=state_dtype(capacity))
        self.params = np.repeat(self._base, num_envs)
        self._param_rows = self.params.view(np.float64).reshape(num_envs, _NUM_PARAMS)
        self._ranges = _range_rows(world.ranges)
        self.vectors = np.zeros((num_envs, self.num_agents, 3))
        self.scalars = np.zeros((num_envs, self.num_agents))
        agents = {"it": 1, "business": 1, "finance": 1, "sme": world.num_smes}
        self.observations = {
            role: np.zeros((num_envs, agents[role], len(FEATURES[role])), dtype=np.float32) for role in ROLES
        }
        self._bounds = tuple(_bounds(role) for role in ROLES)
        self._pool = ThreadPoolExecutor(num_threads) if num_threads > 1 else None
        self._slices = self._cut()
        self._ready: set[str] = set()

    def _cut(self) -> list[tuple[int, int]]:
        edges = np.linspace(0, self.num_envs, self.num_threads + 1).astype(int)
        return [(int(a), int(b)) for a, b in itertools.pairwise(edges) if b > a]

    def _run(self, function, *arguments) -> None:  # type: ignore[no-untyped-def]
        if self._pool is None:
            if function.__name__ in self._ready:
                function(*arguments, 0, self.num_envs)
                return
            with first_compile_notice(function):
                function(*arguments, 0, self.num_envs)
            self._ready.add(function.__name__)
            return
        with first_compile_notice(function):
            start, _ = self._slices[0]
            if not function.signatures:
                function(*arguments, start, start)
            for future in [self._pool.submit(function, *arguments, *part) for part in self._slices]:
                future.result()

    def reset(self, seeds: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Open an episode with its seed (int64 ``[E]``) in every masked row, and observe."""
        chosen = np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask
        self.states[chosen] = np.zeros(1, dtype=self.states.dtype)
        self.params[chosen] = self._base
        if self.world.ranges:
            self._run(draw_rows, self._param_rows, self._ranges, seeds, chosen)
        self._run(
            open_rows,
            self.states,
            self.params,
            self.world.law,
            seeds,
            chosen,
            self.world.num_smes,
            self.world.max_cycles,
        )
        self.scalars[chosen] = 0.0
        self.vectors[chosen] = 0.0
        self.observe()

    def step(self, efforts: np.ndarray, order: np.ndarray = _ORDER) -> None:
        """Advance every row that is not done by a month under ``efforts`` ``[E, 3 + N, 5]``; do not observe."""
        self._run(
            step_rows, self.states, self.params, efforts, self.mode, self.realised, order, self.vectors, self.scalars
        )

    def observe(self) -> None:
        """Write the observations of all rows."""
        o = self.observations
        self._run(
            observe_rows,
            self.states,
            self.params,
            o["it"][:, 0],
            o["business"][:, 0],
            o["finance"][:, 0],
            o["sme"],
            *self._bounds,
        )

    def close(self) -> None:
        """End the worker threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def central_fields(num_smes: int, num_services: int) -> list[tuple[str, tuple[slice, ...]]]:
    """Names of the fields that ``state()`` shows, each with the slice of its live part."""
    live = {"N": num_smes, "S": num_services}
    out = []
    for field in FIELDS:
        if field.central:
            cut = tuple(slice(0, live.get(x)) if isinstance(x, str) else slice(None) for x in field.shape)
            out.append((field.name, cut))
    return out


def flat_state(states: np.ndarray, num_smes: int, num_services: int) -> np.ndarray:
    """Everything but single backlog slots, as float32 ``[E, D]``."""
    parts = []
    for name, cut in central_fields(num_smes, num_services):
        block = states[name][(slice(None), *cut)]
        parts.append(block.reshape(len(states), -1))
    return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")


def derived_names() -> tuple[str, ...]:
    """Parameters that follow from others and therefore cannot be drawn."""
    return DERIVED + tuple(
        q.name for q in PARAMETERS if q.name.startswith(("breach_", "campaign_", "threat_", "size_"))
    )
