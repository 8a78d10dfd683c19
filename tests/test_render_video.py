"""Films and pictures of an episode, by command."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import spiral_env
from spiral_env.render import canvas
from spiral_env.render.frame import HEIGHT, WIDTH, draw
from spiral_env.render.palette import VERMILLION, YELLOW
from spiral_env.render.scene import Scene, scene
from spiral_env.render.video import film, picture
from tests.command_line import refused, spiral

MONTHS = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A scenario of few months."""
    path = tmp_path_factory.mktemp("world") / "short.toml"
    path.write_text(
        f'extends = "small-v1"\nid = "short-v1"\ntitle = "short"\ndescription = "short"\nmax_cycles = {MONTHS}\n'
    )
    return str(path)


@pytest.fixture(scope="module")
def months() -> list[Scene]:
    env = spiral_env.parallel_env("small-v1", max_cycles=MONTHS)
    env.reset(seed=2)
    out = []
    while env.agents:
        env.step({agent: np.ones_like(env.action_space(agent).sample()) for agent in env.agents})
        out.append(scene(env.engine.states[0], env.engine.params[0]))
    return out


def test_a_gif_has_a_frame_a_month_and_shows_what_was_drawn(months: list[Scene]) -> None:
    moving = Image.open(io.BytesIO(film(months, ".gif", 4, "a film", width=640)))
    assert moving.n_frames == MONTHS  # type: ignore[attr-defined]
    times = []
    for k, month in enumerate(months):
        moving.seek(k)
        shown = np.asarray(moving.convert("RGB")).astype(int)
        drawn = Image.fromarray(draw(month, "a film")).resize((640, 400), Image.Resampling.LANCZOS)
        assert np.abs(shown - np.asarray(drawn).astype(int)).mean() < 4.0
        times.append(moving.info["duration"])
    assert times == [250, 250, 250, 3000]


def test_a_gif_keeps_the_colours_that_tell_states_apart(months: list[Scene]) -> None:
    moving = Image.open(io.BytesIO(film(months[:1], ".gif", 4)))
    pixels = np.asarray(moving.convert("RGB"))
    assert all((pixels == colour).all(2).any() for colour in (YELLOW, VERMILLION))


def test_an_mp4_has_a_frame_a_month(months: list[Scene], tmp_path: Path) -> None:
    path, fps = tmp_path / "film.mp4", 8
    path.write_bytes(film(months, ".mp4", fps, width=641))
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert frames == MONTHS
    assert seconds == pytest.approx(MONTHS / fps, abs=0.05)
    told = next(imageio_ffmpeg.read_frames(str(path)))
    assert told["size"] == (640, 400)


def test_a_picture_is_the_frame(months: list[Scene]) -> None:
    shown = np.asarray(Image.open(io.BytesIO(picture(months[0], "a month"))))
    np.testing.assert_array_equal(shown, draw(months[0], "a month"))
    assert Image.open(io.BytesIO(picture(months[0], width=640))).size == (640, 400)


def test_a_film_of_nothing_and_of_an_unknown_kind_is_refused(months: list[Scene]) -> None:
    with pytest.raises(ValueError, match="months must be at least one, got none"):
        film([], ".gif", 4)
    with pytest.raises(ValueError, match=r"suffix must be one of \.mp4, \.gif, got '\.avi'"):
        film(months, ".avi", 4)


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_rollout_films_an_episode(name: str, world: str, tmp_path: Path) -> None:
    ended = spiral("rollout", "--scenario", world, "--video", str(tmp_path / name), "--width", "320", "--fps", "8")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"\nWritten: {tmp_path / name}\n")
    assert (tmp_path / name).stat().st_size > 10_000
    if name.endswith("gif"):
        with Image.open(tmp_path / name) as moving:
            assert moving.n_frames == MONTHS  # type: ignore[attr-defined]


def test_rollout_draws_the_month_that_is_asked_for(world: str, tmp_path: Path) -> None:
    shown = []
    for month in ((), ("--month", "4"), ("--month", "2")):
        path = tmp_path / "month.png"
        assert spiral("rollout", "--scenario", world, "--frame", str(path), *month).code == 0
        shown.append(np.asarray(Image.open(io.BytesIO(path.read_bytes()))))
    assert shown[0].shape == (HEIGHT, WIDTH, 3)
    assert (shown[0] == shown[1]).all()
    assert (shown[0] != shown[2]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--video", "film.avi"), "video must end in .mp4 or .gif, got film.avi"),
        (("--frame", "month.jpg"), "frame must end in .png, got month.jpg"),
        (("--video", "FILE/film.gif"), "cannot be written"),
        (("--fps", "3"), "--fps must be left out without --video, got 3"),
        (("--month", "3"), "--month must be left out without --frame, got 3"),
        (("--width", "640"), "--width must be left out without --video or --frame, got 640"),
        (("--frame", "TMP/month.png", "--month", "5"), "month must be in [1, 4], got 5"),
    ],
)
def test_rollout_refuses(options: tuple[str, ...], words: str, world: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = {"FILE": str(tmp_path / "file"), "TMP": str(tmp_path)}
    given = [places.get(first, first) + slash + rest for first, slash, rest in (x.partition("/") for x in options)]
    assert words in refused("rollout", "--scenario", world, *given)


@pytest.mark.parametrize(("module", "name"), [("pygame", "film.gif"), ("imageio_ffmpeg", "film.mp4"), ("PIL", "m.png")])
def test_what_draws_is_missed_before_the_episode(
    module: str, name: str, world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in [x for x in sys.modules if x.split(".")[0] == module]:
        monkeypatch.setitem(sys.modules, known, None)
    monkeypatch.setitem(sys.modules, module, None)
    canvas.load_pygame.cache_clear()

    def lived(*_: Any) -> None:
        raise AssertionError("an episode was lived first")

    monkeypatch.setattr("spiral_env.commands.rollout._months", lived)
    option = "--frame" if name.endswith("png") else "--video"
    line = refused("rollout", "--scenario", world, option, str(tmp_path / name))
    assert line.startswith(f"error: no module {module}")
    assert line.endswith("pip install 'spiral-env[render]'")
