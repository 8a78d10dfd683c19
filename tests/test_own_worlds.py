"""Worlds that name their own services and findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import spiral
from reference import Ecosystem
from test_reference import TABLES, assert_same, assert_same_opening, law, three_levels

import spiral_env
from spiral_env.scenarios import Scenario
from spiral_env.simulator.engine import Engine

SERVICES = [
    {"name": "stock", "tier": "internal"},
    {"name": "pay", "tier": "core", "criticality": 2, "calls": ["ledger", "stock"], "tail": 0.1},
    {"name": "shop", "tier": "edge", "criticality": 3, "calls": ["stock", "pay"]},
    {"name": "ledger", "tier": "core"},
]
BACKLOG = [
    {"name": "CVE-1", "service": "pay", "class": "dependency", "cvss": 9.8, "epss": 0.2, "patch": True, "kev": True},
    *({"name": f"B60{k}", "service": "shop", "class": "code", "cvss": c} for k, c in enumerate((0, 3.9, 4, 7, 9))),
    {"name": "CVE-2", "service": "stock", "class": "dependency", "cvss": 5.0, "epss": 0.0, "patch": False},
    {"name": "CVE-3", "service": "stock", "class": "runtime", "cvss": 5.0, "epss": 1.0},
]


def own(**changes: Any) -> Scenario:
    told = {"id": "own-v1", "title": "Own", "num_smes": 2, "max_cycles": 6, "services": SERVICES, "backlog": BACKLOG}
    return Scenario(**{**told, **changes})


def opened(scenario: Scenario, seed: int = 0) -> Engine:
    engine = Engine(scenario.world(), 1)
    engine.reset(np.array([seed], dtype=np.int64))
    return engine


@pytest.mark.parametrize("seed", [0, 1])
def test_a_world_of_ones_own_equals_the_reference(seed: int) -> None:
    scenario = own()
    made, engine = scenario.world(), opened(scenario, seed)
    rows = (scenario.services, scenario.backlog)
    reference = Ecosystem(made.values, made.ranges, law(), made.num_smes, made.max_cycles, seed, TABLES, *rows)
    assert_same_opening(engine, reference)
    play = three_levels(seed)
    while not reference.done:
        efforts = play(reference.month, 3 + made.num_smes)
        reference.step(efforts.tolist())
        engine.step(efforts[None])
        assert_same(engine, reference, f"month {reference.month}")


def test_services_are_sorted_so_that_each_calls_later_ones() -> None:
    assert [x.name for x in own().services] == ["shop", "pay", "ledger", "stock"]


def test_what_nobody_says_of_a_finding_differs_by_seed_and_what_is_said_does_not() -> None:
    rows = [opened(own(), seed).states[0]["v_epss"][: len(BACKLOG)].copy() for seed in range(4)]
    told = [k for k, x in enumerate(BACKLOG) if "epss" in x]
    assert all(len({row[k] for row in rows}) == (1 if k in told else 4) for k in range(len(BACKLOG)))


def test_a_row_that_opens_again_opens_with_its_own_findings() -> None:
    engine = opened(own())
    first = engine.states[0].tobytes()
    engine.step(np.ones((1, 5, 8)))
    engine.reset(np.array([0], dtype=np.int64))
    assert engine.states[0].tobytes() == first


def test_a_file_with_own_services_loads_to_the_scenario_that_wrote_it(tmp_path: Path) -> None:
    scenario = own()
    (tmp_path / "own.toml").write_text(scenario.to_toml())
    loaded = spiral_env.load_scenario(tmp_path / "own.toml")
    assert (loaded, loaded.hash) == (scenario, scenario.hash)


def test_the_hash_tells_findings_apart_and_not_names() -> None:
    renamed = [{**x, "name": f"my {x['name']}"} for x in BACKLOG]
    worse = [{**BACKLOG[0], "cvss": 9.9}, *BACKLOG[1:]]
    assert own(backlog=renamed).hash == own().hash
    assert len({own().hash, own(backlog=worse).hash, own(backlog=BACKLOG[1:]).hash, own(backlog=[]).hash}) == 4


def test_services_replace_those_of_what_is_extended(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(own().to_toml())
    (tmp_path / "one.toml").write_text(
        'extends = "base.toml"\nid = "one-v1"\nservices = [{name = "all", tier = "edge"}]\n'
    )
    (tmp_path / "two.toml").write_text(
        'extends = "large-v1"\nid = "two-v1"\nservices = [{name = "all", tier = "edge"}]\n'
    )
    for name in ("one", "two"):
        scenario = spiral_env.load_scenario(tmp_path / f"{name}.toml")
        assert (len(scenario.services), scenario.backlog, scenario.value("num_services")) == (1, (), 1.0)


def test_services_without_a_backlog_open_with_a_drawn_one_on_every_tier_that_is_there() -> None:
    state = opened(own(services=[{"name": "a", "tier": "edge"}, {"name": "b", "tier": "core"}], backlog=[])).states[0]
    assert state["num_open"] > 5
    assert set(state["v_service"][: state["num_open"]]) == {0, 1}


def test_a_world_shows_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(own().to_toml())
    told = spiral("scenarios", "show", str(tmp_path / "own.toml")).out
    assert "Services of its own" in told
    assert "CVE-2" in told
    data = json.loads(spiral("scenarios", "show", str(tmp_path / "own.toml"), "--json").out)
    assert [x["name"] for x in data["services"]] == ["shop", "pay", "ledger", "stock"]
    assert data["num_services"]["value"] == 4.0


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"services": "shop"}, "services must be a list of tables, got 'shop'"),
        ({"services": ["shop"]}, "services[0] must be a table, got 'shop'"),
        ({"services": [{"name": "a"}]}, "services[0].tier is missing"),
        ({"services": [{"name": "a", "tier": "x"}]}, "services[0].tier must be one of edge, core, internal, got 'x'"),
        ({"services": [{"name": "a", "tier": "core"}]}, "services must hold one of tier edge at least"),
        ({"services": [{"name": "a", "tier": "edge", "weight": 1}]}, "services[0]: 'weight' is not a key of it"),
        ({"services": [{"name": "", "tier": "edge"}]}, "services[0].name must be 1 to 200 characters"),
        ({"services": [{"name": "a\x1b", "tier": "edge"}]}, "services[0].name must be 1 to 200 characters"),
        ({"services": [{"name": "a", "tier": "edge"}] * 2}, "services must name 'a' once"),
        ({"services": [{"name": f"{k}", "tier": "edge"} for k in range(33)]}, "services must have at most 32 entries"),
        ({"services": [{"name": "a", "tier": "edge", "criticality": 0}]}, "services[0].criticality must be in"),
        ({"services": [{"name": "a", "tier": "edge", "criticality": "9"}]}, "services[0].criticality must be a number"),
        ({"services": [{"name": "a", "tier": "edge", "calls": "b"}]}, "services[0].calls must be a list of names"),
        ({"services": [{"name": "a", "tier": "edge", "calls": ["b"]}]}, "services: 'a' calls 'b', which is not there"),
        ({"services": [{"name": "a", "tier": "edge", "calls": ["a"]}]}, "services: calls must form no cycle, 'a'"),
        (
            {"services": [*SERVICES, {"name": "up", "tier": "internal", "calls": ["shop"]}]},
            "services: calls go to the same tier or a deeper one, 'up' (internal) calls 'shop' (edge)",
        ),
        ({"backlog": [{**BACKLOG[0], "service": "x"}]}, "backlog: 'CVE-1' is on 'x', which services do not name"),
        ({"backlog": [{**BACKLOG[0], "cvss": 11}]}, "backlog[0].cvss must be in [0, 10], got 11"),
        ({"backlog": [{**BACKLOG[0], "cvss": float("nan")}]}, "backlog[0].cvss must be in [0, 10], got nan"),
        ({"backlog": [{**BACKLOG[0], "epss": 2}]}, "backlog[0].epss must be in [0, 1], got 2"),
        ({"backlog": [{**BACKLOG[0], "patch": "yes"}]}, "backlog[0].patch must be a bool, got 'yes'"),
        ({"backlog": [{**BACKLOG[0], "class": "sca"}]}, "backlog[0].class must be one of code, runtime"),
        ({"backlog": [{**BACKLOG[0], "name": str(k)} for k in range(257)]}, "backlog must have at most 256 entries"),
        ({"services": [], "backlog": BACKLOG}, "backlog: 'CVE-1' is on 'pay', which services do not name"),
        ({"params": {"num_services": 9.0}}, "params.num_services must be left out or 4, as services are named"),
    ],
)
def test_a_wrong_entry_is_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        own(**changes)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
