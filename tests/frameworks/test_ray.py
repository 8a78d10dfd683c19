"""Ray: jobs over a cluster, a run that outlives a killed node, checkpoints that need no Ray."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from frameworks.checks import RESULTS, ROOT, Record, replay, run_example, speeds
from spiral_env.agents import load_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import NUM_LEVERS, ROLES
from spiral_env.scenarios.seeds import row_seeds
from spiral_env.spaces import agent_names
from spiral_env.training import load_config
from spiral_env.training.cluster import RayTrainer, cluster, fan_out
from spiral_env.training.runs.ranges import Span
from spiral_env.training.runs.run import stored_config
from spiral_env.training.runs.sweep import SweepConfig, summary, sweep

FRAMEWORK = {"title": "Ray", "package": "ray", "adapter": "spiral_env.training.cluster"}
AGENTS = agent_names(8)
STORE = 150 * 2**20
SMALL = {"scenario": "small-v1", "engine": "ray", "runners": 1, "num_envs": 16, "num_steps": 20, "minibatches": 4}
LOG = RESULTS.parent / "ray_node_killed.txt"


def _trainer(folder: Path, **settings: Any) -> RayTrainer:
    return RayTrainer(load_config(None, SMALL | settings), folder)


def _spiral(*words: str, without_ray: bool = False) -> subprocess.CompletedProcess[str]:
    absent = "sys.modules['ray'] = None; " if without_ray else ""
    program = f"import sys; {absent}sys.argv[0] = 'spiral'; from spiral_env.commands import main; main()"
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)


def test_the_example_trains_and_its_evaluation_equals_the_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_example("ray").names
    local = run_episodes("small-v1", names["team"], 128)
    spread = names["table"]
    assert all(np.array_equal(spread.metrics[k], x, equal_nan=True) for k, x in local.metrics.items())
    assert all(np.array_equal(spread.lever_use[role], x) for role, x in local.lever_use.items())


@pytest.fixture(scope="module")
def one_machine() -> Iterator[None]:
    with cluster(cpus=2):
        yield


def test_jobs_come_back_in_order_and_errors_as_themselves(one_machine: None) -> None:
    def _square(x: int) -> int:
        if x < 0:
            raise ValueError(f"x must be >= 0, got {x}")
        return x * x

    assert fan_out(_square, list(range(7))) == [x * x for x in range(7)]
    with pytest.raises(ValueError, match="x must be >= 0, got -2") as caught:
        fan_out(_square, [1, -2, 3])
    assert type(caught.value) is ValueError


def test_weights_move_and_runners_pay_what_the_plain_environment_pays(
    record: Record, one_machine: None, tmp_path: Path
) -> None:
    trainer = _trainer(tmp_path, seed=3)
    before = {k: v for k, v in trainer.tensors().items() if ".net." in k}
    figures = [trainer.iterate() for _ in range(2)]
    record.trained(before, {k: v for k, v in trainer.tensors().items() if ".net." in k})
    assert trainer.agent_steps == 2 * 16 * 20 * 11
    assert all(np.isfinite(list(x.values())).all() for x in figures)
    sample: Callable[[Any], Any] = lambda runner: (runner._seed, runner.sample(num_episodes=2))  # noqa: E731
    ((seed, episodes),) = trainer.algorithm.env_runner_group.foreach_env_runner(sample, local_env_runner=False)
    starts = row_seeds(seed, len(episodes), "train")
    for start, episode in zip(starts, episodes, strict=True):
        paid = np.array([episode.agent_episodes[agent].get_rewards() for agent in AGENTS]).T
        done = list(zip(*(episode.agent_episodes[agent].get_actions() for agent in AGENTS), strict=True))
        record.same_returns(paid, replay(start, done, episode=1, split="train"))
    trainer.close()


def test_speed_of_sampling_and_of_training(record: Record, one_machine: None, tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, num_envs=128, num_steps=60, minibatches=16)

    def sample() -> int:
        work: Callable[[Any], int] = lambda runner: sum(e.agent_steps() for e in runner.sample())  # noqa: E731
        return sum(trainer.algorithm.env_runner_group.foreach_env_runner(work, local_env_runner=False))

    def train() -> int:
        before = trainer.agent_steps
        trainer.iterate()
        return trainer.agent_steps - before

    rates = speeds({"sampling": sample, "training": train}, rounds=3)
    print(rates)
    record.speed(rates["sampling"])
    assert rates["sampling"] > rates["training"] > 0.0
    trainer.close()


def test_a_stored_state_goes_on_with_the_same_networks_and_in_other_worlds(one_machine: None, tmp_path: Path) -> None:
    first = _trainer(tmp_path / "a")
    (tmp_path / "a").mkdir()
    first.iterate()
    stored, counters = first.tensors(), first.counters()
    first.close()
    second = _trainer(tmp_path / "a")
    second.load(stored, counters)
    again = second.tensors()
    assert stored.keys() == again.keys()
    assert all(np.array_equal(stored[name], again[name]) for name in stored)
    weights: Callable[[Any], Any] = lambda runner: runner.module["sme"].state_dict()["actor.head.bias"].numpy()  # noqa: E731
    (played,) = second.algorithm.env_runner_group.foreach_env_runner(weights, local_env_runner=False)
    np.testing.assert_array_equal(played, stored["sme.net.actor.head.bias"])
    second.iterate()
    (played,) = second.algorithm.env_runner_group.foreach_env_runner(weights, local_env_runner=False)
    np.testing.assert_array_equal(played, second.tensors()["sme.net.actor.head.bias"])
    assert (second.iteration, second.agent_steps) == (2, 2 * counters["agent_steps"])
    second.close()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"algo": "mappo"}, "algo must be ippo with engine ray, got 'mappo'"),
        ({"continuous": True}, "continuous must stay off with engine ray, got True"),
        ({"recurrent": "it"}, "recurrent must stay off with engine ray, got 'it'"),
        ({"device": "cuda"}, "device must be cpu with engine ray, got 'cuda'"),
        ({"runners": 3}, "num_envs must be a multiple of runners 3 with engine ray, got 16"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(settings: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        _trainer(tmp_path, **settings)
    assert str(caught.value) == line


def test_more_runners_than_cores_are_refused(one_machine: None, tmp_path: Path) -> None:
    cores = int(ray.cluster_resources()["CPU"])
    with pytest.raises(ValueError, match=f"runners must be at most the cluster's cores {cores}, got 16"):
        _trainer(tmp_path, runners=16).tensors()


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    start = time.monotonic()
    done = _spiral("evaluate", "--engine", "ray", "--ray-address", "127.0.0.1:1", "--episodes", "2")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Ray cluster at '127.0.0.1:1'")
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - start < 60.0


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _wait(what: str, true: Callable[[], bool], run: subprocess.Popen[str], seconds: float = 240.0) -> None:
    start = time.monotonic()
    while not true():
        assert run.poll() is None, f"the run ended before: {what}"
        assert time.monotonic() - start < seconds, f"waited {seconds:.0f} s for: {what}"
        time.sleep(0.5)


def test_a_node_killed_in_mid_run_costs_nothing_that_was_learned(tmp_path: Path) -> None:
    ray.shutdown()
    node = {"num_cpus": 1, "object_store_memory": STORE}
    nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    other = nodes.add_node(**node)
    folder, notes = tmp_path / "run", []

    def note(text: str) -> None:
        notes.append(f"{time.strftime('%H:%M:%S')} {text}")

    def lived() -> int:
        return len(_rows(folder / "progress.csv"))

    def healthy() -> str:
        return (_rows(folder / "runners.csv") or [{"healthy": "0"}])[-1]["healthy"]

    program = "from spiral_env.commands import main; main()"
    words = ["train", "--engine", "ray", "--ray-address", nodes.address, "--out", str(folder)]
    settings = ["runners=2", "num_envs=32", "num_steps=30", "minibatches=4", "max_seconds=500.0"]
    words += ["--timesteps", "630000", *(word for text in settings for word in ("--set", text)), "--json"]
    run = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait("five rollouts by two runners", lambda: lived() >= 5 and healthy() == "2", run)
        note(f"two nodes, two runners, {lived()} rollouts learned from; a node is killed")
        nodes.remove_node(other, allow_graceful=False)
        _wait("one runner left", lambda: healthy() == "1", run)
        note(f"one runner left, {lived()} rollouts; the run goes on")
        alone = lived()
        _wait("three rollouts by one runner", lambda: lived() >= alone + 3, run)
        note(f"{lived()} rollouts; a new node joins")
        nodes.add_node(**node)
        _wait("two runners again", lambda: healthy() == "2", run)
        note(f"two runners again, {lived()} rollouts")
        _, errors = run.communicate(timeout=400)
        note(f"the run ended by itself with exit code {run.returncode}, {lived()} rollouts")
    finally:
        run.kill()
        nodes.shutdown()
    assert run.returncode == 0, errors
    rows = _rows(folder / "progress.csv")
    assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
    steps = [int(row["agent_steps"]) for row in rows]
    assert min(np.diff([0, *steps])) >= 32 * 30 * 11
    assert steps[-1] >= 630_000
    assert [row["healthy"] for row in _rows(folder / "runners.csv")] == ["2", "1", "2"]
    same = _evaluations(folder, tmp_path)
    note(f"evaluated with Ray's tasks, locally, and with no Ray to import: the same {len(same)} bytes")
    if os.environ.get("SPIRAL_RECORD"):
        runners = (folder / "runners.csv").read_text()
        LOG.write_text("\n".join([*notes, "", "runners.csv of the run:", runners]), encoding="utf-8")


def _trials(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "run"} for row in summary(folder)["trials"]]


def test_a_sweep_over_ray_gives_the_trials_of_a_local_one(tmp_path: Path) -> None:
    base = load_config(
        None, {"scenario": "small-v1", "num_envs": 8, "num_steps": 20, "minibatches": 2, "timesteps": 8 * 20 * 11 * 2}
    )
    asked = SweepConfig(base, {"learning_rate": Span(2e-2, 1e-1, log=True)}, trials=2, episodes=4)
    sweep(tmp_path / "local", asked)
    with cluster(cpus=2):
        sweep(tmp_path / "ray", asked, spread=fan_out)
    assert _trials(tmp_path / "ray") == _trials(tmp_path / "local")
    assert (tmp_path / "ray" / "best.toml").read_bytes() == (tmp_path / "local" / "best.toml").read_bytes()


def test_a_sweep_outlives_a_killed_node(tmp_path: Path) -> None:
    node = {"num_cpus": 1, "object_store_memory": STORE}
    nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    other, folder = nodes.add_node(**node), tmp_path / "sweep"
    words = ["sweep", "--engine", "ray", "--ray-address", nodes.address, "--out", str(folder), "--workers", "2"]
    settings = ["num_envs=8", "num_steps=20", "minibatches=2", "timesteps=176000", "checkpoint_seconds=0.1"]
    words += ["--trials", "3", "--no-prune", "--episodes", "4", "--set-range", "hidden=16,32", "--json"]
    words += [word for text in settings for word in ("--set", text)]
    program = "from spiral_env.commands import main; main()"
    run = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def learned() -> list[int]:
        return [len(_rows(path / "progress.csv")) for path in sorted(folder.glob("trials/*"))]

    try:
        _wait("two runs under way", lambda: sum(count >= 3 for count in learned()) == 2, run)
        nodes.remove_node(other, allow_graceful=False)
        output, errors = run.communicate(timeout=400)
    finally:
        run.kill()
        nodes.shutdown()
    assert run.returncode == 0, errors
    assert [row["state"] for row in json.loads(output)["trials"]] == ["complete"] * 3
    assert learned() == [100, 100, 100]


def _evaluations(folder: Path, scratch: Path) -> bytes:
    """Evaluate a run in three ways; returns the one file that all of them wrote."""
    ways: dict[str, tuple[list[str], bool]] = {
        "ray": (["--engine", "ray"], False),
        "local": ([], False),
        "none": ([], True),
    }
    for name, (words, without_ray) in ways.items():
        out = ["--out", str(scratch / f"{name}.json")]
        done = _spiral(
            "evaluate", "--compare", f"scripted,{folder}", "--episodes", "130", *out, *words, without_ray=without_ray
        )
        assert done.returncode == 0, done.stderr
    files = [(scratch / f"{name}.json").read_bytes() for name in ways]
    assert files[0] == files[1] == files[2]
    assert len(json.loads(files[0])["seeds"]) == 130
    return files[0]


def test_without_ray_the_engine_names_what_to_install() -> None:
    for command in (["evaluate", "--engine", "ray"], ["train", "--engine", "ray", "--out", "nowhere"]):
        done = _spiral(*command, without_ray=True)
        assert (done.returncode, done.stderr) == (2, "error: no module ray: pip install 'spiral-env[train,rllib]'\n")
    assert not Path("nowhere").exists()


def test_the_checkpoint_is_of_the_projects_own_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = "from spiral_env.training import load_config, train; from pathlib import Path; import sys, json\n"
    program += f"train(load_config(None, {SMALL | {'timesteps': 1}!r}), Path('run'))"
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert stored_config(Path("run")).engine == "ray"
    assert json.loads(Path("run/policy.json").read_text())["networks"] == "per_role"
    seen = np.zeros((2, 1, 200), np.float32)
    for role in ROLES:
        policy = load_policy("run", role)
        width = len(policy._tensors["mean"])  # type: ignore[attr-defined]
        assert policy.act(seen[..., :width]).shape == (2, 1, NUM_LEVERS["it"])
