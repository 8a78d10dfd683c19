"""The paper's claims: experiments that exist, figures that can be recomputed, conclusions that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiral_env.metrics import METRICS
from spiral_env.questions.assumed import drawn
from spiral_env.questions.claims import PARTS, Claims, draws, interplay, named, report_of, switches
from spiral_env.questions.claims.conclusions import Finding, Verdict, conclude, findings, verdict
from spiral_env.questions.claims.paper import CLAIMS, Claim, claimed
from spiral_env.questions.report import command_line
from spiral_env.questions.runs import Kind, Runs
from spiral_env.questions.teams import HEIGHT, VALUE, altered, held, play, team
from spiral_env.scenarios import Scenario, load_scenario
from tests.command_line import refused, spiral

ROOT = Path(__file__).parents[1]
EDGE = "edge_governance_value"


@pytest.fixture
def world() -> Scenario:
    return load_scenario("small-v1").model_copy(update={"max_cycles": 4})


@pytest.fixture
def claims(world: Scenario, tmp_path: Path) -> Claims:
    runs = Runs(
        tmp_path / "runs", 200, 1, {"num_envs": 4}, {"cooperative": Kind(ROOT / "train/baseline-v1-es.toml", {})}
    )
    return Claims(world, 3, runs, 1, "uniform", named(EDGE), 2, 2)


# -- experiments ------------------------------------------------------------------------------------------------------


def test_every_claim_has_an_experiment_and_measures_that_exist() -> None:
    switched = {x.name for x in switches.SWITCHES}
    for claim in CLAIMS:
        assert claim.switch in switched or (not claim.switch and claim.interplays)
        assert set(claim.expected) <= set(METRICS)
        assert set(claim.expected.values()) <= {-1, 1}
    assert {x.group for x in named(",".join(claimed()))} == {"edge off", "arrow off", "driver off", "policy lever on"}


def test_switches_show_the_paired_change_of_teams_that_play_on(claims: Claims, world: Scenario) -> None:
    found = switches.switches(claims)
    assert [x["name"] for x in found["switches"]] == [x.name for x in switches.SWITCHES]
    (row,) = [x for x in found["switches"] if x["name"] == "modularity"]
    without, whole = (play(x, team("scripted"), 3).metrics for x in (altered(world, {"modularity": 0.0}), world))
    for name in (VALUE, HEIGHT, "trust"):
        assert row["teams"]["scripted"][name].mean == pytest.approx((without[name] - whole[name]).mean(), abs=1e-9)


def test_draws_are_shares_over_worlds_with_other_numbers(claims: Claims, world: Scenario) -> None:
    found = draws.draws(claims)["teams"]["scripted"]
    gaps = []
    for values in drawn(world, 2):
        without, whole = (
            play(altered(world, x), team("scripted"), 2).metrics[VALUE].mean()
            for x in ({**values, "modularity": 0.0}, values)
        )
        gaps.append((without - whole) / abs(whole))
    row = found["rows"]["modularity"]
    assert row["as claimed"][VALUE].mean == np.mean(np.array(gaps) < 0.0)
    np.testing.assert_allclose(row["share of value, quantiles .05 .5 .95"], np.quantile(gaps, [0.05, 0.5, 0.95]))


def test_interplay_is_what_a_pair_is_worth_beyond_the_parts(claims: Claims, world: Scenario) -> None:
    found = interplay.interplay(claims)["rows"]["scripted"]["aggregation, governance"][VALUE]
    off = dict.fromkeys(interplay.AGGREGATION, 0.0)
    worth = []
    for players in (team("scripted"), held(team("scripted"), draws.CARELESS)):
        a, b = (play(x, players, 3).metrics[VALUE] for x in (world, altered(world, off)))
        worth.append(float((a - b).mean()))
    assert [found["with"].mean, found["without"].mean] == pytest.approx(worth)
    assert found["more"].mean == pytest.approx(worth[0] - worth[1])


def test_interplay_in_draws_is_that_of_each_drawn_world(claims: Claims, world: Scenario) -> None:
    found = interplay.interplay(claims)["draws"]["scripted"]["commerce, finance"]
    first, second = interplay.DOMAINS["commerce"], interplay.DOMAINS["finance"]
    more = []
    for values in drawn(world, 2):
        both, without_first, without_second, neither = (
            play(altered(world, {**values, **dict.fromkeys(off, 0.0)}), team("scripted"), 2).metrics[HEIGHT].mean()
            for off in ((), first, second, first + second)
        )
        more.append((both - without_first) - (without_second - neither))
    assert found["as claimed"][HEIGHT].mean == np.mean(np.array(more) > 0.0)
    assert found["against it"][HEIGHT].mean == np.mean(np.array(more) < 0.0)


def test_retrained_teams_are_trained_in_the_switched_world(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is of teams each in the world it learned in; those that play on stand beside them."""
    asked = []

    def folders(self: Claims, world: Scenario, name: str = "") -> list[str]:
        asked.append((name, world.value(EDGE)))
        return ["scripted" if name else "status_quo"]

    monkeypatch.setattr(Claims, "folders", folders)
    (row,) = switches.retrained(claims)["switches"]
    assert asked == [("", 1.0), (EDGE, 0.0)]
    whole, off = claims.world, altered(claims.world, {EDGE: 0.0})
    base = play(whole, team("status_quo"), 3).metrics[VALUE]
    for who, spec in (("retrained", "scripted"), ("of them, playing on", "status_quo")):
        gap = (play(off, team(spec), 3).metrics[VALUE] - base).mean()
        assert row["teams"][who][VALUE].mean == pytest.approx(gap, abs=1e-9)


