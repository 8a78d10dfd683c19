"""What a month cannot do without, counted: draws, functions, arithmetic and bytes of the state.

The month is run uncompiled. Its source is rewritten so that every operation calls a counter, and the record it works on
counts what is read and written. Nothing is changed in what it computes; a test holds it to that.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import textwrap
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from spiral_env.core import rng
from spiral_env.simulator import month

__all__ = ["WORK", "CountedMonth", "work_of_a_month"]

WORK = ("mix", "exp", "log", "pow", "sqrt", "erfc", "division", "arithmetic", "bytes read", "bytes written")
_ALIKE = {"erf": "erfc", "log1p": "log", "expm1": "exp"}
_BINARY = {ast.Div: "division", ast.Pow: "pow"}


class _Rewriter(ast.NodeTransformer):
    """Wraps one operand of every operation in a call that counts it."""

    def _counted(self, kind: str, value: ast.expr) -> ast.expr:
        name = ast.Name("_count", ast.Load())
        return ast.Call(name, [ast.Constant(kind), value], [])

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        node.right = self._counted(_BINARY.get(type(node.op), "arithmetic"), node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.generic_visit(node)
        node.value = self._counted(_BINARY.get(type(node.op), "arithmetic"), node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        node.comparators = [self._counted("arithmetic", x) for x in node.comparators]
        return node


class _Array:
    """A view of an array of the state that counts its elements as they are read and written."""

    def __init__(self, array: np.ndarray, counts: Counter[str]) -> None:
        self._array, self._counts = array, counts
        self.shape = array.shape

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, key: Any) -> Any:
        value = self._array[key]
        if isinstance(value, np.ndarray):
            return _Array(value, self._counts)
        self._counts["bytes read"] += self._array.itemsize
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, _Array):
            self._counts["bytes read"] += value._array.nbytes
            value = value._array
        self._counts["bytes written"] += self._array[key].nbytes
        self._array[key] = value


class _Record:
    """A record of the state that counts."""

    def __init__(self, record: Any, counts: Counter[str]) -> None:
        object.__setattr__(self, "_record", record)
        object.__setattr__(self, "_counts", counts)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._record, name)
        if isinstance(value, np.ndarray):
            return _Array(value, self._counts)
        self._counts["bytes read"] += value.nbytes
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._record, name, value)
        self._counts["bytes written"] += getattr(self._record, name).nbytes


class CountedMonth:
    """``month.advance``, ``rewards`` and ``observe`` as Python that counts.

    Attributes:
        counts: how often each of ``WORK`` was done so far.
    """

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.counts: Counter[str] = Counter()
        self._made: dict[Any, Callable[..., Any]] = {}
        names = [name for name in dir(math) if not name.startswith("_")]
        self._math = types.SimpleNamespace(**{name: self._function(name) for name in names})

    def _count(self, kind: str, value: Any) -> Any:
        self.counts[kind] += 1
        return value

    def _function(self, name: str) -> Any:
        function, kind = getattr(math, name), _ALIKE.get(name, name)
        if kind not in WORK:
            return function

        def counted(*arguments: Any) -> Any:
            self.counts[kind] += 1
            return function(*arguments)

        return counted

    def python(self, kernel: Any) -> Callable[..., Any]:
        """The counting Python of a kernel; all that it calls counts too."""
        if kernel not in self._made:
            source = kernel.py_func
            if kernel is rng.mix:
                self._made[kernel] = lambda z: self._count("mix", source(z))
                return self._made[kernel]
            tree = _Rewriter().visit(ast.parse(textwrap.dedent(inspect.getsource(source))))
            tree.body[0].decorator_list = []
            scope: dict[str, Any] = {}
            exec(compile(ast.fix_missing_locations(tree), source.__module__, "exec"), scope)
            self._made[kernel] = scope[source.__name__]
            scope.update((name, self._inside(value)) for name, value in source.__globals__.items() if name[:2] != "__")
            scope |= {"_count": self._count, "min": self._choice(min), "max": self._choice(max)}
            scope[source.__name__] = self._made[kernel]
        return self._made[kernel]

    def _choice(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(function)(lambda *x: self._count("arithmetic", function(*x)))

    def _inside(self, value: Any) -> Any:
        if hasattr(value, "py_func"):
            return _Late(self, value)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("spiral_env"):
            return types.SimpleNamespace(**{k: self._inside(v) for k, v in vars(value).items()})
        return self._math if value is math else value

    def live(self, engine: Any, row: int, efforts: np.ndarray) -> None:
        """One month of one row, as ``step_rows`` plays it, observations too."""
        state = _Record(engine.states[row], self.counts)
        params = engine.params[row]
        scratch = np.zeros(state.criticality.shape[0]), np.zeros(state.v_uid.shape[0], np.int64)
        with np.errstate(all="ignore"):
            self.python(month.advance)(state, params, efforts, np.arange(3), scratch)
            outputs = (_Array(engine.vectors[row], self.counts), _Array(engine.scalars[row], self.counts))
            self.python(month.rewards)(state, params, 0, False, *outputs)
            self.python(month.summarise)(state, _Array(engine.summary[row], self.counts))
            seen = _Array(engine.observed, self.counts)
            self.python(month.observe)(state, params, seen, row, engine.num_envs)


class _Late:
    """A kernel that is rewritten when it is first called."""

    def __init__(self, owner: CountedMonth, kernel: Any) -> None:
        self._owner, self._kernel = owner, kernel

    def __call__(self, *arguments: Any) -> Any:
        return self._owner.python(self._kernel)(*arguments)


def work_of_a_month(engine: Any, efforts: np.ndarray, rows: int = 8, months: int = 3) -> dict[str, float]:
    """Mean of each of ``WORK`` over the next ``months`` of the first ``rows``; the engine moves on in these rows."""
    counted = CountedMonth()
    for row in range(rows):
        for _ in range(months):
            counted.live(engine, row, efforts[row])
    return {name: counted.counts[name] / (rows * months) for name in WORK}
