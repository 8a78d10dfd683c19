"""A real browser for tests: headless Chromium, from Debian's package or where SPIRAL_ENV_CHROMIUM says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Opened", "chromium", "opened"]

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Opened:
    """A page and all that it said or asked for.

    Attributes:
        page: of Playwright.
        complaints: messages of the console and uncaught errors.
        requests: addresses.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; where there is none the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("SPIRAL_ENV_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: install the package chromium, or set SPIRAL_ENV_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, width: int = 1366, height: int = 768, **options: Any) -> Iterator[Opened]:
    """A file opened without a network, at a size in pixels."""
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    found = Opened(context.new_page())
    found.page.goto(file.as_uri())
    yield found
    context.close()
