"""Files: written whole or not at all, read only where plain and small, locked by one at a time."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spiral_env import files
from spiral_env.files import (
    MAX_DEPTH,
    check_writable,
    locked,
    parse_json,
    parse_toml,
    read_file,
    remove_leftovers,
    write_atomically,
)

AS_ROOT = os.geteuid() == 0


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not AS_ROOT, reason="only root may make devices")
def test_a_device_is_written_into_and_stays_one(tmp_path: Path) -> None:
    device = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    write_atomically(device, "gone")
    assert stat.S_ISCHR(device.lstat().st_mode)
    assert _names(tmp_path) == ["null"]


def test_a_full_device_is_an_error() -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_atomically(Path("/dev/full"), "x")


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(pipe, b"x" * 200_000)
    reader.join(10.0)
    assert got == [b"x" * 200_000]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_the_standard_output_is_written_into_even_if_it_is_a_file(tmp_path: Path) -> None:
    program = "from spiral_env.files import write_atomically as w; print('a', flush=True); w('/dev/stdout', 'b\\n')"
    with (tmp_path / "log").open("a") as log:
        subprocess.run([sys.executable, "-c", program], stdout=log, check=True)
        print("c", file=log)
    assert (tmp_path / "log").read_text() == "a\nb\nc\n"


def test_a_link_stays_one_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link, far, dangling = tmp_path / "there" / "file", tmp_path / "link", tmp_path / "far", tmp_path / "dangling"
    file.write_text("old")
    link.symlink_to(Path("there") / "file")
    far.symlink_to(link)
    dangling.symlink_to(tmp_path / "there" / "new")
    for path in (link, far, dangling):
        write_atomically(path, path.name)
        assert path.is_symlink()
        assert path.read_text() == path.name
    assert _names(tmp_path / "there") == ["file", "new"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_replaced_file_keeps_mode_and_owner(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(mode)
    if AS_ROOT:
        os.chown(file, 1234, 2345)
    before = file.stat()
    write_atomically(file, "new")
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_new_file_has_the_mode_that_the_user_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("call", ["replace", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, failure: BaseException
) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(type(failure)):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert _names(tmp_path) == ["file"]


def test_errors_name_the_path_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "missing" / "file", "No such file"),
        (tmp_path / "file" / "file", "Not a directory"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(OSError, match=reason) as caught:
            write_atomically(path, "x")
        assert caught.value.filename == str(path)
        assert path.name in ("missing", "file") or check_is_refused(path)
    with pytest.raises(ValueError, match="null byte"):
        write_atomically(Path("a\0b"), "x")


def check_is_refused(path: Path) -> bool:
    with pytest.raises(ValueError, match="cannot be written: ") as caught:
        check_writable(path)
    return len(str(caught.value)) < 600


def _fork() -> int:
    with warnings.catch_warnings():
        # Newer Pythons warn where other tests left threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _as_nobody(function: Any, path: Path) -> str:
    """What a call says in a child process without privileges."""
    reader, writer = os.pipe()
    child = _fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            function(path)
            said = "written"
        except (OSError, ValueError) as error:
            said = str(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as file:
        return file.read()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(not AS_ROOT, reason="needs a second user")
def test_what_may_not_be_written_is_refused(open_path: Path) -> None:
    closed, opened = open_path / "closed", open_path / "opened"
    for folder, mode in ((closed, 0o755), (opened, 0o777)):
        folder.mkdir()
        folder.chmod(mode)
    kept = opened / "kept"
    kept.write_text("old")
    kept.chmod(0o444)
    assert _as_nobody(lambda x: write_atomically(x, "new"), opened / "file") == "written"
    for path in (closed / "file", kept):
        assert "Permission denied" in _as_nobody(lambda x: write_atomically(x, "new"), path)
        assert "cannot be written: Permission denied" in _as_nobody(check_writable, path)
    assert kept.read_text() == "old"
    assert _names(closed) == []
    # A file of someone else's in a folder of all is written, by its new owner.
    kept.chmod(0o666)
    assert _as_nobody(lambda x: write_atomically(x, "new"), kept) == "written"
    assert (kept.stat().st_uid, stat.S_IMODE(kept.stat().st_mode)) == (65534, 0o666)


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    file, size = tmp_path / "file", 300_000

    def write(letter: bytes) -> None:
        for _ in range(50):
            write_atomically(file, letter * size)

    threads = [threading.Thread(target=write, args=(x,)) for x in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            assert file.read_bytes() in (b"a" * size, b"b" * size, b"c" * size)
    assert _names(tmp_path) == ["file"]


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    child = _fork()
    if child == 0:
        files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(tmp_path / "file", "half")
    os.waitpid(child, 0)
    assert len(_names(tmp_path)) == 1
    remove_leftovers(tmp_path)
    assert _names(tmp_path) == []


def test_only_regular_files_are_read_and_nothing_blocks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to a pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for name in ("file", "link"):
        assert read_file(tmp_path / name, 3, "config") == b"abc"
    for path, reason in (
        (tmp_path, "must be a regular file, is a folder"),
        (tmp_path / "pipe", "must be a regular file, is a pipe"),
        (tmp_path / "to a pipe", "must be a regular file, is a pipe"),
        (tmp_path / "socket", "must be a regular file, is a socket"),
        (Path("/dev/zero"), "must be a regular file, is a device"),
        (tmp_path / "missing", "cannot be read: No such file or directory"),
        (tmp_path / "dangling", "cannot be read: No such file or directory"),
        (tmp_path / "file" / "x", "cannot be read: Not a directory"),
        (Path("a\0b"), "embedded null byte"),
        (tmp_path / ("x" * 5000), "cannot be read: File name too long"),
    ):
        with pytest.raises(ValueError, match=reason) as caught:
            read_file(path, 100, "config")
        assert str(caught.value).startswith("config ")
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 * 2**30)
    monkeypatch.setattr(files.os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ValueError, match="must have at most 1,000 bytes, has 3,221,225,472"):
        read_file(tmp_path / "sparse", 1000, "state")


TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep"
BAD_JSON = {
    b"": "Expecting value",
    b"{": "Expecting property name",
    b'{"a": 1} x': "Extra data",
    b"\xff\xfe{\x00}\x00": "it must be UTF-8, is not at byte 0",
    b'{"a": "\xe9"}': "it must be UTF-8, is not at byte 7",
    b"[1]": "it must be an object, is of type list",
    b"null": "it must be an object, is of type NoneType",
    b'{"a": NaN}': "numbers must be finite, got NaN",
    b'{"a": [-Infinity]}': "numbers must be finite, got -Infinity",
    b'{"a": 1e999}': "numbers must be finite, got 1e999",
    b'{"a": ' + b"9" * 5000 + b"}": "Exceeds the limit",
    b'{"a": 1, "b": {"c": 1, "c": 2}}': "key 'c' is there twice",
    b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}": TOO_DEEP,
    b'{"a": ' + b"[" * 200_000: TOO_DEEP,
    b'{"a":' * 200_000: TOO_DEEP,
}
BAD_TOML = {
    b"a": "Expected '='",
    b"a = 1\na = 2": "Cannot overwrite a value",
    b"\xff\xfea\x00": "it must be UTF-8, is not at byte 0",
    b"a = \xe9": "it must be UTF-8, is not at byte 4",
    b"a = 1\x00": "Expected newline",
    b"a = " + b"9" * 5000: "Exceeds the limit",
    b"a = " + b"[" * 100_000: TOO_DEEP,
    b"a = " + b"[" * 65 + b"]" * 65: TOO_DEEP,
    b"a" + b".a" * 65 + b" = 1": TOO_DEEP,
    b"a = " + b"{a = " * 50_000: TOO_DEEP,
}


@pytest.mark.parametrize(
    ("read", "data", "reason"),
    [(parse_json, *pair) for pair in BAD_JSON.items()] + [(parse_toml, *pair) for pair in BAD_TOML.items()],
    ids=[f"json{k}" for k in range(len(BAD_JSON))] + [f"toml{k}" for k in range(len(BAD_TOML))],
)
def test_text_that_cannot_be_used_is_refused_in_one_line(read: Any, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(data, "config x")
    line = str(caught.value)
    assert line.startswith("config x is no usable ")
    assert reason in line
    assert line.isprintable()
    assert len(line) < 300


def test_text_with_a_byte_order_mark_is_read() -> None:
    assert parse_toml(b"\xef\xbb\xbfa = 1", "x") == parse_toml("\ufeffa = 1", "x") == {"a": 1}
    assert parse_json(b'\xef\xbb\xbf{"a": 1.5}', "x") == parse_json('{"a": 1.5}', "x") == {"a": 1.5}


HOLD = """
import sys, time
from pathlib import Path
from spiral_env.files import locked
with locked(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_process_and_names_it_until_it_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        where = f"in use by process {holder.pid} on {socket.gethostname()} since 20"
        with pytest.raises(BlockingIOError, match=where), locked(lock, wait=False):
            pass
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    with locked(lock, wait=False):
        assert f"process {os.getpid()} " in lock.read_text()


def test_a_lock_that_waits_gets_its_turn(tmp_path: Path) -> None:
    lock, order = tmp_path / "lock", []

    def wait() -> None:
        with locked(lock):
            order.append("second")

    with locked(lock):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(10.0)
    assert order == ["first", "second"]


def test_without_locks_in_system_or_file_system_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "fcntl", None)
        with locked(tmp_path / "lock"):
            pass

    def unsupported(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    with locked(tmp_path / "lock", wait=False):
        pass


def test_the_module_can_be_imported_without_fcntl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert runpy.run_path(files.__file__)["fcntl"] is None
