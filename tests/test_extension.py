"""A lever and a feature added in a copy, by the recipes of CONTRIBUTING.md alone: everything else follows.

The copy runs interpreted, which is slow a month and quick to start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Edit(NamedTuple):
    """A line that the recipe adds before ``mark`` in a file."""

    file: str
    mark: str
    text: str


# Both stand in the middle of their tables, so that all behind them move; roles differ in their numbers of levers.
LEVER = (
    Edit(
        "spiral_env/roles/sme.py",
        '    _tables.graded("borrowing"',
        '    _tables.graded("awareness", "cost_hygiene", "courses for all staff"),\n',
    ),
    Edit(
        "spiral_env/roles/sme.py",
        "    sharing = interpolate(",
        "    patch += interpolate(p.cost_hygiene, action[LEVER.awareness]) * scale\n",
    ),
    Edit(
        "tests/reference_parts/decisions.py",
        "    share = payable(graded,",
        '    graded += lever(p.cost_hygiene, action["awareness"]) * scale\n',
    ),
)
FEATURE = (
    Edit(
        "spiral_env/roles/sme.py",
        "        incident 0 1 1",
        "        spending 0 2 0.5 k$ of last month, own levers\n",
    ),
    Edit(
        "spiral_env/roles/sme.py",
        "    out[FEATURE.incident] =",
        "    out[FEATURE.spending] = s.sme_cost[i] / SCALE.spending\n",
    ),
    Edit("tests/reference_parts/views.py", '        "incident": float(', '        "spending": firm.cost,\n'),
)

FOLLOWS = """
from pathlib import Path
import numpy as np
import spiral_env
from spiral_env.agents import load_policy
from spiral_env.agents.checkpoint import write_policy
from spiral_env.calibration import average_firm
from spiral_env.evaluation import run_episodes
from spiral_env.roles import FEATURES, LEVERS, MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.spaces import Options
from spiral_env.training.runs.moved import unlike_average

assert NUM_LEVERS == {"it": 6, "business": 7, "finance": 9, "sme": 7} and MAX_LEVERS == 9
names = [x.name for x in FEATURES["sme"]]
assert names[-7:] == [f"last_{x.name}" for x in LEVERS["sme"]] and "last_awareness" in names

# Spaces, observations and steps of every interface, in every way to act.
for mode, homogenize in [(m, h) for m in ("multi_discrete", "continuous", "discrete") for h in (False, True)]:
    options = {"action_mode": mode, "homogenize": homogenize, "num_smes": 2, "max_cycles": 2}
    single, batch = spiral_env.parallel_env("small-v1", **options), spiral_env.vector_env("small-v1", 1, **options)
    seen, _ = single.reset(seed=3)
    blocks, _ = batch.reset(seed=3)
    levers = MAX_LEVERS if homogenize else None
    for agent in single.possible_agents:
        space, role = single.action_space(agent), agent.split("_")[0]
        count = levers or NUM_LEVERS[role]
        assert space.n == 3**count if mode == "discrete" else space.shape == (count,), (agent, space)
        assert single.observation_space(agent).contains(seen[agent])
        space.seed(sum(map(ord, agent)))
    joint = {agent: single.action_space(agent).sample() for agent in single.agents}
    members = {role: [a for a in joint if a.startswith(role)] for role in ROLES}
    after, *_ = single.step(joint)
    blocks, *_ = batch.step({role: np.stack([joint[a] for a in agents])[None] for role, agents in members.items()})
    for role, agents in members.items():
        assert all((blocks[role][0, k] == after[a]).all() for k, a in enumerate(agents)), role
    assert len(single.state_names) == len(single.state_units) == len(single.state())
    assert "sme_action[1,awareness]" in single.state_names

# What an SME last did stands in its observation, under the lever's name; the scale is the table's.
env = spiral_env.parallel_env("small-v1", action_mode="continuous", num_smes=2)
env.reset(seed=1)
efforts = {a: np.linspace(0.1, 0.9, NUM_LEVERS[a.split("_")[0]], dtype=np.float32) for a in env.agents}
seen, *_ = env.step(efforts)
own = dict(zip(names, seen["sme_1"], strict=True))
for lever, effort in zip(LEVERS["sme"], efforts["sme_1"], strict=True):
    assert own[f"last_{lever.name}"] == effort
assert own["spending"] == np.float32(min(2.0, env.engine.states[0]["sme_cost"][1] / 0.5))

# Policies, evaluation, the average firm.
team = {role: load_policy("scripted" if role in ("it", "sme") else "status_quo", role) for role in ROLES}
table = run_episodes("one-month-pool-v1", team, 2)
assert table.lever_use["sme"].shape == (7, 3) and table.lever_use["it"].shape == (6, 3)
assert 0.0 < unlike_average(table) < 1.0
assert average_firm(1, 2).shape == (1, 5, 9)
alone = spiral_env.SingleRoleEnv("sme", partners="uniform", num_smes=2)
alone.reset(seed=0)
alone.step(np.ones(7, dtype=np.int64))

