"""What people read: nothing clipped, nothing folded in a pipe, names visible."""

from __future__ import annotations

import pytest

from spiral_env.text import Table, folded, one_line

MONTHS = Table(
    ["month", *(f"measure_{k}" for k in range(9)), "remark"],
    [[m, *(f"{m * 1000.5 + k:,.2f}" for k in range(9)), "a remark of many words " * 4] for m in range(3)],
    "months",
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [/eu] text", "plain [/eu] text"),
        ("a\nb\tc\x1b[31m\x00", "a\\nb\\tc\\x1b[31m\\x00"),
        ("caf\udce9", "caf\\udce9"),
        ("\u202eright to left", "\\u202eright to left"),
    ],
)
def test_a_name_is_one_visible_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_long_line_is_cut_in_its_middle() -> None:
    line = one_line("start" + "x" * 5000 + "end", 60)
    assert len(line) == 60
    assert (line[:5], line[-3:]) == ("start", "end")
    assert " ... " in line
    assert one_line("x" * 60, 60) == "x" * 60


def test_a_table_is_one_line_a_row_where_no_width_binds_it() -> None:
    title, head, *rows = MONTHS.text().splitlines()
    assert title == "months"
    assert head.split() == list(MONTHS.columns)
    assert len(rows) == len(MONTHS.rows)
    assert rows[2].split()[:10] == ["2", *(f"{2001 + k:,.2f}" for k in range(9))]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_fits_the_width_and_shows_every_cell(width: int) -> None:
    text = MONTHS.text(width)
    assert max(map(len, text.splitlines())) <= width
    assert all(str(cell) in text for row in MONTHS.rows for cell in row[:-1])
    assert all(name in text for name in MONTHS.columns)
    assert text.count("remark of") + text.count("remark\n") >= 12


def test_a_cell_wider_than_the_width_is_shown_in_full() -> None:
    assert "x" * 200 in Table(["name", "value"], [["x" * 200, "1"]]).text(80)


def test_numbers_stand_right_and_text_left() -> None:
    table = Table(["name", "value", "unit"], [["a", "1.5", "k$"], ["bc", "-200.0", ""]])
    assert table.text().splitlines() == ["name   value  unit", "a        1.5  k$", "bc    -200.0"]


def test_a_long_line_is_folded_under_its_start_but_a_command_can_be_copied() -> None:
    words = "  " + "word " * 30 + "\n  spiral evaluate " + "--compare team " * 8
    lines = folded(words, 40).splitlines()
    assert max(map(len, lines[:-1])) <= 40
    assert [line[:4] for line in lines[:2]] == ["  wo", "    "]
    assert lines[-1] == "  spiral evaluate " + "--compare team " * 8
    assert folded(words, None) == words
