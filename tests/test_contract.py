"""Our own contract of the environments, stricter than PettingZoo's: every scenario, every way to act and be paid."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from episodes import keyed_levels
from gymnasium import spaces

import spiral_env
from spiral_env.metrics import HEADLINES, MONTH_KEYS, OUTCOME_KEYS
from spiral_env.roles import FEATURES, NUM_LEVERS, ROLES
from spiral_env.simulator.engine import REWARD_MODES
from spiral_env.spaces import ACTION_MODES, REWARD_BASES, agent_role

INFO_KEYS = (*MONTH_KEYS, *(OUTCOME_KEYS[name] for name in HEADLINES))
SCENARIOS = spiral_env.scenario_ids()
# Each option set with a scenario, each scenario with an option set; the large one is played briefly.
OPTIONS = list(itertools.product(ACTION_MODES, (False, True), REWARD_MODES, REWARD_BASES))
LITTLE = {"need_pool": 50.0, "need_capital": 50.0, "need_stock": 0.05, "start_value": 1.0, "stage_months": 1.0}
LITTLE |= {"gate_risk": 10.0, "gate_trust": 0.0, "gate_months": 1.0}
CASES = [(SCENARIOS[k % len(SCENARIOS)], *option) for k, option in enumerate(OPTIONS)]


def keyed_action(space: spaces.Space, seed: int, month: int, row: int) -> Any:
    """An action of any of our action spaces, the same on every machine."""
    levels = keyed_levels(seed, month, row + 1)[row]
    if isinstance(space, spaces.Discrete):
        return np.int64(levels @ (3 ** np.arange(len(levels))) % space.n)
    if isinstance(space, spaces.Box):
        return (levels[: space.shape[0]] / 2.0).astype(np.float32)
    return levels[: space.shape[0]]


def actions_of(env: Any, seed: int, month: int) -> dict[str, Any]:
    return {a: keyed_action(env.action_space(a), seed, month, k) for k, a in enumerate(env.agents)}


def check_month(env: Any, observations: dict, infos: dict, agents: list[str]) -> None:
    """What holds after reset and after every step."""
    assert type(observations) is dict
    assert list(observations) == list(infos) == agents
    arrays = list(observations.values())
    for agent, seen in observations.items():
        space = env.observation_space(agent)
        assert type(seen) is np.ndarray
        assert seen.dtype == np.float32
        assert seen.shape == space.shape
        assert np.isfinite(seen).all()
        assert (seen >= space.low).all()
        assert (seen <= space.high).all()
    assert not any(np.shares_memory(a, b) for a, b in itertools.pairwise(arrays))
    for info in infos.values():
        assert tuple(info) == INFO_KEYS
        assert all(type(x) is float and np.isfinite(x) for x in info.values())
    assert len({id(info) for info in infos.values()}) == len(infos)
    state = env.state()
    assert state.dtype == np.float32
    assert state.shape == env.state_space.shape
    assert np.isfinite(state).all()


def check_payment(rewards: dict, terminations: dict, truncations: dict, agents: list[str]) -> None:
    assert list(rewards) == list(terminations) == list(truncations) == agents
    assert all(type(x) is float and np.isfinite(x) for x in rewards.values())
    for flags in (terminations, truncations):
        assert all(type(x) is bool for x in flags.values())
        assert len(set(flags.values())) == 1
    assert not (terminations[agents[0]] and truncations[agents[0]])


def check_spaces(env: Any) -> None:
    assert env.possible_agents[:3] == ["it_0", "business_0", "finance_0"]
    assert list(env.observation_spaces) == list(env.action_spaces) == env.possible_agents
    for agent in env.possible_agents:
        assert env.observation_space(agent) is env.observation_space(agent)
        assert env.action_space(agent) is env.action_space(agent)
        assert env.observation_space(agent).is_bounded()
    if env.options.homogenize:
        assert len({str(env.observation_space(a)) for a in env.possible_agents}) == 1
        assert len({str(env.action_space(a)) for a in env.possible_agents}) == 1


@pytest.mark.parametrize(("scenario", "action_mode", "homogenize", "reward_mode", "reward_basis"), CASES)
def test_an_episode_keeps_the_contract(
    scenario: str, action_mode: str, homogenize: bool, reward_mode: str, reward_basis: str
) -> None:
    env = spiral_env.parallel_env(
        scenario,
        action_mode=action_mode,
        homogenize=homogenize,
        reward_mode=reward_mode,
        reward_basis=reward_basis,
        max_cycles=12 if scenario == "large-v1" else None,
    )
    check_spaces(env)
    agents = list(env.possible_agents)
    observations, infos = env.reset(seed=3)
    check_month(env, observations, infos, agents)
    for month in range(env.max_cycles):
        before = {a: x.copy() for a, x in observations.items()}
        given = actions_of(env, 5, month)
        kept = {a: np.copy(x) for a, x in given.items()}
        seen, rewards, terminations, truncations, infos = env.step(given)
        check_month(env, seen, infos, agents)
        check_payment(rewards, terminations, truncations, agents)
        assert all((before[a] == observations[a]).all() for a in agents), "an old observation was overwritten"
        assert all((kept[a] == given[a]).all() for a in agents), "an action was changed"
        observations = seen
        if not env.agents:
            break
    assert env.agents == []
    assert truncations["it_0"] == (month == env.max_cycles - 1 and not terminations["it_0"])
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_the_cases_cover_every_scenario_and_option() -> None:
    columns = [set(column) for column in zip(*CASES, strict=True)]
    assert columns == [set(SCENARIOS), set(ACTION_MODES), {False, True}, set(REWARD_MODES), set(REWARD_BASES)]


def test_cooperative_agents_are_paid_alike_and_selfish_ones_are_not() -> None:
    for mode, distinct in (("cooperative", 1), ("selfish", 11)):
        env = spiral_env.parallel_env("small-v1", reward_mode=mode)
        env.reset(seed=1)
        assert len(set(env.step(actions_of(env, 1, 0))[1].values())) == distinct


def test_a_homogenised_observation_is_the_own_one_padded_with_the_role() -> None:
    plain, padded = spiral_env.parallel_env("small-v1"), spiral_env.parallel_env("small-v1", homogenize=True)
    (own, _), (wide, _) = plain.reset(seed=8), padded.reset(seed=8)
    for agent, seen in own.items():
        rest = wide[agent][len(seen) : -len(ROLES)]
        assert (wide[agent][: len(seen)] == seen).all()
        assert (rest == 0.0).all()
        assert list(wide[agent][-len(ROLES) :]) == [float(agent_role(agent) == role) for role in ROLES]


def test_the_three_ways_to_act_name_the_same_effort() -> None:
    logs = []
    for mode in ACTION_MODES:
        env = spiral_env.parallel_env("small-v1", action_mode=mode)
        env.reset(seed=2)
        for month in range(6):
            levels = keyed_levels(9, month, len(env.agents))
            joint = {}
            for agent, row in zip(env.agents, levels, strict=True):
                own = row[: NUM_LEVERS[agent_role(agent)]]
                flat = own @ (3 ** np.arange(len(own) - 1, -1, -1))
                joint[agent] = {"multi_discrete": own, "continuous": own / np.float32(2.0), "discrete": flat}[mode]
            observations, *_ = env.step(joint)
        logs.append(b"".join(x.tobytes() for x in observations.values()))
    assert len(set(logs)) == 1


def test_every_feature_of_every_role_varies_under_random_play() -> None:
    # Random play seldom climbs, so half of the worlds ask for little.
    plain = spiral_env.load_scenario("small-v1")
    easy = plain.model_copy(update={"params": {**plain.params, **LITTLE}})
    envs = [spiral_env.parallel_env(scenario) for scenario in (plain, easy)]
    seen: dict[str, list[np.ndarray]] = {role: [] for role in ROLES}
    for seed in range(24):
        env = envs[seed % 2]
        observations, _ = env.reset(seed=seed)
        month = 0
        while env.agents:
            for agent, x in observations.items():
                seen[agent_role(agent)].append(x)
            observations, *_ = env.step(actions_of(env, seed, month))
            month += 1
    for role in ROLES:
        spread = np.ptp(seen[role], axis=0)
        assert [f.name for f, x in zip(FEATURES[role], spread, strict=True) if x == 0.0] == []


def test_the_infos_split_what_an_agent_is_paid_for() -> None:
    env = spiral_env.parallel_env("small-v1", reward_mode="selfish")
    env.reset(seed=4)
    _, rewards, _, _, infos = env.step(actions_of(env, 4, 0))
    p = env.engine.params[0]
    for agent in env.possible_agents:
        role = agent_role(agent)
        parts = [infos[agent][k] for k in ("security", "cost", "value")]
        assert rewards[agent] == pytest.approx(np.dot(parts, p[f"weight_{role}"]) / p[f"scale_{role}"], rel=1e-12)
        assert parts == env.reward_vectors()[agent].tolist()


@pytest.mark.parametrize("scenario", ["small-v1", "zero-threat-v1", "procedural-v1"])
def test_the_infos_say_each_month_what_the_episode_came_to_so_far(scenario: str) -> None:
    env = spiral_env.parallel_env(scenario)
    env.reset(seed=4)
    month = 0
    while env.agents:
        *_, infos = env.step(actions_of(env, 4, month))
        month += 1
        measures = env.metrics()
        for info in infos.values():
            assert {name: info[OUTCOME_KEYS[name]] for name in HEADLINES} == {n: measures[n] for n in HEADLINES}
    assert measures["ecosystem_value"] != infos["it_0"]["ecosystem_value"], "the month's is not the episode's"


def test_the_turn_based_environment_says_the_same_in_its_last_infos() -> None:
    turns, together = spiral_env.env("small-v1", max_cycles=3), spiral_env.parallel_env("small-v1", max_cycles=3)
    turns.reset(seed=4)
    together.reset(seed=4)
    for month in range(3):
        actions = actions_of(together, 4, month)
        *_, infos = together.step(actions)
        for agent in together.possible_agents:
            assert turns.agent_selection == agent
            turns.step(actions[agent])
    assert turns.infos == infos


def test_the_statement_of_accounts_balances_to_the_cent() -> None:
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=4)
    for month in range(12):
        env.step(actions_of(env, 4, month))
        rows = env.statement()
        assert all(abs(sum(row.values())) < 1e-9 for row in rows.values())
        assert rows["platform_sales"]["platform"] > 0.0 > rows["platform_sales"]["world"]
