"""The two decorators that compile, and the compile cache that cannot go stale.

numba keys its disk cache by the entry function's own file, so a change in an imported constant or helper
would go unseen. Entry points are therefore cached in a folder named after a hash of every source file of
the package that kernels come from; helpers are compiled into them and never cached alone. An entry point outside
these folders must import nothing but this file's decorators: its own source is part of its entry's name.

The cache is an optimisation: where it cannot be read or written, code is compiled and one line says so. This
and ``_cuda``, for GPUs, are the only files that name numba.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numba
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

from spiral_env.files import read_file, write_atomically

__all__ = ["Entries", "Once", "cache_folder", "entry_point", "kernel", "source_hash"]

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent.parent
_COMPILED_FOLDERS = ("core", "roles", "stages", "simulator")
_LARGEST_ENTRY = 2**28


def source_hash(compiler: str = f"{numba.__version__} {sys.version_info[:3]}") -> str:
    """Hash of every source file that compiled code can depend on, with the versions of what compiles it."""
    digest = hashlib.sha256(compiler.encode())
    for folder in _COMPILED_FOLDERS:
        for path in sorted((_PACKAGE / folder).rglob("*.py")):
            digest.update(path.relative_to(_PACKAGE).as_posix().encode())
            digest.update(path.read_bytes())
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "0").encode())
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    """The user's choice, or the usual place, wherever the process goes meanwhile.

    Raises:
        OSError: it is relative, and the working directory is gone.
        RuntimeError: the user has no home.
    """
    chosen = os.environ.get("SPIRAL_ENV_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "spiral_env"


def cache_folder(version: str | None = None) -> Path | None:
    """Folder of one source version's compiled code, None where there is nowhere to keep any.

    The first that can be written of ``$SPIRAL_ENV_CACHE_DIR`` or the user's cache folder, and a temporary one; a
    folder of this version that can only be read is used as it is.
    """
    version = version or source_hash()
    for root in (_cache_root, _temporary_root):
        try:
            folder = root() / version
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK) or any(folder.iterdir()):
                return folder
        except (OSError, RuntimeError):
            continue
    return None


def _temporary_root() -> Path:
    """A folder that this user alone can write to: what is compiled is run."""
    if not hasattr(os, "getuid"):
        # Windows, where every user has a temporary folder of their own.
        return Path(tempfile.gettempdir()) / "spiral_env"
    root = Path(tempfile.gettempdir()) / f"spiral_env-{os.getuid()}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return root
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="spiral_env-"))


_CACHE_FOLDER = cache_folder()


def _named_by_content(record: types.Record) -> tuple[str, tuple[int]]:
    """What stands for a record in the names of compiled functions.

    numba counts the types of a process. Code for records of two sizes that two processes stored would have the same
    names, and a third process that loads both would link calls from one to the other.
    """
    return "Record", (int.from_bytes(hashlib.sha256(record.name.encode()).digest()[:7], "big"),)


types.Record.mangling_args = property(_named_by_content)


class Once:
    """A line on stderr, once a process."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def __call__(self, line: str) -> None:
        if not self.told.is_set():
            self.told.set()
            print(f"spiral_env: {line}", file=sys.stderr, flush=True)


_tell_of_compiling = Once()
_tell_of_trouble = Once()


def _complain(reason: object) -> None:
    lines = str(reason).splitlines() or [type(reason).__name__]
    _tell_of_trouble(
        f"the cache of compiled code cannot be used, code is compiled anew ({lines[0][:300]}); "
        "SPIRAL_ENV_CACHE_DIR may name another folder"
    )


class Entries:
    """Compiled code on disk: a file an entry point and signature, named by both and by the source, with a checksum.

    numba's own index of such files is read, changed and written without a lock: two processes that compile for
    different sizes at once would store both under one name. Here there is none.
    """

    def __init__(self, function: Callable[..., Any], folder: Path | None = None) -> None:
        self._folder = folder
        source = Path(inspect.getfile(function)).read_bytes()
        self._name = f"{function.__module__}.{function.__qualname__}".removeprefix("spiral_env.")
        self._stamp = hashlib.sha256(source).hexdigest()

    def _path(self, key: Any) -> Path | None:
        folder = self._folder or _CACHE_FOLDER
        if folder is None:
            return None
        return folder / f"{self._name}-{hashlib.sha256(f'{self._stamp} {key!r}'.encode()).hexdigest()[:32]}"

    def load(self, key: Any) -> Any:
        """What was saved under the key; None if nothing was, or nothing that is whole."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            data = read_file(path, _LARGEST_ENTRY, "compiled code")
            if hashlib.sha256(data[32:]).digest() != data[:32]:
                raise ValueError(f"{path} was damaged")
            return pickle.loads(data[32:])
        except Exception as error:
            _complain(error)
            self.forget(key)
            return None

    def save(self, key: Any, data: Any) -> None:
        path = self._path(key)
        if path is None:
            raise OSError("there is no folder that can be written")
        content = dumps(data)
        # Whoever cleans up may have removed the folder.
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, hashlib.sha256(content).digest() + content)

    def try_save(self, key: Any, data: Any) -> None:
        """Keep it, or say once why that is not possible."""
        try:
            self.save(key, data)
        except Exception as error:
            _complain(error)

    def forget(self, key: Any) -> None:
        """Throw an entry away, where that is possible."""
        path = self._path(key)
        try:
            if path is not None:
                path.unlink(missing_ok=True)
        except OSError:
            pass

    def flush(self) -> None:
        """Nothing: there is no index."""


class _Code(CompileResultCacheImpl):
    """What numba stores of a compiled function, wherever that is."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = SimpleNamespace(_py_file=inspect.getfile(function), ensure_cache_path=lambda: None)


class _Cache(FunctionCache):
    """numba's cache over ``Entries``; whatever goes wrong, code is compiled."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name, self._py_func = repr(function), function
        self._impl, self._cache_file = _Code(function), Entries(function)
        self._cache_path = str(_CACHE_FOLDER)
        self._notice = threading.Timer(0.0, _note_compile)
        self.enable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Compiled code; None, and a line if it lasts, where it must be compiled."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:
            _complain(error)
            self._cache_file.forget(self._index_key(sig, target_context.codegen()))
            found = None
        if found is None:
            self._notice = threading.Timer(_QUIET_SECONDS, _note_compile)
            self._notice.daemon = True
            self._notice.start()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        self._notice.cancel()
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _complain(error)


_QUIET_SECONDS = 1.0


def _note_compile() -> None:
    _tell_of_compiling("compiling the simulator (once per version, up to a minute) ...")


def kernel(function: F) -> F:
    """Compile a helper into its callers: no cache of its own, IEEE division, no fast-math."""
    return numba.njit(error_model="numpy", nogil=True)(function)


def entry_point(function: F) -> F:
    """Compile a function that Python calls: cached on disk under the hash of the package's sources."""
    dispatcher: Any = numba.njit(error_model="numpy", nogil=True)(function)
    dispatcher._cache = _Cache(function)
    return dispatcher
