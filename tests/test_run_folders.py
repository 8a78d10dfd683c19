"""The folder of a run: its world goes with it, one process trains there, and nothing in it is believed unchecked."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from spiral_env.files import locked
from spiral_env.scenarios import load_scenario
from spiral_env.training import TrainConfig, train
from spiral_env.training.runs.folder import progress_rows, status, stored_config, world_note
from spiral_env.training.runs.plot import plot_run
from tests.bad_inputs import run_folders

TINY = TrainConfig(
    scenario="small-v1",
    num_envs=2,
    num_steps=10,
    minibatches=2,
    epochs=1,
    hidden=4,
    env_threads=1,
    recurrent="it",
    timesteps=440,
)
ROLLOUT = TINY.steps_per_iteration
TOWN = 'extends = "small-v1"\nid = "town-v0"\ntitle = "Town"\nnum_smes = 8\n[params]\nprivacy_strictness = {}\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stopped after the first of two rollouts."""
    return train(TINY, tmp_path_factory.mktemp("runs") / "run", report=lambda *_: True)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def _resume(folder: Path) -> None:
    config = stored_config(folder)
    train(replace(config, max_seconds=60.0), folder, resume=True)


@pytest.mark.parametrize("name", run_folders.CASES)
def test_a_folder_that_was_tampered_with_is_one_line(name: str, copy: Path) -> None:
    run_folders.CASES[name](copy)
    with pytest.raises(ValueError) as caught:
        _resume(copy)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400 + 2 * len(str(copy))


def test_the_list_of_bad_run_folders_is_long() -> None:
    assert len(run_folders.CASES) >= 180


def test_the_same_folder_untouched_goes_on(copy: Path) -> None:
    _resume(copy)
    assert [row["iteration"] for row in progress_rows(copy)] == ["1", "2"]


def _town(folder: Path, strictness: float = 2.0) -> Path:
    path = folder / "town.toml"
    path.write_text(TOWN.format(strictness))
    return path


@pytest.fixture
def town(tmp_path: Path) -> tuple[Path, Path]:
    """A run, stopped half-way, and the TOML file of its world."""
    path = _town(tmp_path)
    config = replace(TINY, scenario=str(path))
    return train(config, tmp_path / "run", report=lambda *_: True), path


def test_a_run_goes_on_in_its_own_world_when_the_file_is_gone(
    town: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, path = town
    path.unlink()
    monkeypatch.chdir(tmp_path)
    _resume(Path("run"))
    assert stored_config(run).world.params["privacy_strictness"] == 2.0
    header = json.loads((run / "policy.json").read_text())
    assert (header["scenario"], header["scenario_hash"]) == ("town-v0", load_scenario(run / "scenario.toml").hash)


def test_a_run_is_not_resumed_in_a_world_that_was_edited(town: tuple[Path, Path]) -> None:
    run, path = town
    assert world_note(run) is None
    _town(path.parent, 3.0)
    with pytest.raises(ValueError, match="scenario must stay the run's own world"):
        train(replace(TINY, scenario=str(path)), run, resume=True)
    assert "has changed since: the run goes on in its own world" in str(world_note(run))
    _resume(run)
    assert status(run, stored_config(run)).finished


def test_a_run_is_not_resumed_with_another_number_of_smes(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text('extends = "small-v1"\nid = "small-v1"\nnum_smes = 9\n')
    with pytest.raises(ValueError, match="scenario must stay the run's own world"):
        train(replace(TINY, scenario=str(path)), copy, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_in_use_says_by_whom(copy: Path, tmp_path: Path, resume: bool) -> None:
    folder = copy if resume else tmp_path / "new"
    folder.mkdir(exist_ok=True)
    with locked(folder / "run.lock"), pytest.raises(ValueError, match=r"is in use by process \d+ on"):
        train(TINY, folder, resume=resume)


def test_a_cut_last_row_of_the_log_does_not_end_a_resume(copy: Path) -> None:
    with (copy / "progress.csv").open("a") as file:
        file.write("2,440,0.")
    _resume(copy)
    assert [row["iteration"] for row in progress_rows(copy)] == ["1", "2"]


def test_a_finished_run_is_left_as_it_is(copy: Path) -> None:
    _resume(copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != "run.lock"}
    _resume(copy)
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != "run.lock"}
    assert before == after


def test_tensorboard_keeps_what_was_learned_before_a_resume(copy: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _resume(copy)
    events = EventAccumulator(str(copy / "tensorboard")).Reload()
    assert [x.step for x in events.Scalars("value_loss/it")] == [ROLLOUT, 2 * ROLLOUT]


def test_a_run_lies_in_its_folder_whatever_bytes_its_name_has(tmp_path: Path) -> None:
    folder = train(TINY, tmp_path / os.fsdecode(b"run \xff"), report=lambda *_: True)
    _resume(folder)
    assert [row["iteration"] for row in progress_rows(folder)] == ["1", "2"]


def test_a_picture_that_cannot_be_written_is_said_before_any_episode(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spiral_env.training.runs.plot.run_episodes", lambda *_, **__: pytest.fail("played"))
    (copy / "lever_use.png").mkdir()
    with pytest.raises(ValueError, match=r"lever_use\.png cannot be written: Is a directory"):
        plot_run(copy, 1)


def test_a_run_is_not_plotted_in_a_world_that_was_edited(town: tuple[Path, Path]) -> None:
    run, _ = town
    (run / "scenario.toml").write_text(TOWN.format(1.0))
    with pytest.raises(ValueError, match="must be as it was trained in, of hash"):
        plot_run(run, 1)


@pytest.mark.parametrize(("timesteps", "rollouts"), [(1, 1), (300, 1), (331, 2), (440, 2), (550, 2), (551, 3)])
def test_training_ends_at_the_nearest_rollout(timesteps: int, rollouts: int) -> None:
    config = replace(TINY, timesteps=timesteps)
    assert config.num_iterations == rollouts
    assert config.is_finished(rollouts * ROLLOUT)
    assert rollouts == 1 or not config.is_finished((rollouts - 1) * ROLLOUT)
