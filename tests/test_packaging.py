"""What is published: a wheel and a source archive that say the same, whole and with complete metadata.

``nox -s package`` installs the wheel in an empty environment and uses it.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import spiral_env

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "spiral_env"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"spiral_env-{spiral_env.__version__}"


def _run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    _run("build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    assert {path.name for path in folder.iterdir()} == {f"{NAME}.tar.gz", f"{NAME}-py3-none-any.whl"}
    return folder


def _names(built: Path) -> set[str]:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def metadata(built: Path) -> Message:
    """What an index would show."""
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        return Parser().parsestr(wheel.read(f"{NAME}.dist-info/METADATA").decode())


def test_an_index_would_take_both(built: Path) -> None:
    _run("twine", "check", "--strict", *(str(path) for path in built.iterdir()))


def test_the_source_archive_builds_the_wheel_of_the_checkout(built: Path, tmp_path: Path) -> None:
    _run("build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    (ours,) = tmp_path.iterdir()
    assert ours.read_bytes() == (built / ours.name).read_bytes()


def test_the_source_archive_holds_what_its_tests_need(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout")
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert tracked <= names
    extra = {name for name in names - tracked if (ROOT / name).suffix == ".py"}
    untracked = subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(name in untracked.stdout for name in extra)


def test_the_wheel_holds_the_package_alone(built: Path) -> None:
    assert {name.split("/")[0] for name in _names(built)} == {"spiral_env", f"{NAME}.dist-info"}


def test_the_wheel_holds_every_module_scenario_table_and_part_of_a_page(built: Path) -> None:
    kinds = {".py", ".toml", ".csv", ".json", ".safetensors", ".typed", ".html", ".css", ".js", ".txt", ".ttf"}
    expected = {p.relative_to(ROOT).as_posix() for p in PACKAGE.rglob("*") if p.suffix in kinds}
    ours = {name for name in _names(built) if name.startswith("spiral_env/")}
    assert {name for name in ours if Path(name).suffix in kinds} == expected
    assert {"spiral_env/scenarios/baseline-v1.toml", "spiral_env/py.typed"} <= expected


def test_the_wheel_offers_the_command(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        assert "spiral = spiral_env.commands:main" in wheel.read(f"{NAME}.dist-info/entry_points.txt").decode()


def test_the_metadata_is_complete(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("spiral-env", spiral_env.__version__)
    for field in ("Summary", "Author", "Keywords", "License-Expression", "License-File", "Requires-Python"):
        assert metadata[field], field
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_the_declared_pythons_begin_with_the_oldest_that_is_allowed(metadata: Message) -> None:
    lines = [x.split(" :: ")[-1] for x in metadata.get_all("Classifier", []) if x.startswith("Programming Language")]
    minors = sorted(int(x.split(".")[1]) for x in lines if "." in x)
    assert metadata["Requires-Python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert f"3.{sys.version_info[1]}" in lines
