"""Thousands of ecosystems as one array of records, and the calls that move them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spiral_env.checks import shown
from spiral_env.core.params import PARAMS_DTYPE, Value, pack
from spiral_env.core.records import check_params, check_states
from spiral_env.core.state import FIELDS, LABELS, capacity_for, state_dtype
from spiral_env.roles import FEATURES, LEVERS, MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.simulator.batch import decode_rows, draw_rows, observe_rows, open_rows, step_rows
from spiral_env.simulator.given import Given
from spiral_env.simulator.month import SUMMARY
from spiral_env.threads import Threads

__all__ = ["REWARD_MODES", "Engine", "World", "central_fields", "flat_state", "state_labels"]

REWARD_MODES = ("mixed", "selfish", "cooperative")
_ORDER = np.arange(3, dtype=np.int64)
_NUM_PARAMS = PARAMS_DTYPE.itemsize // 8
_LARGEST = np.finfo(np.float32).max
_NOTHING = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class World:
    """What an engine needs to know of a scenario."""

    values: dict[str, Value]
    ranges: dict[str, tuple[float, float]]
    law: np.ndarray
    num_smes: int
    max_cycles: int
    given: Given | None = None
    """Services and findings that the world names itself; ``values`` then hold their ``num_services``."""

    @property
    def agents(self) -> dict[str, int]:
        """Role -> number of its agents."""
        return {"it": 1, "business": 1, "finance": 1, "sme": self.num_smes}

    @property
    def width(self) -> int:
        """Numbers that all agents of one ecosystem observe."""
        return sum(count * len(FEATURES[role]) for role, count in self.agents.items())

    def base(self) -> np.ndarray:
        """The parameter record ``[1]`` before anything is drawn."""
        return pack(self.values, self.num_smes)

    @property
    def num_services(self) -> int:
        """Services of an ecosystem."""
        return int(self.base()[0]["num_services"])

    def record(self) -> np.dtype:
        """Type of the state records that this world needs."""
        return state_dtype(capacity_for(self.num_smes, self.num_services), tuple(NUM_LEVERS.items()))

    def template(self) -> np.ndarray:
        """The record ``[1]`` in which an episode opens: zeros, and what the world names itself."""
        found = np.zeros(1, dtype=self.record())
        if self.given is not None:
            self.given.write(found[0])
        return found

    def range_rows(self) -> np.ndarray:
        """[2, P] low and high of what the procedural world draws; equal where nothing is drawn."""
        rows = np.zeros((2, _NUM_PARAMS))
        fields = PARAMS_DTYPE.fields
        assert fields is not None
        for name, (low, high) in self.ranges.items():
            offset = fields[name][1] // 8
            rows[:, offset] = (low, high)
        return rows

    def role_blocks(self, observed: Any, num_envs: int) -> dict[str, Any]:
        """Role -> ``[E, A, O]``, each a contiguous part of ``observed``, an array or tensor ``[E W]``."""
        blocks = {}
        at = 0
        for role, count in self.agents.items():
            size = num_envs * count * len(FEATURES[role])
            blocks[role] = observed[at : at + size].reshape(num_envs, count, len(FEATURES[role]))
            at += size
        return blocks

    def places(self, role: str, width: int | None = None) -> np.ndarray:
        """Where the first ``width`` levers (None: all) of the role's agents lie in a row of efforts, int64 ``[K]``."""
        first = sum(self.agents[before] for before in ROLES[: ROLES.index(role)])
        rows = np.arange(first, first + self.agents[role])[:, None] * MAX_LEVERS
        return (rows + np.arange(NUM_LEVERS[role] if width is None else width)).reshape(-1)

    def check(self, states: np.ndarray, params: np.ndarray) -> None:
        """Refuse records ``[E]`` that this world cannot lead to.

        Raises:
            ValueError: of another world, or damaged.
        """
        check_states(states, self.num_smes, self.num_services, self.max_cycles)
        low, high = self.range_rows()
        numbers = self.base().view(np.float64)
        check_params(params, np.where(low < high, low, numbers), np.where(low < high, high, numbers))


