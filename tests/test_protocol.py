"""The protocol of a benchmark: frozen policies, results that come out again, exports, the zoo, a check to submit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.agents import NetworkPolicy, load_policy
from spiral_env.agents.zoo import Card, add_team, read_card, team_policy, zoo_names
from spiral_env.evaluation import run_episodes
from spiral_env.evaluation.export import as_marl_eval
from spiral_env.evaluation.reproduction import compare_results
from spiral_env.metrics import METRICS
from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario
from spiral_env.scenarios.seeds import SELECTION_SEED, TEST_EPISODES
from tests.command_line import refused, spiral
from tests.test_checkpoint import _write
from tests.test_outside import PROGRAM

SHORT = ("--scenario", "small-v1", "--episodes", "3", "--max-cycles", "4")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PROGRAM)
    return tmp_path


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a result of the average firm, a policy of a file and a network."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "mine.py").write_text(PROGRAM)
    _write(folder / "net")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        ended = spiral("evaluate", *SHORT, "--it", "mine.py:Good", "--sme", "net", "--out", "result.json")
    assert ended.code == 0, ended
    return folder


@pytest.fixture
def result(evaluated: Path, here: Path) -> Path:
    """That result, in the working folder."""
    shutil.copytree(evaluated, here, dirs_exist_ok=True)
    return here / "result.json"


def test_no_parameter_of_a_policy_moves_while_it_is_evaluated(tmp_path: Path) -> None:
    folder = _write(tmp_path / "net")
    team: dict[str, Any] = {role: load_policy(str(folder), role) for role in ROLES}
    before = {role: {k: x.copy() for k, x in team[role]._tensors.items()} for role in ROLES}
    run_episodes("small-v1", team, 3, max_cycles=5)
    for role, policy in team.items():
        assert isinstance(policy, NetworkPolicy)
        for name, x in policy._tensors.items():
            assert np.array_equal(x, before[role][name])
            with pytest.raises(ValueError, match="read-only"):
                x += 1.0


def test_a_result_comes_out_again_to_the_last_digit_or_says_what_differs(result: Path, here: Path) -> None:
    ended = spiral("reproduce", "result.json")
    assert (ended.code, ended.out.split(":")[0]) == (0, "reproduced"), ended
    stored = json.loads(result.read_text())
    # Another policy under the same name is found by its hash, even where it acts alike.
    (here / "mine.py").write_text(PROGRAM + "# changed\n")
    episodes = stored["teams"]["mix"]["metrics"]["trust"]["episodes"]
    episodes[1] = float(np.nextafter(episodes[1], 2.0))
    (here / "other.json").write_text(json.dumps(stored))
    ended = spiral("reproduce", "other.json")
    assert ended.code == 1
    first, *lines = ended.out.splitlines()
    assert first.startswith("NOT reproduced: 2 of ")
    assert [x.split(":")[0] for x in lines[:2]] == ["teams.mix.policies.it.hash", "teams.mix.metrics.trust.episodes.1"]
    assert "must be of evaluate" in refused("reproduce", _stored(here, {"format": "spiral_env-evaluation"}))
    lacking = {"format": "spiral_env-evaluation", "version": 2, "command": "evaluate", "scenario": {}}
    assert "result lacks what an evaluation holds" in refused("reproduce", _stored(here, lacking))


def _stored(folder: Path, data: dict[str, Any]) -> str:
    (folder / "wrong.json").write_text(json.dumps(data))
    return "wrong.json"


def test_versions_are_told_apart_from_what_differs() -> None:
    stored = {"seeds": [1, 2], "teams": {"a": {"x": 0.1}}, "versions": {"numpy": "1", "python": "3"}}
    again = {"seeds": [1, 2, 3], "teams": {"a": {"x": 0.1}}, "versions": {"numpy": "2", "python": "3"}}
    found = compare_results(stored, again)
    assert (found.compared, found.differences) == (4, ["seeds.2: 'nothing' stored, 3 now"])
    assert found.versions == ["numpy: 1 stored, 2 now"]


def test_a_result_says_all_that_it_stands_on(result: Path) -> None:
    data = json.loads(result.read_text())
    assert data["scenario"]["hash"] == load_scenario("small-v1").model_copy(update={"max_cycles": 4}).hash
    assert data["options"]["teams"]["mix"]["it"] == "mine.py:Good"
    hashes = {role: x["hash"] for role, x in data["teams"]["mix"]["policies"].items()}
    assert {role for role, x in hashes.items() if x is not None} == {"it", "sme"}
    assert {"spiral_env", "numpy", "numba", "python"} <= data["versions"].keys()
    assert data["seeds"] == [0, 1, 2]


def test_the_published_seeds_are_held_out_and_none_to_choose_on_is_among_them() -> None:
    for name in ("baseline-v1", "procedural-v1"):
        world = load_scenario(name)
        test = world.evaluation_seeds(0, TEST_EPISODES)
        choice = world.evaluation_seeds(SELECTION_SEED, 10_000)
        (low, high), (first, last) = world.held_out_seeds, world.train_seeds
        assert test == list(range(low, low + TEST_EPISODES))
        assert not set(test) & set(choice)
        assert all(low <= x < high and not first <= x < last for x in (*test, *choice))


def test_the_published_seeds_are_printed() -> None:
    told = json.loads(spiral("scenarios", "seeds", "small-v1", "--json").out)
    world = load_scenario("small-v1")
    assert (told["test"], told["hash"]) == (world.evaluation_seeds(0, TEST_EPISODES), world.hash)
    assert told["selection_from"] == world.evaluation_seeds(SELECTION_SEED, 1)[0]
    assert "test" in spiral("scenarios", "seeds", "small-v1").out


def test_marl_eval_gets_its_form(result: Path, here: Path) -> None:
    data = json.loads(result.read_text())
    form = as_marl_eval(data | {"teams": data["teams"] | {"a, b": data["teams"]["mix"], "bad": {"failed": "x"}}})
    assert list(form["spiral_env"]) == ["small-v1"]
    assert list(form["spiral_env"]["small-v1"]) == ["status_quo", "mix", "a; b"]
    run = form["spiral_env"]["small-v1"]["mix"]["run_1"]
    assert run["step_0"].keys() - {"step_count"} == run["absolute_metrics"].keys() == METRICS.keys()
    assert run["absolute_metrics"]["trust"] == data["teams"]["mix"]["metrics"]["trust"]["episodes"]
    assert spiral("evaluate", *SHORT, "--compare", "uniform", "--marl-eval", "m.json").code == 0
    assert json.loads((here / "m.json").read_text())["spiral_env"]["small-v1"].keys() == {"uniform"}


def test_a_policy_is_fit_to_submit_or_told_why_not(here: Path) -> None:
    ended = spiral("submit-check", "mine.py:Good", "--role", "it", "--episodes", "2")
    assert ended.code == 0, ended
    assert ended.out.splitlines()[-1] == "mine.py:Good: fit to submit"
    ended = spiral("submit-check", "mine.py:Raises", "--episodes", "2", "--json", "--scenario", "small-v1")
    told = json.loads(ended.out)
    assert (ended.code, told["fit"]) == (1, False)
    assert [role for role, x in told["roles"].items() if "failed in act(): ZeroDivisionError" in x["failure"]] == [
        *ROLES
    ]
    assert spiral("submit-check", "scripted", "--role", "sme", "--episodes", "2").code == 0
    assert "role must be one of" in refused("submit-check", "scripted", "--role", "auditor")


def test_every_team_of_the_zoo_has_a_card_and_plays_in_any_mix() -> None:
    assert zoo_names()
    for name in zoo_names():
        card = read_card(name)
        assert card.name == name
        assert card.config["seed"] == card.seed
        assert card.hours > 0.0
        assert card.agent_steps > 0
        assert card.scores["ecosystem_value"]["episodes"] >= 2
        assert sum(x.stat().st_size for x in (Path("spiral_env/zoo") / name).glob("*") if x.is_file()) < 2**20
        assert name in spiral("zoo", "list").out
        assert card.scenario_hash in spiral("zoo", "show", name).out
    assert "zoo has no team 'nobody'; it has " in refused("zoo", "show", "nobody")
    assert "zoo has no team" in refused("evaluate", "--it", "zoo:nobody")
    assert "name of a team must be lower-case letters" in refused("evaluate", "--it", "zoo:../x")


def test_a_run_becomes_a_team_of_the_zoo(tmp_path: Path) -> None:
    run, zoo = tmp_path / "run", tmp_path / "zoo"
    options = ["--set", "num_envs=2", "--set", "hidden=8", "--scenario", "small-v1", "--algo", "es"]
    assert spiral("train", "--out", str(run), "--timesteps", "1", *options).code == 0
    words = ("zoo", "add", str(run), "--name", "tiny", "--episodes", "2", "--into", str(zoo), "--partner", "held_out")
    ended = spiral(*words)
    assert ended.code == 0, ended
    card = read_card("tiny", zoo)
    assert (card.algo, card.scenario, card.partner, card.seed) == ("es", "small-v1", "held_out", 0)
    assert card.scenario_hash == load_scenario("small-v1").hash
    policy = team_policy("tiny", "it", zoo)
    assert (policy.name, policy.digest) == ("zoo:tiny", load_policy(str(run), "it").digest)  # type: ignore[attr-defined]
    assert "zoo already holds a team tiny" in refused(*words)
    assert spiral(*words, "--replace").code == 0
    assert "partner must be one of" in refused(*words[:-1], "best", "--replace")
    with pytest.raises(ValueError, match="checkpoint"):
        add_team(tmp_path, Card("x", "", "", "", "", "", 0, 0, 0.0, ""), zoo)
