"""Policies from the user's own code: named, imported and nothing else; whatever is wrong with them is one line."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spiral_env import provenance
from spiral_env.agents import Scripted, load_policy
from spiral_env.commands import app
from spiral_env.commands._errors import exit_code
from spiral_env.evaluation import run_episodes
from spiral_env.policy import StatusQuo, Uniform, ask_policy, episode_keys, reset_policy
from spiral_env.roles import FEATURES, ROLES

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = f"{ROOT / 'agents' / 'careful.py'}:Careful"
GOOD = """
import numpy as np
from spiral_env.roles import NUM_LEVERS
class Mine:
    def __init__(self, role):
        self.role = role
    def reset(self, keys):
        self.keys = keys
    def act(self, observation):
        return np.full((*observation.shape[:2], NUM_LEVERS[self.role]), 0.25)
def make(role):
    return Mine(role)
number = 3
ready = Mine("it")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file of policies."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GOOD)
    yield tmp_path
    sys.modules.pop("mine", None)


def test_the_example_plays_and_beats_nothing_silently() -> None:
    team = {role: load_policy(EXAMPLE if role == "it" else "status_quo", role) for role in ROLES}
    average = {role: StatusQuo(role) for role in ROLES}
    played, usual = (run_episodes("small-v1", x, 8) for x in (team, average))
    assert played.names["it"] == EXAMPLE
    assert played.lever_use["it"][0, 2] > 0.05
    assert not np.array_equal(played.metrics["ecosystem_value"], usual.metrics["ecosystem_value"])


def test_the_example_is_short_and_its_readme_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert len((ROOT / "agents" / "careful.py").read_text().splitlines()) <= 35
    block = (ROOT / "agents" / "README.md").read_text().split("```bash\n")[1].split("```")[0]
    for line in block.splitlines():
        words = line.replace("--episodes 30", "--episodes 2").split()
        assert exit_code(app, words[1:]) == 0
    assert "team 2, mix: it agents/careful.py:Careful; others the average firm" in capsys.readouterr().out


