"""What lasts shows how far it has come: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest

from spiral_env.commands import _progress
from spiral_env.commands._progress import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


@pytest.fixture(autouse=True)
def _ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def _play(monkeypatch: pytest.MonkeyPatch, seconds_a_step: float) -> None:
    """Ten steps of two episodes, each of which takes its time."""
    clock = iter(seconds_a_step * k for k in range(1000))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    with progress("evaluate", 20, "episodes") as shown:
        for _ in range(10):
            shown.advance(2)


def test_a_pipe_gets_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    _play(monkeypatch, seconds_a_step=3.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "evaluate: 10 %, 2 of 20 episodes, about 27 s left",
        "evaluate: 30 %, 6 of 20 episodes, about 21 s left",
        "evaluate: 50 %, 10 of 20 episodes, about 15 s left",
        "evaluate: 70 %, 14 of 20 episodes, about 9 s left",
        "evaluate: 90 %, 18 of 20 episodes, about 3 s left",
    ]


def test_what_is_over_at_once_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    _play(monkeypatch, seconds_a_step=0.1)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_is_wiped_before_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with contextlib.suppress(ValueError), progress("a [/eu] title", 4, "episodes") as shown:
        shown.reach(2, "note [/eu]")
        raise ValueError
    drawn = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "a [/eu] title" in drawn
    assert "2 of 4 episodes, note [/eu]" in drawn
    # Erase the line, cursor at its start, cursor visible again.
    assert drawn.endswith("\x1b[2K")
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("episodes")


def test_a_note_that_has_no_room_beside_the_bar_stands_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    note = "trial 0 complete ecosystem_value 422.9; best 422.9 of trial 0"
    with progress("sweep", 2, "trials") as shown:
        shown.reach(1, note)
    drawn = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert f"1 of 2 trials\n{note}" in drawn
    assert "…" not in drawn


@pytest.mark.parametrize("stream", [None, Terminal()])
def test_a_missing_or_closed_stream_stops_no_work(stream: Terminal | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    if stream is not None:
        stream.close()
        monkeypatch.setattr(stream, "isatty", lambda: False)
    monkeypatch.setattr(sys, "stderr", stream)
    _play(monkeypatch, seconds_a_step=3.0)
