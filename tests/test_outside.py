"""Policies in processes of their own: what they do wrong is one line, and nothing of it reaches the scores."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import load_policy
from spiral_env.evaluation import compare, run_episodes
from spiral_env.outside import Imported, Limits, Outside
from spiral_env.outside.walls import _Hook, _NoEnvironment
from spiral_env.outside.wire import receive, send
from spiral_env.policy import PolicyError, StatusQuo, close_policy
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.vector_env import SpiralVectorEnv
from tests.command_line import spiral

SHORT = {"max_cycles": 4}
_PROGRAM = '''
import ctypes, gc, os, sys
import numpy as np

NUM_LEVERS = {levers}
HERE = os.path.dirname(os.path.abspath(__file__))

class Good:
    def __init__(self, role):
        self.levers = NUM_LEVERS[role]
    def reset(self, keys):
        self.draws = [np.random.default_rng(int(key)) for key in keys]
    def act(self, seen):
        self.before()
        return np.stack([draw.random((seen.shape[1], self.levers)) for draw in self.draws])
    def before(self):
        pass
    def fixed(self, seen, effort):
        return np.full((*seen.shape[:2], self.levers), effort)

class Learns(Good):
    weight = 0.5
    def act(self, seen):
        self.weight += 1e-9
        return self.fixed(seen, self.weight)

class Unkeyed(Good):
    first = float(np.random.default_rng().random())
    def act(self, seen):
        return self.fixed(seen, self.first)

class Beside(Good):
    def act(self, seen):
        return self.fixed(seen, float(np.clip(abs(seen).mean() / 10.0, 0.0, 1.0)))

class Raises(Good):
    def before(self):
        1 / 0

class Hangs(Good):
    def before(self):
        while True:
            pass

class Ends(Good):
    def before(self):
        os._exit(3)

class NotANumber(Good):
    def act(self, seen):
        return self.fixed(seen, np.nan)

class Shape(Good):
    def act(self, seen):
        return np.zeros(3)

class Rewards(Good):
    def act(self, seen):
        return self.fixed(seen, 0.5), 1e9, {"ecosystem_value": 1e9}

class Environment(Good):
    def before(self):
        try:
            import spiral_env.vector_env
        except ImportError:
            pass

class Writes(Good):
    def before(self):
        try:
            open(os.path.join(HERE, "mine.py"), "a").write("# changed")
        except OSError:
            pass

class Borrows(Good):
    """Plays what a policy of the package does."""
    def __init__(self, role):
        from spiral_env.agents import load_policy
        self.other = load_policy("scripted", role)
    def reset(self, keys):
        self.other.reset(keys)
    def act(self, seen):
        return self.other.act(seen)

class Calls(Good):
    """Is told off by nobody, since what it tries does not work: efforts say whether something did."""
    def act(self, seen):
        library = ctypes.CDLL(None)
        made = library.creat(os.path.join(HERE, "native").encode(), 0o644)
        killed = library.kill(os.getppid(), 0)
        try:
            told = bool(open(f"/proc/{os.getppid()}/cmdline").read())
        except OSError:
            told = False
        found = [x for x in gc.get_objects() if type(x).__name__ in ("SpiralVectorEnv", "Engine", "Scenario")]
        worked = made >= 0 or killed == 0 or told or bool(found)
        worked = worked or HERE == os.getcwd() or os.environ["HOME"] != os.getcwd()
        return self.fixed(seen, 1.0 if worked else 0.25)

class Fails(Good):
    def __init__(self, role):
        {}["x"]
'''
PROGRAM = _PROGRAM.replace("{levers}", repr(NUM_LEVERS))
WRONG = {
    "Learns": "answers otherwise when the same episodes come again: it keeps learning",
    "Unkeyed": "answers otherwise in another process: it is not deterministic under its keys",
    "Beside": "answers otherwise when an episode comes alone: it looks at the episodes beside it",
    "Raises": "failed in act(): ZeroDivisionError: division by zero (mine.py, line 38)",
    "Hangs": "took longer than 0.5 s in act()",
    "Ends": "ended its process in act() (exit code 3)",
    "NotANumber": "must give efforts in [0, 1] of shape (2, 1, {levers}), got edge nan",
    "Shape": "must give efforts in [0, 1] of shape (2, 1, {levers}), got shape (3,)",
    "Rewards": "failed in act(): its answer ",
    "Environment": "is refused in act(): it imports the environment (spiral_env.vector_env)",
    "Writes": "is refused in act(): it changes files (",
    "Fails": "failed to load: KeyError: 'x' (mine.py, line ",
    "Nobody": "names nothing: no 'Nobody' in mine.py; it has Good, Learns",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PROGRAM)
    return tmp_path


def _team(it: Any) -> dict[str, Any]:
    return {role: StatusQuo(role) for role in ROLES} | {"it": it}


def _outside(name: str) -> Any:
    return load_policy(f"mine.py:{name}", "it", Limits(call=0.5 if name == "Hangs" else 60.0))


def test_a_policy_plays_the_same_in_a_process_of_its_own(here: Path) -> None:
    policy = _outside("Good")
    assert isinstance(policy, Outside)
    apart = run_episodes("small-v1", _team(policy), 3, num_envs=2, **SHORT)
    together = run_episodes("small-v1", _team(Imported("mine.py:Good", "it")), 3, **SHORT)
    for name, values in together.metrics.items():
        assert np.array_equal(values, apart.metrics[name], equal_nan=True), name
    assert (apart.names["it"], len(policy.digest)) == ("mine.py:Good", 16)
    module = load_policy("mine:Good", "it", Limits())
    # In another process, as on a cluster, the same comes out.
    sent = run_episodes("small-v1", _team(module), 3, **SHORT, spread=_elsewhere, verified=False)
    assert all(np.array_equal(x, sent.metrics[name], equal_nan=True) for name, x in apart.metrics.items())


def _elsewhere(function: Any, jobs: list[Any]) -> list[Any]:
    """As a cluster does: jobs and results are pickled."""
    return [pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(job))))) for job in jobs]


def test_a_module_is_named_with_the_hash_of_what_was_loaded(here: Path) -> None:
    policy = load_policy("mine:Good", "it", Limits())
    policy.reset(np.arange(2))
    assert policy.digest == load_policy("mine.py:Good", "it", Limits()).digest  # type: ignore[attr-defined]
    close_policy(policy)
    error = pickle.loads(pickle.dumps(PolicyError("policy x of it failed")))
    assert (type(error), str(error)) == (PolicyError, "policy x of it failed")


def test_whatever_a_policy_does_wrong_is_one_line_and_costs_others_nothing(here: Path) -> None:
    before = {file: file.read_bytes() for file in here.iterdir()}
    teams = {"first": _team(StatusQuo("it"))} | {name: _team(_outside(name)) for name in WRONG}
    teams["last"] = _team(load_policy("constant:0.5", "it"))
    found = compare("small-v1", teams, 2, **SHORT)
    assert list(found.tables) == ["first", "last"]
    for name, words in WRONG.items():
        line = found.failures[name]
        assert line.startswith(f"policy mine.py:{name} of it ")
        assert words.format(levers=NUM_LEVERS["it"]) in line
        assert "\n" not in line
        assert len(line) < 500
    alone = compare("small-v1", {name: teams[name] for name in found.tables}, 2, **SHORT)
    for name, table in found.tables.items():
        for metric, values in alone.tables[name].metrics.items():
            assert np.array_equal(values, table.metrics[metric], equal_nan=True)
    assert {file: file.read_bytes() for file in here.iterdir()} == before


def test_a_policy_may_play_what_another_of_the_package_does(here: Path) -> None:
    borrowed = run_episodes("small-v1", _team(_outside("Borrows")), 2, **SHORT)
    plain = run_episodes("small-v1", _team(load_policy("scripted", "it")), 2, **SHORT)
    assert all(np.array_equal(x, plain.metrics[name], equal_nan=True) for name, x in borrowed.metrics.items())


def test_compiled_code_changes_nothing_and_finds_no_environment(here: Path) -> None:
    table = run_episodes("small-v1", _team(_outside("Calls")), 2, **SHORT)
    landlocked = Path("/sys/kernel/security").exists() and os.uname().sysname == "Linux"
    assert table.lever_use["it"][0, 0] == 1.0 or not landlocked
    assert not (here / "native").exists() or not landlocked


def test_the_evaluator_scores_from_its_own_books(monkeypatch: pytest.MonkeyPatch) -> None:
    class Boastful(StatusQuo):
        """Says everywhere that it is the best, and wraps the environment's step for those who would ask it."""

        returns = score = metrics = {"ecosystem_value": 1e9}
        reward = 1e9

        def step(self, *_: Any) -> Any:
            return None, 1e9, True, True, {"ecosystem_value": 1e9}

        def reset(self, keys: np.ndarray) -> Any:
            keys[:] = 0
            return keys, {"episode": {"r": 1e9}}

    for reward_mode in ("mixed", "selfish"):
        told = run_episodes("small-v1", _team(Boastful("it")), 3, reward_mode=reward_mode, **SHORT)
        plain = run_episodes("small-v1", _team(StatusQuo("it")), 3, reward_mode=reward_mode, **SHORT)
        assert all(np.array_equal(x, told.metrics[name], equal_nan=True) for name, x in plain.metrics.items())
        # What the environment pays is its own affair too: scores come from the sums in its records.
        honest = SpiralVectorEnv.step

        def step(self: Any, actions: Any, honest: Any = honest) -> Any:
            seen, rewards, *rest = honest(self, actions)
            return seen, {role: x * 0 + 1e9 for role, x in rewards.items()}, *rest

        with monkeypatch.context() as patched:
            patched.setattr(SpiralVectorEnv, "step", step)
            faked = run_episodes("small-v1", _team(StatusQuo("it")), 3, reward_mode=reward_mode, **SHORT)
        assert all(np.array_equal(x, faked.metrics[name], equal_nan=True) for name, x in plain.metrics.items())


