"""Reports that grow part by part: JSON with every figure, and Markdown that can be read at a glance."""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spiral_env.commands._output import as_json_text
from spiral_env.evaluation.statistics import Interval
from spiral_env.files import write_atomically
from spiral_env.provenance import commit

__all__ = ["Part", "Row", "measured", "shown", "write"]

Row = Sequence[object]


class Part(NamedTuple):
    """One measurement: its title, the function that makes its figures, and what turns these into a table."""

    title: str
    measure: Callable[[Any], dict[str, Any]]
    rows: Callable[[dict[str, Any]], tuple[Row, list[Row]]]


def write(parts: Mapping[str, Part], context: Any, options: argparse.Namespace, name: str, world: str) -> None:
    """Measure the parts that ``options.only`` names, all if none, and store each as soon as it is there.

    Args:
        parts: name -> part, in the order of the report.
        context: handed to every part.
        options: ``only`` (names with commas) and ``out`` (the folder of the report).
        name: of the report's files.
        world: id and hash of the world.

    Raises:
        ValueError: a part is unknown.
    """
    chosen = measured(parts, options.only)
    path = Path(options.out) / f"{name}.json"
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    module = f"tests.benchmarks.{name}"
    for part in chosen:
        start = time.perf_counter()
        figures = parts[part].measure(context)
        command = shlex.join(["python", "-m", module, *_without_only(sys.argv[1:]), "--only", part])
        about = {"command": command, "commit": commit(), "world": world, "seconds": time.perf_counter() - start}
        report[part] = {"about": about, "figures": figures}
        ordered = {key: report[key] for key in parts if key in report}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_json_text(ordered) + "\n")
        # Read back, so that the text is that of the stored report, however it came together.
        text = _markdown(parts, json.loads(path.read_text()), module)
        write_atomically(path.with_suffix(".md"), text)
        print(_section(parts[part], part, json.loads(path.read_text())[part]), flush=True)


def _without_only(arguments: list[str]) -> list[str]:
    return [x for k, x in enumerate(arguments) if x != "--only" and (k == 0 or arguments[k - 1] != "--only")]


def measured(parts: Mapping[str, Part], only: str) -> list[str]:
    """Names of the parts to measure.

    Raises:
        ValueError: a part is unknown.
    """
    names = [x for x in only.split(",") if x]
    for x in names:
        if x not in parts:
            near = difflib.get_close_matches(x, parts, 1)
            raise ValueError(f"--only must be of {', '.join(parts)}, got {x!r}" + (f"; {near[0]}?" if near else ""))
    return names or list(parts)


def _markdown(parts: Mapping[str, Part], report: Mapping[str, Any], module: str) -> str:
    head = f"Written by `python -m {module}`; intervals are 95 %, in brackets."
    return "\n".join([head, "", *(_section(parts[name], name, part) for name, part in report.items())])


def _section(part: Part, name: str, stored: Mapping[str, Any]) -> str:
    head, rows = part.rows(stored["figures"])
    about = stored["about"]
    lines = [f"## {part.title}", ""]
    lines += [_line(head), _line(["---", *["---:"] * (len(head) - 1)]), *map(_line, rows), ""]
    lines += [
        f"`{about['command']}` ({about['world']}, commit {str(about['commit'])[:12]}, {about['seconds']:.0f} s)",
        "",
    ]
    return "\n".join(lines)


def _line(cells: Row) -> str:
    return f"| {' | '.join(shown(x) for x in cells)} |"


def shown(value: object) -> str:
    """A figure, or an interval as ``12.3 [10.1, 14.5]``."""
    if value is None:
        return ""
    if isinstance(value, Interval) or (isinstance(value, list | tuple) and len(value) == 3):
        mean, low, high = value
        return _number(mean) if low is None or high is None else f"{_number(mean)} [{_number(low)}, {_number(high)}]"
    return _number(value) if isinstance(value, float) else str(value)


def _number(x: float) -> str:
    if x is None:
        return "?"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"
