"""The benchmarks measure what they say: the counted month is the month, reports grow part by part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spiral_env.core.state import FIELDS
from tests.benchmarks import bench as benchmarks
from tests.benchmarks.bench import PARTS, beside_peers, markdown
from tests.benchmarks.counting import WORK, CountedMonth
from tests.benchmarks.stepping import check_parity, opened, random_efforts


def test_the_counted_month_is_the_month() -> None:
    compiled, counted = opened(2), opened(2)
    efforts = random_efforts(compiled)
    month = CountedMonth()
    for _ in range(3):
        compiled.step(efforts)
        for row in range(2):
            month.live(counted, row, efforts[row])
    for field in FIELDS:
        np.testing.assert_allclose(counted.states[field.name], compiled.states[field.name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(counted.observed, compiled.observed, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(counted.scalars, compiled.scalars, rtol=1e-9)
    assert all(month.counts[name] > 0 for name in WORK)


def test_operations_are_counted_by_kind() -> None:
    from spiral_env.core import rng

    month = CountedMonth()
    month.python(rng.normal_quantile)(0.5 + 1e-3)
    centre = dict(month.counts)
    with np.errstate(over="ignore"):
        month.python(rng.exponential)(1, 2, 3, 4)
    assert centre["division"] == 1
    # Two polynomials of degree seven: 14 products and 14 sums, and what leads there.
    assert 28 <= centre["arithmetic"] <= 36
    assert (month.counts["mix"], month.counts["log"]) == (3, 1)


def test_parity_is_checked_before_anything_is_timed() -> None:
    check_parity(3)


def test_a_report_grows_part_by_part_and_its_table_shows_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "race", ("Race", lambda: {"ippo": 3.0, "sb3-ppo": float("inf")}))
    monkeypatch.setitem(PARTS, "trainer", ("Trainers", lambda: {"ippo": 12345.0}))
    out = tmp_path / "bench.json"
    for part in ("race", "trainer"):
        benchmarks.bench([part], out)
    report = json.loads(out.read_text())
    assert list(report) == ["trainer", "race"]
    assert report["race"]["machine"].keys() >= {"processor", "cores", "numba", "torch"}
    table = (tmp_path / "bench.md").read_text()
    assert table == markdown(report)
    assert "| sb3-ppo | not reached |" in table
    assert "| ippo | 12,345 |" in table


def test_an_unknown_part_and_a_missing_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--only must be of compile, single.* did you mean 'peers'"):
        benchmarks.bench(["peer"], tmp_path / "bench.json")
    with pytest.raises(ValueError, match="part peers needs --peers FOLDER"):
        beside_peers(None)
    assert not list(tmp_path.iterdir())
