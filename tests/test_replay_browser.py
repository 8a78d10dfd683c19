"""The replay page in a real browser: it plays, scrubs, answers the keyboard and tells in words what it draws."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spiral_env.agents import load_policy
from spiral_env.render.replay import Replay, page_of, record
from spiral_env.roles import ROLES
from tests.browser import Opened, chromium, opened

MONTHS = 30


@pytest.fixture(scope="module")
def replay() -> Replay:
    teams = {spec: {role: load_policy(spec, role) for role in ROLES} for spec in ("uniform", "scripted")}
    return record("baseline-v1", teams, 2, max_cycles=MONTHS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "two teams.html"
    path.write_text(page_of(replay), encoding="utf-8")
    return path


@pytest.fixture
def shown(browser: Any, file: Path) -> Iterator[Opened]:
    with opened(browser, file) as found:
        yield found


def _month(page: Any) -> int:
    said = re.match(r"month (\d+) of (\d+)", page.locator("#month").inner_text())
    assert said is not None
    assert int(said[2]) == MONTHS
    return int(said[1])


def _heights(page: Any) -> list[float]:
    """Spiral heights that the page shows, a team each."""
    return [float(x) for x in page.locator(".spirals .big").all_text_contents()]


def _until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait for what the page does by itself; its own policy of content forbids the driver's way."""
    for _ in range(400):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come within 20 s")


def _scroll_through(page: Any) -> None:
    for y in range(0, page.evaluate("document.body.scrollHeight"), 500):
        page.evaluate(f"window.scrollTo(0, {y})")
        page.wait_for_timeout(30)


def test_it_opens_without_a_network_and_without_a_complaint(shown: Opened, file: Path) -> None:
    _scroll_through(shown.page)
    _until(shown.page, lambda: shown.page.locator("canvas").count() >= 16)
    assert shown.requests == [file.as_uri()]
    assert shown.complaints == []
    assert file.stat().st_size < 6e6


def test_scrubbing_shows_the_month_that_is_chosen(shown: Opened, replay: Replay) -> None:
    page = shown.page
    assert _month(page) == MONTHS, "it opens at the end, where the difference is plain"
    for month in (1, 17, MONTHS):
        page.locator("#time").fill(str(month))
        assert _month(page) == month
        wanted = [float(team.states["height"][month - 1]) for team in replay.teams]
        assert _heights(page) == pytest.approx(wanted, abs=0.006)


def test_the_keyboard_moves_time(shown: Opened) -> None:
    page = shown.page
    found = []
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft", "Shift+ArrowRight", "End", "Shift+ArrowLeft"):
        page.keyboard.press(key)
        found.append(_month(page))
    assert found == [1, 2, 3, 2, 14, MONTHS, MONTHS - 12]


def test_the_keyboard_goes_from_incident_to_incident(shown: Opened) -> None:
    page = shown.page
    page.keyboard.press("Home")
    page.keyboard.press("n")
    first = _month(page)
    page.keyboard.press("n")
    assert page.locator("#happens").inner_text().strip() != ""
    page.keyboard.press("p")
    assert _month(page) == first > 1


def test_space_plays_and_pauses(shown: Opened) -> None:
    page = shown.page
    page.get_by_label("Speed in months a second").select_option("16")
    page.locator("h1").click()
    page.keyboard.press(" ")
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    _until(page, lambda: _month(page) > 3)
    page.keyboard.press(" ")
    stopped = _month(page)
    assert page.locator("#play").get_attribute("aria-label") == "Play"
    page.wait_for_timeout(200)
    assert _month(page) == stopped


def test_buttons_step_and_play_to_the_end(shown: Opened) -> None:
    page = shown.page
    page.get_by_role("button", name="First month").click()
    page.get_by_role("button", name="One month on").click()
    assert _month(page) == 2
    page.get_by_label("Speed in months a second").select_option("16")
    page.locator("#play").click()
    _until(page, lambda: _month(page) == MONTHS)
    _until(page, lambda: page.locator("#play").get_attribute("aria-label") == "Play")


