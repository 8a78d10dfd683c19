"""What the README and the pages name is there; their code blocks are run by ``tests/pages``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from spiral_env.commands import COMMANDS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [x for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for x in block.splitlines()]


def test_the_readme_names_every_command() -> None:
    table = TEXT[TEXT.index("| command |") :]
    assert [name for name in COMMANDS if f"`{name}`" not in table] == []


@pytest.mark.slow
def test_the_first_training_visibly_learns(tmp_path: Path) -> None:
    from spiral_env.agents import load_policy
    from spiral_env.evaluation import run_episodes
    from spiral_env.evaluation.statistics import mean_interval
    from spiral_env.roles import ROLES
    from spiral_env.training import load_config, train

    command = r"spiral train --algo (\w+) --reward-mode (\w+) --out results/runs/short --timesteps (\d+)"
    ((algo, mode, steps),) = re.findall(command, TEXT)
    given = {"algo": algo, "reward_mode": mode, "timesteps": int(steps), "max_seconds": 3600.0}
    run = train(load_config(None, given), tmp_path / "run")
    teams = [{role: load_policy(spec, role) for role in ROLES} for spec in ("status_quo", str(run))]
    average, trained = (run_episodes("baseline-v1", team, 100).metrics["ecosystem_value"] for team in teams)
    assert mean_interval(trained).low > mean_interval(average).high
    assert mean_interval(trained - average).low > 0.0


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in LINES:
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", makefile, re.M), line


PAGES = ["README.md", "MODEL.md", "CONTRIBUTING.md", "results/README.md", "train/README.md"]
PAGES += sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "agents").rglob("*.md"))
PAGES += sorted(
    page.relative_to(ROOT).as_posix()
    for page in (ROOT / "docs").rglob("*.md")
    if "generated" not in page.relative_to(ROOT).parts
)


def test_the_pages_of_the_frameworks_are_read_too() -> None:
    assert len(PAGES) > 10


def test_every_page_of_the_site_stands_in_a_table_of_contents() -> None:
    listed = set()
    for page in (ROOT / "docs").rglob("*.md"):
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {os.path.relpath(page.parent / name, ROOT) for name in names}
    pages = {name.removesuffix(".md") for name in PAGES if name.startswith("docs/")}
    assert pages - listed == {"docs/index"}, "a line in the toctree of docs/guides/index.md, or of another page"


@pytest.mark.parametrize("name", PAGES)
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text(encoding="utf-8")):
        aim = Path(os.path.normpath(page.parent / target))
        assert aim.exists() or aim.relative_to(ROOT / "docs").as_posix() in written_pages(), target


@cache
def written_pages() -> set[str]:
    """Pages below docs/ that come from the code when the site is built."""
    program = "import sys; sys.path.insert(0, 'docs'); from _site import generated; print(*generated.pages())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())
