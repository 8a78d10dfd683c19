"""Policies of the user's own: ``package.module:attribute`` or ``path/to/file.py:attribute``.

Naming one here is the only way in which code of the user's is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from spiral_env.files import read_file
from spiral_env.provenance import file_hash
from spiral_env.text import told_reason

if TYPE_CHECKING:
    from spiral_env.policy import Policy

__all__ = ["Imported"]

_LARGEST = 2**24
"""Bytes of a source file."""


class Imported:
    """A policy from the user's code, found again by its name where it is unpickled.

    Attributes:
        policy: what the named class or function made of the role.
        digest: hash of the source file; empty for a module without one.
    """

    def __init__(self, spec: str, role: str) -> None:
        """Import what ``spec`` names and call it with the role.

        Raises:
            ValueError: in one line, whatever goes wrong with it.
        """
        self.name, self._role = spec, role
        where, _, attribute = spec.rpartition(":")
        module = _run_file(spec, Path(where)) if where.endswith(".py") else _import_module(spec, where)
        self._home = Path(where).resolve() if where.endswith(".py") else None
        self.digest = _source_hash(module)
        self.policy = _made(spec, _attribute(spec, module, attribute), role)

    def __reduce__(self) -> tuple[type[Imported], tuple[str, str]]:
        """Import it again: classes of a file cannot be pickled by name."""
        attribute = self.name.rpartition(":")[2]
        return Imported, (f"{self._home}:{attribute}" if self._home else self.name, self._role)

    def __deepcopy__(self, memo: dict[int, Any]) -> Imported:
        """Another policy of the same name."""
        return Imported(self.name, self._role)

    def reset(self, keys: np.ndarray) -> None:
        """Pass on."""
        self.policy.reset(keys)

    def act(self, observation: np.ndarray) -> Any:
        """Pass on."""
        return self.policy.act(observation)


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """Imports of the block find modules of ``folder`` too, after all that is installed."""
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)


def _import_module(spec: str, name: str) -> ModuleType:
    with _importable(os.getcwd()):
        return _guarded(spec, lambda: importlib.import_module(name))


def _run_file(spec: str, path: Path) -> ModuleType:
    """The module of a file, run once for each of its contents."""
    name = f"spiral_env_policy_{file_hash(str(path.resolve()).encode(), read_file(path, _LARGEST, 'policy'))}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        with _importable(str(path.resolve().parent)):
            _guarded(spec, lambda: found.loader.exec_module(module))  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _guarded(spec: str, work: Callable[[], Any]) -> Any:
    """The result of the user's code; a script that ends the process is a failure too."""
    try:
        return work()
    except (Exception, SystemExit) as error:
        raise ValueError(f"policy {spec:.200} failed to load: {_told(error)}") from error


def _told(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({Path(error.filename or '').name}, line {error.lineno})"
    return told_reason(error)


def _attribute(spec: str, module: ModuleType, name: str) -> Callable[[str], Any]:
    found = getattr(module, name, None)
    if found is None:
        mine = [x for x, value in vars(module).items() if inspect.isclass(value) and hasattr(value, "act")]
        near = f"; it has {', '.join(mine[:5])}" if mine else ""
        raise ValueError(f"policy {spec:.200} names nothing: no {name[:60]!r} in {spec.rpartition(':')[0]:.200}{near}")
    if not callable(found) or isinstance(found, ModuleType):
        kind = type(found).__name__
        raise ValueError(f"policy {spec:.200} must name a class or function that takes a role, got an object of {kind}")
    return found  # type: ignore[no-any-return]


def _made(spec: str, make: Callable[[str], Any], role: str) -> Policy:
    policy = _guarded(spec, lambda: make(role))
    if not all(callable(getattr(policy, method, None)) for method in ("reset", "act")):
        kind = type(policy).__name__
        raise ValueError(f"policy {spec:.200} must have reset(keys) and act(observation), got an object of {kind}")
    return policy  # type: ignore[no-any-return]


def _source_hash(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return file_hash(read_file(file, 2**30, "policy")) if file else ""
