"""The benchmarks measure what they say: the counted month is the month, reports grow part by part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spiral_env.agents.planner import WIDTH
from spiral_env.core.params import PARAMETERS
from spiral_env.core.state import FIELDS
from spiral_env.questions.assumed import drawn
from spiral_env.questions.claims import named
from spiral_env.questions.claims.marginal import Apart
from spiral_env.questions.report import Part, Report, measured
from spiral_env.questions.runs import Run, Runs
from spiral_env.questions.teams import VALUE, Held, altered, play, team
from spiral_env.roles import FEATURES, LEVERS, NUM_LEVERS
from spiral_env.scenarios import load_scenario
from tests.benchmarks import bench as benchmarks
from tests.benchmarks import deep, effects, gpu, worked_month
from tests.benchmarks.bench import PARTS, beside_peers, markdown
from tests.benchmarks.counting import WORK, CountedMonth
from tests.benchmarks.memory import _Views
from tests.benchmarks.runs import KINDS
from tests.benchmarks.search import Found, score
from tests.benchmarks.stepping import check_parity, opened, random_efforts
from tests.benchmarks.teams import Averaged, Frozen


def test_the_counted_month_is_the_month() -> None:
    compiled, counted = opened(2), opened(2)
    efforts = random_efforts(compiled)
    month = CountedMonth()
    for _ in range(3):
        compiled.step(efforts)
        for row in range(2):
            month.live(counted, row, efforts[row])
    for field in FIELDS:
        np.testing.assert_allclose(counted.states[field.name], compiled.states[field.name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(counted.observed, compiled.observed, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(counted.scalars, compiled.scalars, rtol=1e-9)
    assert all(month.counts[name] > 0 for name in WORK)


def test_operations_are_counted_by_kind() -> None:
    from spiral_env.core import rng

    month = CountedMonth()
    month.python(rng.normal_quantile)(0.5 + 1e-3)
    centre = dict(month.counts)
    with np.errstate(over="ignore"):
        month.python(rng.exponential)(1, 2, 3, 4)
    assert centre["division"] == 1
    # Two polynomials of degree seven: 14 products and 14 sums, and what leads there.
    assert 28 <= centre["arithmetic"] <= 36
    assert (month.counts["mix"], month.counts["log"]) == (3, 1)


def test_parity_is_checked_before_anything_is_timed() -> None:
    check_parity(3)


def test_a_report_grows_part_by_part_and_its_table_shows_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "race", ("Race", lambda: {"ippo": 3.0, "sb3-ppo": float("inf")}))
    monkeypatch.setitem(PARTS, "trainer", ("Trainers", lambda: {"ippo": 12345.0}))
    out = tmp_path / "bench.json"
    for part in ("race", "trainer"):
        benchmarks.bench([part], out)
    report = json.loads(out.read_text())
    assert list(report) == ["trainer", "race"]
    assert report["race"]["machine"].keys() >= {"processor", "cores", "numba", "torch"}
    table = (tmp_path / "bench.md").read_text()
    assert table == markdown(report)
    assert "| sb3-ppo | not reached |" in table
    assert "| ippo | 12,345 |" in table


def test_the_measures_of_a_gpu_run_on_tensors_of_the_processor() -> None:
    """All but a GPU's own: the same seeds and actions give the same numbers, and equal runs are equal."""
    found = gpu.parity("cpu", ("small-v1",), rows=2, months=3) | gpu.determinism("cpu", 2, 62)
    assert found.pop("small-v1: largest reward") > 0.0
    assert found.pop("two runs of 2 ecosystems over 62 months are equal bit for bit") is True
    assert set(found.values()) == {0}
    assert gpu.simulator("cpu", (2,), 3)["2: agent-steps/s"] > 0.0


def test_a_part_that_fails_is_said_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> dict[str, object]:
        raise RuntimeError("no card")

    assert gpu.tried(fails) == {"fails": "failed: RuntimeError: no card"}


def test_an_unknown_part_and_a_missing_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--only must be of compile, single.* did you mean 'peers'"):
        benchmarks.bench(["peer"], tmp_path / "bench.json")
    with pytest.raises(ValueError, match="part peers needs --peers FOLDER"):
        beside_peers(None)
    assert not list(tmp_path.iterdir())


