"""Files: written whole or not at all, read only where plain and of a sane size, locked by one process at a time."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import socket
import stat
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from spiral_env.text import one_line

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ModuleNotFoundError:
    msvcrt = None  # type: ignore[assignment]

__all__ = [
    "MAX_DEPTH",
    "as_json_text",
    "check_writable",
    "locked",
    "open_plain",
    "parse_json",
    "parse_toml",
    "read_file",
    "remove_leftovers",
    "write_atomically",
]

MAX_DEPTH = 64
"""How deep tables and lists of a parsed file may be nested."""

_NUMBERS = re.compile(r"\[\n\s+([^\[\]{}\"]*?)\n\s*\]")
"""A list of numbers over several lines; line ends inside of texts are written as escapes."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_DESCRIPTORS = ("/proc/", "/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr")
_WIDTH = 200
"""Characters of a path in an error."""
_BINARY = getattr(os, "O_BINARY", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_LOCKED_BYTE = 2**30


def write_atomically(path: Path | str, data: bytes | str) -> None:
    """Write to a temporary file in the same folder, then rename it; text as UTF-8.

    A link stays one: what it points to is written. A file that is replaced keeps its mode and, where the system
    allows it, its owner. A device, a pipe or an open descriptor (``/dev/stdout``) is written straight into. Not
    forced onto the disk (``fsync``): safe against the death of the process, while a power cut may cost the newest
    file on file systems that do not order a rename after the data.

    Raises:
        OSError: it cannot be written; the old file, if any, is as it was.
    """
    content = data.encode() if isinstance(data, str) else data
    with _named_after(path):
        old = _status(path)
        if _is_replaced(path, old):
            _replace(_target(path), content, old)
        else:
            _write_into(path, content)


def _status(path: Path | str) -> os.stat_result | None:
    """Of what a path stands for, links followed; None where nothing is there yet."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _is_replaced(path: Path | str, old: os.stat_result | None) -> bool:
    """Whether a new file takes the place: not that of a device, a pipe or what is open already."""
    if os.path.abspath(path).startswith(_DESCRIPTORS):
        return False
    return old is None or stat.S_ISREG(old.st_mode)


def _target(path: Path | str) -> str:
    """Path of the file itself, links followed."""
    return os.path.realpath(path)


def _write_into(path: Path | str, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY), "wb", buffering=0) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]


def _replace(target: str, content: bytes, old: os.stat_result | None) -> None:
    if old is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied")
    temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
    try:
        # Nobody may read it before it has the mode of the old one.
        mode = 0o666 if old is None else 0o600
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode), "wb") as file:
            file.write(content)
        if old is not None:
            for owner in ((old.st_uid, -1), (-1, old.st_gid)):
                with suppress(AttributeError, PermissionError):
                    os.chown(temporary, *owner)
            os.chmod(temporary, stat.S_IMODE(old.st_mode))
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@contextmanager
def _named_after(path: Path | str) -> Iterator[None]:
    """Errors of the block name the path that was asked for."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    except ValueError as error:
        raise ValueError(f"path {one_line(path, _WIDTH)} cannot be used: {error}") from None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder that this process has locked."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def check_writable(path: Path | None) -> None:
    """Refuse an output that cannot be written, before long work; makes the folders it is to lie in.

    Raises:
        ValueError: it cannot be written.
    """
    if path is None:
        return
    try:
        old = _status(path)
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(21, "Is a directory")
        needed = [] if old is None else [os.fspath(path)]
        if _is_replaced(path, old):
            needed.append(os.path.dirname(_target(path)))
            os.makedirs(needed[-1], exist_ok=True)
        if not all(os.access(x, os.W_OK) for x in needed):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        where = "" if error.filename in (None, os.fspath(path)) else f" ({one_line(error.filename, _WIDTH)})"
        raise ValueError(f"output {one_line(path, _WIDTH)} cannot be written: {error.strerror}{where}") from None
    except ValueError as error:
        raise ValueError(f"output {one_line(path, _WIDTH)} cannot be written: {error}") from None


def read_file(path: Path | str, limit: int, what: str) -> bytes:
    """Content of a regular file of at most ``limit`` bytes; links are followed.

    A pipe or device is refused before it is opened, a file's size is looked at before it is read: neither can block
    or fill the memory. A file that grows meanwhile is read as long as it was.

    Args:
        path: of the file.
        limit: bytes it may have.
        what: kind of file, as errors name it before the path: "config".

    Raises:
        ValueError: it cannot be read, is no regular file or too large.
    """
    with open_plain(path, limit, what) as file:
        try:
            return file.read(os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise ValueError(f"{what} {one_line(path, _WIDTH)} cannot be read: {error.strerror}") from None


@contextmanager
def open_plain(path: Path | str | os.PathLike[str], limit: int, what: str) -> Iterator[BinaryIO]:
    """A regular file of at most ``limit`` bytes, open to be read in parts; what ``read_file`` says holds here.

    Raises:
        ValueError: it cannot be opened, is no regular file or too large.
    """
    try:
        _check_plain(os.stat(path), limit)
        file = open(os.open(path, os.O_RDONLY | _AT_ONCE | _BINARY), "rb")  # noqa: SIM115
    except OSError as error:
        raise ValueError(f"{what} {one_line(path, _WIDTH)} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{what} {one_line(path, _WIDTH)} {error}") from None
    with file:
        try:
            _check_plain(os.fstat(file.fileno()), limit)
        except ValueError as error:
            raise ValueError(f"{what} {one_line(path, _WIDTH)} {error}") from None
        yield file


def _check_plain(found: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"must be a regular file, is {_KINDS.get(stat.S_IFMT(found.st_mode), 'none')}")
    if found.st_size > limit:
        raise ValueError(f"must have at most {limit:,} bytes, has {found.st_size:,}")


def as_json_text(data: Any) -> str:
    """JSON, lists of numbers on one line; what is not finite, which JSON does not know, as null."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: plain(value) for key, value in x.items()}
        if isinstance(x, list | tuple):
            return [plain(value) for value in x]
        return None if isinstance(x, float) and not math.isfinite(x) else x

    text = json.dumps(plain(data), indent=1, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)


def parse_json(data: bytes | str, what: str) -> dict[str, Any]:
    """The one object of a JSON text; ``what`` names it in errors: "config runs/a/config.json".

    Raises:
        ValueError: it is no JSON object in UTF-8, a key is there twice, a number is not finite, or it is nested
            deeper than ``MAX_DEPTH``.
    """

    def read(text: str) -> Any:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_number, parse_float=_number)

    return _parse(read, data, what, "JSON")


def parse_toml(data: bytes | str, what: str) -> dict[str, Any]:
    """The tables of a TOML text; ``what`` names it in errors: "scenario town.toml".

    Raises:
        ValueError: it is no TOML in UTF-8 or nested deeper than ``MAX_DEPTH``.
    """
    return _parse(tomllib.loads, data, what, "TOML")


def _parse(read: Callable[[str], Any], data: bytes | str, what: str, language: str) -> dict[str, Any]:
    try:
        # A mark of the byte order, which some editors write, is no part of the text.
        found = read(data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff"))
        if not isinstance(found, dict):
            raise ValueError(f"it must be an object, is of type {type(found).__name__}")
        _check_depth(found)
    except RecursionError:
        reason = _TOO_DEEP
    except UnicodeDecodeError as error:
        reason = f"it must be UTF-8, is not at byte {error.start}"
    except ValueError as error:
        reason = str(error).splitlines()[0][:200]
    else:
        return found
    raise ValueError(f"{what} is no usable {language}: {reason}")


_TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep"


def _check_depth(found: dict[str, Any]) -> None:
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [y for x in level for y in (x.values() if isinstance(x, dict) else x) if isinstance(y, dict | list)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(x for x in names if names.count(x) > 1)[:60]!r} is there twice")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite, got {text[:20]}")
    return value


@contextmanager
def locked(path: Path, wait: bool | float = True) -> Iterator[None]:
    """Hold the lock of a file, made if missing, in which the holder writes who it is; it ends with the process.

    Locks nothing where the file system knows no locks.

    Args:
        path: the lock's file; its folder must exist.
        wait: for another holder to end, or so many seconds at most, rather than raise.

    Raises:
        BlockingIOError: another process, or another block of this one, holds it; the message says who.
        OSError: the file cannot be made.
    """
    end = time.monotonic() + (math.inf if wait is True else wait)
    with _named_after(path):
        file = open(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666), "r+b", buffering=0)  # noqa: SIM115
    with file:
        while not _take(file.fileno()):
            if time.monotonic() >= end:
                holder = file.read(200).decode(errors="replace").strip() or "another process"
                raise BlockingIOError(11, f"in use by {holder}", os.fspath(path))
            time.sleep(0.02)
        who = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
        with suppress(OSError):
            file.truncate(0)
            file.write(who.encode())
        yield


def _take(descriptor: int) -> bool:
    """Lock an open file; false where another holds it. The lock ends when the file is closed."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
    elif msvcrt is not None:  # pragma: no cover (Windows)
        # There, what is locked cannot be read: a byte beyond the text of who holds it.
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    return True
