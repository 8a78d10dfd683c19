"""What an installed wheel does, outside any checkout, in a folder with files of the user's own called as ours might be.

``nox -s package`` runs it with the Python of an empty environment: ``python tests/installed.py core``, or ``train``
where that extra is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TRAPS = ("train.py", "agents.py", "random.py", "ray.py", "spiral.py")
RUN = "runs/my [first] run, #1"
SHORT = ("--set", "num_envs=4", "--set", "hidden=8", "--set", "num_steps=20")
CORE = (
    ("--version",),
    ("info",),
    ("scenarios", "list"),
    ("scenarios", "show", "log4shell-v1"),
    ("rollout", "--scenario", "small-v1", "--seed", "1"),
    ("evaluate", "--compare", "uniform,status_quo,scripted", "--episodes", "4"),
    ("evaluate", "--it", "scripted", "--sme", "uniform", "--episodes", "4"),
    ("submit-check", "scripted", "--episodes", "2"),
    ("zoo", "list"),
)
NEEDS_TRAIN = (
    ("train", "--out", RUN),
    ("sweep", "--out", "sweep", "--set-range", "gamma=0.9:0.99"),
)
TRAIN = (
    ("train", "--out", RUN, "--timesteps", "60000", "--max-seconds", "2", *SHORT),
    ("train", "--out", RUN, "--resume", "--max-seconds", "60"),
    ("plot", RUN),
    ("evaluate", "--it", "zoo:baseline-v1-es", "--episodes", "4"),
    ("evaluate", "--it", RUN, "--episodes", "4"),
    ("sweep", "--out", "a sweep?", "--trials", "2", "--episodes", "4", "--set", "timesteps=4000", *SHORT)
    + ("--set-range", "gamma=0.9:0.99"),
    ("sweep", "--out", "a sweep?", "--resume", "--trials", "3"),
)


def _spiral(*words: str, module: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command, as a script or as a module."""
    script = Path(sys.executable).parent / "spiral"
    command = [sys.executable, "-m", "spiral_env"] if module else [str(script)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)


def _works(*words: str, module: bool = False) -> None:
    done = _spiral(*words, module=module)
    print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} spiral {' '.join(words)}", flush=True)
    if done.returncode or "Traceback" in done.stderr:
        raise SystemExit(done.stdout + done.stderr)


def _names_the_extra(*words: str) -> None:
    done = _spiral(*words)
    lines = done.stderr.splitlines()
    good = done.returncode == 2 and len(lines) == 1 and "pip install 'spiral-env[train]'" in lines[0]
    print(f"{'ok  ' if good else 'FAIL'} spiral {' '.join(words)}: {lines[-1] if lines else ''}", flush=True)
    if not good:
        raise SystemExit(done.stdout + done.stderr)


def main(extra: str) -> None:
    """Run every command of the installed extra."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in TRAPS:
            Path(name).write_text(f"raise RuntimeError('the file {name} of the user was run')\n", encoding="utf-8")
        for words in CORE:
            _works(*words)
        _works("info", module=True)
        for words in TRAIN if extra == "train" else ():
            _works(*words)
        for words in NEEDS_TRAIN if extra == "core" else ():
            _names_the_extra(*words)
        left = {path.name for path in Path().iterdir()} - {*TRAPS, "__pycache__"}
        expected = {"runs", "a sweep?"} if extra == "train" else set()
        if left != expected:
            raise SystemExit(f"FAIL files left behind: {sorted(left ^ expected)}")
        print(f"ok   all commands of {extra}")


if __name__ == "__main__":
    main(sys.argv[1])
