"""Frames: in every environment, of every size, the same pixels for the same month, and nothing told by colour alone."""

from __future__ import annotations

import copy
import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pygame
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import AddRenderObservation, HumanRendering, RecordVideo
from gymnasium.wrappers.vector import RecordVideo as RecordVectorVideo
from pettingzoo.test import render_test
from pettingzoo.utils.wrappers.record_video import RecordVideo as RecordTurns

import spiral_env
from spiral_env.core.ledger import Account, Purpose
from spiral_env.render import canvas as canvas_module
from spiral_env.render import frame as frame_module
from spiral_env.render import markers
from spiral_env.render.canvas import Canvas
from spiral_env.render.frame import HEIGHT, WIDTH, frame
from spiral_env.render.panels import ecosystem
from spiral_env.render.panels._box import Box
from spiral_env.single_role_vector_env import SingleRoleVectorEnv
from spiral_env.tuple_env import TupleEnv

SMALL = {"scenario": "small-v1", "max_cycles": 4}
SINGLE = "spiral_env/SingleRole-v0"


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("spiral_env.render.view.RENDER_FPS", 1000)


@pytest.fixture(scope="module")
def lived() -> tuple[Any, Any]:
    """Records of state and parameters after some months of the average firm."""
    env = spiral_env.parallel_env("small-v1", action_mode="continuous")
    env.reset(seed=0)
    for _ in range(6):
        env.step({agent: np.full(env.action_space(agent).shape, 0.5) for agent in env.agents})
    return env.engine.states[0], env.engine.params[0]


def _live(env: Any, months: int = 3) -> None:
    env.reset(seed=1)
    for agent, space in env.action_spaces.items():
        space.seed(hash(agent) % 100)
    for _ in range(months):
        env.step({agent: env.action_space(agent).sample() for agent in env.agents})


def _is_frame(pixels: Any) -> bool:
    return isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape == (HEIGHT, WIDTH, 3)


def test_an_environment_that_is_not_drawn_loads_no_pygame() -> None:
    program = "import sys, spiral_env; e = spiral_env.parallel_env('small-v1'); e.reset(seed=0); print(e.render())"
    program += "; spiral_env.parallel_env('small-v1', render_mode='rgb_array'); print('pygame' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


def test_every_environment_gives_frames() -> None:
    drawn = {**SMALL, "render_mode": "rgb_array"}
    turns = spiral_env.env(**drawn)
    turns.reset(seed=0)
    single = gymnasium.make(SINGLE, **drawn)
    single.reset(seed=0)
    whole = TupleEnv(**drawn)
    whole.reset(seed=0)
    parallel = spiral_env.parallel_env(**drawn)
    parallel.reset(seed=0)
    assert all(map(_is_frame, (turns.render(), single.render(), whole.render(), parallel.render())))
    for batch in (spiral_env.vector_env(num_envs=2, **drawn), SingleRoleVectorEnv(2, **drawn)):
        batch.reset(seed=0)
        frames = batch.render()
        assert isinstance(frames, tuple)
        assert len(frames) == 2
        assert all(map(_is_frame, frames))
        np.testing.assert_array_equal(frames[0], parallel.render())
        assert (frames[1] != frames[0]).any()


def test_the_same_month_gives_the_same_pixels_and_another_month_others(lived: tuple[Any, Any]) -> None:
    s, p = lived
    first = frame(s, p, "small-v1")
    np.testing.assert_array_equal(first, frame(copy.deepcopy(s), copy.deepcopy(p), "small-v1"))
    later = copy.deepcopy(s)
    later.month += 1
    assert (frame(later, p, "small-v1") != first).any()


def test_drawing_changes_nothing_of_the_world() -> None:
    plain, drawn = (spiral_env.parallel_env(**SMALL, render_mode=mode) for mode in (None, "rgb_array"))
    for env in (plain, drawn):
        env.reset(seed=5)
    for _ in range(3):
        drawn.render()
        for env in (plain, drawn):
            env.step({agent: np.zeros_like(env.action_space(agent).sample()) for agent in env.agents})
    assert plain.engine.states.tobytes() == drawn.engine.states.tobytes()


def test_a_month_is_drawn_once_however_often_it_is_asked_for() -> None:
    env = spiral_env.parallel_env(**SMALL, render_mode="rgb_array")
    _live(env, 1)
    first = env.render()
    assert env.render() is first
    _live(env, 2)
    assert env.render() is not first


