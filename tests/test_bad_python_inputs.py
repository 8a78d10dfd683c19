"""Every wrong input to the Python interface ends in one clear line and changes nothing; unusual ones work."""

from __future__ import annotations

from bad_inputs import python


def test_wrong_inputs_end_in_one_clear_line() -> None:
    tried, faults = python.bad()
    assert faults == []
    assert tried > 400


def test_unusual_inputs_work() -> None:
    tried, faults = python.right()
    assert faults == []
    assert tried > 50
