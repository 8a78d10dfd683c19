"""What a policy's process may not do: change files, reach the network, start programs or import the environment.

Two walls. On Linux the kernel's Landlock holds whatever the policy runs, compiled code too: files change in the scratch
folder alone, files are read where programs, libraries and the policy lie (not what other processes are or were told),
no program starts, no TCP connection opens, no other process is traced or signalled. A hook of Python's own audit events
refuses changes, programs and connections everywhere and notes what was tried, so that a policy that hides the refusal
is found out; code that is not Python's passes the hook.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from typing import Any

__all__ = ["ALLOWED", "landlock", "raise_walls"]

ALLOWED = ("policy", "roles", "core", "agents", "outside", "spaces", "checks", "text", "files", "provenance", "metrics")
"""Parts of our package that a policy may import: names of features and levers, and other policies."""
_MEMORY = 8 * 2**30
"""Bytes of data that the process may hold."""
_FILE = 2**28
"""Bytes of a file in its scratch folder."""


def raise_walls(scratch: str, folders: Sequence[str], noted: list[str]) -> None:
    """From here on the process may change files in ``scratch`` alone; what else it tries is refused and noted.

    Args:
        scratch: a folder, as a real path.
        folders: where the policy lies, to be read.
        noted: lines of what was tried, appended to.
    """
    _limit()
    landlock(scratch, (*_READ, sys.prefix, sys.base_prefix, *sys.path, *folders))
    sys.meta_path.insert(0, _NoEnvironment(noted))
    sys.addaudithook(_Hook(scratch, noted))


def _limit() -> None:
    import resource

    for kind, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _FILE), (resource.RLIMIT_DATA, _MEMORY)):
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # Not every system knows every limit.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (bound, bound))


# Landlock: system calls and constants of linux/landlock.h, the same on every processor.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << k for k in range(4))
_CHANGES = sum(1 << k for k in range(4, 13)) | _WRITE_FILE
_READS = _READ_FILE | _READ_DIR
_LATER = {2: 1 << 13, 3: 1 << 14}
"""Kinds of access that a version brought: moving between folders, cutting short."""
_NET_VERSION, _NET = 4, 0b11
_SCOPE_VERSION, _SCOPE = 6, 0b11
_NO_NEW_PRIVILEGES, _DEATH_SIGNAL, _SIGKILL = 38, 1, 9


_READ = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc", "/opt", "/nix", "/dev", "/sys"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys"),
)
"""Where programs, libraries and what they ask of the machine lie."""


def landlock(scratch: str, readable: Sequence[str]) -> int:
    """Bind this thread, and all that it starts, to its folders; the version in force, 0 where there is none.

    Args:
        scratch: where files may change.
        readable: folders and files that may be read; those that are not there are passed over.
    """
    if sys.platform != "linux":
        return 0
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_DEATH_SIGNAL, _SIGKILL)
    version = library.syscall(_CREATE, None, 0, _VERSION)
    if version < 1:
        return 0
    access = _EXECUTE | _READS | _CHANGES | sum(bit for since, bit in _LATER.items() if version >= since)
    words = [access, *([_NET] if version >= _NET_VERSION else []), *([_SCOPE] if version >= _SCOPE_VERSION else [])]
    attribute = struct.pack(f"<{len(words)}Q", *words)
    rules = library.syscall(_CREATE, attribute, len(attribute), 0)
    if rules < 0:
        return 0
    for path, allowed in (
        *((scratch, access & ~_EXECUTE), (os.devnull, _WRITE_FILE | _READ_FILE)),
        *((path, _READS if os.path.isdir(path) else _READ_FILE) for path in readable if os.path.exists(path)),
    ):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        library.syscall(_ADD, rules, _PATH_BENEATH, struct.pack("<Qi", allowed, folder), 0)
        os.close(folder)
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    bound = library.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return int(version) if bound else 0


class _NoEnvironment(MetaPathFinder):
    """Refuses the parts of our package that hold worlds, engines and scores."""

    def __init__(self, noted: list[str]) -> None:
        self._noted = noted

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        """Raises for a part that is not ``ALLOWED``, leaves all others to whoever finds them."""
        package, _, rest = fullname.partition(".")
        if package == "spiral_env" and rest and rest.partition(".")[0] not in ALLOWED:
            self._noted.append(f"it imports the environment ({fullname})")
            raise ImportError(f"{fullname} is not there for policies: they may import {', '.join(ALLOWED)}")


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), (0,)),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), (0, 1)),
}
"""Event -> places of the paths that it changes."""
_STARTING = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn")
_REACHING = ("socket.connect", "socket.sendto", "socket.sendmsg", "os.kill", "os.killpg")


class _Hook:
    """Refuses what the walls forbid, as far as Python tells of it."""

    def __init__(self, scratch: str, noted: list[str]) -> None:
        self._scratch, self._noted = os.path.join(scratch, ""), noted
        # Bound now: a policy may replace what modules hold.
        self._real: Callable[[str], str] = os.path.realpath

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITES:
                self._check(path)
        elif event in _CHANGING:
            for place in _CHANGING[event]:
                self._check(args[place])
        elif event in _STARTING:
            raise PermissionError(1, "a policy may start no program", event)
        elif event in _REACHING:
            self._refuse(f"it reaches out of its process ({event})")

    def _check(self, path: Any) -> None:
        if isinstance(path, int):
            return
        real = self._real(os.fsdecode(path))
        if not real.startswith(self._scratch) and real != os.devnull:
            self._refuse(f"it changes files ({real})")

    def _refuse(self, line: str) -> None:
        self._noted.append(line)
        raise PermissionError(13, line)