def test_python_is_held_back_where_the_kernel_holds_nothing(tmp_path: Path) -> None:
    noted: list[str] = []
    hook = _Hook(str(tmp_path), noted)
    hook("open", (str(tmp_path / "own"), "w", os.O_WRONLY))
    hook("open", ("/etc/hostname", "r", os.O_RDONLY))
    assert noted == []
    for event, args, words in (
        ("open", ("/etc/hostname", "a", os.O_WRONLY | os.O_APPEND), "it changes files (/etc/hostname)"),
        ("open", (str(tmp_path / ".." / "up"), None, os.O_CREAT), "it changes files ("),
        ("os.remove", ("/etc/hostname", -1), "it changes files ("),
        ("os.rename", (str(tmp_path / "own"), "/etc/hostname", -1, -1), "it changes files (/etc/hostname)"),
        ("socket.connect", (None, ("localhost", 1)), "it reaches out of its process (socket.connect)"),
        ("os.kill", (1, 9), "it reaches out of its process (os.kill)"),
    ):
        with pytest.raises(PermissionError):
            hook(event, args)
        assert noted.pop().startswith(words)
    with pytest.raises(PermissionError, match="may start no program"):
        hook("subprocess.Popen", ("ls", [], None, None))
    finder = _NoEnvironment(noted)
    for name in ("numpy", "spiral_env", "spiral_env.roles", "spiral_env.roles.it", "spiral_envelope.vector_env"):
        assert finder.find_spec(name) is None
    for name in ("spiral_env.simulator.engine", "spiral_env.vector_env", "spiral_env.evaluation"):
        with pytest.raises(ImportError, match="is not there for policies"):
            finder.find_spec(name)


