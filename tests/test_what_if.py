"""What-if: the same luck in every world, books that balance, agents that adapt fairly, and answers in plain words."""

from __future__ import annotations

import base64
import itertools
import json
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest

from spiral_env.agents.checkpoint import read_policy, write_policy
from spiral_env.core.ledger import ACCOUNTS
from spiral_env.evaluation.statistics import Interval, mean_interval
from spiral_env.questions import books, sensitivity
from spiral_env.questions.adaptation import Adaptation, adapt, check_start, started
from spiral_env.questions.changes import MAX_CHANGES, Change, changes_of, parse_grid, parse_settings, read_policies
from spiral_env.questions.pictures import overview_figure
from spiral_env.questions.sensitivity import Screening, verdict
from spiral_env.questions.sentences import Sign, sentences, sign
from spiral_env.questions.side_by_side import Played, play_worlds
from spiral_env.questions.teams import altered, play, team
from spiral_env.questions.what_if import Question, answer
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.training import load_config, train
from spiral_env.training.runs.folder import stored_config
from tests.command_line import refused, spiral

TRAINED = Path(__file__).parents[1] / "agents/baseline-v1-es"


def short(months: int = 4, **params: float) -> Scenario:
    return altered(load_scenario("small-v1").model_copy(update={"max_cycles": months}), params)


# -- worlds side by side ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["uniform", "scripted"])
def test_worlds_side_by_side_show_what_each_shows_alone(spec: str) -> None:
    drawn = load_scenario("procedural-v1").model_copy(update={"max_cycles": 5, "num_smes": 8})
    for world in (short(5), drawn):
        worlds = [world, altered(world, {"subsidy_tools": 0.7}), altered(world, {"breach_mu": 12.0, "attacks": 0.0})]
        together = play_worlds(worlds, team(spec), 3, seed=2)
        for k, each in enumerate(worlds):
            alone = play(each, team(spec), 3, seed=2).metrics
            for name, values in alone.items():
                np.testing.assert_array_equal(together.metrics[name][k], values, err_msg=name)


def test_worlds_of_another_length_are_no_common_luck() -> None:
    with pytest.raises(ValueError, match="worlds must be of one size, length and seeds, got 2 kinds"):
        play_worlds([short(3), short(4)], team("uniform"), 2)


def test_a_parameter_that_is_set_is_no_longer_drawn() -> None:
    drawn = load_scenario("procedural-v1")
    name = next(iter(drawn.ranges))
    assert name not in altered(drawn, {name: drawn.ranges[name][0]}).ranges


# -- books ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subsidised() -> tuple[Played, Played]:
    """Before and after a subsidy of small firms' tools."""
    return tuple(play_worlds([short(6, subsidy_tools=x)], team("scripted"), 4) for x in (0.0, 0.5))  # type: ignore[return-value]


def test_what_some_receive_others_pay_in_every_class_and_purpose(subsidised: tuple[Played, Played]) -> None:
    accounts = books.accounts(*subsidised)
    for part in (*books.CLASSES, "sum"):
        assert sum(accounts[name][part].mean for name in ACCOUNTS) == pytest.approx(0.0, abs=1e-9)
    for row in books.purposes(*subsidised):
        assert sum(x.mean for x in row["accounts"].values()) == pytest.approx(0.0, abs=1e-9)
    rows = books.purposes(*subsidised, most=99)
    for name, part in itertools.product(ACCOUNTS, books.CLASSES):
        of_class = sum(x["accounts"][name].mean for x in rows if x["class"] == part)
        assert accounts[name][part].mean == pytest.approx(of_class, abs=1e-9)
    for found in accounts.values():
        assert sum(found[x].mean for x in books.CLASSES) == pytest.approx(found["sum"].mean, abs=1e-9)


def test_a_subsidy_is_paid_by_the_world_and_received_by_small_firms(subsidised: tuple[Played, Played]) -> None:
    (row,) = [x for x in books.purposes(*subsidised) if x["purpose"] == "subsidy"]
    assert row["class"] == "capital"
    assert row["accounts"]["smes"].low > 0.0
    assert row["accounts"]["world"].mean == pytest.approx(-row["accounts"]["smes"].mean)