class Engine:
    """A batch of ``num_envs`` ecosystems. Buffers are allocated once and reused.

    Attributes:
        states: records, shape ``[E]``.
        params: parameter records, shape ``[E]``.
        first_row: ``summary``, ``scalars``, flat ``vectors`` and flat ``spent`` of row 0.
        observations: role -> float32 ``[E, A, O]``, each a contiguous part of ``observed``.
        observed: float32 ``[E W]``.
        vectors: float64 ``[E, 3 + N, 3]`` (security, cost, value) in k$.
        scalars: float64 ``[E, 3 + N]``.
        spent: float64 ``[E, 3 + N, 2]``, what the levers of each agent asked for and what was paid, in k$.
        summary: float64 ``[E, 4]``, in the order of ``spiral_env.simulator.month.SUMMARY``.
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
        self._base = world.base()
        self.states = np.zeros(num_envs, dtype=world.record())
        self.params = np.repeat(self._base, num_envs)
        self._ranges = world.range_rows()
        self.vectors = np.zeros((num_envs, self.num_agents, 3))
        self.scalars = np.zeros((num_envs, self.num_agents))
        self.spent = np.zeros((num_envs, self.num_agents, 2))
        self.summary = np.zeros((num_envs, len(SUMMARY)))
        self.observed = np.zeros(num_envs * world.width, dtype=np.float32)
        self._all = np.ones(num_envs, dtype=np.bool_)
        self._threads = Threads(num_threads)
        self._slices = self._cut()
        self._ready: set[str] = set()
        self._make_views()

    def _make_views(self) -> None:
        """Arrays that share memory with the buffers."""
        self._state_words = self.states.view(np.int64).reshape(self.num_envs, -1)
        self._param_rows = self.params.view(np.float64).reshape(self.num_envs, _NUM_PARAMS)
        self._template = self.world.template().view(np.int64)
        self.observations: dict[str, np.ndarray] = self.world.role_blocks(self.observed, self.num_envs)
        self.first_row = (self.summary[0], self.scalars[0], self.vectors[0].reshape(-1), self.spent[0].reshape(-1))

    def __getstate__(self) -> dict[str, object]:
        """All but views, which an unpickled or copied engine makes anew."""
        left_out = ("_state_words", "_param_rows", "_template", "observations", "first_row")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take over the buffers of ``__getstate__``, checked like any that come from outside once there was a reset."""
        self.__dict__.update(state)
        self._make_views()
        if self._state_words.any():
            self.world.check(self.states, self.params)

    def _cut(self) -> list[tuple[int, int]]:
        edges = np.linspace(0, self.num_envs, self.num_threads + 1).astype(int)
        return [(int(a), int(b)) for a, b in itertools.pairwise(edges) if b > a]

    def _run(self, function, *arguments) -> None:  # type: ignore[no-untyped-def]
        """Call an entry point on all rows, in slices if there are threads."""
        if function.__name__ not in self._ready:
            function(*arguments, 0, 0)
            self._ready.add(function.__name__)
        self._threads.each(function, [(*arguments, *part) for part in self._slices])

    def reset(self, seeds: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Open an episode with its seed (int64 ``[E]``) in every masked row, and observe it."""
        chosen = self._all if mask is None else mask
        self._state_words[chosen] = self._template
        self._param_rows[chosen] = self._base.view(np.float64)
        if self.world.ranges:
            self._run(draw_rows, self._param_rows, self._ranges, seeds, chosen)
        smes, cycles = self.world.num_smes, self.world.max_cycles
        self._run(open_rows, self.states, self.params, self.world.law, seeds, chosen, smes, cycles)
        self.scalars[chosen] = 0.0
        self.vectors[chosen] = 0.0
        self.spent[chosen] = 0.0
        self.observe(chosen)

    def decode(self, levels: np.ndarray, top: np.ndarray, places: np.ndarray, efforts: np.ndarray) -> int:
        """Levels int64 ``[E, K]`` to ``places`` ``[K]`` of the efforts; -1, or the index of one outside ``top``."""
        return int(decode_rows(levels, top, places, efforts.reshape(self.num_envs, -1)))

    def step(self, efforts: np.ndarray, order: np.ndarray = _ORDER, *, observe: bool = True) -> None:
        """Advance every row that is not done by a month under ``efforts`` ``[E, 3 + N, L]``, and observe it."""
        self._run(
            step_rows,
            self.states,
            self.params,
            efforts,
            self.mode,
            self.realised,
            order,
            self.vectors,
            self.scalars,
            self.spent,
            self.summary,
            self.observed if observe else _NOTHING,
        )

    def observe(self, mask: np.ndarray | None = None) -> None:
        """Write the observations of all rows, or of the masked ones."""
        chosen = self._all if mask is None else mask
        self._run(observe_rows, self.states, self.params, self.summary, self.observed, chosen)

    def save(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of ``states`` and ``params``, for ``load``."""
        return _copied(self.states), _copied(self.params)

    def load(self, states: np.ndarray, params: np.ndarray) -> None:
        """Take over records ``[E]`` of this world from outside, checked before a kernel reads them, and observe them.

        Raises:
            TypeError: not arrays of records of this size.
            ValueError: of another number of rows or of another world, or damaged.
        """
        for name, given, own in (("states", states, self.states), ("params", params, self.params)):
            if not isinstance(given, np.ndarray) or given.dtype != own.dtype:
                raise TypeError(f"{name} must be an array of records of this world's size, got {shown(given)}")
            if given.shape != own.shape:
                raise ValueError(f"{name} must have shape {own.shape}, got {given.shape}")
        states, params = np.ascontiguousarray(states), np.ascontiguousarray(params)
        self.world.check(states, params)
        self.states.view(np.int64)[:] = states.view(np.int64)
        self.params.view(np.int64)[:] = params.view(np.int64)
        self.observe()

    def close(self) -> None:
        """End the worker threads."""
        self._threads.close()


def _copied(records: np.ndarray) -> np.ndarray:
    """A copy word by word: NumPy's own goes field by field, and takes a hundred times as long."""
    out = np.empty_like(records)
    out.view(np.int64)[:] = records.view(np.int64)
    return out


def central_fields(num_smes: int, num_services: int) -> list[tuple[str, tuple[slice, ...]]]:
    """Names of the fields that ``state()`` shows, each with the slice of its live part."""
    live = {"N": num_smes, "S": num_services}
    out = []
    for field in FIELDS:
        if field.central:
            cut = tuple(slice(0, live.get(x)) if isinstance(x, str) else slice(None) for x in field.shape)
            out.append((field.name, cut))
    return out


def state_labels(num_smes: int, num_services: int) -> tuple[tuple[str, str], ...]:
    """Name and unit of each number of ``flat_state``, in order: ``pool``, ``sme_revenue[3]``, ``balance[treasury]``."""
    axes: dict[str, Iterable[Any]] = {"N": range(num_smes), "S": range(num_services), **LABELS}
    axes |= {f"{role}_levers": [lever.name for lever in levers] for role, levers in LEVERS.items()}
    out = []
    for field in (x for x in FIELDS if x.central):
        named = [range(size) if isinstance(size, int) else axes[size] for size in field.shape]
        for at in itertools.product(*named):
            out.append((f"{field.name}[{','.join(map(str, at))}]" if at else field.name, field.unit.replace("_", " ")))
    return tuple(out)


def flat_state(states: np.ndarray, num_smes: int, num_services: int) -> np.ndarray:
    """Everything but single backlog slots, as float32 ``[E, D]``; what float32 cannot hold as its largest number."""
    parts = []
    for name, cut in central_fields(num_smes, num_services):
        block = states[name][(slice(None), *cut)]
        parts.append(block.reshape(len(states), -1))
    with np.errstate(over="ignore"):
        flat = np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")
    return np.clip(flat, -_LARGEST, _LARGEST, out=flat)
