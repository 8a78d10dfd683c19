from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from frameworks.checks import Record


@pytest.fixture(scope="module")
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    """The row of the module's ``FRAMEWORK``; stored at the end if nox was asked to record and every check passed."""
    page = request.module.__name__.rpartition("test_")[2].replace("_", "-")
    made = Record(page, **request.module.FRAMEWORK)
    failed = request.session.testsfailed
    yield made
    if os.environ.get("SPIRAL_RECORD") and made.complete and request.session.testsfailed == failed:
        made.write()
