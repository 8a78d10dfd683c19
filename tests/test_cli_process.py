"""The command as a process: pipes, encodings, the working directory, what is loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.bad_inputs import command_line as bad

ROOT = Path(__file__).resolve().parent.parent
MODULE = [sys.executable, "-m", "spiral_env"]
SCRIPT = [sys.executable, "-c", "from spiral_env.commands import main; main()"]
HEAVY = ("numpy", "numba", "gymnasium", "pettingzoo", "rich", "torch", "tomllib", "spiral_env.files")


def _run(
    *arguments: str, start: list[str] = SCRIPT, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    known = os.environ | {"PYTHONPATH": str(ROOT)} | (env or {})
    return subprocess.run([*start, *arguments], cwd=cwd, env=known, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("arguments", ["--help", "rollout --help", "--version"])
def test_help_loads_nothing_heavy(arguments: str) -> None:
    """What is loaded is what a user waits for; typer itself loads pydantic for a command's options."""
    program = f"""
import sys
import textwrap
from spiral_env.commands import app
from spiral_env.commands._errors import exit_code
exit_code(app, {arguments.split()})
print([x for x in {(*HEAVY, *(["pydantic"] if arguments == "--help" else []))} if x in sys.modules])
"""
    assert _run(start=[sys.executable, "-c", program]).stdout.splitlines()[-1] == b"[]"


def test_a_command_loads_no_other_command() -> None:
    program = """
import sys
from spiral_env.commands import COMMANDS, app
from spiral_env.commands._errors import exit_code
exit_code(app, ["info", "--help"])
print([x for x in COMMANDS if f"spiral_env.commands.{x.replace('-', '_')}" in sys.modules])
"""
    assert _run(start=[sys.executable, "-c", program]).stdout.splitlines()[-1] == b"['info']"


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4 here")
@pytest.mark.parametrize("start", [SCRIPT, MODULE], ids=["script", "module"])
def test_help_takes_less_than_0_3_s_beyond_a_bare_python(start: list[str]) -> None:
    """Processor time, best of three each: what waits for a busy machine is not the command's."""

    def seconds(command: list[str]) -> float:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        _, process.returncode, used = os.wait4(process.pid, 0)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    bare = min(seconds([sys.executable, "-c", "pass"]) for _ in range(3))
    assert min(seconds([*start, "--help"]) for _ in range(3)) - bare < 0.3


@pytest.mark.parametrize("arguments", ["--help", "scenarios list"])
def test_a_reader_that_leaves_ends_the_command_quietly(arguments: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*SCRIPT, *arguments.split()], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_output_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*SCRIPT, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [b"error: [Errno 28] No space left on device"]


def test_ctrl_c_ends_with_130_and_no_traceback() -> None:
    command = [*SCRIPT, "calibrate", "--episodes", "512"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"calibrating" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


def test_ctrl_c_counts_in_what_the_compiler_calls_back() -> None:
    program = """
        import ctypes, signal, time
        from spiral_env.commands._errors import exit_code
        def command(*arguments, **options):
            ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()
            time.sleep(20)
        print(exit_code(command))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, timeout=15, check=False
    )
    assert (done.stdout, done.stderr) == (b"130\n", b"")


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_any_encoding_and_any_path_will_do(env: dict[str, str], tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x82\xac"
    os.mkdir(folder)
    out = folder + b"/months.csv"
    known = os.environ | {"PYTHONPATH": str(ROOT)} | env
    done = subprocess.run([*SCRIPT, "rollout", b"--out", out], env=known, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert os.path.getsize(out) > 1000
    world = folder + b"/town.toml"
    Path(os.fsdecode(world)).write_text('extends = "small-v1"\nid = "town-v0"\ntitle = "10 \u20ac"\n', "utf-8")
    shown = subprocess.run([*SCRIPT, "scenarios", "show", world], env=known, capture_output=True, check=False)
    assert shown.stdout.startswith(b"town-v0: 10 \\u20ac\n"), shown.stderr
    refused = subprocess.run([*SCRIPT, "plot", folder + b"/none"], env=known, capture_output=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"error: run must be the folder of a trained run, got ")
    assert refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize("start", [SCRIPT, MODULE], ids=["script", "module"])
def test_nothing_in_the_working_directory_is_run(start: list[str], tmp_path: Path) -> None:
    trap = "open('trapped', 'w').write(__file__)\n"
    for name in ("random", "ray", "train", "agents", "json", "tests", "numba", "typer", "conftest"):
        (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "spiral_env_policy.py").write_text(trap)
    # What python -c looks for in the working directory is not the command's doing.
    env = {"PYTHONSAFEPATH": "1"} if start is SCRIPT else {}
    done = _run("rollout", "--json", start=start, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "trapped").exists()


BAD: dict[str, list[bad.Case]] = {}
for _case in bad.cases():
    BAD.setdefault(_case.arguments[0], []).append(_case)


def test_bad_command_lines_are_many() -> None:
    assert sum(map(len, BAD.values())) > 600


@pytest.mark.parametrize("command", BAD)
def test_bad_command_lines_end_in_one_clear_line(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bad.prepare(tmp_path)
    assert list(bad.faults(BAD[command])) == []
