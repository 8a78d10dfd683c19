"""Every shipped scenario is linted: it says what it is, stays in its ranges, and can be played to its end."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from episodes import keyed_efforts, opened, world

import spiral_env
from spiral_env.core.params import PARAMETERS
from spiral_env.scenarios import Scenario

IDS = spiral_env.scenario_ids()
TABLE = {q.name: q for q in PARAMETERS}
REQUIRED = {
    "baseline-v0",
    "log4shell-v0",
    "credit-crunch-v0",
    "strict-privacy-v0",
    "greenwash-boom-v0",
    "sme-boom-v0",
    "fragmented-v0",
    "large-v0",
    "procedural-v0",
}


def test_the_promised_scenarios_are_shipped() -> None:
    assert set(IDS) >= REQUIRED


@pytest.mark.parametrize("scenario_id", IDS)
def test_a_scenario_is_named_by_its_file_and_explains_itself(scenario_id: str) -> None:
    scenario = spiral_env.load_scenario(scenario_id)
    assert scenario.id == scenario_id
    assert scenario.title
    assert scenario.description.rstrip().endswith(".")
    text = (resources.files("spiral_env.scenarios") / f"{scenario_id}.toml").read_text()
    assert text.isascii()


@pytest.mark.parametrize("scenario_id", IDS)
def test_a_scenario_differs_from_the_baseline(scenario_id: str) -> None:
    base, scenario = spiral_env.load_scenario("baseline-v0"), spiral_env.load_scenario(scenario_id)
    same = {"id", "title", "description", "known_answer"}
    worlds = [x.model_dump(exclude=same) for x in (base, scenario)]
    assert (worlds[0] == worlds[1]) == (scenario_id == "baseline-v0")


@pytest.mark.parametrize("scenario_id", IDS)
def test_numbers_stay_in_the_ranges_of_the_table(scenario_id: str) -> None:
    scenario = spiral_env.load_scenario(scenario_id)
    for q in PARAMETERS:
        assert (np.atleast_1d(scenario.value(q.name)) >= q.low).all(), q.name
        assert (np.atleast_1d(scenario.value(q.name)) <= q.high).all(), q.name
    for name, (low, high) in scenario.ranges.items():
        assert TABLE[name].low <= low < high <= TABLE[name].high


def test_every_parameter_has_a_unit_and_a_source_and_holds_its_default() -> None:
    assert len(TABLE) == len(PARAMETERS)
    for q in PARAMETERS:
        assert q.unit
        assert q.source
        assert q.low < q.high
        values = np.atleast_1d(q.default)
        assert ((values >= q.low) & (values <= q.high)).all(), q.name


@pytest.mark.parametrize("name", ["class_share", "severity_share", "loss_share"])
def test_shares_add_to_one(name: str) -> None:
    assert sum(TABLE[name].default) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("scenario_id", IDS)
def test_a_scenario_plays_to_its_end_within_bounds(scenario_id: str) -> None:
    seeds = range(2)
    engine = opened(world(scenario_id), seeds)
    for month in range(engine.world.max_cycles):
        engine.step(keyed_efforts(seeds, month, engine.num_agents))
        assert np.isfinite(engine.scalars).all()
    engine.observe()
    assert (engine.states["done"] == 1).all()
    assert all(np.isfinite(x).all() for x in engine.observations.values())


def test_procedural_worlds_differ_by_seed_and_stay_in_their_ranges() -> None:
    scenario = spiral_env.load_scenario("procedural-v0")
    engine = opened(scenario.world(), range(200))
    for name, (low, high) in scenario.ranges.items():
        drawn = engine.params[name]
        assert drawn.min() >= low
        assert drawn.max() <= high
        assert np.ptp(drawn) > 0.8 * (high - low)
    fixed = [q.name for q in PARAMETERS if q.name not in scenario.ranges]
    assert all((engine.params[name] == engine.params[name][0]).all() for name in fixed)


@pytest.mark.parametrize("scenario_id", IDS)
def test_training_and_held_out_seeds_do_not_meet(scenario_id: str) -> None:
    scenario = spiral_env.load_scenario(scenario_id)
    (a, b), (c, d) = scenario.train_seeds, scenario.held_out_seeds
    assert b <= c or d <= a
    later = [scenario.episode_seed(seed, n) for seed in (0, 5, d - 1) for n in range(1, 200)]
    assert all(a <= seed < b for seed in later + scenario.training_seeds(7, 200))
    assert len(set(scenario.training_seeds(7, 200))) == 200
    assert scenario.evaluation_seeds(3, 2) == [c + 3, c + 4]


def test_evaluation_keeps_to_held_out_seeds() -> None:
    scenario = spiral_env.load_scenario("procedural-v0")
    assert scenario.evaluation_seeds(999_999, 1) == [1_999_999]
    with pytest.raises(ValueError, match=r"seed must be in \[0, 999998\] for 2 episodes of procedural-v0, got 999999"):
        scenario.evaluation_seeds(999_999, 2)


def test_an_environment_without_seeds_goes_on_in_training_worlds() -> None:
    env = spiral_env.parallel_env("procedural-v0")
    env.reset(seed=1_500_000)
    assert env.engine.states["seed"][0] == 1_500_000
    for _ in range(20):
        env.reset()
        assert 0 <= env.engine.states["seed"][0] < 1_000_000


def test_a_procedural_draw_does_not_move_when_another_range_is_added() -> None:
    scenario = spiral_env.load_scenario("procedural-v0")
    fewer = Scenario(**{**scenario.model_dump(), "ranges": {"arrival_rate": scenario.ranges["arrival_rate"]}})
    a, b = opened(scenario.world(), range(5)), opened(fewer.world(), range(5))
    assert (a.params["arrival_rate"] == b.params["arrival_rate"]).all()


def test_the_shock_arrives_in_its_month_and_size() -> None:
    quiet, shocked = opened(world(), range(4)), opened(world("log4shell-v0"), range(4))
    for month in range(12):
        efforts = keyed_efforts(range(4), month, quiet.num_agents)
        before = shocked.states["arrivals"] - quiet.states["arrivals"]
        assert (before == 0).all()
        quiet.step(efforts)
        shocked.step(efforts)
    assert (shocked.states["arrivals"] - quiet.states["arrivals"] == 6).all()


def test_a_file_may_extend_a_file_that_extends_a_scenario(tmp_path) -> None:
    (tmp_path / "a.toml").write_text('extends = "credit-crunch-v0"\nid = "mine-v1"\n[params]\nspill = 0.3\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nid = "yours-v1"\nnum_smes = 3\n[params]\nspill = 0.4\n')
    scenario = spiral_env.load_scenario(tmp_path / "b.toml")
    assert (scenario.id, scenario.num_smes, scenario.value("spill")) == ("yours-v1", 3, 0.4)
    assert scenario.value("lending_reserve") == 4000.0


def test_files_that_extend_each_other_are_refused(tmp_path) -> None:
    (tmp_path / "a.toml").write_text(f'extends = "{tmp_path}/b.toml"\n')
    (tmp_path / "b.toml").write_text(f'extends = "{tmp_path}/a.toml"\n')
    with pytest.raises(ValueError, match="extends itself"):
        spiral_env.load_scenario(tmp_path / "a.toml")


# -- canonical text and hash ------------------------------------------------------------------------------------------

MINE = """
id = "mine-v1"
title = "Mine"
num_smes = 5
train_seeds = [100, 200]
held_out_seeds = [0, 50]
[params]
spill = 0.3
market_mean = [0.01, 0.004]
[ranges]
arrival_rate = [0.5, 1.2]
"""


def _hash(tmp_path, text: str) -> str:
    (tmp_path / "x.toml").write_text(text)
    return spiral_env.load_scenario(tmp_path / "x.toml").hash


@pytest.mark.parametrize("scenario_id", IDS)
def test_a_scenario_comes_back_from_its_toml(scenario_id: str, tmp_path) -> None:
    scenario = spiral_env.load_scenario(scenario_id)
    (tmp_path / "x.toml").write_text(scenario.to_toml())
    again = spiral_env.load_scenario(tmp_path / "x.toml")
    assert again == scenario
    assert again.to_toml() == scenario.to_toml()
    assert again.hash == scenario.hash


def test_a_text_with_every_sign_comes_back_from_toml(tmp_path) -> None:
    title = "".join(map(chr, range(1, 0x300))) + '[/eu] \u2028 \U0001f600 """'
    scenario = Scenario(id="mine-v1", title=title, description=title)
    (tmp_path / "x.toml").write_bytes(scenario.to_toml().encode())
    assert spiral_env.load_scenario(tmp_path / "x.toml") == scenario