def test_no_process_and_no_folder_is_left(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(here / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    policy = _outside("Good")
    policy.reset(np.arange(2))
    child = policy._process._child
    assert len(list((here / "tmp").iterdir())) == 1
    policy.close()
    assert child.poll() is not None
    assert list((here / "tmp").iterdir()) == []
    with pytest.raises(PolicyError, match="was asked before reset"):
        policy.act(np.zeros((2, 1, 3)))


def test_a_failed_row_is_told_and_the_exit_code_says_so(here: Path) -> None:
    ended = spiral(
        "evaluate", "--scenario", "small-v1", "--it", "mine.py:Raises", "--episodes", "2", "--max-cycles", "3"
    )
    assert ended.code == 1
    assert "team 2 FAILED: policy mine.py:Raises of it failed in act(): ZeroDivisionError" in " ".join(
        ended.out.split()
    )
    assert "ecosystem_value" in ended.out


def test_only_plain_numbers_come_over_the_wire() -> None:
    source, sink = os.pipe()
    array = np.arange(6.0).reshape(2, 3)
    send(sink, {"call": "act"}, array)
    header, received = receive(source, 1.0)
    assert header["call"] == "act"
    assert np.array_equal(received, array)
    for text in (
        b'{"shape": [1], "dtype": "|O"}',
        b'{"shape": [-1], "dtype": "<f8"}',
        b'{"shape": [9e9], "dtype": "<f8"}',
    ):
        os.write(sink, len(text).to_bytes(4, "little") + text + bytes(8))
        with pytest.raises((ValueError, TypeError)):
            receive(source, 0.5)
        os.read(source, 8)
    with pytest.raises(TimeoutError):
        receive(source, 0.01)
    os.close(sink)
    with pytest.raises(EOFError):
        receive(source, 0.5)
    os.close(source)
