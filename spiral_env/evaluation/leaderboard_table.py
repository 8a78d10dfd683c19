"""Ranks and tables of a leaderboard: JSON that holds what is printed, and Markdown of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spiral_env.checks import shown
from spiral_env.evaluation.aggregates import stratified_bootstrap
from spiral_env.evaluation.leaderboard import Board, Outcome
from spiral_env.evaluation.leaderboard_statistics import Groups, bootstrapped, improvement, mean, middle
from spiral_env.evaluation.scoring import find_reference
from spiral_env.evaluation.statistics import Interval
from spiral_env.text import Table, one_line

__all__ = ["FORMAT", "OVERALL", "VERSION", "as_markdown", "as_texts", "differences", "ranked", "share_of_bound"]

FORMAT = "spiral_env-leaderboard"
VERSION = 1
OVERALL = "overall"
_DIGITS = 2
"""Decimals of a printed score; of k$ a month there are none."""
_ABOUT = """\
A score is an episode's ecosystem value between the average firm's, 0, and the best known, 1. Entries are ranked by its
interquartile mean (IQM), overall by the mean over the boards. On the held-out board an entry plays each role in turn,
and then all of them, in worlds and with partners that nobody met in training: 0 is the average firm in the same place,
and its IQM is the mean over these five. Intervals are 95 %, of a bootstrap within worlds and cells. P(> next) is the
probability that an episode of the entry is better than one of the next row's on the same worlds. A baseline that plays
some roles alone leaves the others to the average firm."""
_HEADS = ("rank", "entry", "IQM", "95 % interval", "mean", "interval", "P(> next)", "interval")
_MEANS_INTERVAL = 5
"""Place of the column that a terminal has no room for."""


def ranked(
    boards: Sequence[Board], found: Mapping[str, Mapping[str, Outcome]], unplayed: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The overall table, where every board is normalised, and one a board: rows from the best to those that failed.

    A score is the interquartile mean over a board's episodes; the overall one is the mean over boards of these.
    Intervals are of a bootstrap within worlds and cells. Beside each stands how probable it is that an episode of it is
    better than one of the next row's, on the same worlds.

    Args:
        boards: in their order.
        found: board -> entry -> how it did.
        unplayed: entry -> why it could not even be loaded.
    """
    tables = []
    for board in boards:
        outcomes = found[board.name]
        notes = list(dict.fromkeys(note for x in outcomes.values() for note in x.notes))
        samples = {name: x.strata for name, x in outcomes.items() if not x.failure}
        failed = {**unplayed, **{name: x.failure for name, x in outcomes.items() if x.failure}}
        values = {name: float(np.mean(x.values)) for name, x in outcomes.items() if x.values}
        groups = [(0, part) for part in board.parts]
        about = {**board.described, "normalised": not notes, "notes": notes, "ends": _ends(board)}
        tables.append({**about, "rows": _rows(samples, failed, groups, values, 0 if notes else _DIGITS)})
    whole = _overall(boards, found, unplayed, [x["name"] for x in tables if x["normalised"]])
    return [whole, *tables] if whole else tables


def _ends(board: Board) -> dict[str, Any] | None:
    reference = None if board.world is None else find_reference(board.world)[0]
    return None if reference is None else {"zero": reference.zero, "one": reference.one, "best": reference.best}


def _overall(
    boards: Sequence[Board],
    found: Mapping[str, Mapping[str, Outcome]],
    unplayed: Mapping[str, str],
    names: Sequence[str],
) -> dict[str, Any] | None:
    """Over all boards that are normalised; None where there are not several."""
    if len(names) < 2:
        return None
    chosen = [board for board in boards if board.name in names]
    groups = [(k, part) for k, board in enumerate(chosen) for part in board.parts]
    failed = dict(unplayed)
    for board in chosen:
        for entry, x in found[board.name].items():
            if x.failure:
                failed.setdefault(entry, f"{board.name}: {x.failure}")
    entries = [entry for entry in found[chosen[0].name] if entry not in failed]
    samples = {entry: [x for board in chosen for x in found[board.name][entry].strata] for entry in entries}
    about = {"name": OVERALL, "worlds": list(names), "normalised": True, "notes": [], "ends": None}
    return {**about, "rows": _rows(samples, failed, groups, {})}


def _rows(
    samples: Mapping[str, list[np.ndarray]],
    failed: Mapping[str, str],
    groups: Groups,
    values: Mapping[str, float],
    places: int = _DIGITS,
) -> list[dict[str, Any]]:
    """From the best to the worst, then those that failed, in the order of their names."""
    order = sorted(samples, key=lambda name: (-float(middle(samples[name], groups)), name))
    rows = []
    for rank, name in enumerate(order, 1):
        strata = samples[name]
        below = order[rank] if rank < len(order) else None
        better = None
        if below is not None:
            better = bootstrapped(improvement, strata, samples[below], groups=groups)
        row = {"rank": rank, "entry": name, "value": values.get(name)}
        row |= {name: _told(bootstrapped(f, strata, groups=groups)) for name, f in (("iqm", middle), ("mean", mean))}
        row["better_than_next"] = None if better is None else _told(better)
        rows.append({**row, "printed": _printed(row, places)})
    return [*rows, *({"rank": None, "entry": name, "failed": line} for name, line in sorted(failed.items()))]