def test_frozen_averaged_and_held_change_what_they_say_and_nothing_else() -> None:
    seen: list[np.ndarray] = []

    class Mirror:
        name = "mirror"

        def reset(self, keys: np.ndarray) -> None:
            seen.clear()

        def act(self, observation: np.ndarray) -> np.ndarray:
            seen.append(observation)
            return np.zeros((*observation.shape[:2], NUM_LEVERS["sme"]))

    view = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    Frozen(Mirror(), {1: 7.0}).act(view)
    assert (seen[-1][..., 1] == 7.0).all()
    np.testing.assert_array_equal(np.delete(seen[-1], 1, axis=2), np.delete(view, 1, axis=2))
    Averaged(Mirror()).act(view)
    np.testing.assert_array_equal(seen[-1], np.repeat(view[:, 1:2], 3, axis=1))
    efforts = Held(Mirror(), {2: 0.75}).act(view)
    np.testing.assert_array_equal(efforts[..., 2], 0.75)
    assert not np.delete(efforts, 2, axis=2).any()


def test_one_firm_alone_does_otherwise() -> None:
    players = team("scripted")
    apart = Apart(players["sme"], {"module_tier": 0.0})
    apart.reset(np.arange(2))
    view = np.zeros((2, 5, len(FEATURES["sme"])), dtype=np.float32)
    size = [x.name for x in FEATURES["sme"]].index("size")
    view[..., size] = [[0, 1, 2, 3, 4], [4, 0, 2, 1, 3]]
    tier = [x.name for x in LEVERS["sme"]].index("module_tier")
    joined = apart.act(view)[..., tier]
    np.testing.assert_array_equal(joined == 0.0, [[False, False, True, False, False]] * 2)
    view[0, :, size] = 0.0
    np.testing.assert_array_equal(apart.act(view)[..., tier], joined)


def test_a_table_scores_as_the_policy_it_stands_for() -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 12})
    rows = np.random.default_rng(0).random((2, 3, WIDTH))
    seeds = world.evaluation_seeds(0, 3)
    played = [play(world, Found(x, 0.0, 0).team(), 3).metrics[VALUE].mean() for x in rows]
    np.testing.assert_allclose(score(world, rows, seeds), played, rtol=1e-12)


def test_drawn_worlds_stay_within_ranges_and_leave_what_evidence_fixes() -> None:
    world = load_scenario("baseline-v1")
    table = {q.name: q for q in PARAMETERS}
    for values in drawn(world, 3):
        assert altered(world, values).value("breach_mu") == world.value("breach_mu")
        for name, value in values.items():
            assert "assumed" in table[name].source
            shown, usual = np.atleast_1d(value), np.atleast_1d(world.value(name))
            inside = (shown >= 0.7 * usual - 1e-12) & (shown <= 1.3 * usual + 1e-12)
            at_end = (shown == table[name].low) | (shown == table[name].high)
            assert (inside | at_end | (usual < 0)).all()


def test_means_of_past_views_stand_behind_the_present_one() -> None:
    views = _Views()
    for month in range(1, 9):
        seen = views.seen(np.full((1, 1, 2), float(month), dtype=np.float32))
    np.testing.assert_allclose(seen, [[[8.0, 8.0, 7.0, 7.0, 5.5, 5.5]]])


def test_a_report_keeps_parts_that_were_measured_before(tmp_path: Path) -> None:
    part = Part("Figures", lambda context: {"x": context}, lambda figures: (["", "x"], [["row", figures["x"]]]))
    for only, context in (("b", 1.5), ("a", [2.0, 1.0, 3.0])):
        list(Report({"a": part, "b": part}, "game", tmp_path, "command", "world").write(context, only))
    assert list(json.loads((tmp_path / "game.json").read_text())) == ["a", "b"]
    text = (tmp_path / "game.md").read_text()
    assert "| row | 1.50 |" in text
    assert "| row | 2.00 [1.00, 3.00] |" in text
    with pytest.raises(ValueError, match=r"--only must be of a, b, got 'c'"):
        measured({"a": part, "b": part}, "c")