def test_roles_and_sizes_of_small_firms_add_up_to_their_payoff(subsidised: tuple[Played, Played]) -> None:
    before, after = subsidised
    roles, smes = books.roles(before, after), books.smes(before, after)
    count = smes["firms"]
    for role in ROLES:
        gap = mean_interval(after.metrics[f"payoff_{role}"][0] - before.metrics[f"payoff_{role}"][0])
        times = count if role == "sme" else 1
        assert roles[role]["sum"].mean == pytest.approx(times * gap.mean, rel=1e-9, abs=1e-9)
    shares = np.bincount(np.arange(count) * 3 // count)
    total = sum(n * x.mean for n, x in zip(shares, smes["by_size"].values(), strict=True))
    assert total == pytest.approx(roles["sme"]["sum"].mean)
    assert smes["quantiles"] == sorted(smes["quantiles"])


# -- what is asked ----------------------------------------------------------------------------------------------------


def test_a_grid_is_every_point_on_top_of_the_settings() -> None:
    grids = [parse_grid("subsidy_tools=0:0.6:3"), parse_grid("privacy_strictness=1,2")]
    found = changes_of(short(), parse_settings(["verification_norm=0.1"]), grids)
    assert [dict(x.params) for x in found][:2] == [
        {"verification_norm": 0.1, "subsidy_tools": 0.0, "privacy_strictness": 1.0},
        {"verification_norm": 0.1, "subsidy_tools": 0.0, "privacy_strictness": 2.0},
    ]
    assert len(found) == 6
    assert found[-1].name == "subsidy_tools 0.6, privacy_strictness 2"


def test_policies_of_a_file_go_by_their_names(tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    file.write_text("[modest]\nsubsidy_tools = 0.2\n[strict]\nprivacy_strictness = 3\n")
    found = changes_of(short(), {}, policies=read_policies(file))
    assert {x.name: dict(x.params) for x in found} == {
        "modest": {"subsidy_tools": 0.2},
        "strict": {"privacy_strictness": 3.0},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a what-if needs a change"),
        (["--set", "subsidy_tools"], "--set must be name=value"),
        (["--set", "subsidy_tool=0.3"], "did you mean subsidy_tools?"),
        (["--set", "subsidy_tools=3"], "params.subsidy_tools must be in [0, 1]"),
        (["--set", "subsidy_tools=0"], "must change small-v1, which has these values already"),
        (["--set", "subsidy_tools=1", "--set", "subsidy_tools=1"], "must be given once"),
        (["--set", "subsidy_tools=1", "--grid", "subsidy_tools=0,1"], "subsidy_tools must be given once"),
        (["--grid", "subsidy_tools=0:1"], "--grid must be name=low:high:count"),
        (["--grid", "subsidy_tools=0:1:x"], "--grid must be name=low:high:count"),
        (["--grid", "subsidy_tools=0:nan:3"], "--grid must be name=low:high:count"),
        (["--grid", f"subsidy_tools=0:1:{MAX_CHANGES}", "--grid", "tax_break_esg=0,1"], "at most 400 points"),
        (["--policies", "no.toml"], "no.toml"),
        (["--set", "subsidy_tools=1", "--team", "nobody"], "policy must be"),
        (["--set", "subsidy_tools=1", "--measure", "happiness"], "measure must be one of"),
        (["--set", "subsidy_tools=1", "--team", "scripted", "--adapt"], "a team that adapts must be status_quo or"),
        (["--set", "subsidy_tools=1", "--adapt", "--adapt-algo", "sarsa"], "must be one of es, ippo, got 'sarsa'"),
        (["--set", "subsidy_tools=1", "--adapt", "--adapt-set", "learning=1"], "config has no 'learning'"),
        (["--set", "subsidy_tools=1", "--out", "page.pdf"], "--out must end in .html or .png"),
        (["--set", "subsidy_tools=1", "--sensitivity", "--sobol", "48"], "must be a power of 2, got 48"),
        (["--grid", "subsidy_tools=0:1:5", "--sensitivity"], "takes at most 4 changes at once, got 5"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_line(arguments: list[str], said: str) -> None:
    assert said in refused("what-if", "--scenario", "small-v1", "--episodes", "2", *arguments)


# -- agents that adapt ------------------------------------------------------------------------------------------------


def test_training_goes_on_from_the_very_policy_that_is_given(tmp_path: Path) -> None:
    tensors, header = read_policy(TRAINED)
    for algo in ("es", "ippo"):
        how = Adaptation(1, algo, 1)
        values = {"algo": algo, "scenario": "small-v1", "num_envs": 2, "env_threads": 1}
        trainer = started(str(TRAINED), load_config(None, values | check_start(str(TRAINED), how)))
        policy, _ = trainer.policy()
        trainer.close()
        write_policy(tmp_path / algo, policy, {**header, "networks": "per_role"})
        assert policy.keys() == tensors.keys()
        for name, x in tensors.items():
            np.testing.assert_allclose(policy[name], x, rtol=1e-6, atol=1e-7, err_msg=name)
        mine, given = (play(short(), team(str(x)), 3).metrics["ecosystem_value"] for x in (tmp_path / algo, TRAINED))
        np.testing.assert_array_equal(mine, given)


def test_agents_adapt_alike_in_the_world_as_it_is_and_in_the_changed_one(tmp_path: Path) -> None:
    """In a world that is not changed they end the same, so that the effect is that of the change alone."""
    how = Adaptation(200, "es", 2, {"num_envs": 4, "learning_rate": 0.5, "start_logit": 0.1}, jobs=1)
    changes = changes_of(short(3), {}, [("subsidy_tools", [0.0, 1.0])])
    found = answer(Question(short(3), changes, "status_quo", 3, adapt=how), tmp_path)
    same, other = (x["ways"]["adapted"]["measures"]["ecosystem_value"] for x in found["changes"])
    assert same["by_seed"] == [0.0, 0.0]
    assert other["difference"].mean == pytest.approx(np.mean(other["by_seed"]))
    fixed = found["changes"][1]["ways"]["fixed"]["measures"]["ecosystem_value"]
    assert other["by_seed"][0] != fixed["difference"].mean, "agents that learned do otherwise"
    assert any("The two ways" in x for x in found["changes"][1]["sentences"])


def test_a_run_is_trained_on_as_it_was_trained_but_by_gentle_steps(tmp_path: Path) -> None:
    run, world = tmp_path / "run", tmp_path / "world.toml"
    world.write_text(short(2).to_toml())
    values = {"algo": "es", "scenario": str(world), "num_envs": 6, "es_sigma": 0.15, "learning_rate": 0.5, "seed": 3}
    train(load_config(None, values | {"timesteps": 1, "reward_mode": "selfish", "env_threads": 1}), run)
    (folders,) = adapt(str(run), [short(2)], Adaptation(1, "es", 1, jobs=1), tmp_path / "adapted")
    mine = stored_config(Path(folders[0]))
    assert (mine.num_envs, mine.es_sigma, mine.reward_mode, mine.seed) == (6, 0.15, "selfish", 0)
    assert mine.learning_rate < 0.1


def test_a_team_whose_roles_share_a_network_cannot_be_trained_on(tmp_path: Path) -> None:
    tensors, header = read_policy(TRAINED)
    write_policy(tmp_path, tensors, header | {"head": "categorical"})
    (tmp_path / "policy.json").write_text(json.dumps(header | {"recurrent": ["it"]}))
    with pytest.raises(ValueError, match="checkpoint"):
        check_start(str(tmp_path), Adaptation())
    with pytest.raises(ValueError, match="a team that adapts must be status_quo or the folder of a trained team"):
        check_start("scripted", Adaptation())


# -- sensitivity ------------------------------------------------------------------------------------------------------


def test_the_screening_finds_the_one_number_on_which_an_answer_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the sales are worth their margin; how long a ban lasts has no part in that."""
    monkeypatch.setattr(sensitivity, "varied", lambda world, but=(): ["ban_months", "platform_margin", "loan_months"])
    world = short(2, seat_turnover=0.0, credit=0.0)
    question = Question(world, [Change("more sales", {"platform_sales": 1200.0})], "status_quo", 4)
    (found,) = sensitivity.sensitivity(question, [Interval(1.0, 0.5, 1.5)], Screening(3, 2, 4, 4))
    assert found["morris"][0]["name"] == "platform_margin"
    assert found["morris"][0]["mu"] > 0.0
    assert {row["name"]: row["mu_star"] for row in found["morris"]}["ban_months"] == 0.0
    assert [row["name"] for row in found["sobol"]] == ["platform_margin"]
    assert found["signs"]["rises"] == 1.0
    assert found["sentence"].startswith("The sign does not depend on the assumed numbers")


def test_a_sentence_says_whether_the_sign_depends() -> None:
    up, none = Interval(3.0, 1.0, 5.0), Interval(0.5, -1.0, 2.0)
    signs = {"rises": 0.7, "falls": 0.2, "unclear": 0.1, "q05": -4.0, "q50": 2.0, "q95": 6.0, "noise": 0.1}
    assert "depends on the assumed numbers" in verdict(up, signs, ["need_stock"])
    assert "hangs most on need_stock" in verdict(up, signs, ["need_stock"])
    assert "does not depend" in verdict(up, signs | {"falls": 0.01}, [])
    assert "falls here, but clearly rises at 70%" in verdict(Interval(-3.0, -5.0, -1.0), signs, ["need_stock"])
    assert "has no clear sign" in verdict(none, signs, [])
    assert "ask for more" in verdict(up, signs | {"noise": 0.8}, ["need_stock"])


# -- in words and pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "side"),
    [
        (Interval(1.0, 0.1, 2.0), Sign.RISES),
        (Interval(-1.0, -2.0, -0.1), Sign.FALLS),
        (Interval(1.0, -0.1, 2.1), Sign.UNCLEAR),
        (Interval(0.0, 0.0, 0.0), Sign.SAME),
    ],
)
def test_a_side_is_taken_only_where_the_interval_does(change: Interval, side: Sign) -> None:
    assert sign(change) is side


def test_sentences_follow_the_numbers(subsidised: tuple[Played, Played]) -> None:
    found = answer(Question(short(6), [Change("half", {"subsidy_tools": 0.5})], "scripted", 4))["changes"][0]
    told = " ".join(found["sentences"])
    assert "subsidy (capital" in told
    assert f"Of the SMEs {found['ways']['fixed']['smes']['gain'].mean:.0%} gain" in told
    up = Interval(2.0, 1.0, 3.0)
    found["ways"]["fixed"]["measures"]["ecosystem_value"]["difference"] = up
    assert "ecosystem value rises (+2.00 [+1.00, +3.00] k$ a month)" in " ".join(sentences(found))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "subsidy_tools=0.3", "--set", "privacy_strictness=2"],
        ["--grid", "subsidy_tools=0,0.6"],
    ],
)
def test_a_question_ends_in_a_page_that_needs_no_other_file(arguments: list[str], tmp_path: Path) -> None:
    world, out = tmp_path / "world.toml", tmp_path / "deep/page.html"
    world.write_text(short(3).to_toml())
    ended = spiral("what-if", "--scenario", str(world), *arguments, "--episodes", "3", "--out", str(out), "--json")
    assert ended.code == 0, ended.err
    data = json.loads(ended.out)
    page = out.read_text()
    assert data["page"] == str(out)
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []
    pictures = [base64.b64decode(x) for x in re.findall(r"base64,([^\"]+)\"", page)]
    assert len(pictures) == (1 if len(data["changes"]) == 1 else 1 + len(data["changes"]))
    assert all(x.startswith(b"\x89PNG") for x in pictures)
    for change in data["changes"]:
        assert all(f"<li>{escape(x)}</li>" in page for x in change["sentences"])
        mean, low, high = change["ways"]["fixed"]["measures"]["ecosystem_value"]["difference"]
        assert low <= mean <= high


def test_two_grids_are_drawn_as_a_map_of_their_points() -> None:
    grids = [("platform_margin", [0.35, 0.5]), ("privacy_strictness", [1.0, 2.0])]
    found = answer(Question(short(2, platform_margin=0.35), changes_of(short(2), {}, grids), "status_quo", 2))
    (panel, _) = overview_figure(found).axes
    assert panel.get_xlabel() == "platform_margin"
    told = [text.get_text().split()[0] for text in panel.texts]
    gaps = [x["ways"]["fixed"]["measures"]["ecosystem_value"]["difference"].mean for x in found["changes"]]
    assert told == ["as", *(f"{gaps[k]:+.3g}" for k in (2, 1, 3))], "a row of the map is a value of the second grid"


def test_a_picture_alone_and_a_table_for_people(tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    file.write_text("[modest]\nsubsidy_tools = 0.2\n[strict]\nprivacy_strictness = 3\n")
    world, out = tmp_path / "world.toml", tmp_path / "all.png"
    world.write_text(short(3).to_toml())
    ended = spiral("what-if", "--scenario", str(world), "--policies", str(file), "--episodes", "3", "--out", str(out))
    assert ended.code == 0, ended.err
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "modest" in ended.out
    assert "strict" in ended.out
    assert f"page: {out}" in ended.out