# Checkpoints: a network a role, and one for all.
rng, wide = np.random.default_rng(0), Options(homogenize=True).observation_space("it").shape[0]
def network(inputs, levers):
    return {"mean": np.zeros(inputs), "std": np.ones(inputs), "head.bias": np.zeros(3 * levers, np.float32),
            "head.weight": rng.normal(size=(3 * levers, inputs)).astype(np.float32)}
shared = network(wide, MAX_LEVERS)
apart = {f"{r}.{k}": v for r in ROLES for k, v in network(len(FEATURES[r]), NUM_LEVERS[r]).items()}
for kind, tensors in (("shared", shared), ("per_role", apart)):
    write_policy(Path(kind), tensors, {"networks": kind, "layers": 0, "head": "categorical"})
    for role in ROLES:
        chosen = load_policy(kind, role).act(np.zeros((1, 2, len(FEATURES[role])), np.float32))
        assert chosen.shape == (1, 2, NUM_LEVERS[role])
"""

LEARNS = """
from dataclasses import replace
from pathlib import Path
import numpy as np
from spiral_env.agents import load_policy
from spiral_env.agents.checkpoint import write_policy
from spiral_env.roles import FEATURES, NUM_LEVERS, ROLES
from spiral_env.training import TrainConfig
from spiral_env.training.algorithms.es import EsTrainer
from spiral_env.training.algorithms.ippo import LocalCritic
from spiral_env.training.algorithms.ppo import Trainer
from spiral_env.training.algorithms.sb3 import Sb3Trainer

small = TrainConfig(scenario="one-month-pool-v1", num_envs=2, num_steps=2, minibatches=1, epochs=1, hidden=4,
                    timesteps=1000, env_threads=1, gradient_pieces=1)
trainers = {"ippo": Trainer(small, LocalCritic, central=False),
            "continuous": Trainer(replace(small, continuous=True), LocalCritic, central=False),
            "es": EsTrainer(replace(small, algo="es")), "sb3-ppo": Sb3Trainer(replace(small, algo="sb3-ppo"))}
for name, trainer in trainers.items():
    trainer.iterate()
    write_policy(Path(name), *trainer.policy())
    for role in ROLES:
        chosen = load_policy(name, role).act(np.zeros((1, 2, len(FEATURES[role])), np.float32))
        assert chosen.shape == (1, 2, NUM_LEVERS[role]), (name, role)
    trainer.close()
"""

EQUALS = """
from test_reference import compare, three_levels, world
compare(world("small-v1", 3), 0, three_levels(0))
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with both edits."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("spiral_env", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "benchmarks"))
    for edit in LEVER + FEATURE:
        file = copy / edit.file
        before, mark, after = file.read_text(encoding="utf-8").partition(edit.mark)
        assert mark, f"{edit.file} has no line {edit.mark!r}"
        file.write_text(before + edit.text + mark + after, encoding="utf-8")
    return copy


def in_copy(copy: Path, *command: str) -> str:
    """Run Python in the copy, interpreted."""
    environment = os.environ | {
        "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tests'}",
        "NUMBA_DISABLE_JIT": "1",
        "SPIRAL_ENV_CACHE_DIR": str(copy / "cache"),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_spaces_steps_policies_and_checkpoints_follow_the_tables(extended: Path) -> None:
    in_copy(extended, "-c", FOLLOWS)


def test_the_reference_follows_the_tables(extended: Path) -> None:
    in_copy(extended, "-c", EQUALS)


@pytest.mark.slow
def test_trainers_follow_the_tables(extended: Path) -> None:
    in_copy(extended, "-c", LEARNS)


def test_a_forgotten_line_of_the_reference_is_named(extended: Path) -> None:
    views = extended / "tests" / "reference_parts" / "views.py"
    whole = views.read_text(encoding="utf-8")
    views.write_text(whole.replace(FEATURE[2].text, ""), encoding="utf-8")
    try:
        with pytest.raises(AssertionError, match=r"views\.py computes other features of sme .*\['spending'\]"):
            in_copy(extended, "-c", EQUALS)
    finally:
        views.write_text(whole, encoding="utf-8")


def test_the_command_line_tells_of_both(extended: Path) -> None:
    shown = in_copy(extended, "-m", "spiral_env", "info", "--role", "sme")
    for word in ("awareness", "courses for all staff", "spending", "0.5 k$ of last month", "last_awareness"):
        assert word in shown
    short = ("--scenario", "one-month-pool-v1")
    assert "ecosystem_value" in in_copy(
        extended, "-m", "spiral_env", "evaluate", *short, "--it", "uniform", "--episodes", "2"
    )
    assert in_copy(extended, "-m", "spiral_env", "rollout", *short, "--policy", "scripted")


def test_the_recipes_of_contributing_are_these_lines() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for edit in LEVER + FEATURE:
        assert f"`{edit.text.strip()}`" in recipes
        assert f"`{edit.file}`" in recipes


def test_a_lever_and_a_feature_are_six_lines_in_three_files() -> None:
    edits = LEVER + FEATURE
    assert len(edits) == 6
    assert all(edit.text.count("\n") == 1 for edit in edits)
    assert {edit.file for edit in edits} == {
        "spiral_env/roles/sme.py",
        "tests/reference_parts/decisions.py",
        "tests/reference_parts/views.py",
    }
