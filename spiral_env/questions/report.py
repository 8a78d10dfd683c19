"""Reports that grow part by part: JSON with every figure, and Markdown that can be read at a glance."""

from __future__ import annotations

import difflib
import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from spiral_env.evaluation.statistics import Interval
from spiral_env.files import as_json_text, parse_json, read_file, write_atomically
from spiral_env.provenance import commit

__all__ = ["Part", "Report", "Row", "command_line", "measured", "number", "shown", "table"]

Row = Sequence[object]
_MAX_BYTES = 100_000_000
_NOTHING = 1e-9
"""Below it a figure is rounding."""


class Part(NamedTuple):
    """One measurement: its title, the function that makes its figures, and what turns these into a table."""

    title: str
    measure: Callable[[Any], dict[str, Any]]
    rows: Callable[[dict[str, Any]], tuple[Row, list[Row]]]


@dataclass(frozen=True)
class Report:
    """Files that grow: ``<out>/<name>.json`` and ``<out>/<name>.md``.

    Attributes:
        parts: name -> part, in the order of the report.
        name: of the files.
        out: their folder.
        command: that wrote them, without ``--only``.
        world: id and hash of the world.
        conclude: from the stored parts, data kept beside them as ``conclusions`` and what the page says first.
    """

    parts: Mapping[str, Part]
    name: str
    out: Path
    command: str
    world: str
    conclude: Callable[[Mapping[str, Any]], tuple[Any, str]] | None = None

    @property
    def path(self) -> Path:
        """Of the JSON file."""
        return self.out / f"{self.name}.json"

    def stored(self) -> dict[str, Any]:
        """All that the JSON file holds so far.

        Raises:
            ValueError: it is no JSON of a sane size.
        """
        if not self.path.exists():
            return {}
        return parse_json(read_file(self.path, _MAX_BYTES, "report"), f"report {self.path}")

    def write(self, context: Any, only: str = "") -> Iterator[str]:
        """Measure the parts named in ``only``, all if none, store each as soon as it is there, and tell it.

        Raises:
            ValueError: a part is unknown, or one that was stored before is of another shape.
        """
        chosen = measured(self.parts, only)
        kept = self._kept(chosen)
        for part in chosen:
            start = time.perf_counter()
            figures = self.parts[part].measure(context)
            about = {"command": f"{self.command} --only {part}", "commit": commit(), "world": self.world}
            kept[part] = {"about": about | {"seconds": time.perf_counter() - start}, "figures": figures}
            kept = self._store(kept)
            yield _section(self.parts[part], kept[part])

    def _kept(self, chosen: Sequence[str]) -> dict[str, Any]:
        """Stored parts that can be told; those of an older shape must be measured again."""
        kept = {}
        for name, part in self.stored().items():
            if name not in self.parts:
                continue
            try:
                _section(self.parts[name], part)
                kept[name] = part
            except (LookupError, TypeError, ValueError, AttributeError):
                if name not in chosen:
                    again = f"measure it again, too, or choose another folder than {self.out}"
                    raise ValueError(f"part {name} of {self.path} is of an older shape: {again}") from None
        return kept

    def _store(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Write the parts."""
        # Read back, so that the text is that of the stored report, however it came together.
        stored: dict[str, Any] = json.loads(as_json_text({key: report[key] for key in self.parts if key in report}))
        sections = [_section(self.parts[name], x) for name, x in stored.items()]
        whole, ahead = dict(stored), []
        if self.conclude is not None:
            conclusions, text = self.conclude(stored)
            whole, ahead = whole | {"conclusions": conclusions}, [text]
        head = f"Written by `{self.command.partition(' --')[0]}`; intervals are 95 %, in brackets."
        self.out.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, as_json_text(whole) + "\n")
        write_atomically(self.path.with_suffix(".md"), "\n".join([head, "", *ahead, *sections]))
        return stored


def command_line(program: str, arguments: Sequence[str]) -> str:
    """The command with its arguments as a shell takes them, without ``--only``."""
    kept = [x for k, x in enumerate(arguments) if "--only" not in (x, *arguments[max(0, k - 1) : k])]
    return shlex.join([*program.split(), *(x for x in kept if not x.startswith("--only="))])


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


def _section(part: Part, stored: Mapping[str, Any]) -> str:
    head, rows = part.rows(stored["figures"])
    about = stored["about"]
    lines = [f"## {part.title}", "", table(head, rows), ""]
    lines += [
        f"`{about['command']}` ({about['world']}, commit {str(about['commit'])[:12]}, {about['seconds']:.0f} s)",
        "",
    ]
    return "\n".join(lines)


def table(head: Row, rows: Sequence[Row]) -> str:
    """A table of Markdown; all columns but the first are numbers."""
    return "\n".join([_line(head), _line(["---", *["---:"] * (len(head) - 1)]), *map(_line, rows)])


def _line(cells: Row) -> str:
    return f"| {' | '.join(shown(x) for x in cells)} |"


def shown(value: object) -> str:
    """A figure, or an interval as ``12.3 [10.1, 14.5]``."""
    if value is None:
        return ""
    if isinstance(value, Interval) or (isinstance(value, list | tuple) and len(value) == 3):
        mean, low, high = value
        return number(mean) if low is None or high is None else f"{number(mean)} [{number(low)}, {number(high)}]"
    return number(value) if isinstance(value, float) else str(value)


def number(x: float, sign: str = "") -> str:
    """About three digits, of what is small two; ``sign`` "+" writes it always."""
    if x is None:
        return "?"
    size = abs(x)
    form = ",.0f" if size >= 100 else ".1f" if size >= 10 else ".2f" if size >= 0.1 or size < _NOTHING else ".2g"
    return format(0.0 if size < _NOTHING else x, sign + form)