@pytest.mark.parametrize("spec", ["mine.py:Mine", "mine.py:make", "./mine.py:Mine", "mine:Mine", "mine:make"])
@pytest.mark.parametrize("known", [False, True])
def test_a_class_or_function_is_called_with_the_role(
    spec: str, known: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known:
        monkeypatch.syspath_prepend(str(here))
    before = list(sys.path)
    policy = load_policy(spec, "finance")
    assert sys.path == before
    assert policy.name == spec
    reset_policy(policy, "finance", episode_keys([0, 1]))
    efforts = ask_policy(policy, "finance", np.zeros((2, 1, len(FEATURES["finance"])), dtype=np.float32))
    assert (efforts == 0.25).all()
    assert len(policy.digest) == 16  # type: ignore[attr-defined]


@pytest.mark.parametrize("folder", ["with space", "a,b", "what?", "50%20", "#1", "[x]", "c:d"])
def test_any_folder_will_do(folder: str, here: Path) -> None:
    (here / folder).mkdir()
    (here / folder / "mine.py").write_text(GOOD)
    assert load_policy(f"{folder}/mine.py:Mine", "it").name == f"{folder}/mine.py:Mine"


def test_a_file_may_import_its_neighbour_and_one_edited_is_read_again(here: Path) -> None:
    (here / "neighbour_of_mine.py").write_text("LEVEL = 0.75\n")
    seen = np.zeros((1, 1, len(FEATURES["it"])), dtype=np.float32)
    (here / "mine.py").write_text("from neighbour_of_mine import LEVEL\n" + GOOD.replace("0.25", "LEVEL"))
    assert ask_policy(load_policy("mine.py:Mine", "it"), "it", seen)[0, 0, 0] == 0.75
    (here / "mine.py").write_text(GOOD.replace("0.25", "0.5"))
    assert ask_policy(load_policy("mine.py:Mine", "it"), "it", seen)[0, 0, 0] == 0.5
    sys.modules.pop("neighbour_of_mine")


def test_a_policy_of_a_file_is_copied_and_sent_to_other_processes(here: Path) -> None:
    policy = load_policy("mine.py:Mine", "sme")
    assert copy.deepcopy(policy).policy is not policy.policy  # type: ignore[attr-defined]
    data = pickle.dumps(policy)
    program = f"import pickle; print(pickle.loads({data!r}).act.__self__.policy.role)"
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sme"]


def test_what_is_not_named_is_not_imported(here: Path) -> None:
    for name in ("agents", "train", "ray", "random", "typing_extensions_of_mine"):
        (here / f"{name}.py").write_text("open('imported', 'a').write(__name__ + '\\n')\n")
    program = "from spiral_env.agents import load_policy; load_policy('mine:Mine', 'it'); load_policy('scripted', 'it')"
    subprocess.run([sys.executable, "-P", "-c", program], cwd=here, check=True)
    assert not (here / "imported").exists()


WRONG = {
    "nobody": "policy must be uniform, status_quo, scripted, ",
    "": "policy must be",
    "x" * 5000: "policy must be",
    "no.py:Mine": "policy no.py cannot be read: No such file",
    "folder.py:Mine": "policy folder.py must be a regular file, is a folder",
    "mine.py": "policy must be",
    "mine.py:": "policy must be",
    "mine.py:Mine()": "policy must be",
    "mine.py:Nobody": "policy mine.py:Nobody names nothing: no 'Nobody' in mine.py; it has Mine",
    "mine.py:number": "must name a class or function that takes a role, got an object of int",
    "mine.py:ready": "must name a class or function that takes a role, got an object of Mine",
    "mine.py:np": "must name a class or function that takes a role, got an object of module",
    "broken.py:Mine": "failed to load: SyntaxError: invalid syntax (broken.py, line 2)",
    "fails.py:Mine": "failed to load: KeyError: 'x' (fails.py, line 2)",
    "ends.py:Mine": "failed to load: SystemExit: 3 (ends.py, line 2)",
    "needs.py:Mine": "failed to load: ModuleNotFoundError: No module named 'never_heard_of'",
    "odd.py:NoRole": "failed to load: TypeError: ",
    "odd.py:Raises": "failed to load: ZeroDivisionError: division by zero (odd.py, line 6)",
    "odd.py:NoAct": "must have reset(keys) and act(observation), got an object of NoAct",
    "odd.py:dict": "names nothing: no 'dict' in odd.py",
    "never_heard_of:Mine": "failed to load: ModuleNotFoundError: No module named 'never_heard_of'",
    "bytes.py:Mine": "failed to load: SyntaxError",
    "json:Mine": "policy json:Mine names nothing: no 'Mine' in json",
    "../:Mine": "policy must be",
    "a\0b": "policy must be",
}


@pytest.mark.parametrize("spec", WRONG, ids=lambda x: ascii(x[:20]))
def test_whatever_is_wrong_is_one_line(spec: str, here: Path) -> None:
    (here / "folder.py").mkdir()
    (here / "broken.py").write_text("x = 1\nclass Mine(:\n")
    (here / "bytes.py").write_bytes(b"\xff\xfe\x00\x81")
    (here / "fails.py").write_text("y = {}\ny['x']\n")
    (here / "ends.py").write_text("import sys\nsys.exit(3)\n")
    (here / "needs.py").write_text("import never_heard_of\n")
    (here / "odd.py").write_text(
        "class NoRole:\n    def __init__(self):\n        pass\n"
        "class Raises:\n    def __init__(self, role):\n        1 / 0\n"
        "class NoAct:\n    def __init__(self, role):\n        pass\n    def reset(self, keys):\n        pass\n"
    )
    with pytest.raises(ValueError) as caught:
        load_policy(spec, "it")
    line = str(caught.value)
    assert WRONG[spec] in line
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize("spec", [None, 3, b"uniform", ["uniform"], StatusQuo("it"), {}])
def test_what_is_no_name_is_one_line(spec: object) -> None:
    with pytest.raises(TypeError, match=r"^policy must be uniform, .*got "):
        load_policy(spec, "it")  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["auditor", "", None, 3, [], "x" * 5000, "it_0"])
def test_what_is_no_role_is_one_line(role: object) -> None:
    for make in (StatusQuo, Uniform, Scripted, lambda role: load_policy("scripted", role)):
        with pytest.raises(ValueError, match="role must be one of it, business, finance, sme, got") as caught:
            make(role)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 200


def test_versions_tell_what_computed_a_result() -> None:
    found = provenance.versions()
    assert found.keys() >= {"spiral_env", "python", "numpy", "numba", "gymnasium", "pettingzoo"}
    assert found["numpy"] == np.__version__
    assert json.loads(json.dumps(found)) == found


def test_the_commit_is_that_of_the_checkout_and_of_no_folder_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    (tmp_path / "inner").mkdir()
    (tmp_path / "file").write_text("1")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        git(*words)
    head = git("rev-parse", "HEAD")
    found = provenance.commit.__wrapped__
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    assert found() == head
    (tmp_path / "file").write_text("2")
    assert found() == f"{head}+"
    monkeypatch.setattr(provenance, "_ROOT", tmp_path / "inner")
    assert found() is None


def test_a_hash_of_files_tells_where_one_ends() -> None:
    assert provenance.file_hash(b"ab", b"c") != provenance.file_hash(b"a", b"bc")
    assert len(provenance.file_hash(b"")) == 16
