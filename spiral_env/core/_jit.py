"""The two decorators that compile, and the compile cache that cannot go stale.

numba keys its disk cache by the entry function's own file, so a change in an imported constant or helper
would go unseen. Entry points are therefore cached in a folder named after a hash of every source file of
the package; helpers are compiled into them and never cached alone. This is the only file that names numba.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config as _numba_config
from numba.core import types
from numba.core.caching import FunctionCache

__all__ = ["cache_folder", "entry_point", "first_compile_notice", "kernel", "source_hash"]

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent.parent
_COMPILED_FOLDERS = ("core", "roles", "stages", "simulator")


def source_hash() -> str:
    """Hash of every source file that compiled code can depend on, with the versions that compile it."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version_info[:3]}".encode())
    for folder in _COMPILED_FOLDERS:
        for path in sorted((_PACKAGE / folder).rglob("*.py")):
            digest.update(path.relative_to(_PACKAGE).as_posix().encode())
            digest.update(path.read_bytes())
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "0").encode())
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    chosen = os.environ.get("SPIRAL_ENV_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spiral_env"


def cache_folder() -> Path:
    """Folder of this source version's compiled code: ``$SPIRAL_ENV_CACHE_DIR`` or the user's cache folder."""
    folder = _cache_root() / source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(folder)
    except OSError:
        folder = _temporary_root() / source_hash()
        folder.mkdir(exist_ok=True)
    return folder


def _temporary_root() -> Path:
    """A folder that this user alone can write to: what is compiled is run."""
    root = Path(tempfile.gettempdir()) / f"spiral_env-{os.getuid()}"
    with contextlib.suppress(OSError):
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return root
    return Path(tempfile.mkdtemp(prefix="spiral_env-"))


_CACHE_FOLDER = cache_folder()


def _named_by_content(record: types.Record) -> tuple[str, tuple[int]]:
    """What stands for a record in the names of compiled functions.

    numba counts the types of a process. Code for records of two sizes that two processes stored would have the same
    names, and a third process that loads both would link calls from one to the other.
    """
    return "Record", (int.from_bytes(hashlib.sha256(record.name.encode()).digest()[:7], "big"),)


types.Record.mangling_args = property(_named_by_content)


class _SharedCache(FunctionCache):
    """numba's cache, one process at a time: its index is read, changed and written without a lock of its own.

    Two processes that compile for different sizes at once would else store both under one name, and the next one
    would run code made for records of another size.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with _locked(_CACHE_FOLDER):
            return super().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        with _locked(_CACHE_FOLDER):
            super().save_overload(sig, data)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it ends with the process that holds it."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kernel(function: F) -> F:
    """Compile a helper into its callers: no cache of its own, IEEE division, no fast-math."""
    return numba.njit(error_model="numpy", nogil=True)(function)


def entry_point(function: F) -> F:
    """Compile a function that Python calls: cached on disk under the hash of the package's sources."""
    dispatcher: Any = numba.njit(error_model="numpy", nogil=True)(function)
    before = _numba_config.CACHE_DIR
    _numba_config.CACHE_DIR = str(_CACHE_FOLDER)
    try:
        dispatcher._cache = _SharedCache(function)
    finally:
        _numba_config.CACHE_DIR = before
    return dispatcher


_told = threading.Event()


def _tell() -> None:
    if not _told.is_set():
        _told.set()
        line = "spiral_env: compiling the simulator (once per version, up to a minute) ..."
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def first_compile_notice(*entries: Any, seconds: float = 1.0) -> Iterator[None]:
    """Tell once on stderr that a compile runs if the block lasts longer than ``seconds`` and compiles anew."""
    if all(getattr(entry, "signatures", ()) for entry in entries):
        yield
        return
    timer = threading.Timer(seconds, _tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