def test_the_worked_month_of_the_model_is_what_the_simulator_tells() -> None:
    page = worked_month.PAGE.read_text(encoding="utf-8")
    assert worked_month.stored(page) == page, "python -m tests.benchmarks.worked_month --write"


def test_effects_stand_in_the_rows_that_name_their_switch() -> None:
    change = {"ecosystem_value": [-22.4, -30.0, -15.0], "spiral_height": [-0.31, -0.4, -0.2]}
    rows = [{"name": "edge off", "params": {"edge": 0.0}, "teams": {"average firm": change, "scripted": change}}]
    claims = {"switches": {"figures": {"switches": rows}}}
    head = "<!-- effects: results/claims.json -->\n\n| paper | law | switch | effect |\n|---|---|---|---|\n"
    page = head + "| a | b | `edge` | ? |\n| a | b | `other` | ? |\n"
    told = effects.filled(page, claims)
    assert told == head + "| a | b | `edge` | V -22 / -22; H -0.31 / -0.31 |\n| a | b | `other` | ? |\n"
    assert effects.filled(told, claims) == told
    assert effects.TABLE.search(effects.PAGE.read_text(encoding="utf-8"))


def test_runs_of_another_length_and_switches_that_are_none_are_one_line(tmp_path: Path) -> None:
    run = Run("cooperative", 0, load_scenario("small-v1"))
    done = Runs(tmp_path, 1000, 1, {}, KINDS).path(run)
    done.mkdir(parents=True)
    (done / "done.json").write_text('{"timesteps": 1000}')
    assert Runs(tmp_path, 1000, 1, {}, KINDS).trained([run]) == [done]
    with pytest.raises(ValueError, match=r"has 1,000 agent-steps, not 2,000: name another --runs folder"):
        Runs(tmp_path, 2000, 1, {}, KINDS).trained([run])
    assert [x.name for x in named("edge off")][-1] == "all edges"
    with pytest.raises(ValueError, match="--retrain must name switches or groups, got 'edges'"):
        named("edges")


def test_the_race_trains_all_under_one_kind_of_rewards_and_measures_a_rate_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path, 1000, 1, {}, KINDS)
    race = deep.Race(load_scenario("small-v1"), 2, runs, 1, 10.0, 1.0)
    assert set(deep.ALGORITHMS.values()) <= set(KINDS)
    assert {x.differs["reward_mode"] for x in race.of_mode("mixed").kinds.values()} == {"mixed"}
    asked = []

    def trained(these: Runs, wanted: list[Run]) -> list[Path]:
        asked.append((these.timesteps, these.overrides, *wanted))
        lines = ["agent_steps,seconds", "100,9.0", "200,10.0", "600,12.0"]
        (tmp_path / "progress.csv").write_text("\n".join(lines) + "\n")
        return [tmp_path]

    monkeypatch.setattr(Runs, "trained", trained)
    assert [race.rate("linear"), race.rate("linear")] == [pytest.approx(500 / 3)] * 2
    assert len(asked) == 1
    assert asked[0][1] == {"max_seconds": 1.0}


def test_the_race_compares_with_the_simple_one_and_draws_what_was_measured(tmp_path: Path) -> None:
    world = load_scenario("small-v1").model_copy(update={"max_cycles": 6})
    tables = {deep.SIMPLE: [play(world, team("uniform"), 4)], "IPPO": [play(world, team("status_quo"), 4)] * 2}
    rows = deep._rows(tables)
    simple, other = (tables[name][0].metrics[VALUE] for name in tables)
    assert rows[deep.SIMPLE][f"V against {deep.SIMPLE}"].mean == 0.0
    assert rows["IPPO"][f"V against {deep.SIMPLE}"].mean == pytest.approx(float((other - simple).mean()))
    assert rows["IPPO"]["V"].mean == pytest.approx(float(other.mean()))
    deep.draw(
        {"steps_mixed": {"figures": {"rows": {name: {"V": [1.0, 0.5, 2.0]} for name in rows}}}}, tmp_path / "x.svg"
    )
    text = (tmp_path / "x.svg").read_text()
    assert "At equal agent-steps, mixed rewards" in text
    assert "cooperative" not in text
