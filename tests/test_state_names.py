"""Every number of ``state()`` has a name and a unit, from the table of fields."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import spiral

import spiral_env
from spiral_env.core.state import FIELDS
from spiral_env.roles import LEVERS


@pytest.mark.parametrize(("scenario", "num_smes"), [("small-v1", None), ("small-v1", 3), ("one-month-pool-v1", 1)])
def test_the_state_has_as_many_names_and_units_as_numbers(scenario: str, num_smes: int | None) -> None:
    single = spiral_env.parallel_env(scenario, num_smes=num_smes)
    batch = spiral_env.vector_env(scenario, 2, num_smes=num_smes)
    assert single.state_space.shape == (len(single.state_names),) == (len(single.state_units),)
    assert batch.state_names == single.state_names
    assert batch.state_units == single.state_units
    assert batch.state().shape == (2, len(batch.state_names))
    assert len(set(single.state_names)) == len(single.state_names)
    assert all(single.state_units)


def test_a_name_of_the_state_leads_to_its_number() -> None:
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=2)
    env.step({agent: env.action_space(agent).sample() * 0 + 1 for agent in env.agents})
    state, record = dict(zip(env.state_names, env.state(), strict=True)), env.engine.states[0]
    assert state["pool"] == np.float32(record["pool"])
    assert state["sme_revenue[3]"] == np.float32(record["sme_revenue"][3])
    assert state["balance[treasury]"] == np.float32(record["balance"][2])
    assert state["posture[internal]"] == record["posture"][2]
    for role in ("it", "business", "finance"):
        seen = [state[f"{role}_action[{lever.name}]"] for lever in LEVERS[role]]
        assert seen == record[f"{role}_action"].tolist()
    assert state["sme_action[7,esg]"] == record["sme_action"][7, [x.name for x in LEVERS["sme"]].index("esg")]


def test_units_are_those_of_the_fields() -> None:
    env = spiral_env.parallel_env("small-v1")
    units = dict(zip(env.state_names, env.state_units, strict=True))
    for field in FIELDS:
        if field.central:
            mine = {unit for name, unit in units.items() if name.split("[")[0] == field.name}
            assert mine == {field.unit.replace("_", " ")}


def test_the_command_line_shows_them() -> None:
    env = spiral_env.parallel_env("one-month-pool-v1")
    told = json.loads(spiral("info", "--state", "--scenario", "one-month-pool-v1", "--json").out)["state"]
    assert [(x["name"], x["unit"]) for x in told] == list(zip(env.state_names, env.state_units, strict=True))
    lines = spiral("info", "--state").out.splitlines()
    assert len(lines) >= len(spiral_env.parallel_env("small-v1").state_names)
    assert any(line.split()[1:] == ["sme_revenue[3]", "k$/month"] for line in lines)