def test_petting_zoos_own_test_of_rendering_passes() -> None:
    render_test(lambda **options: spiral_env.env(**SMALL, **options))


def test_frames_need_a_reset_first() -> None:
    with pytest.raises(RuntimeError, match=r"render\(\) needs a reset\(\) first"):
        spiral_env.parallel_env(**SMALL, render_mode="rgb_array").render()


def _without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    canvas_module.load_pygame.cache_clear()


def test_without_pygame_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, "pygame")
    words = r"^no module pygame: frames need pip install 'spiral-env\[render\]'$"
    for make in (spiral_env.parallel_env, spiral_env.vector_env):
        with pytest.raises(ImportError, match=words):
            make("small-v1", render_mode="human")
    # stable-baselines3 asks for frames whether it needs them or not.
    env = gymnasium.make(SINGLE, **SMALL, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    with pytest.raises(ImportError, match=words):
        env.unwrapped.render()
    assert spiral_env.parallel_env("small-v1", render_mode="ansi").render()


# ---- windows


def _windows() -> list[Any]:
    return [window for window in (pygame.display.get_active() and []) or []]


def test_a_window_shows_every_month_and_may_be_closed_and_opened_again() -> None:
    env = spiral_env.parallel_env(**SMALL, render_mode="human")
    _live(env, 2)
    window = env._view._window
    shown = pygame.surfarray.array3d(window._window.get_surface()).transpose(1, 0, 2)
    np.testing.assert_array_equal(shown, frame(env.engine.states[0], env.engine.params[0], "small-v1"))
    assert env.render() is None
    env.close()
    env.close()
    assert not window.is_open
    _live(env, 1)
    assert env._view._window.is_open
    env.close()


def test_who_closes_the_window_does_not_end_the_episode() -> None:
    mine, other = (spiral_env.parallel_env(**SMALL, render_mode="human") for _ in range(2))
    _live(mine, 1)
    _live(other, 1)
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=mine._view._window._window))
    _live(other, 1)
    _live(mine, 2)
    assert [env._view._window.is_open for env in (mine, other)] == [False, True]
    assert mine.months == 2
    for env in (mine, other):
        env.close()


def test_frames_and_windows_outlive_who_ends_pygame_beside_them() -> None:
    env = spiral_env.parallel_env(**SMALL, render_mode="human")
    _live(env, 1)
    shown = env._view._pixels(env.engine.states[0], env.engine.params[0])
    pygame.quit()
    canvas_module._word.cache_clear()
    np.testing.assert_array_equal(frame(env.engine.states[0], env.engine.params[0], "small-v1"), shown)
    _live(env, 2)
    assert env._view._window.is_open
    env.close()


def test_wrappers_of_frames_work(monkeypatch: pytest.MonkeyPatch) -> None:
    make = {**SMALL, "role": "sme"}
    many = gymnasium.make(SINGLE, **make, render_mode="rgb_array_list")
    many.reset(seed=0)
    many.step(many.action_space.sample())
    assert [frame.shape for frame in many.render()] == [(HEIGHT, WIDTH, 3)] * 2
    seen = AddRenderObservation(gymnasium.make(SINGLE, **make, render_mode="rgb_array"))
    assert _is_frame(seen.reset(seed=0)[0])
    watched = HumanRendering(gymnasium.make(SINGLE, **make, render_mode="rgb_array"))
    monkeypatch.setitem(watched.metadata, "render_fps", 1000)
    watched.reset(seed=0)
    watched.step(watched.action_space.sample())
    watched.close()
    check_env(gymnasium.make(SINGLE, **make).unwrapped)


def test_a_batch_shows_its_first_ecosystem_and_a_copy_opens_a_window_of_its_own() -> None:
    batch = spiral_env.vector_env("small-v1", 2, max_cycles=4, render_mode="human")
    batch.reset(seed=0)
    assert batch._view._window.is_open
    assert batch.render() is None
    other = copy.deepcopy(batch._view)
    assert other._window is None
    batch.close()


class _Clip:
    """Stands in for MoviePy, which encodes; what is tested here is what the recorders take."""

    films: dict[str, list[np.ndarray]] = {}

    def __init__(self, frames: list[np.ndarray], fps: int) -> None:
        self._frames, self.fps = frames, fps

    def write_videofile(self, path: str, logger: Any = None) -> None:
        self.films[path] = self._frames


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[np.ndarray]]:
    names = ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[names[-1]].ImageSequenceClip = _Clip  # type: ignore[attr-defined]
    monkeypatch.setattr(_Clip, "films", {})
    return _Clip.films


