"""What the README says works, as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
LINES = [x for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for x in block.splitlines()]
COMMANDS = [x for x in LINES if x.startswith("spiral ")]


def test_the_readme_has_examples() -> None:
    assert len(PYTHON) >= 3
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_every_python_example_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_every_spiral_command_runs_in_order(tmp_path: Path) -> None:
    """Trainings and evaluations are shortened; Makefile targets and the installation are run by CI itself."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for command in COMMANDS:
        line = re.sub(r"(timesteps[ =])\d+", r"\g<1>70000", re.sub(r"(episodes )\d+", r"\g<1>10", command))
        words = [sys.executable, "-m", "spiral_env", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "results/runs/short/learning_curve.png").stat().st_size > 10_000


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


def test_the_example_scenario_of_the_readme_is_valid(tmp_path: Path) -> None:
    from spiral_env.scenarios import load_scenario

    (text,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    path = tmp_path / "town.toml"
    path.write_text(text, encoding="utf-8")
    assert load_scenario(path).num_smes == 12


PAGES = ["README.md", "MODEL.md", "CONTRIBUTING.md", "results/README.md", "train/README.md"]
PAGES += sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "agents").rglob("*.md"))
PAGES += sorted(
    page.relative_to(ROOT).as_posix()
    for page in (ROOT / "docs").rglob("*.md")
    if "generated" not in page.relative_to(ROOT).parts
)


def test_the_pages_of_the_frameworks_are_read_too() -> None:
    assert len(PAGES) > 10


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
