"""One session for each framework: a bare environment, its page's own commands and example, then its tests.

Beside them: ``package`` (what an installed wheel does), ``versions`` (the oldest and newest releases), ``cuda`` (the
kernels of a GPU) and one for each declared Python.

A page of ``docs/frameworks/`` with a test file in ``tests/frameworks/`` is a session; nothing is listed here but the
sessions that CI runs. ``nox -s torchrl`` runs one; ``nox -s torchrl -- pin`` installs the newest releases that the
extra allows and rewrites the page's pins; ``nox -s torchrl -- record`` also stores the row of the README's table.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
FOLDER = ROOT / "docs" / "frameworks"
IN_CI = ("stable-baselines3", "rllib", "torchrl", "benchmarl")
TOOLS = ("pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6.100")
# Beside which a page's tests measure its adapter.
PEERS = {"stable-baselines3": ("supersuit>=3.11",)}
# What a change of numpy, gymnasium or pettingzoo can break.
EDGE_TESTS = ("contract", "interfaces", "determinism", "golden")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

nox.options.sessions = []


def _block(page: Path, language: str) -> str:
    """The page's one code block of a language."""
    blocks = re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    if len(blocks) != 1:
        raise ValueError(f"{page.name} must have one {language} block, got {len(blocks)}")
    return blocks[0]


def _test_file(page: Path) -> Path:
    return ROOT / "tests" / "frameworks" / f"test_{page.stem.replace('-', '_')}.py"


def _without_pins(words: list[str]) -> list[str]:
    at = words.index("-c") if "-c" in words else len(words)
    return words[:at] + words[at + 2 :]


def _install_as_the_page_says(session: nox.Session, page: Path, pin: bool) -> None:
    held: list[str] = []
    for line in _block(page, "bash").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        # What the page itself fixes (torch) stays so, whatever a later line would rather have.
        session.run(*(_without_pins(words) + held if pin else words), env=ENVIRONMENT)
        held += [word for word in words if "==" in word]


def _write_pins(session: nox.Session, pins: Path) -> None:
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude-editable", silent=True) or ""
    lines = [re.sub(r"\+\w+$", "", line) for line in frozen.splitlines() if "==" in line]
    pins.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _run(session: nox.Session, page: Path) -> None:
    """The page as a new user follows it, then the tests."""
    pin, pins = "pin" in session.posargs, page.with_suffix(".txt")
    _install_as_the_page_says(session, page, pin)
    if not pin:
        # Not nox's own folder: it is inside the virtual environment, where Ray refuses to keep its files.
        with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
            Path("example.py").write_text(_block(page, "python"), encoding="utf-8")
            session.run("python", "example.py", env=ENVIRONMENT)
    constraints = [] if pin else ["-c", str(pins)]
    tools = (*TOOLS, *PEERS.get(page.stem, ()))
    session.run("python", "-m", "pip", "install", *constraints, *tools, env=ENVIRONMENT)
    if pin:
        _write_pins(session, pins)
    record = {"SPIRAL_RECORD": "1"} if "record" in session.posargs else {}
    session.run("python", "-m", "pytest", "-rP", "-W", "default", str(_test_file(page)), env=ENVIRONMENT | record)


def _session(page: Path) -> None:
    tags = ["frameworks", *(["ci"] if page.stem in IN_CI else [])]

    @nox.session(name=page.stem, tags=tags, default=False)
    def run(session: nox.Session) -> None:
        _run(session, page)


for _page in sorted(FOLDER.glob("*.md")):
    if _test_file(_page).exists():
        _session(_page)


@nox.session(tags=["ci"], default=False)
@nox.parametrize("edge", ["oldest", "newest"], ids=["oldest", "newest"])
def versions(session: nox.Session, edge: str) -> None:
    """The environment with the oldest and the newest releases that its bounds allow."""
    wanted = ["-e", ".", *TOOLS]
    if edge == "oldest":
        wanted += [re.sub(r">=([\d.]+).*", r"==\1.*", line) for line in PROJECT["dependencies"]]
    _edge_tests(session, wanted)


def _edge_tests(session: nox.Session, wanted: list[str]) -> None:
    session.run("python", "-m", "pip", "install", *wanted, env=ENVIRONMENT)
    session.run("python", "-m", "pip", "freeze", "--exclude-editable")
    files = [f"tests/test_{name}.py" for name in EDGE_TESTS]
    session.run("python", "-m", "pytest", "-W", "default", *files, env=ENVIRONMENT)


@nox.session(tags=["ci"], default=False)
@nox.parametrize("extra", ["core", "train"], ids=["core", "train"])
def package(session: nox.Session, extra: str) -> None:
    """The wheel in an empty environment, used from a folder with files of the user's own."""
    with tempfile.TemporaryDirectory() as folder:
        build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, str(ROOT))
        session.run(*build, external=True, silent=True)
        (wheel,) = Path(folder).glob("*.whl")
        pip = ("python", "-m", "pip", "install", "-c", "constraints.txt")
        if extra == "train":
            session.run(*pip, _pinned("torch"), env=ENVIRONMENT)
        session.run(*pip, f"{wheel}[train]" if extra == "train" else str(wheel), env=ENVIRONMENT)
        session.run("python", str(ROOT / "tests" / "installed.py"), extra, env=ENVIRONMENT)


@nox.session(tags=["ci"], default=False)
def cuda(session: nox.Session) -> None:
    """The kernels of a GPU, compiled without one."""
    pip = ("python", "-m", "pip", "install", "-c", "constraints.txt")
    session.run(*pip, _pinned("torch"), env=ENVIRONMENT)
    compiler = [line for line in PROJECT["optional-dependencies"]["cuda"] if not line.startswith("torch")]
    session.run(*pip, "-e", ".", *compiler, *TOOLS, "pytest-xdist>=3.6", env=ENVIRONMENT)
    session.run("python", "-m", "pytest", "-W", "default", "-n", "2", "tests/cuda", env=ENVIRONMENT)


def _pinned(package: str) -> str:
    """A package by its exact version, so that a build for the CPU is used where one is at hand."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{package}=="))


def _interpreter(version: str) -> str | None:
    """Path of a Python of that version that runs, on the path or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]:
        if path is not None and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


def _python_session(version: str) -> None:
    path = _interpreter(version)
    found = {"python": path} if path else {"venv_backend": "none"}

    @nox.session(name=f"python-{version}", tags=["ci"], default=False, **found)
    def run(session: nox.Session) -> None:
        """The environment under one of the declared Pythons."""
        if path is None:
            session.skip(f"no Python {version} at hand")
        _edge_tests(session, ["-c", "constraints.txt", "-e", ".", *TOOLS])


for _line in PROJECT["classifiers"]:
    if re.search(r"Python :: 3\.\d+$", _line):
        _python_session(_line.split()[-1])
