"""Every shipped scenario is linted: it says what it is, stays in its ranges, and can be played to its end."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from episodes import keyed_efforts, opened, world

import spiral_env
from spiral_env.core.params import PARAMETERS
from spiral_env.scenarios import Scenario

IDS = spiral_env.scenario_ids()
TABLE = {q.name: q for q in PARAMETERS}
REQUIRED = {
    "baseline-v1",
    "small-v1",
    "log4shell-v1",
    "credit-crunch-v1",
    "strict-privacy-v1",
    "greenwash-boom-v1",
    "sme-boom-v1",
    "fragmented-v1",
    "large-v1",
    "procedural-v1",
    "siege-v1",
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
    base, scenario = spiral_env.load_scenario("baseline-v1"), spiral_env.load_scenario(scenario_id)
    same = {"id", "title", "description", "known_answer"}
    worlds = [x.model_dump(exclude=same) for x in (base, scenario)]
    assert (worlds[0] == worlds[1]) == (scenario_id == "baseline-v1")


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
    scenario = spiral_env.load_scenario("procedural-v1")
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
    scenario = spiral_env.load_scenario("procedural-v1")
    assert scenario.evaluation_seeds(999_999, 1) == [1_999_999]
    with pytest.raises(ValueError, match=r"seed must be in \[0, 999998\] for 2 episodes of procedural-v1, got 999999"):
        scenario.evaluation_seeds(999_999, 2)


def test_an_environment_without_seeds_goes_on_in_training_worlds() -> None:
    env = spiral_env.parallel_env("procedural-v1")
    env.reset(seed=1_500_000)
    assert env.engine.states["seed"][0] == 1_500_000
    for _ in range(20):
        env.reset()
        assert 0 <= env.engine.states["seed"][0] < 1_000_000


def test_a_procedural_draw_does_not_move_when_another_range_is_added() -> None:
    scenario = spiral_env.load_scenario("procedural-v1")
    fewer = Scenario(**{**scenario.model_dump(), "ranges": {"arrival_rate": scenario.ranges["arrival_rate"]}})
    a, b = opened(scenario.world(), range(5)), opened(fewer.world(), range(5))
    assert (a.params["arrival_rate"] == b.params["arrival_rate"]).all()


def test_the_shock_arrives_in_its_month_and_size() -> None:
    quiet, shocked = opened(world(), range(4)), opened(spiral_env.load_scenario("log4shell-v1").world(8), range(4))
    for month in range(12):
        efforts = keyed_efforts(range(4), month, quiet.num_agents)
        before = shocked.states["arrivals"] - quiet.states["arrivals"]
        assert (before == 0).all()
        quiet.step(efforts)
        shocked.step(efforts)
    assert (shocked.states["arrivals"] - quiet.states["arrivals"] == 6).all()


def test_a_file_may_extend_a_file_that_extends_a_scenario(tmp_path) -> None:
    (tmp_path / "a.toml").write_text('extends = "credit-crunch-v1"\nid = "mine-v1"\n[params]\nspill = 0.3\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nid = "yours-v1"\nnum_smes = 3\n[params]\nspill = 0.4\n')
    scenario = spiral_env.load_scenario(tmp_path / "b.toml")
    assert (scenario.id, scenario.num_smes, scenario.value("spill")) == ("yours-v1", 3, 0.4)
    assert scenario.value("lending_reserve") == 4000.0


def test_files_that_extend_each_other_are_refused(tmp_path) -> None:
    (tmp_path / "a.toml").write_text(f'extends = "{tmp_path}/b.toml"\n')
    (tmp_path / "b.toml").write_text(f'extends = "{tmp_path}/a.toml"\n')
    with pytest.raises(ValueError, match="extends itself"):
        spiral_env.load_scenario(tmp_path / "a.toml")


# -- what a file may be -----------------------------------------------------------------------------------------------

HEAD = 'id = "mine-v1"\ntitle = "Mine"\n'
BAD_FILES = {
    "deep lists": ("x = " + "[" * 5000 + "]" * 5000, "nested more than"),
    "deep tables": (HEAD + f"[{'.'.join('a' * 80)}]", "nested more than"),
    "nothing": ("", "id is missing"),
    "no title": ('id = "mine-v1"', "title is missing"),
    "a title of two lines": ('id = "mine-v1"\ntitle = "a\\nb"', "title must be a text of one line"),
    "a bool for a count": (HEAD + "num_smes = true", "num_smes must be an integer, got True"),
    "a text for a count": (HEAD + 'num_smes = "8"', "num_smes must be an integer, got '8'"),
    "a float for a count": (HEAD + "max_cycles = 12.0", "max_cycles must be an integer, got 12.0"),
    "a bool for a horizon": (HEAD + "max_cycles = true", "max_cycles must be an integer, got True"),
    "a long number": (HEAD + "num_smes = " + "9" * 4000, "num_smes must be in"),
    "nan": (HEAD + "[params]\nspill = nan", "params.spill must be in .* got nan"),
    "inf": (HEAD + "[params]\nspill = inf", "params.spill must be in .* got inf"),
    "a bad range": (HEAD + "[ranges]\nspill = [0.0, 9.0]", r"ranges\.spill must be in \[0, 1\] \(1\), got 9"),
    "an unknown range": (HEAD + "[ranges]\nspil = [0.0, 1.0]", r"ranges\.spil is not .* did you mean spill"),
    "many unknown keys": (HEAD + "".join(f"k{i} = 1\n" for i in range(50_000)), "k0 is not a key of a scenario"),
    "many unknown parameters": (HEAD + "[params]\n" + "".join(f"k{i} = 1\n" for i in range(50_000)), "params.k0 is"),
    "a long name": (HEAD + "k" * 5000 + " = 1", "k is not a key of a scenario"),
    "a long list": (HEAD + f"params = [{'1, ' * 9999}]", "params must be a table"),
    "no seeds": (HEAD + "held_out_seeds = []", "held_out_seeds must have 2 entries, got 0"),
    "an empty range of seeds": (HEAD + "train_seeds = [5, 5]", "train_seeds must be"),
    "seeds that are bools": (HEAD + "train_seeds = [false, true]", "train_seeds must be an integer, got False"),
    "a file too large": ("#" * 2**21, "must have at most"),
    "extends a number": ("extends = 3", "extends must be a scenario id or file, got 3"),
    "extends nothing": ('extends = "nope.toml"', "nope.toml cannot be read"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_ends_in_one_line(name: str, tmp_path) -> None:
    text, expected = BAD_FILES[name]
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ValueError, match=expected) as caught:
        spiral_env.load_scenario(tmp_path / "x.toml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_what_is_no_plain_file_is_refused_unread(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(HEAD.encode() + b'description = "\xff"')
    for name in ("pipe", "zero", "folder", "latin", "no\0ne"):
        with pytest.raises(ValueError, match=r"regular file|UTF-8|null") as caught:
            spiral_env.load_scenario(tmp_path / f"{name}.toml")
        assert str(caught.value).isprintable()


def test_a_chain_of_files_has_an_end(tmp_path) -> None:
    for k in range(2000):
        (tmp_path / f"{k}.toml").write_text(f'extends = "{k + 1}.toml"\n')
    with pytest.raises(ValueError, match="must extend at most 16 others"):
        spiral_env.load_scenario(tmp_path / "0.toml")


def test_names_and_marks_of_the_byte_order_do_not_matter(tmp_path) -> None:
    for name in (b"plain.toml", b"\xff\xfe.toml", b"[eu] a,b #%20?.toml"):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        Path(path).write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
        assert spiral_env.load_scenario(path).id == "mine-v1"


def test_a_copy_with_other_values_is_checked_too() -> None:
    scenario = spiral_env.load_scenario("small-v1")
    assert scenario.model_copy(update={"num_smes": 3}).num_smes == 3
    with pytest.raises(ValueError, match=r"num_smes must be in \[1, 512\], got 0"):
        scenario.model_copy(update={"num_smes": 0})


def test_rows_of_a_training_run_share_a_world_only_where_there_are_too_few() -> None:
    few = Scenario(id="mine-v1", title="Mine", train_seeds=(100, 110), held_out_seeds=(0, 5))
    assert sorted(few.training_seeds(0, 10)) == list(range(100, 110))
    assert sorted(few.training_seeds(0, 20)) == sorted([*range(100, 110)] * 2)
    with pytest.raises(ValueError, match="episodes must be at most the 5 held_out_seeds of mine-v1, got 6"):
        few.evaluation_seeds(0, 6)


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
    signs = "".join(c for c in map(chr, range(0x300)) if c.isprintable()) + "[/eu] \U0001f600 ''' \\"
    scenario = Scenario(id="mine-v1", title=signs, description=f"{signs}\n\t{signs}")
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
    with resources.as_file(resources.files("spiral_env.scenarios") / "procedural-v1.toml") as path:
        assert spiral_env.load_scenario(path).hash == spiral_env.load_scenario("procedural-v1").hash


def test_a_range_of_one_value_sets_that_value() -> None:
    scenario = Scenario(id="mine-v1", title="x", ranges={"arrival_rate": [0.5, 0.5]})
    assert (opened(scenario.world(), range(2)).params["arrival_rate"] == 0.5).all()
