"""Bad command lines: ``python -m tests.bad_inputs.command_line`` says how many of how many end in one clear line.

Half of them are made from the commands' own options, by type; the others are written down below.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer

from spiral_env.commands import app
from spiral_env.text import one_line
from tests.command_line import spiral

__all__ = ["Case", "cases", "faults", "prepare"]

SECONDS = 20
"""A bad input is refused sooner."""
MEMORY = 2**32
"""Bytes that a command may take."""
LONGEST = 420
LONG = "x" * 5000
HUGE = "9" * 30

# What a command needs beside the bad option. Files and folders are those of ``prepare``.
NEEDED: dict[str, list[str]] = {
    "info": [],
    "rollout": [],
    "replay": ["uniform"],
    "import": ["nowhere.sarif"],
    "advise": ["small-v1", "--episodes", "2"],
    "what-if": ["--scenario", "small-v1", "--set", "subsidy_tools=2", "--episodes", "2"],
    "claims": ["--only", "nothing"],
    "train": ["--out", "new-run", "--timesteps", "1", "--max-seconds", "1", "--set", "num_envs=2"],
    "sweep": ["--out", "new-sweep", "--trials", "1", "--set-range", "gamma=0.9,0.99", "--set", "timesteps=1"],
    "plot": ["empty"],
    "report": ["empty"],
    "evaluate": ["--episodes", "2"],
    "reproduce": ["empty"],
    "submit-check": ["scripted", "--episodes", "2", "--role", "it"],
    "reference": ["small-v1", "--episodes", "2", "--candidates", "scripted"],
    "zoo list": [],
    "zoo show": ["nobody"],
    "zoo add": ["empty", "--name", "team"],
    "game": ["empty", "--episodes", "2"],
    "leaderboard": ["--settings", "nowhere.toml"],
    "calibrate": ["--episodes", "2"],
    "bench": ["--only", "nothing"],
    "scenarios list": [],
    "scenarios show": ["small-v1"],
    "scenarios validate": ["small-v1"],
    "scenarios seeds": ["small-v1"],
}
# These need more than a test can have at hand: the line may name what else is wrong.
ALSO_WRONG = {
    "reproduce": ("empty",),
    "reference": ("policy",),
    "zoo show": ("nobody",),
    "zoo add": ("empty", "name of a team"),
    "game": ("empty",),
    "report": ("empty",),
    "import": ("nowhere.sarif",),
    "advise": ("small-v1",),
    "what-if": ("subsidy_tools",),
    "claims": ("nothing", "config"),
    "leaderboard": ("nowhere.toml",),
    "bench": ("nothing",),
    "evaluate": ("policy", "output"),
}
WRONG_INTEGERS = ("abc", "1.5", "nan", "inf", "1e3", "", "-1", "9223372036854775808", HUGE, "0x10", "1_0_", LONG)
WRONG_NUMBERS = ("abc", "nan", "inf", "-inf", "", "-1", "1e999", "0", "1,5", LONG)
WRONG_FOLDERS = ("file", "file/below", LONG, "/dev/null/below")
WRONG_OUTPUTS = ("", "folder", "folder/", ".", *WRONG_FOLDERS[1:])
WRONG_INPUTS = (
    "",
    "nowhere",
    "folder",
    "file/below",
    "pipe",
    "/dev/zero",
    LONG,
    "nowhere\nat all",
    "[/eu]",
)
WRONG_WORDS = ("", "nobody", LONG, "two\nlines", "[bold]x[/eu]", "\x1b[31mred", "caf\udce9")
FREE_TEXT = {("evaluate", "ray_address"), ("train", "ray_address"), ("sweep", "ray_address")}


class Case(NamedTuple):
    """One bad command line and what its error must name."""

    arguments: tuple[str, ...]
    named: tuple[str, ...] = ("",)


def prepare(folder: Path) -> None:
    """Make the files and folders that bad command lines name, and work there."""
    os.chdir(folder)
    for name in ("folder", "empty", "run"):
        Path(name).mkdir()
    Path("file").write_text("a file\n")
    Path("binary.toml").write_bytes(b"\xff\xfe\x00binary")
    Path("deep.toml").write_text("x = " + "[" * 5000 + "]" * 5000)
    Path("keys.toml").write_text("".join(f"unknown_key_{k} = 1\n" for k in range(20_000)))
    Path("longkey.toml").write_text("k" * 100_000 + " = 1\n")
    Path("loop-a.toml").write_text('extends = "loop-b.toml"\n')
    Path("loop-b.toml").write_text('extends = "loop-a.toml"\n')
    Path("itself.toml").write_text('extends = "itself.toml"\n')
    world = 'extends = "small-v1"\nid = "bad-v0"\ntitle = "Bad"\n'
    for name, rest in WRONG_WORLDS.items():
        Path(name).write_text(world + rest)
    for name, rest in WRONG_CONFIGS.items():
        Path(name).write_text(rest)
    for k in range(1500):
        parent = "small-v1" if k == 0 else f"chain-{k - 1}.toml"
        Path(f"chain-{k}.toml").write_text(f'extends = "{parent}"\n')
    Path("policy-text").mkdir()
    Path("policy-text/policy.json").write_text("no json")
    Path("policy-deep").mkdir()
    Path("policy-deep/policy.json").write_text("[" * 100_000)
    os.mkfifo("pipe")
    os.symlink("link", "link")


WRONG_WORLDS = {
    "smes-true.toml": "num_smes = true\n",
    "smes-text.toml": 'num_smes = "8"\n',
    "smes-zero.toml": "num_smes = 0\n",
    "smes-many.toml": "num_smes = 99999999999999999999\n",
    "cycles-float.toml": "max_cycles = 1.5\n",
    "title-number.toml": "description = 5\n",
    "seeds-meet.toml": "train_seeds = [0, 10]\n",
    "seeds-text.toml": 'train_seeds = "all"\n',
    "parameter-unknown.toml": "[params]\nneed_capitol = 3.0\n",
    "parameter-nan.toml": "[params]\nneed_capital = nan\n",
    "parameter-text.toml": '[params]\nneed_capital = "much"\n',
    "parameter-range.toml": "[params]\nneed_capital = -3.0\n",
    "parameter-vector.toml": "[params]\nseason = [1, 2]\n",
    "ranges-number.toml": "ranges = 3\n",
    "ranges-turned.toml": "[ranges]\nspill = [1.0, 0.0]\n",
    "ranges-text.toml": '[ranges]\nspill = ["a", 1]\n',
    "table-twice.toml": "[params]\nspill = 0.1\n[params]\nspill = 0.2\n",
    "broken.toml": "= = =\n",
}
WRONG_CONFIGS = {
    "config-unknown.toml": "gama = 0.9\n",
    "config-bool.toml": "num_steps = true\n",
    "config-float.toml": "num_steps = 2.5\n",
    "config-int-for-bool.toml": "anneal = 1\n",
    "config-text.toml": 'gamma = "high"\n',
    "config-nan.toml": "gamma = nan\n",
    "config-table.toml": "[gamma]\nx = 1\n",
    "config-list.toml": "gamma = [0.9]\n",
    "config-date.toml": "gamma = 2020-01-01\n",
}
CONFIG_VALUES = {
    "num_envs": ("0", "-1", "99999999999999", "true", "1.5", '"8"', "nan"),
    "num_steps": ("0", "99999999999999", "false"),
    "timesteps": ("0", "-5", HUGE, "1.5"),
    "max_seconds": ("0", "-1", "nan", "inf", "true"),
    "learning_rate": ("0", "-1", "nan", "inf", "[1]", "{}", "2020-01-01"),
    "minibatches": ("0", "100000000", "1.5"),
    "epochs": ("0", "99999999999"),
    "gamma": ("0", "1.1", "-1", "nan", "high"),
    "gae_lambda": ("1.1", "-0.1"),
    "clip_coef": ("0", "-1", "inf"),
    "hidden": ("0", "100000000", "1.5"),
    "layers": ("-1", "100000"),
    "env_threads": ("0", "100000000"),
    "torch_threads": ("0", "100000000"),
    "gradient_pieces": ("0", "1000000"),
    "recurrent": ("auditor", "it,auditor", "it,,"),
    "reward_mode": ("greedy", ""),
    "device": ("tpu", "cuda:x", ""),
    "engine": ("spark",),
    "policy": ("both", ""),
    "algo": ("dqn", ""),
    "scenario": ("nowhere", "", "baseline-v9"),
    "seed": ("-1", "9223372036854775808", "1.5", "nan", "true"),
    "gama": ("0.9",),
    "": ("1",),
    "ray_address": ("localhost:1",),
}
WRITTEN = (
    Case(("rolout",), ("rolout",)),
    Case(("scenarios", "sho"), ("show",)),
    Case(("--versoin",), ("--version",)),
    Case(("rollout", "--sed", "1"), ("--seed",)),
    Case(("rollout", "--seed"), ("--seed",)),
    Case(("rollout", "--seed", "1", "2"), ("2",)),
    Case(("rollout", "small-v1"), ("small-v1",)),
    Case(("rollout", "--json=yes"), ("--json",)),
    Case(("rollout", "-x"), ("-x",)),
    Case(("rollout", "--out", "months.txt"), (".csv",)),
    Case(("rollout", "--out", ".csv/x"), (".csv",)),
    Case(("rollout", "--out", "no\nsuch.txt"), ("no\\nsuch",)),
    Case(("rollout", "--out", "folder.csv/x.csv", "--seed", "x"), ("--seed",)),
    Case(("info", "--role", "auditor"), ("role",)),
    Case(("evaluate", "--compare", ""), ("compare",)),
    Case(("evaluate", "--compare", ","), ("compare",)),
    Case(("evaluate", "--compare", " , ,, "), ("compare",)),
    Case(("evaluate", "--compare", "uniform,uniform"), ("uniform",)),
    Case(("evaluate", "--compare", "uniform,nobody"), ("nobody",)),
    Case(("evaluate", "--compare", "scripted", "--it", "uniform"), ("--it",)),
    Case(("evaluate", "--it", "constant:"), ("constant",)),
    Case(("evaluate", "--it", "constant:2,0,0,0,0"), ("constant",)),
    Case(("evaluate", "--it", "constant:1,1"), ("constant",)),
    Case(("evaluate", "--it", "constant:a,b,c,d,e"), ("constant",)),
    Case(("evaluate", "--it", "constant:nan,0,0,0,0"), ("constant",)),
    Case(("evaluate", "--it", "policy-text"), ("policy-text",)),
    Case(("evaluate", "--it", "policy-deep"), ("policy-deep",)),
    Case(("evaluate", "--it", "file"), ("file",)),
    Case(("evaluate", "--it", "nowhere.py:Policy"), ("nowhere.py",)),
    Case(("evaluate", "--it", "file.py:"), ("file.py",)),
    Case(("evaluate", "--time-limit", "nan"), ("time",)),
    Case(("evaluate", "--episodes", "4000000000"), ("episodes",)),
    Case(("evaluate", "--episodes", "9223372036854775807"), ("episodes",)),
    Case(("evaluate", "--episodes", "2", "--seed", "9223372036854775807"), ("seed",)),
    Case(("evaluate", "--engine", "spark"), ("engine",)),
    Case(("evaluate", "--ray-address", "localhost:1"), ("ray",)),
    Case(("evaluate", "--engine", "local", "--ray-address", "localhost:1"), ("ray",)),
    Case(("game", "nowhere"), ("nowhere",)),
    Case(("game", "folder"), ("folder",)),
    Case(("game",), ("team",)),
    Case(("game", "it scripted; bank scripted"), ("bank",)),
    Case(("game", "status_quo", "--only", "nothing"), ("only",)),
    Case(("game", "status_quo", "--best", "nowhere"), ("nowhere",)),
    Case(("leaderboard", "--settings", "broken.toml"), ("broken.toml",)),
    Case(("leaderboard", "--settings", "keys.toml"), ("unknown_key_0",)),
    Case(("leaderboard", "--entry", "scripted"), ("entry",)),
    Case(("leaderboard", "--entry", "scripted=uniform"), ("scripted",)),
    Case(("leaderboard", "--check", "nowhere"), ("nowhere",)),
    Case(("leaderboard", "--check", "file"), ("file",)),
    Case(("leaderboard", "--planner", "nowhere"), ("nowhere",)),
    Case(("leaderboard", "--out", "file"), ("file",)),
    Case(("leaderboard", "--engine", "spark"), ("engine",)),
    Case(("plot",), ("run",)),
    Case(("plot", "nowhere"), ("nowhere",)),
    Case(("plot", "folder"), ("folder",)),
    Case(("plot", "file"), ("file",)),
    Case(("calibrate", "--scenario", "zero-threat-v1", "--episodes", "2"), ("attacks",)),
    Case(("calibrate", "--write", "--scenario", "large-v1"), ("write",)),
    Case(("calibrate", "--episodes", "4000000000"), ("episodes",)),
    Case(("calibrate", "--episodes", "1"), ("episodes",)),
    Case(("bench", "--only", "speed"), ("speed",)),
    Case(("bench", "--only", "peers"), ("peers",)),
    Case(("bench", "--only", "peers", "--peers", "nowhere"), ("nowhere",)),
    Case(("bench", "--only", "compile", "--out", "file"), ("file",)),
    Case(("bench", "--only", "compile", "--out", "folder"), ("folder",)),
    Case(("train", "--out", "file"), ("file",)),
    Case(("train", "--out", "file/below"), ("file",)),
    Case(("train", "--out", ""), ("out",)),
    Case(("train", "--out", "new-run", "--set", "gamma"), ("gamma",)),
    Case(("train", "--out", "new-run", "--set", ""), ("--set",)),
    Case(("train", "--out", "new-run", "--set", "="), ("config has no",)),
    Case(("train", "--out", "new-run", "--config", "deep.toml"), ("deep.toml",)),
    Case(("train", "--out", "new-run", "--config", "keys.toml"), ("unknown_key_0",)),
    Case(("train", "--out", "new-run", "--config", "longkey.toml"), ("kkk",)),
    Case(("train", "--out", "new-run", "--config", "binary.toml"), ("binary.toml",)),
    Case(("train", "--out", "nowhere", "--resume"), ("nowhere",)),
    Case(("train", "--out", "empty", "--resume"), ("empty",)),
    Case(("train", "--out", "new-run", "--resume", "--config", "config-nan.toml"), ("config",)),
    Case(("train", "--out", "new-run", "--ray-address", "localhost:1"), ("ray",)),
    Case(("sweep", "--out", "nowhere", "--resume"), ("nowhere",)),
    Case(("sweep", "--out", "empty", "--resume"), ("empty",)),
    Case(("sweep", "--out", "new-sweep"), ("range",)),
    Case(("sweep", "--out", "", "--set-range", "gamma=0.9,0.99"), ("--out", "''")),
    Case(("sweep", "--out", "new-sweep", "--resume", "--episodes", "5"), ("--episodes",)),
    Case(("sweep", "--out", "file", "--set-range", "gamma=0.9,0.99"), ("file",)),
    *(
        Case(("sweep", "--out", "new-sweep", "--trials", "1", "--set-range", text), (named,))
        for text, named in {
            "gamma": "gamma",
            "": "range",
            "=": "range",
            "gamma=": "gamma",
            "gamma=:": "gamma",
            "gamma=1:0": "gamma",
            "gamma=a:b": "gamma",
            "gamma=0:1:cube": "gamma",
            "gamma=nan:1": "gamma",
            "gamma=0:inf": "gamma",
            "learning_rate=0:1:log": "learning_rate",
            "gama=0.9,0.99": "gama",
            "algo=ippo,es": "algo",
            "num_envs=0:4": "num_envs",
            "minibatches=0,4": "minibatches",
            "gamma=0.9,0.9": "gamma",
        }.items()
    ),
)


def cases() -> list[Case]:
    """All of them."""
    return [*_by_option(), *_by_world(), *_by_config(), *WRITTEN]


def _by_option() -> Iterator[Case]:
    """Every option of every command, one at a time, with what is wrong for its type."""
    for name, command in _commands(typer.main.get_command(app)):
        for option in command.params:
            if option.param_type_name != "option" or option.is_flag or option.name == "help":
                continue
            flag = option.opts[0]
            for value in _wrong(name, option):
                if value.startswith("-") and not value[1:2].isdigit():
                    continue
                yield Case(
                    (*name.split(), *NEEDED[name], f"{flag}={value}"),
                    (flag.lstrip("-"), value or flag, *ALSO_WRONG.get(name, ())),
                )


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} ")
        else:
            yield prefix + name, command


def _wrong(command: str, option: Any) -> tuple[str, ...]:
    kind = option.type_descriptor.annotation
    if (command, option.name) in FREE_TEXT:
        return ()
    if kind is int:
        return WRONG_INTEGERS
    if kind is float:
        return WRONG_NUMBERS
    if kind is Path or option.name in ("out", "scenario"):
        outputs = WRONG_FOLDERS if command in ("train", "sweep", "leaderboard") else WRONG_OUTPUTS
        return outputs if option.name in ("out", "marl_eval", "into") else WRONG_INPUTS
    return WRONG_WORDS


def _by_world() -> Iterator[Case]:
    more = ("deep.toml", "keys.toml", "longkey.toml", "loop-a.toml", "itself.toml", "chain-1499.toml", "binary.toml")
    for file in (*WRONG_WORLDS, *more, "pipe", "link", "/dev/zero"):
        yield Case(("scenarios", "validate", file))
        yield Case(("rollout", "--scenario", file))
    for file in ("deep.toml", "broken.toml", "pipe"):
        yield Case(("evaluate", "--episodes", "2", "--scenario", file), (file,))
        yield Case(("train", *NEEDED["train"], "--scenario", file), (file,))


def _by_config() -> Iterator[Case]:
    for file in (*WRONG_CONFIGS, "broken.toml", "pipe", "folder", "link"):
        yield Case(("train", *NEEDED["train"], "--config", file))
    for name, values in CONFIG_VALUES.items():
        for value in values:
            yield Case(("train", *NEEDED["train"], "--set", f"{name}={value}"), (name,))


def _late(_number: int, _frame: object) -> None:
    raise AssertionError(f"it took more than {SECONDS} s")


def fault(case: Case) -> str:
    """What is wrong with how a command line ends; nothing where it is one clear line."""
    before = set(os.listdir())
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    try:
        ended = spiral(*case.arguments)
    except BaseException as error:
        _swept(before)
        return f"traceback: {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    lines = ended.err.splitlines()
    if ended.code != 2:
        _swept(before)
        return f"exit {ended.code}: {ended.err[-200:]}"
    if ended.out or len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{len(lines)} lines and {len(ended.out)} characters of output: {ended.err[:200]}"
    if len(lines[0]) > LONGEST:
        return f"a line of {len(lines[0])} characters"
    if not lines[0].isprintable():
        return "a line that is not printable"
    if not any(_plain(name)[:100] in _plain(lines[0]) for name in case.named):
        return f"{case.named[0]!r} is not named: {lines[0]}"
    return f"left behind: {left}" if (left := _swept(before)) else ""


def _plain(name: str) -> str:
    return one_line(name).replace("_", "-")


def _swept(before: set[str]) -> list[str]:
    """Names of what a command has left behind, which is removed."""
    left = sorted(set(os.listdir()) - before)
    for name in left:
        shutil.rmtree(name) if Path(name).is_dir() else Path(name).unlink()
    return left


def faults(which: list[Case]) -> Iterator[str]:
    """The command lines that do not end in one clear line, each with what is wrong."""
    with _little_memory():
        for case in which:
            if wrong := fault(case):
                yield f"{' '.join(case.arguments)[:160]!r}: {wrong}"


@contextmanager
def _little_memory() -> Iterator[None]:
    """What takes more than is refused, before it takes the machine's."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def main() -> None:
    """Run all, or those that hold the words given."""
    which = [case for case in cases() if all(word in " ".join(case.arguments) for word in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        found = 0
        for line in faults(which):
            found += 1
            print(line, flush=True)
        os.chdir("/")
    print(f"{len(which) - found} of {len(which)} end in one clear line")


if __name__ == "__main__":
    main()