# -- conclusions ------------------------------------------------------------------------------------------------------

CLAIM = Claim("edge", "It matters.", EDGE, {VALUE: -1})


def figures(fixed: Mapping[str, list[float]], retrained: list[float], share: float) -> dict[str, Any]:
    def row(teams: Mapping[str, list[float]]) -> dict[str, Any]:
        told = {name: {VALUE: x, "share": 0.1, "collapse": 0.0} for name, x in teams.items()}
        return {"figures": {"switches": [{"name": EDGE, "teams": told}]}}

    drawn_row = {"as claimed": {VALUE: [share, 0.0, 1.0]}, "against it": {VALUE: [1.0 - share, 0.0, 1.0]}}
    return {
        "switches": row(fixed),
        "retrained": row({"retrained": retrained, "of them, playing on": [9.0, 8.0, 10.0]}),
        "draws": {"figures": {"teams": {"scripted": {"rows": {EDGE: drawn_row}}}}},
    }


DOWN, UP, NEITHER = [-5.0, -6.0, -4.0], [5.0, 4.0, 6.0], [1.0, -1.0, 3.0]


@pytest.mark.parametrize(
    ("fixed", "retrained", "share", "said"),
    [
        (DOWN, DOWN, 0.97, Verdict.HOLDS),
        (UP, UP, 0.03, Verdict.CONTRADICTED),
        (NEITHER, NEITHER, 0.5, Verdict.UNCLEAR),
        (UP, NEITHER, 0.5, Verdict.CONTRADICTED),
        (DOWN, UP, 0.97, Verdict.PARTLY),
        (DOWN, DOWN, 0.6, Verdict.PARTLY),
    ],
)
def test_a_verdict_needs_every_way_of_measuring(
    fixed: list[float], retrained: list[float], share: float, said: Verdict
) -> None:
    found = findings(CLAIM, figures({"scripted": fixed}, retrained, share))
    assert [x.way for x in found] == ["fixed", "retrained", "draws"]
    assert verdict(found) is said


def test_a_claim_that_must_rise_is_contradicted_where_it_falls() -> None:
    rising = Claim("lever", "It helps.", EDGE, {VALUE: 1})
    report = figures({"scripted": DOWN}, DOWN, 0.0)
    assert [x.verdict for x in findings(rising, report)] == [Verdict.CONTRADICTED] * 3


def test_nothing_measured_is_said_to_be_so() -> None:
    assert verdict(findings(CLAIM, {})) is Verdict.NOT_MEASURED
    data, text = conclude({})
    assert {x["sentence"] for x in data} == {"Not measured."}
    assert all(claim.sentence in text for claim in CLAIMS)


