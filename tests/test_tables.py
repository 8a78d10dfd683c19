"""The tables of the roles: one line a feature or a lever, and the names that kernels use for their places."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest

import spiral_env
from spiral_env.core.state import FIELDS
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import FEATURES, LEVERS, MAX_LEVERS, NUM_LEVERS, ROLES, business, finance, it, public, sme
from spiral_env.roles._tables import Feature, features, own_action, per, places, scales

MODULES = {"it": it, "business": business, "finance": finance, "sme": sme}


def test_a_line_gives_name_bounds_scale_and_unit() -> None:
    (cash,) = features("cash -4 4 2000 k$ a month")
    assert cash == Feature("cash", -4.0, 4.0, 2000.0, "k$ a month", "cash")
    assert cash.one == "2,000 k$ a month"
    assert features("trust 0 1 1 share")[0].one == "share"


def test_names_stand_for_places_and_groups_for_all_of_theirs() -> None:
    table = features("a 0 1 1 x") + per(("p", "q"), "b 0 1 2 x\nc 0 1 3 x") + own_action(LEVERS["it"][:1])
    assert [x.name for x in table] == ["a", "b_p", "c_p", "b_q", "c_q", "last_edge"]
    assert places(table)._asdict() == {"a": 0, "b": (1, 3), "c": (2, 4), "last": (5,)}
    assert scales(table)._asdict() == {"a": 1.0, "b": 2.0, "c": 3.0, "last": 1.0}


@pytest.mark.parametrize("role", ROLES)
def test_the_names_of_a_role_are_those_of_its_tables(role: str) -> None:
    module = MODULES[role]
    flat: list[int] = []
    for at in module.FEATURE:
        flat.extend(at if isinstance(at, tuple) else (at,))
    assert sorted(flat) == list(range(len(FEATURES[role])))
    assert list(module.LEVER._asdict()) == [x.name for x in LEVERS[role]]
    assert [x.name for x in FEATURES[role]][-NUM_LEVERS[role] :] == [f"last_{x.name}" for x in LEVERS[role]]
    assert len({x.name for x in FEATURES[role]}) == len(FEATURES[role])
    assert STATUS_QUO[role] == tuple(x.average for x in LEVERS[role])
    assert len(LEVERS[role]) == NUM_LEVERS[role] <= MAX_LEVERS


@pytest.mark.parametrize(
    ("module", "table"), [(public, public.PUBLIC_FEATURES), *((MODULES[r], FEATURES[r]) for r in ROLES)]
)
def test_a_kernel_divides_by_the_scale_of_the_table_and_by_no_other(module: Any, table: tuple[Feature, ...]) -> None:
    source = inspect.getsource(module.observe.py_func)
    shared = () if module is public else public.PUBLIC_FEATURES
    scaled = {x.group for x in table if x.scale != 1.0 and x not in shared}
    assert set(re.findall(r"SCALE\.(\w+)", source)) == scaled
    written = set(re.findall(r"out\[FEATURE\.(\w+)", source))
    assert written == {x.group for x in table if x not in shared and x.group != "last"}


def test_a_draw_of_noise_has_a_place_of_its_own() -> None:
    numbers = list(public.NOISE)
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) == public.NOISE.sme_premium


def test_the_record_has_room_for_the_levers_of_each_role() -> None:
    record = spiral_env.parallel_env("small-v1").engine.states[0]
    assert [record[f"{role}_action"].shape[-1] for role in ROLES] == list(NUM_LEVERS.values())
    assert {f.shape[-1] for f in FIELDS if f.name.endswith("_action")} == {f"{role}_levers" for role in ROLES}


def test_the_bounds_of_a_feature_are_those_of_its_space() -> None:
    env = spiral_env.vector_env("small-v1")
    for role in ROLES:
        space: Any = env.single_observation_space[role]
        np.testing.assert_array_equal(space.low, np.array([x.low for x in FEATURES[role]], np.float32))
        np.testing.assert_array_equal(space.high, np.array([x.high for x in FEATURES[role]], np.float32))
