import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test

import spiral_env
from spiral_env.roles import FEATURES


def play(env, seed, months=60):
    rng = np.random.default_rng(7)
    log = []
    observations, _ = env.reset(seed=seed)
    for _ in range(months):
        if not env.agents:
            break
        actions = {a: rng.integers(0, 3, 5) for a in env.agents}
        observations, rewards, *_ = env.step(actions)
        log.append((b"".join(x.tobytes() for x in observations.values()), tuple(rewards.values())))
    return log


@pytest.mark.filterwarnings("ignore")
def test_pettingzoo_accepts_the_parallel_and_the_agent_by_agent_environment():
    parallel_api_test(spiral_env.parallel_env(), 150)
    parallel_seed_test(spiral_env.parallel_env)
    api_test(spiral_env.env(), 150)


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_accepts_the_view_of_every_role():
    for role in FEATURES:
        check_env(gymnasium.make("spiral_env/SingleRole-v0", role=role).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_fixes_the_whole_episode(seed):
    first, env = play(spiral_env.parallel_env(), seed), spiral_env.parallel_env()
    assert first == play(env, seed)
    assert first == play(env, seed)
    assert first == play(pickle.loads(pickle.dumps(env)), seed)
    assert first != play(env, seed + 1)


def test_observations_keep_dtype_shape_bounds_and_every_feature_varies():
    env = spiral_env.parallel_env()
    seen = {agent: [] for agent in env.possible_agents}
    rng = np.random.default_rng(0)
    for seed in range(12):
        observations, infos = env.reset(seed=seed)
        while env.agents:
            assert list(observations) == env.possible_agents
            assert all(list(infos[a]) == list(infos["it_0"]) for a in infos)
            for agent, x in observations.items():
                assert env.observation_space(agent).contains(x)
                seen[agent].append(x)
            observations, rewards, _, _, infos = env.step({a: rng.integers(0, 3, 5) for a in env.agents})
            assert np.isfinite(list(rewards.values())).all()
    for agent in ("it_0", "business_0", "finance_0", "sme_0"):
        role = agent.split("_")[0]
        still = [f.name for f, sd in zip(FEATURES[role], np.std(seen[agent], axis=0), strict=True) if sd == 0.0]
        assert still == []


def test_a_snapshot_restores_the_episode_exactly():
    env = spiral_env.parallel_env()
    env.reset(seed=3)
    act = {a: np.ones(5, dtype=np.int64) for a in env.agents}
    env.step(act)
    saved = env.snapshot()
    first = [tuple(env.step(act)[1].values()) for _ in range(5)]
    env.restore(saved)
    assert first == [tuple(env.step(act)[1].values()) for _ in range(5)]


def test_vector_rows_equal_the_parallel_environment():
    vector = spiral_env.vector_env("baseline-v0", 3, autoreset_mode="disabled")
    vector.reset(seed=5)
    single = spiral_env.parallel_env()
    single.reset(seed=6)
    for month in range(60):
        rng = np.random.default_rng(month)
        actions = {r: rng.integers(0, 3, (3, n, 5)) for r, n in vector.num_agents_of.items()}
        observations, rewards, *_ = vector.step(actions)
        joint = np.concatenate([actions[r][1] for r in actions])
        seen, paid, *_ = single.step(dict(zip(single.agents, joint, strict=True)))
        assert (observations["sme"][1, 2] == seen["sme_2"]).all()
        assert rewards["it"][1, 0] == paid["it_0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "no-such-v0"}, "scenario must be"),
        ({"num_smes": 0}, "num_smes must be in"),
        ({"max_cycles": 0}, "max_cycles must be in"),
        ({"levels": 1}, "levels must be in"),
        ({"action_mode": "analog"}, "action_mode must be one of"),
        ({"reward_mode": "kind"}, "reward_mode must be one of"),
        ({"render_mode": "hologram"}, "render_mode must be"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        spiral_env.parallel_env(**options)
    assert "\n" not in str(caught.value)


def test_a_wrong_action_is_named():
    env = spiral_env.parallel_env()
    env.reset(seed=0)
    good = {a: np.ones(5, dtype=np.int64) for a in env.agents}
    for bad, message in (
        ({**good, "it_0": np.ones(4, dtype=np.int64)}, "action of it_0 must have shape"),
        ({**good, "it_0": np.full(5, 3)}, "action of it_0"),
        ({**good, "cfo_0": np.ones(5)}, "unknown agent 'cfo_0'"),
        ({a: x for a, x in good.items() if a != "sme_3"}, "'sme_3' is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            env.step(bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "baseline-v0"\n[params]\nspil = 0.1\n', "did you mean spill"),
        ('extends = "baseline-v0"\n[params]\nspill = 7.0\n', r"must be in \[0, 1\]"),
        ('extends = "baseline-v0"\nsmes = 3\n', "not a key of a scenario"),
        ("id = ", "not TOML"),
    ],
)
def test_a_wrong_scenario_file_is_named_in_one_line(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        spiral_env.load_scenario(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scenario", spiral_env.scenario_ids())
def test_a_scenario_survives_toml(tmp_path, scenario):
    path = tmp_path / "copy.toml"
    path.write_text(spiral_env.load_scenario(scenario).to_toml())
    assert spiral_env.load_scenario(path) == spiral_env.load_scenario(scenario)