def test_sentences_name_whom_a_claim_holds_for() -> None:
    report = figures({"scripted": DOWN, "average firm": UP}, NEITHER, 0.95)
    for part in ("switches", "retrained"):
        report[part]["figures"]["switches"][0]["name"] = "modularity"
    report["draws"]["figures"]["teams"]["scripted"]["rows"] = {
        "modularity": report["draws"]["figures"]["teams"]["scripted"]["rows"][EDGE]
    }
    (said,) = [x for x in conclude(report)[0] if x["claim"] == "modularity"]
    assert said["verdict"] == "holds only for"
    assert said["sentence"] == (
        "Holds only for scripted (V), scripted in draws (V); contradicted for average firm (V); "
        "not told apart from no effect for teams trained anew (V). Value changes by +10.0% to +10.0%."
    )


def test_a_claim_that_holds_in_part_of_the_draws_says_in_how_many() -> None:
    report = figures({"scripted": DOWN}, DOWN, 0.68)
    switch = next(x for x in CLAIMS if x.name == "edge 2").switch
    assert switch == EDGE
    (said,) = [x for x in conclude(report)[0] if x["claim"] == "edge 2"]
    assert (
        "Holds only for scripted (V), teams trained anew (V); in part of the draws for scripted (V 68%)."
        in said["sentence"]
    )


def test_one_finding_alone_is_the_verdict() -> None:
    for kind in (Verdict.HOLDS, Verdict.CONTRADICTED, Verdict.UNCLEAR):
        assert verdict([Finding("fixed", "scripted", VALUE, kind, "")]) is kind


# -- the report -------------------------------------------------------------------------------------------------------


def test_the_command_writes_figures_conclusions_and_a_page(world: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text(world.to_toml())
    arguments = ["--scenario", str(file), "--episodes", "2", "--trained", "uniform", "--out", str(tmp_path)]
    arguments += ["--draws", "2", "--draw-episodes", "2"]
    for part in ("alone", "interplay"):
        assert spiral("claims", *arguments, "--only", part).code == 0
    ended = spiral("claims", *arguments, "--only", "marginal", "--json")
    stored = json.loads((tmp_path / "claims.json").read_text())
    assert list(stored) == ["interplay", "alone", "marginal", "conclusions"]
    assert json.loads(ended.out) == stored
    assert stored["interplay"]["about"]["command"].endswith("--only interplay")
    page = (tmp_path / "claims.md").read_text()
    (claim,) = [x for x in stored["conclusions"] if x["claim"] == "governance protects"]
    assert claim["verdict"] != "not measured"
    assert claim["sentence"] in page
    assert page.index("## The paper's claims") < page.index("## Worth more together")


def test_a_part_of_an_older_shape_is_named_before_anything_is_measured(claims: Claims, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(json.dumps({"draws": {"about": {}, "figures": {"edges": {}}}}))
    with pytest.raises(ValueError, match=r"part draws of .* is of an older shape: measure it again"):
        next(report_of(claims, tmp_path, "spiral claims").write(claims, "alone"))


def test_a_command_is_told_as_a_shell_takes_it() -> None:
    assert command_line("spiral", ["claims", "--only", "draws", "--out", "my results"]) == (
        "spiral claims --out 'my results'"
    )
    assert command_line("spiral", ["claims", "--only=draws", "--seeds", "2"]) == "spiral claims --seeds 2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "swiches"], "got 'swiches'; switches?"),
        (["--retrain", "edges"], "--retrain must name switches or groups, got 'edges'"),
        (["--set", "learning_rate"], "--set must be name=value"),
        (["--only", "retrained", "--config", "no.toml"], "config no.toml of trainings must be a file"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    assert said in refused(
        "claims", "--scenario", "small-v1", "--out", str(tmp_path), "--runs", str(tmp_path), *arguments
    )


def test_every_part_has_a_title_and_is_a_choice_of_the_command() -> None:
    told = spiral("claims", "--help").out
    assert all(name in told for name in PARTS)