def _recorded_single(folder: str) -> None:
    env = RecordVideo(gymnasium.make(SINGLE, **SMALL, render_mode="rgb_array"), folder, disable_logger=True)
    env.reset(seed=0)
    while not env.step(env.action_space.sample())[3]:
        pass
    env.close()


def _recorded_batch(folder: str) -> None:
    batch = gymnasium.make_vec(
        SINGLE, num_envs=2, vectorization_mode="vector_entry_point", **SMALL, render_mode="rgb_array"
    )
    env = RecordVectorVideo(batch, folder, disable_logger=True)
    env.reset(seed=0)
    while not env.step(env.action_space.sample())[3].all():
        pass
    env.close()


def _recorded_turns(folder: str) -> None:
    env = RecordTurns(spiral_env.env(**SMALL, render_mode="rgb_array"), folder, disable_logger=True)
    env.reset(seed=0)
    for agent in env.agent_iter():
        *_, ended, cut, _ = env.last()
        env.step(None if ended or cut else env.action_space(agent).sample())
    env.close()


@pytest.mark.parametrize("record", [_recorded_single, _recorded_batch, _recorded_turns])
def test_recorders_film_every_month(
    record: Callable[[str], None], films: dict[str, list[np.ndarray]], tmp_path: Any
) -> None:
    record(str(tmp_path / "films"))
    (film,) = films.values()
    assert all(x.dtype == np.uint8 and x.ndim == 3 for x in film)
    different = 1 + sum((a != b).any() for a, b in itertools.pairwise(film) if a is not b)
    assert different == 5  # the opening and four months


SPIRAL, MONEY, ECOSYSTEM, LEVERS = (
    getattr(frame_module, name) for name in ("_SPIRAL", "_MONEY", "_ECOSYSTEM", "_LEVERS")
)


def _set(name: str, value: Any, at: Any = ()) -> Callable[[Any], None]:
    def change(s: Any) -> None:
        if at == ():
            s[name] = value
        else:
            s[name][at] = value

    return change


def _move_money(s: Any) -> None:
    s.month_flow[Purpose.PREMIUM, Account.PLATFORM] -= 200.0
    s.month_flow[Purpose.PREMIUM, Account.WORLD] += 200.0


def _alert_another_tier(s: Any) -> None:
    s.alert, s.alert_tier = 1, (s.alert_tier + 1) % 3


def _find_nothing(s: Any) -> None:
    s.v_known[: s.num_open] = 0


SEEN: dict[str, tuple[Callable[[Any], None], Box]] = {
    "a campaign": (_set("campaign", 1), ECOSYSTEM),
    "an alert": (_alert_another_tier, ECOSYSTEM),
    "a breach": (_set("breach", 1), ECOSYSTEM),
    "what IT knows": (_find_nothing, ECOSYSTEM),
    "what is exploited": (_set("v_kev", 1, slice(0, 3)), ECOSYSTEM),
    "a posture": (_set("posture", 2, 1), ECOSYSTEM),
    "who is a member": (_set("sme_member", 0, 1), ECOSYSTEM),
    "who is in the full tier": (_set("sme_member", 2, 1), ECOSYSTEM),
    "who shares": (_set("sme_share", 0.0, 1), ECOSYSTEM),
    "who is breached": (_set("sme_event", 1, 1), ECOSYSTEM),
    "who is green": (_set("sme_green", 1, slice(0, 8)), ECOSYSTEM),
    "who closes": (_set("sme_closing", 2, 1), ECOSYSTEM),
    "the pool": (_set("pool", 10.0), ECOSYSTEM),
    "trust": (_set("trust", 0.2), ECOSYSTEM),
    "money": (_move_money, MONEY),
    "the month's value": (_set("ecosystem_value", -50.0), MONEY),
    "the level": (_set("level", 2), SPIRAL),
    "the stage": (_set("stage", 2), SPIRAL),
    "the height": (_set("height", 0.9), SPIRAL),
    "the gate of resources": (_set("aggregation", 1.2), SPIRAL),
    "the gate of risk": (_set("risk", 0.1), SPIRAL),
    "the gate of value": (_set("value", 0.7), SPIRAL),
    "the levers of IT": (_set("it_action", 1.0, 3), LEVERS),
}