def test_a_click_in_a_chart_goes_to_its_month(shown: Opened) -> None:
    page = shown.page
    chart = page.get_by_role("img", name=re.compile("^Spiral height"))
    chart.scroll_into_view_if_needed()
    chart.locator("canvas").wait_for()
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] / 2, "y": 60})
    assert MONTHS / 2 - 3 <= _month(page) <= MONTHS / 2 + 3
    line = chart.locator("xpath=following-sibling::div").bounding_box()
    assert line["x"] - box["x"] == pytest.approx(box["width"] / 2, abs=box["width"] / MONTHS)


def test_every_figure_says_in_words_what_it_shows(shown: Opened) -> None:
    page = shown.page
    _until(page, lambda: page.locator("#now").inner_text().startswith(f"Month {MONTHS}. uniform: height"))
    figures = page.locator("figure [role=img]")
    before = [figures.nth(k).get_attribute("aria-label") for k in range(figures.count())]
    assert len(before) >= 19
    assert all(len(words) > 60 and "undefined" not in words and "NaN" not in words for words in before)
    page.keyboard.press("Home")
    _until(page, lambda: page.locator("#now").inner_text().startswith("Month 1. uniform: height"))
    after = [figures.nth(k).get_attribute("aria-label") for k in range(figures.count())]
    assert sum(a != b for a, b in zip(after, before, strict=True)) >= 14, "words follow the month"


def test_the_numbers_behind_a_figure_are_there(shown: Opened, replay: Replay) -> None:
    page = shown.page
    card = page.locator("figure", has_text="Spiral height")
    card.get_by_text("Numbers").click()
    rows = card.locator("tbody tr")
    rows.last.wait_for()
    assert rows.count() == MONTHS
    last = [float(x) for x in rows.last.locator("td").all_inner_texts()]
    assert last == pytest.approx([MONTHS, *(float(team.states["height"][-1]) for team in replay.teams)], abs=0.006)


def test_an_incident_of_the_list_leads_to_its_month(shown: Opened) -> None:
    page = shown.page
    page.get_by_text(re.compile(r"List of the \d+ incidents")).click()
    button = page.locator(".events button").nth(3)
    button.click()
    assert _month(page) == int(button.get_attribute("data-month"))


def test_money_is_shown_of_a_month_or_since_the_start(shown: Opened) -> None:
    page = shown.page
    flow = page.get_by_role("img", name=re.compile("^Money of scripted"))
    flow.scroll_into_view_if_needed()
    _until(page, lambda: f"From the start to month {MONTHS}" in flow.get_attribute("aria-label"))
    page.get_by_text("this month", exact=True).click()
    _until(page, lambda: f"In month {MONTHS}" in flow.get_attribute("aria-label"))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_stands_out_of_a_small_screen(browser: Any, file: Path, width: int) -> None:
    with opened(browser, file, width, 800, has_touch=True, is_mobile=True) as found:
        _scroll_through(found.page)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        found.page.get_by_role("button", name="One month back").tap()
        assert _month(found.page) == MONTHS - 1
        assert found.complaints == []


def test_dark_and_light_are_those_of_the_system(browser: Any, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, file, color_scheme="dark") as found:
        page = found.page
        page.evaluate("window.scrollTo(0, 900)")
        page.locator("canvas").first.wait_for()
        dark, drawn = page.evaluate(ground), page.locator("canvas").first.screenshot()
        page.emulate_media(color_scheme="light")
        assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 150
        assert sum(map(int, re.findall(r"\d+", page.evaluate(ground))[:3])) > 600
        _until(page, lambda: page.locator("canvas").first.screenshot() != drawn)
        assert found.complaints == []


def test_one_team_alone_is_a_page_too(browser: Any, tmp_path: Path) -> None:
    team = {role: load_policy("status_quo", role) for role in ROLES}
    path = tmp_path / "one.html"
    path.write_text(page_of(record("small-v1", {"status_quo": team}, 1, max_cycles=MONTHS)), encoding="utf-8")
    with opened(browser, path) as found:
        _scroll_through(found.page)
        assert found.page.locator("h1").inner_text().strip() == "status_quo"
        assert len(_heights(found.page)) == 1
        assert found.page.get_by_role("heading", name="Where the value comes from").count() == 1
        assert found.complaints == []