def test_every_scenario_has_a_hash_of_its_own() -> None:
    assert len({spiral_env.load_scenario(x).hash for x in IDS}) == len(IDS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mine-v1", "yours-v7"),
        ('"Mine"', '"Another title"'),
        ("spill = 0.3", "spill = 3e-1"),
        ("[params]", "[params]\nattacks = 1"),
        ("[params]", "[params]\narrival_rate = 0.7"),
        ("spill = 0.3\nmarket_mean = [0.01, 0.004]", "market_mean = [1e-2, 4e-3]\nspill = 0.30"),
        ("[ranges]", "kev_share = 0.02\n[ranges]\nkev_share = [0.015, 0.015]"),
    ],
)
def test_equal_worlds_have_equal_hashes(old: str, new: str, tmp_path) -> None:
    assert old in MINE
    assert _hash(tmp_path, MINE.replace(old, new)) == _hash(tmp_path, MINE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("num_smes = 5", "num_smes = 6"),
        ("[params]", "max_cycles = 12\n[params]"),
        ("[100, 200]", "[100, 201]"),
        ("[0, 50]", "[0, 51]"),
        ("spill = 0.3", "spill = 0.30000000000000004"),
        ("0.004]", "0.005]"),
        ("1.2]", "1.3]"),
    ],
)
def test_other_worlds_have_other_hashes(old: str, new: str, tmp_path) -> None:
    assert old in MINE
    assert _hash(tmp_path, MINE.replace(old, new)) != _hash(tmp_path, MINE)


def test_a_scenario_has_one_hash_by_id_and_by_path() -> None:
    with resources.as_file(resources.files("spiral_env.scenarios") / "procedural-v0.toml") as path:
        assert spiral_env.load_scenario(path).hash == spiral_env.load_scenario("procedural-v0").hash


def test_a_range_of_one_value_sets_that_value() -> None:
    scenario = Scenario(id="mine-v1", title="x", ranges={"arrival_rate": [0.5, 0.5]})
    assert (opened(scenario.world(), range(2)).params["arrival_rate"] == 0.5).all()