@pytest.fixture(scope="module")
def plain(lived: tuple[Any, Any]) -> np.ndarray:
    return frame(*lived)


@pytest.mark.parametrize("what", SEEN)
def test_a_frame_shows(what: str, lived: tuple[Any, Any], plain: np.ndarray) -> None:
    s, p = lived
    change, box = SEEN[what]
    other = copy.deepcopy(s)
    change(other)
    assert other.tobytes() != s.tobytes()
    differs = (frame(other, p) != plain).any(2)
    x, y, width, height = map(int, box)
    if box == ECOSYSTEM:
        # Not the words in its corners, which tell it too.
        down, across = np.ogrid[:HEIGHT, :WIDTH]
        differs &= np.hypot(across - box.centre[0], down - box.centre[1]) < 280.0
    assert differs[y : y + height, x : x + width].sum() > 20


def _shape(draw: Callable[[Canvas], None]) -> np.ndarray:
    """Where a marker is, whatever its colours."""
    ground = (0, 0, 0)
    canvas = Canvas(60, 60, ground)
    draw(canvas)
    return canvas.pixels().max(2) > 40


MARKS: dict[str, Callable[[Canvas], None]] = {
    **{
        state: lambda canvas, state=state: markers.firm(canvas, (30, 30), 10.0, state)  # type: ignore[misc]
        for state in ("outside", "waiting", "basic", "full")
    },
    **{
        event: lambda canvas, event=event: markers.burst(canvas, (30, 30), 20.0, event)  # type: ignore[misc]
        for event in ("own", "platform")
    },
    **{
        closing: lambda canvas, closing=closing: markers.cross(canvas, (30, 30), 10.0, closing)  # type: ignore[misc]
        for closing in ("closure", "default")
    },
    "green": lambda canvas: markers.leaf(canvas, (30, 30), 10.0),
    "exploited": lambda canvas: markers.diamond(canvas, (30, 30), 10.0),
    "campaign": lambda canvas: markers.bolt(canvas, (30, 30), 12.0),
    "met": lambda canvas: markers.tick(canvas, (30, 30), 10.0, met=True),
    "not met": lambda canvas: markers.tick(canvas, (30, 30), 10.0, met=False),
}


def test_marks_differ_in_shape_and_not_in_colour_alone() -> None:
    shapes = {name: _shape(draw) for name, draw in MARKS.items() if name not in ("met", "not met")}
    for one, other in itertools.combinations(shapes, 2):
        union = (shapes[one] | shapes[other]).sum()
        assert (shapes[one] ^ shapes[other]).sum() > 0.15 * union, (one, other)
    assert (_shape(MARKS["met"]) ^ _shape(MARKS["not met"])).sum() > 50


@pytest.mark.parametrize("count", [1, 2, 8, 32, 33, 128, 512])
def test_firms_do_not_cover_each_other_and_stay_in_their_panel(count: int) -> None:
    centre = (400.0, 350.0)
    places, size = ecosystem._firm_places(count, centre)
    assert len(places) == count
    at = np.array(places)
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + np.eye(count) * 1e9
    assert apart.min() > 2.0 * size * 0.98
    away = np.hypot(*(at - centre).T)
    assert away.min() > ecosystem._TRUST + size
    assert away.max() + 1.3 * size < min(frame_module._ECOSYSTEM.width, frame_module._ECOSYSTEM.height) / 2.0


@pytest.mark.parametrize(("smes", "services"), [(1, 4), (128, 32)])
def test_small_and_large_worlds_are_drawn(smes: int, services: int, tmp_path: Any) -> None:
    world = tmp_path / "world.toml"
    world.write_text(
        f'extends = "small-v1"\nid = "own-v1"\ntitle = "own"\ndescription = "own"\n'
        f"[params]\nnum_services = {services}\n"
    )
    env = spiral_env.parallel_env(world, num_smes=smes, render_mode="rgb_array", max_cycles=3)
    env.reset(seed=0)
    assert _is_frame(env.render())


@pytest.mark.slow
def test_a_second_has_room_for_twenty_frames_of_thirty_two_firms() -> None:
    import time

    env = spiral_env.parallel_env("baseline-v1", render_mode="rgb_array")
    env.reset(seed=0)
    s, p = env.engine.states[0], env.engine.params[0]
    frame(s, p)
    best = math.inf
    for _ in range(10):
        start = time.process_time()
        frame(s, p)
        best = min(best, time.process_time() - start)
    assert best < 0.05
