"""Severities as CVSS scores, however a tool tells them: vectors of versions 2, 3 and 4, numbers, words, levels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

__all__ = ["ASSUMED", "LEVELS", "WORDS", "Severity", "of_number", "of_vector", "of_word"]


class Severity(NamedTuple):
    """A CVSS score and how it came about."""

    score: float
    told_by: str


WORDS = {
    "critical": 9.5,
    "high": 8.0,
    "important": 8.0,
    "medium": 5.5,
    "moderate": 5.5,
    "low": 2.0,
    "minor": 2.0,
    "info": 0.0,
    "informational": 0.0,
    "information": 0.0,
    "negligible": 0.0,
    "none": 0.0,
}
"""Middle of the band that a word stands for; 0 is no vulnerability."""
LEVELS = {"error": 8.0, "warning": 5.5, "note": 2.0, "none": 0.0}
"""Of SARIF, where nothing tells more."""
ASSUMED = Severity(5.5, "assumed medium")
"""Where nothing at all is told: half of all CVEs are medium."""
_LONGEST_VECTOR = 400


def of_word(word: Any) -> Severity | None:
    """Of a word, in any case; None if it is none of ``WORDS``."""
    score = WORDS.get(word.strip().lower()) if isinstance(word, str) else None
    return None if score is None else Severity(score, "word")


def of_number(value: Any) -> Severity | None:
    """Of a score, as a number or its text; None if it is not in [0, 10]."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        score = float(value)
    except (ValueError, OverflowError):
        return None
    return Severity(score, "score") if math.isfinite(score) and 0.0 <= score <= 10.0 else None


def of_vector(vector: Any) -> Severity | None:
    """Of a CVSS vector of any version, with or without its prefix; None if it is none.

    Raises:
        ImportError: the package that scores vectors is missing.
    """
    import cvss

    if not isinstance(vector, str) or not 0 < len(vector) <= _LONGEST_VECTOR:
        return None
    text = vector.strip().strip("()")
    try:
        if text.startswith("CVSS:4"):
            return Severity(float(cvss.CVSS4(text).base_score), "CVSS 4 vector")
        if text.startswith("CVSS:3"):
            return Severity(float(cvss.CVSS3(text).base_score), f"CVSS {text[5:8]} vector")
        text = text.removeprefix("CVSS:2.0/").removeprefix("CVSS2#")
        if "Au:" in text:
            return Severity(float(cvss.CVSS2(text).base_score), "CVSS 2 vector")
        version, kind = ("4.0", cvss.CVSS4) if "/VC:" in text else ("3.1", cvss.CVSS3)
        return Severity(float(kind(f"CVSS:{version}/{text}").base_score), f"CVSS {version} vector")
    except cvss.CVSSError:
        return None
