"""Pictures of the site, drawn by the commands that its pages name."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["draw"]

PACKAGE = Path(__file__).parents[2] / "spiral_env"
TEAM = "results/runs/first"
COMMANDS = (
    "replay --scenario small-v1 --compare uniform,vigilant --seed 2 -o replay.html",
    "rollout --scenario small-v1 --policy scripted --seed 1 --frame month.png --month 30",
    f"train --scenario small-v1 --algo es --reward-mode cooperative --timesteps 1500000 --out {TEAM}",
    f"plot {TEAM}",
)
FILES = {
    "replay.html": "site/replay.html",
    "month.png": "month.png",
    f"{TEAM}/learning_curve.png": "learning_curve.png",
    f"{TEAM}/lever_use.png": "lever_use.png",
}
"""What the commands leave -> its place below ``docs/generated``; what lies in ``site`` goes into the site as it is."""


def draw(docs: Path) -> None:
    """Draw them where one is missing or older than the package."""
    folder = docs / "generated"
    newest = max(path.stat().st_mtime for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml"))
    there = [folder / name for name in FILES.values()]
    if all(path.exists() and path.stat().st_mtime > newest for path in there):
        return
    (folder / "site").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for command in COMMANDS:
            words = [sys.executable, "-m", "spiral_env", *shlex.split(command)]
            done = subprocess.run(words, cwd=place, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"spiral {command} ended with {done.returncode}: {done.stderr[-1000:]}")
        for found, name in FILES.items():
            shutil.copyfile(Path(place) / found, folder / name)
