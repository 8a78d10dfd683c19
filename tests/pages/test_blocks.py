"""Every code block of the pages runs: Python as it stands, commands on a terminal of 80 columns and in a pipe."""

from __future__ import annotations

import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages.blocks import ROOT, Block, blocks_of, pages
from tests.terminal import COLOUR, ESCAPE, Shown, in_pipe, on_terminal, spiral_words

sys.path.insert(0, str(ROOT / "docs"))
from _site import generated

# A page is a user's first hour: many commands in a row.
pytestmark = pytest.mark.timeout(1800)
SET_UP = ("python3 -m venv", ".venv/bin/python -m pip", "python -m pip", "pip install", "source .venv", "make ", "nox ")
"""Lines that continuous integration runs as such, when it sets up, builds and tests."""
SILENT = {"", "text", "yaml", "json", "html"}
"""Languages of what is shown, not run."""
PAGES = {page.relative_to(ROOT).as_posix(): page for page in pages()}
SCENARIOS = {name: text for name, text in generated.pages().items() if name.startswith("generated/scenarios/")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a user of a checkout has it."""
    for name in ("agents", "train"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    shutil.copytree(ROOT / "tests/data_files/real", tmp_path / "tests/data_files/real")
    return tmp_path


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("way", [on_terminal, in_pipe], ids=["terminal", "pipe"])
def test_every_block_of_a_page_runs(name: str, way: Callable[..., Shown], folder: Path) -> None:
    run_page(PAGES[name].read_text(encoding="utf-8"), way, folder)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_block_of_a_written_page_runs(name: str, folder: Path) -> None:
    run_page(SCENARIOS[name].replace("--episodes 100", "--episodes 4"), on_terminal, folder)


def test_pages_have_blocks() -> None:
    found = [block for page in PAGES.values() for block in blocks_of(page.read_text(encoding="utf-8"))]
    assert len(found) > 30
    assert {"bash", "python", "toml"} <= {block.language for block in found}


def run_page(text: str, way: Callable[..., Shown], folder: Path) -> None:
    for block in blocks_of(text):
        if block.reason or block.language in SILENT:
            continue
        RUN[block.language](block, way, folder)


def _commands(block: Block, way: Callable[..., Shown], folder: Path) -> None:
    for line in block.text.replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        if not words or line.startswith(SET_UP):
            continue
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        assert words[0] == "spiral", f"line {block.line}: nobody runs {line!r}"
        shown = way(spiral_words(words), folder)
        assert shown.code == 0, f"{line}\n{shown.text[-2000:]}"
        if way is on_terminal:
            # What is to be typed can be copied whole.
            assert [x for x in shown.lines if len(x) > 80 and not x.strip().startswith("spiral ")] == [], line
        else:
            assert ESCAPE.search(shown.text) is None, line


def _python(block: Block, way: Callable[..., Shown], folder: Path) -> None:
    if block.file:
        compile(block.text, block.file, "exec")
        (folder / block.file).write_text(block.text, encoding="utf-8")
    elif way is in_pipe:
        words = [sys.executable, "-W", "error", "-c", block.text]
        shown = way(words, folder)
        assert shown.code == 0, f"line {block.line}\n{shown.text[-2000:]}"


def _toml(block: Block, way: Callable[..., Shown], folder: Path) -> None:
    """A scenario or a config is checked as such; another file is checked by the commands that use it."""
    from spiral_env.scenarios import load_scenario
    from spiral_env.training import load_config

    path = folder / (block.file or f"block_{block.line}.toml")
    path.write_text(block.text, encoding="utf-8")
    names = tomllib.loads(block.text)
    if "extends" in names or "id" in names:
        load_scenario(path)
    elif "algo" in names:
        load_config(path, {})
    else:
        assert block.file, f"line {block.line}: no file's name, no scenario and no config"


RUN = {"bash": _commands, "python": _python, "toml": _toml}


def test_no_color_is_respected_on_a_terminal(tmp_path: Path) -> None:
    words = spiral_words(["spiral", "evaluate", "--scenario", "small-v1", "--compare", "uniform", "--episodes", "32"])
    coloured, plain = on_terminal(words, tmp_path), on_terminal(words, tmp_path, NO_COLOR="1")
    assert COLOUR.search(coloured.text) is not None
    assert COLOUR.search(plain.text) is None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for_a_shell(shell: str, tmp_path: Path) -> None:
    shown = in_pipe(spiral_words(["spiral", "--show-completion", shell]), tmp_path)
    assert shown.code == 0
    assert "_SPIRAL_COMPLETE" in shown.text


def test_bash_completes_commands_and_worlds(tmp_path: Path) -> None:
    def completed(line: str) -> list[str]:
        more = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_SPIRAL_COMPLETE": "complete_bash"}
        return in_pipe(
            [sys.executable, "-c", "from spiral_env.commands import main; main()"], tmp_path, **more
        ).text.split()

    assert completed("spiral ro") == ["rollout"]
    assert "small-v1" in completed("spiral rollout --scenario sm")
