"""What agents ask for, what they are granted and pay: visible in every view, and never punished for asking."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from episodes import joint, keyed_efforts, middle, opened, played, world
from hypothesis import given, settings
from hypothesis import strategies as st

import spiral_env
from spiral_env.metrics import MONTH_KEYS, SPENDING_KEYS
from spiral_env.roles import LEVERS, MAX_LEVERS, ROLES
from spiral_env.simulator.engine import Engine
from spiral_env.tuple_env import TupleEnv
from tests.command_line import spiral

MONTHS = 3
# Little money, so that what is paid is less than what was asked for.
POOR = {"security_cash": 5.0, "treasury_cash": 50.0, "platform_cash": 3.0}


def _poor_world(tmp_path: Any) -> str:
    lines = [f"{name} = {value}" for name, value in POOR.items()]
    path = tmp_path / "poor.toml"
    path.write_text("\n".join(['extends = "small-v1"', 'id = "poor-v1"', 'title = "Poor"', "[params]", *lines]))
    return str(path)


def _tensors(num_envs: int, **options: Any) -> Any:
    return spiral_env.vector_env("small-v1", num_envs, device="cpu", **options)


def _told(env: Any) -> dict[str, tuple[float, float]]:
    """Asked and paid of each agent, from the fields of a parallel environment's state."""
    s = env.engine.states[0]
    out = {f"{role}_0": (float(s[f"{role}_asked"]), float(s[f"{role}_cost"])) for role in ROLES[:3]}
    return out | {f"sme_{i}": (float(s.sme_asked[i]), float(s.sme_cost[i])) for i in range(8)}


def test_the_infos_of_all_agents_say_what_was_asked_and_paid(tmp_path) -> None:
    assert {"asked", "paid"} < set(MONTH_KEYS)
    scenario = _poor_world(tmp_path)
    together, turns = spiral_env.parallel_env(scenario), spiral_env.env(scenario)
    _, infos = together.reset(seed=2)
    assert all(info["asked"] == info["paid"] == 0.0 for info in infos.values())
    turns.reset(seed=2)
    short = 0
    for month in range(MONTHS):
        actions = joint(together, 4, month)
        *_, infos = together.step(actions)
        for agent in turns.possible_agents:
            turns.step(actions[agent])
        told = _told(together)
        assert {agent: (info["asked"], info["paid"]) for agent, info in infos.items()} == told
        assert {agent: (turns.infos[agent]["asked"], turns.infos[agent]["paid"]) for agent in told} == told
        short += sum(paid < asked for asked, paid in told.values())
    assert short > 0, "nobody went short"


