import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test

import spiral_env
from spiral_env.roles import FEATURES


@pytest.mark.filterwarnings("ignore")
def test_pettingzoo_accepts_the_parallel_and_the_agent_by_agent_environment():
    parallel_api_test(spiral_env.parallel_env("small-v1"), 150)
    parallel_seed_test(spiral_env.parallel_env)
    api_test(spiral_env.env("small-v1"), 150)


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_accepts_the_view_of_every_role():
    for role in FEATURES:
        check_env(
            gymnasium.make("spiral_env/SingleRole-v0", scenario="small-v1", role=role).unwrapped, skip_render_check=True
        )


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
    env = spiral_env.parallel_env("small-v1")
    env.reset(seed=0)
    good = {a: np.ones(env.action_space(a).shape, dtype=np.int64) for a in env.agents}
    for bad, message in (
        ({**good, "it_0": np.ones(1, dtype=np.int64)}, "action of it_0 must have shape"),
        ({**good, "it_0": np.full(good["it_0"].shape, 3)}, r"action of it_0: edge must be in \[0, 2\], got 3"),
        ({**good, "cfo_0": good["it_0"]}, "agent of actions must be one of it_0, .* got 'cfo_0'"),
        ({a: x for a, x in good.items() if a != "sme_3"}, "'sme_3' is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            env.step(bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "small-v1"\n[params]\nspil = 0.1\n', "did you mean spill"),
        ('extends = "small-v1"\n[params]\nspill = 7.0\n', r"must be in \[0, 1\]"),
        ('extends = "small-v1"\nsmes = 3\n', "not a key of a scenario"),
        ("id = ", "no usable TOML"),
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
