"""What every framework must show: its page's example runs, weights move, its rollout pays what ours pays."""

from __future__ import annotations

import ast
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import spiral_env
from spiral_env.files import write_atomically
from spiral_env.roles import ROLES
from spiral_env.scenarios.seeds import HELD_OUT_SEEDS, TRAIN_SEEDS
from spiral_env.simulator.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "frameworks"
RESULTS = ROOT / "results" / "frameworks"
MAX_EXAMPLE_LINES = 30


def example_code(page: str) -> str:
    """The page's one Python block."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    return code


def weights_of(source: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Copies of all float arrays of a torch module, or of (nested) mappings and sequences of tensors or arrays."""
    if hasattr(source, "state_dict"):
        source = source.state_dict()
    if isinstance(source, Mapping):
        items = [(f"{prefix}{name}.", value) for name, value in source.items()]
    elif isinstance(source, list | tuple):
        items = [(f"{prefix}{index}.", value) for index, value in enumerate(source)]
    else:
        array = np.array(source.detach().cpu().numpy() if hasattr(source, "detach") else source)
        return {prefix.rstrip("."): array} if array.dtype.kind == "f" else {}
    return {name: array for path, value in items for name, array in weights_of(value, path).items()}


@dataclass
class Ran:
    """An example that ran to its end: its names, and the weights when they first and last could be read."""

    names: dict[str, Any]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]


def run_example(page: str, weights: Callable[[dict[str, Any]], Any] | None = None) -> Ran:
    """Run the page's example statement by statement; ``weights(names)`` gives what ``weights_of`` reads."""
    tree = ast.parse(example_code(page))
    names: dict[str, Any] = {"__name__": "__main__"}
    seen: list[dict[str, np.ndarray]] = []
    for statement in tree.body:
        exec(compile(ast.Module([statement], []), f"{page}.md", "exec"), names)
        if weights is None:
            continue
        try:
            seen.append(weights_of(weights(names)))
        except (KeyError, AttributeError):
            # The networks are not built yet.
            continue
    assert weights is None or len(seen) >= 2, "the example must build its networks in one statement, train in another"
    return Ran(names, seen[0] if seen else {}, seen[-1] if seen else {})


def replay(seed: int, actions: Sequence[Any], episode: int = 0, **options: Any) -> np.ndarray:
    """Rewards ``[T, A]`` of the plain environment: ``reset(seed)``, then ``episode`` more resets, then the actions.

    ``actions`` is a sequence of months: a dictionary agent -> action, or an array ``[A, ...]`` in ``possible_agents``
    order.
    """
    env = spiral_env.parallel_env(**({"scenario": "small-v1"} | options))
    env.reset(seed=seed)
    for _ in range(episode):
        env.reset()
    rewards = []
    for month in actions:
        joint = month if isinstance(month, Mapping) else dict(zip(env.possible_agents, month, strict=True))
        _, paid, *_ = env.step(joint)
        rewards.append([paid[agent] for agent in env.possible_agents])
    return np.array(rewards)


def chosen(months: Any) -> list[list[np.ndarray]]:
    """Of each month ``[T]`` of a tensor dictionary with a group a role the action of every agent, in their order.

    Roles may differ in their numbers of levers.
    """
    blocks = [months[role, "action"].numpy() for role in ROLES]
    return [[action for block in month for action in block] for month in zip(*blocks, strict=True)]


def episodes(done: Any) -> list[slice]:
    """Months of every episode that ended, from the flags ``[T]``; a collapse ends one before its time."""
    ends = np.flatnonzero(np.asarray(done)) + 1
    return [slice(int(a), int(b)) for a, b in itertools.pairwise([0, *ends])]