def test_batches_single_roles_and_tuples_say_the_same(tmp_path) -> None:
    scenario = _poor_world(tmp_path)
    plain, batch, tuples = spiral_env.parallel_env(scenario), spiral_env.vector_env(scenario, 1), TupleEnv(scenario)
    for env in (plain, batch, tuples):
        env.reset(seed=2)
    for _ in range(MONTHS):
        *_, infos = plain.step({agent: np.ones(plain.action_space(agent).shape, np.int64) for agent in plain.agents})
        *_, shared = batch.step(middle(batch))
        *_, of_tuples = tuples.step([(space.n - 1) // 2 for space in tuples.action_space])
        for word in ("asked", "paid"):
            by_role = {role: [x[word] for agent, x in infos.items() if agent.startswith(role)] for role in ROLES}
            assert {role: x[0].tolist() for role, x in shared[word].items()} == by_role
            assert {role: of_tuples[f"{role}_{word}"] for role in ROLES} == pytest.approx(
                {role: sum(x) for role, x in by_role.items()}
            )


@pytest.mark.parametrize("role", ROLES)
def test_an_agent_that_acts_alone_is_told_its_own(role: str, tmp_path) -> None:
    options = {"scenario": _poor_world(tmp_path), "role": role, "partners": "status_quo"}
    one = gymnasium.make("spiral_env/SingleRole-v0", **options)
    rows = gymnasium.make_vec("spiral_env/SingleRole-v0", 2, vectorization_mode="vector_entry_point", **options)
    one.reset(seed=2)
    rows.reset(seed=2)
    for _ in range(MONTHS):
        *_, info = one.step(np.full(len(LEVERS[role]), 2))
        *_, infos = rows.step(np.full((2, len(LEVERS[role])), 2))
        told = _told(one.unwrapped.inner)[f"{role}_0"]
        assert (info["asked"], info["paid"]) == told
        assert (infos["asked"][0], infos["paid"][0]) == told


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
def test_a_row_that_lived_no_month_asked_for_nothing(mode: str) -> None:
    env = spiral_env.vector_env("small-v1", 2, autoreset_mode=mode, max_cycles=2)
    env.reset(seed=0)
    said = [env.step(middle(env))[-1]["asked"]["it"][0, 0] > 0.0 for _ in range(4)]
    assert said == {"next_step": [True, True, False, True], "same_step": [True] * 4}.get(mode, [True] * 2 + [False] * 2)


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
def test_a_batch_of_tensors_is_told_the_same(mode: str) -> None:
    options = {"autoreset_mode": mode, "max_cycles": 2}
    arrays, tensors = spiral_env.vector_env("small-v1", 2, **options), _tensors(2, **options)
    arrays.reset(seed=0)
    tensors.reset(seed=0)
    for _ in range(4):
        actions = middle(arrays)
        *_, plain = arrays.step(actions)
        *_, told = tensors.step({role: torch.from_numpy(x) for role, x in actions.items()})
        for word in ("asked", "paid"):
            for role in ROLES:
                np.testing.assert_array_equal(told[word][role].numpy(), plain[word][role])


def test_rollout_shows_what_each_role_asked_for_and_paid(tmp_path) -> None:
    out = tmp_path / "table.csv"
    options = ("--scenario", _poor_world(tmp_path), "--seed", "1", "--out", str(out))
    rows = json.loads(spiral("rollout", *options, "--json").out)
    assert SPENDING_KEYS.keys() <= rows[0].keys()
    assert {f"{role}_{word}" for role in ROLES for word in ("asked", "paid")} == set(SPENDING_KEYS)
    header, first, *_ = out.read_text().splitlines()
    told = dict(zip(header.split(","), first.split(","), strict=True))
    assert all(float(told[name]) == rows[0][name] for name in SPENDING_KEYS)
    assert all(0.0 <= rows[0][f"{role}_paid"] <= rows[0][f"{role}_asked"] for role in ROLES)
    assert rows[0]["business_paid"] < rows[0]["business_asked"]


# -- asking for more --------------------------------------------------------------------------------------------------


def _asked(engine: Engine, posture: float, tools: float = 0.0) -> np.ndarray:
    """Everything middling, IT in one posture on every tier."""
    out = np.full((engine.num_envs, engine.num_agents, MAX_LEVERS), 0.5)
    out[:, 0, :3] = posture
    out[:, 0, 3:5] = tools
    return out


@pytest.mark.parametrize("budget", [1.0, 6.0, 12.0, 24.0, 200.0])
def test_asking_for_everything_on_a_low_budget_still_patches(budget: float) -> None:
    made = world(security_cash=0.0, security_release=(budget,) * 3, backlog_open=80.0)
    patched, hazard, short = {}, {}, {}
    for name, posture, tools in (("defer", 0.0, 0.0), ("batch", 0.5, 0.0), ("all", 1.0, 1.0)):
        engine = opened(made, range(32))
        engine.step(_asked(engine, posture, tools))
        s = engine.states
        patched[name], hazard[name] = s["patched"].sum(), s["base_hazard"].sum(1)
        short[name] = (s["it_cost"] < 0.999 * s["it_asked"]).all()
    assert patched["defer"] == 0
    assert (patched["all"] > 0) == (patched["batch"] > 0)
    assert patched["all"] > 0 or budget < 24.0
    assert (hazard["all"] <= hazard["defer"]).all()
    assert short["all"] == (budget < 200.0)


@given(
    seed=st.integers(0, 2**40),
    months=st.integers(0, 12),
    budget=st.floats(0.01, 100.0),
    wishes=st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6),
)
@settings(max_examples=25)
def test_no_wish_of_it_patches_less_or_leaves_more_open_than_no_wish_at_all(
    seed: int, months: int, budget: float, wishes: list[float]
) -> None:
    seeds = range(seed, seed + 4)
    asking = played(world(max_cycles=600, security_release=(budget,) * 3), seeds, months)
    efforts = keyed_efforts(seeds, months, asking.num_agents)
    efforts[:, 0, : len(wishes)] = wishes
    silent = efforts.copy()
    silent[:, 0] = 0.0
    states = []
    for chosen in (efforts, silent):
        engine = opened(asking.world, seeds)
        engine.load(*asking.save())
        engine.step(chosen)
        states.append(engine.states)
        paid, asked = engine.states["it_cost"], engine.states["it_asked"]
        assert (paid <= asked * (1.0 + 1e-12)).all()
    assert (states[0]["patched"] >= states[1]["patched"]).all()
    assert (states[0]["base_hazard"] <= states[1]["base_hazard"] * (1.0 + 1e-12)).all()


@given(seed=st.integers(0, 2**40), months=st.integers(0, 24), share=st.floats(0.0, 1.0))
@settings(max_examples=25)
def test_nobody_pays_more_than_was_asked_or_than_there_is(seed: int, months: int, share: float) -> None:
    seeds = range(seed, seed + 4)
    engine = played(world(max_cycles=600, subsidy_tools=0.0, tax_break_esg=0.0), seeds, months)
    efforts = np.maximum(keyed_efforts(seeds, months, engine.num_agents), share)
    for name in ("balance", "sme_cash"):
        engine.states[name] *= share
    cash = engine.states["sme_cash"].copy()
    engine.step(efforts)
    s = engine.states
    for field in SPENDING_KEYS.values():
        if field.endswith("_cost"):
            assert (s[field] <= s[field.replace("_cost", "_asked")] * (1.0 + 1e-12)).all(), field
    assert (s["sme_cost"] <= np.maximum(cash, 0.0) * (1.0 + 1e-9) + 1e-9)[:, :8].all()