def _told(x: Interval) -> dict[str, Any]:
    return {"mean": x.mean, "interval95": [x.low, x.high]}


def _printed(row: Mapping[str, Any], places: int) -> list[str]:
    """Cells of a row as they are printed: rank, entry, score and mean with intervals, improvement over the next."""
    cells = [str(row["rank"]), one_line(row["entry"], 40)]
    for key, digits in (("iqm", places), ("mean", places), ("better_than_next", _DIGITS)):
        x = row[key]
        told = [] if x is None else [_number(v, digits) for v in (x["mean"], *x["interval95"])]
        cells += [told[0], f"[{told[1]}, {told[2]}]"] if told else ["", ""]
    return cells


def _number(x: float, places: int) -> str:
    """Nothing is minus zero."""
    text = f"{x:,.{places}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def differences(stored: Mapping[str, Any], again: Mapping[str, Any]) -> tuple[int, list[str]]:
    """How many printed cells were compared, and a line for each that differs.

    Args:
        stored: a leaderboard as JSON gives it.
        again: the same, played again.
    """
    before, now = (dict(_cells(x)) for x in (stored, again))
    keys = dict.fromkeys((*before, *now))
    lines = [
        f"{key}: {shown(before.get(key, 'nothing'))} stored, {shown(now.get(key, 'nothing'))} now"
        for key in keys
        if before.get(key) != now.get(key)
    ]
    return len(keys), lines


def _cells(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a printed cell is, and what stands in it."""
    for table in result["tables"]:
        for row in table["rows"]:
            printed = row.get("printed") or ["", row["entry"], f"failed: {row['failed']}"]
            for place, cell in enumerate(printed):
                yield f"{table['name']}, {row['entry']}, {_HEADS[place]} (column {place + 1})", cell


def share_of_bound(values: Mapping[str, Sequence[float]], planned: Sequence[float]) -> dict[str, Any]:
    """The share of a planner's upper bound that the best known team reaches: a ratio of means over the same episodes.

    Args:
        values: team -> ecosystem value of every episode; the best in the mean of all of them is the best known.
        planned: what the planner made of the first of these episodes.
    """
    best = max(values, key=lambda name: float(np.mean(values[name])))
    count = min(len(planned), len(values[best]))
    mine, bound = np.array(values[best][:count]), np.array(planned[:count])
    share = stratified_bootstrap(lambda a, b: float(a[0].mean() / b[0].mean()), [mine], [bound], paired=True)
    told = {"best": best, "episodes": count, "value": float(mine.mean()), "planned": float(bound.mean())}
    return {**told, "share": _told(share)}


def as_texts(result: Mapping[str, Any]) -> list[Table]:
    """A table a board, for a terminal: without the mean's interval."""
    places = [k for k in range(len(_HEADS)) if k != _MEANS_INTERVAL]
    return [
        Table(
            [_HEADS[k] for k in places],
            [[row["printed"][k] for k in places] for row in table["rows"] if "printed" in row],
            title=_title(table),
            notes=[f"{one_line(row['entry'], 40)} FAILED: {row['failed']}" for row in table["rows"] if "failed" in row],
        )
        for table in result["tables"]
    ]


def _title(table: Mapping[str, Any]) -> str:
    if table["name"] == OVERALL:
        return f"overall: mean of {', '.join(table['worlds'])}"
    size = f"{table['cells']} cells of {table['episodes']}" if table["cells"] else f"{table['episodes']}"
    return f"{table['name']}: {size} episodes" + ("" if table["normalised"] else ", k$ a month")


def as_markdown(result: Mapping[str, Any]) -> str:
    """The whole page."""
    lines = ["# Leaderboard", "", _ABOUT, "", "![IQM with 95 % intervals](leaderboard.png)", ""]
    for table in result["tables"]:
        lines += [f"## {_title(table)}", ""]
        if table["ends"]:
            ends = table["ends"]
            lines += [f"0: {ends['zero']:,.0f} k$ a month; 1: {ends['one']:,.0f}, {ends['best']}.", ""]
        lines += [_line(_HEADS), _line(["---:", "---", *["---:"] * (len(_HEADS) - 2)])]
        lines += [_line(row["printed"]) for row in table["rows"] if "printed" in row]
        lines += [
            _line(["", one_line(x["entry"], 40), f"failed: {x['failed']}"]) for x in table["rows"] if "failed" in x
        ]
        lines += ["", *(f"Note: {note}." for note in table["notes"]), ""]
    if result.get("bound"):
        lines += _bound_lines(result["bound"])
    found = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines += [
        f"Written by `{result['command']}`; check it with `spiral leaderboard --check leaderboard.json`. {found}."
    ]
    return "\n".join(lines) + "\n"


def _bound_lines(bound: Mapping[str, Any]) -> list[str]:
    share, (low, high) = bound["share"]["mean"], bound["share"]["interval95"]
    return [
        "## Share of the planner's upper bound",
        "",
        _line(("world", "episodes", "best known", "k$ a month", "planner", "share", "95 % interval")),
        _line(["---", "---:", "---", *["---:"] * 4]),
        _line(
            (
                *(bound["world"], str(bound["episodes"]), bound["best"], f"{bound['value']:,.0f}"),
                *(f"{bound['planned']:,.0f}", f"{share:.2f}", f"[{low:.2f}, {high:.2f}]"),
            )
        ),
        "",
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(x.replace('|', '/') for x in cells)} |"
