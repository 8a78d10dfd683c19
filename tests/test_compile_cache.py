"""The compile cache: an edited source gives the new result in a fresh process, an unedited one is not recompiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
for count in map(int, sys.argv[1:]):
    print(mangle("f", [numba.from_dtype(state_dtype(capacity_for(count, 12)))]))
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
for scenario in sys.argv[1:]:
    env = spiral_env.vector_env(scenario, 2)
    env.reset(seed=0)
    for _ in range(20):
        env.step({role: np.ones((2, count, 5), dtype=np.int64) for role, count in env.num_agents_of.items()})
    print(repr(float(env.metrics()["operating_value"].sum())))
"""


@pytest.mark.slow
def test_sizes_that_different_processes_compiled_are_loaded_together(copied: Path) -> None:
    environment = {**os.environ, "SPIRAL_ENV_CACHE_DIR": str(copied / "cache"), "PYTHONPATH": str(copied)}

    def play(*scenarios: str) -> list[str]:
        command = [sys.executable, "-c", BOTH, *scenarios]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    names = ("baseline-v0", "sme-boom-v0", "large-v0")
    alone = [play(name)[0] for name in names]
    assert play(*names) == alone
    assert play(*names[::-1]) == alone[::-1]


# Stores for one kind of seeds; the index is written late, so that another process may read the old one before.
SLOWLY = """
import sys, time
import numpy as np
from numba.core.caching import IndexDataCacheFile
from spiral_env.simulator.batch import draw_rows
write = IndexDataCacheFile._save_index
IndexDataCacheFile._save_index = lambda *arguments: (time.sleep(1.0), write(*arguments))
params, ranges = np.zeros((1, 1)), np.array([[0.0], [1.0]])
draw_rows(params, ranges, np.array([3], dtype=sys.argv[1]), np.array([True]), 0, 1)
print(len(set(draw_rows._cache._cache_file._load_index().values())), sum(draw_rows.stats.cache_hits.values()))
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
    assert _jit.cache_folder() == tmp_path / "mine" / _jit.source_hash()
    assert _jit.cache_folder().is_dir()


def test_a_folder_that_cannot_be_written_is_replaced_by_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIRAL_ENV_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(_jit.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = _jit.cache_folder()
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
    assert folder.parent != planted
    assert folder.parent.stat().st_mode & 0o077 == 0


def test_the_progress_line_is_printed_only_for_a_compile(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jit, "_told", _jit.threading.Event())

    class Compiled:
        signatures = ("already",)

    class New:
        signatures = ()

    for entry, told in ((Compiled, False), (New, True)):
        with _jit.first_compile_notice(entry, seconds=0.01):
            _jit.threading.Event().wait(0.2)
        assert ("compiling the simulator" in capfd.readouterr().err) == told
