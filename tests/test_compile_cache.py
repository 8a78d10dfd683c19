"""The compile cache: an edited source gives the new result in a fresh process, an unedited one is not recompiled."""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spiral_env
from spiral_env.core import _jit

PACKAGE = Path(spiral_env.__file__).resolve().parent
# The smallest entry point that calls a helper of another file with a constant of that file.
PROGRAM = """
import numpy as np
from spiral_env.simulator.batch import draw_rows
params, ranges = np.zeros((1, 1)), np.array([[0.0], [1.0]])
draw_rows(params, ranges, np.array([3]), np.array([True]), 0, 1)
print(params[0, 0], sum(draw_rows.stats.cache_hits.values()))
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of the package, to be edited."""
    shutil.copytree(PACKAGE, tmp_path / "spiral_env", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def drawn(folder: Path) -> tuple[float, int]:
    """What a fresh process draws, and how often it found compiled code on disk."""
    environment = {**os.environ, "SPIRAL_ENV_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value, hits = done.stdout.split()
    return float(value), int(hits)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_an_edited_constant_of_another_file_gives_the_new_result(copied: Path) -> None:
    first, hits = drawn(copied)
    assert hits == 0
    assert drawn(copied) == (first, 1)
    edit(copied / "spiral_env/core/rng.py", "0x9E3779B97F4A7C15", "0x9E3779B97F4A7C17")
    second, hits = drawn(copied)
    assert second != first
    assert hits == 0
    edit(copied / "spiral_env/core/rng.py", "0x9E3779B97F4A7C17", "0x9E3779B97F4A7C15")
    assert drawn(copied) == (first, 1)


def test_an_edited_helper_gives_the_new_result(copied: Path) -> None:
    first, _ = drawn(copied)
    edit(copied / "spiral_env/core/rng.py", "+ 0.5) * _INV53", "+ 0.5) * _INV53 * 0.5")
    assert drawn(copied) == (first / 2.0, 0)


@pytest.mark.parametrize(
    "file",
    [
        "core/params.py",
        "core/state.py",
        "roles/sme.py",
        "stages/stock.py",
        "stages/risk_governance/_attack.py",
        "simulator/month.py",
    ],
)
def test_every_file_that_kernels_come_from_counts(copied: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    before = _jit.source_hash()
    monkeypatch.setattr(_jit, "_PACKAGE", copied / "spiral_env")
    assert _jit.source_hash() == before
    path = copied / "spiral_env" / file
    path.write_text(path.read_text() + "\n_NEW = 1.0\n")
    assert _jit.source_hash() != before


def test_files_without_kernels_do_not_count(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _jit.source_hash()
    monkeypatch.setattr(_jit, "_PACKAGE", copied / "spiral_env")
    (copied / "spiral_env/commands/__init__.py").write_text("")
    assert _jit.source_hash() == before


def test_checked_and_unchecked_code_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "0")
    before = _jit.source_hash()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert _jit.source_hash() != before


# Names of the compiled code for records of the given sizes, met in the given order.
NAMES = """
import sys
import numba
from numba.core.itanium_mangler import mangle
from spiral_env.core.state import capacity_for, state_dtype
from spiral_env.roles import NUM_LEVERS
for count in map(int, sys.argv[1:]):
    print(mangle("f", [numba.from_dtype(state_dtype(capacity_for(count, 12), tuple(NUM_LEVERS.items())))]))
"""


def test_compiled_code_is_named_by_what_it_is_made_for() -> None:
    def names(*counts: str) -> list[str]:
        command = [sys.executable, "-c", NAMES, *counts]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    forth, back = names("8", "128"), names("128", "8")
    assert forth == back[::-1]
    assert len(set(forth)) == 2


BOTH = """
import sys
import numpy as np
import spiral_env
from spiral_env.roles import NUM_LEVERS
for scenario in sys.argv[1:]:
    env = spiral_env.vector_env(scenario, 2)
    env.reset(seed=0)
    for _ in range(20):
        env.step({role: np.ones((2, n, NUM_LEVERS[role]), dtype=np.int64) for role, n in env.num_agents_of.items()})
    print(repr(float(env.metrics()["operating_value"].sum())))
"""


@pytest.mark.slow
def test_sizes_that_different_processes_compiled_are_loaded_together(copied: Path) -> None:
    environment = {**os.environ, "SPIRAL_ENV_CACHE_DIR": str(copied / "cache"), "PYTHONPATH": str(copied)}

    def play(*scenarios: str) -> list[str]:
        command = [sys.executable, "-c", BOTH, *scenarios]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    names = ("small-v1", "baseline-v1", "large-v1")
    alone = [play(name)[0] for name in names]
    assert play(*names) == alone
    assert play(*names[::-1]) == alone[::-1]


# Stores for one kind of seeds, late, so that another process stores its own meanwhile.
SLOWLY = """
import sys, time
import numpy as np
from spiral_env.core import _jit
from spiral_env.simulator.batch import draw_rows
write = _jit.write_atomically
_jit.write_atomically = lambda *arguments: (time.sleep(1.0), write(*arguments))
params, ranges = np.zeros((1, 1)), np.array([[0.0], [1.0]])
draw_rows(params, ranges, np.array([3], dtype=sys.argv[1]), np.array([True]), 0, 1)
print(len(list(_jit.cache_folder().iterdir())), sum(draw_rows.stats.cache_hits.values()))
"""


def test_processes_that_compile_at_once_do_not_overwrite_each_other(copied: Path) -> None:
    environment = {**os.environ, "SPIRAL_ENV_CACHE_DIR": str(copied / "cache"), "PYTHONPATH": str(copied)}
    kinds = ("int64", "uint64")

    def start(kind: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SLOWLY, kind]
        return subprocess.Popen(command, cwd=copied, env=environment, stdout=subprocess.PIPE, text=True)

    for process in [start(kind) for kind in kinds]:
        process.communicate()
        assert process.returncode == 0
    # Each kind is found again, in a file of its own.
    assert [start(kind).communicate()[0].split() for kind in kinds] == [["2", "1"], ["2", "1"]]


def test_the_user_may_choose_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRAL_ENV_CACHE_DIR", str(tmp_path / "mine"))
    folder = _jit.cache_folder()
    assert folder == tmp_path / "mine" / _jit.source_hash()
    assert folder.is_dir()


def test_a_relative_folder_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for chosen, root in (("mine", tmp_path / "mine"), ("~/mine", tmp_path / "home" / "mine")):
        monkeypatch.setenv("SPIRAL_ENV_CACHE_DIR", chosen)
        assert _jit.cache_folder() == root / _jit.source_hash()


def test_a_folder_that_cannot_be_written_is_replaced_by_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIRAL_ENV_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(_jit.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = _jit.cache_folder()
    assert folder is not None
    assert folder.is_dir()
    assert folder.parent.name == f"spiral_env-{os.getuid()}"


def test_a_temporary_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    planted = tmp_path / f"spiral_env-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    monkeypatch.setenv("SPIRAL_ENV_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(_jit.tempfile, "tempdir", str(tmp_path))
    folder = _jit.cache_folder()
    assert folder is not None
    assert folder.parent != planted
    assert folder.parent.stat().st_mode & 0o077 == 0


def _twice(x):  # type: ignore[no-untyped-def]
    return 2.0 * x


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this process, which has told nothing yet."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(_jit, "_CACHE_FOLDER", folder)
    monkeypatch.setattr(_jit, "_tell_of_compiling", _jit.Once())
    monkeypatch.setattr(_jit, "_tell_of_trouble", _jit.Once())
    return folder


def _called() -> bool:
    """Whether a new copy of an entry point found its code on disk; that it works."""
    dispatcher = _jit.entry_point(_twice)
    assert dispatcher(21.0) == 42.0
    return bool(dispatcher.stats.cache_hits)


def _is_one_line_that_helps(text: str, reason: str) -> bool:
    return text.count("\n") == 1 and "SPIRAL_ENV_CACHE_DIR" in text and reason in text


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data + b"x",
        lambda data: b"x" * len(data),
    ],
)
def test_a_damaged_entry_is_thrown_away_and_compiled_anew(
    cache: Path, capfd: pytest.CaptureFixture[str], harm: Callable[[bytes], bytes]
) -> None:
    assert not _called()
    (entry,) = cache.iterdir()
    entry.write_bytes(harm(entry.read_bytes()))
    capfd.readouterr()
    assert not _called()
    assert _is_one_line_that_helps(capfd.readouterr().err, "damaged")
    assert _called()


def test_code_of_another_kind_is_thrown_away(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not _called()
    (entry,) = cache.iterdir()
    content = pickle.dumps(("something", "else"))
    entry.write_bytes(hashlib.sha256(content).digest() + content)
    assert not _called()
    assert "SPIRAL_ENV_CACHE_DIR" in capfd.readouterr().err
    assert _called()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
def test_a_cache_that_cannot_be_written_costs_a_line_and_a_compile(
    cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_jit, "write_atomically", fail)
    assert not _called()
    assert _is_one_line_that_helps(capfd.readouterr().err, os.strerror(number))
    assert not _called()
    assert capfd.readouterr().err == ""


def test_a_cache_that_vanishes_is_made_again(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not _called()
    shutil.rmtree(cache)
    assert not _called()
    assert _called()
    assert capfd.readouterr().err == ""


def test_without_any_folder_code_is_compiled(
    cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jit, "_CACHE_FOLDER", None)
    assert not _called()
    assert _is_one_line_that_helps(capfd.readouterr().err, "no folder that can be written")


def test_a_folder_that_can_only_be_read_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRAL_ENV_CACHE_DIR", str(tmp_path / "shared"))
    monkeypatch.setattr(_jit.tempfile, "tempdir", str(tmp_path))
    folder = _jit.cache_folder()
    assert folder is not None
    may = os.access
    monkeypatch.setattr(_jit.os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    # Empty, it is of no use to anyone.
    assert _jit.cache_folder() != folder
    (folder / "entry").write_bytes(b"")
    assert _jit.cache_folder() == folder


# Imported and played where nothing about the user is known, or on Windows.
BARE = """
import pathlib, sys, os
def nobody(*_):
    raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = nobody
if sys.argv[1] == "windows":
    sys.modules["fcntl"] = None
    del os.getuid
import spiral_env.core._jit as _jit
assert "spiral_env" in str(_jit.cache_folder())
"""


@pytest.mark.parametrize("where", ["no home", "windows"])
def test_a_user_without_a_home_and_a_system_without_locks_are_no_trouble(where: str) -> None:
    gone = ["XDG_CACHE_HOME", "SPIRAL_ENV_CACHE_DIR", *(["HOME"] if where == "no home" else [])]
    environment = {name: value for name, value in os.environ.items() if name not in gone}
    command = [sys.executable, "-c", BARE, where]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_progress_line_is_printed_only_for_a_compile_that_lasts(
    cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load, save = _jit.Entries.load, _jit._Cache.save_overload

    def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            _jit.threading.Event().wait(0.1)
            return function(*arguments)

        return wrapped

    assert not _called()
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(_jit, "_QUIET_SECONDS", 0.01)
    monkeypatch.setattr(_jit.Entries, "load", slowly(load))
    assert _called()
    assert capfd.readouterr().err == ""
    shutil.rmtree(cache)
    monkeypatch.setattr(_jit._Cache, "save_overload", slowly(save))
    assert not _called()
    assert "compiling the simulator" in capfd.readouterr().err
    shutil.rmtree(cache)
    assert not _called()
    assert capfd.readouterr().err == ""


def test_entry_points_outside_the_hashed_folders_import_nothing_that_could_change() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        of_jit = [x for x in imports if isinstance(x, ast.ImportFrom) and x.module == "spiral_env.core._jit"]
        kernels = any(name.name in ("kernel", "entry_point") for x in of_jit for name in x.names)
        if not kernels or path.relative_to(PACKAGE).parts[0] in _jit._COMPILED_FOLDERS:
            continue
        found.append(path.name)
        ours = [x for x in imports if isinstance(x, ast.ImportFrom) and (x.level or str(x.module).startswith("spiral"))]
        assert ours == of_jit, path
    assert found == ["compiled.py"]


def test_an_edited_entry_point_is_not_found_under_its_old_name(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "edited.py"
    monkeypatch.setattr(_jit.inspect, "getfile", lambda _: str(file))
    for text, hit in (("a", False), ("a", True), ("b", False), ("a", True)):
        file.write_text(text)
        assert _called() is hit