@contextmanager
def worlds_opened() -> Iterator[list[int]]:
    """The own seeds of all worlds that this process opens inside the block, in their order."""
    opened: list[int] = []
    reset = Engine.reset

    def noted(engine: Engine, seeds: np.ndarray, mask: np.ndarray | None = None) -> None:
        opened.extend(seeds[... if mask is None else mask].tolist())
        reset(engine, seeds, mask)

    Engine.reset = noted  # type: ignore[method-assign]
    try:
        yield opened
    finally:
        Engine.reset = reset  # type: ignore[method-assign]


def all_distinct(worlds: Sequence[int], split: str, at_least: int) -> None:
    """No world was opened twice, all are of the split, and there are enough of them to tell."""
    low, high = TRAIN_SEEDS if split == "train" else HELD_OUT_SEEDS
    assert len(worlds) >= at_least
    assert len(set(worlds)) == len(worlds)
    assert all(low <= seed < high for seed in worlds)


def learned_then_judged(worlds: Sequence[int], learned: int, judged: int) -> None:
    """An example opened at least ``learned`` training worlds, then at least ``judged`` held-out ones, none twice."""
    turn = next(i for i, seed in enumerate(worlds) if seed < TRAIN_SEEDS[0])
    all_distinct(worlds[:turn], "train", learned)
    all_distinct(worlds[turn:], "held_out", judged)


def speeds(
    routes: Mapping[str, Callable[[], int]], rounds: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median agent-steps/s of each route; a route does a fixed piece of work and returns its agent-steps.

    Routes take turns, so that a disturbance meets all of them; the first turn of each is not counted.
    """
    rates: dict[str, list[float]] = {name: [] for name in routes}
    for turn in range(rounds + 1):
        for name, route in routes.items():
            start = clock()
            steps = route()
            if turn:
                rates[name].append(steps / (clock() - start))
    return {name: float(np.median(x)) for name, x in rates.items()}


@dataclass
class Record:
    """The framework's row of the compatibility table; each check asserts first and notes the success then."""

    page: str
    title: str
    package: str
    adapter: str = "none"
    row: dict[str, Any] = field(default_factory=dict)

    def trained(self, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> None:
        """All weights are finite, and at least half of the tensors moved."""
        assert before.keys() == after.keys()
        assert before, "no weights were given"
        assert all(np.isfinite(x).all() for x in after.values()), "a weight is not finite"
        moved = [name for name in before if not np.array_equal(before[name], after[name])]
        assert 2 * len(moved) >= len(before), f"only {moved} moved of {sorted(before)}"
        self.row["trained"] = True

    def same_returns(self, theirs: Any, ours: Any) -> None:
        """The framework's rewards ``[T, A]`` are ours of ``replay``, month by month, as float32."""
        theirs, ours = np.asarray(theirs), np.asarray(ours)
        assert theirs.shape == ours.shape
        assert np.abs(ours).sum() > 0.0
        np.testing.assert_array_equal(theirs.astype(np.float32), ours.astype(np.float32))
        self.row["return_equal"] = True

    def speed(
        self,
        agent_steps_per_second: float,
        over_pettingzoo_route: float | None = None,
        routes: Mapping[str, float] | None = None,
    ) -> None:
        """Agent-steps/s of the framework's own rollout without learning; beside its PettingZoo route if both exist.

        ``routes`` are the medians of every route of the same run, to be stored with the row.
        """
        self.row["agent_steps_per_second"] = round(agent_steps_per_second)
        if over_pettingzoo_route is not None:
            self.row["over_pettingzoo_route"] = round(over_pettingzoo_route, 1)
        if routes is not None:
            self.row["routes"] = {name: round(rate) for name, rate in routes.items()}

    @property
    def complete(self) -> bool:
        """Whether all three checks were made: a run of some of the tests, or one cut off, leaves the stored row."""
        return {"trained", "return_equal", "agent_steps_per_second"} <= self.row.keys()

    def write(self) -> None:
        """Store the row."""
        fixed = {"title": self.title, "package": self.package, "version": version(self.package)}
        row = fixed | {"adapter": self.adapter} | self.row
        path = RESULTS / f"{self.page}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(row, indent=1) + "\n")
