"""Pages that come from the code: scenarios, levers, observations, parameters, measures, commands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from _site.links import COPIES, relinked
from spiral_env.commands import app
from spiral_env.core.params import PARAMETERS, Parameter
from spiral_env.core.state import FIELDS
from spiral_env.metrics import METRICS, MONTH_KEYS, bounds
from spiral_env.render.text import MONTH_COLUMNS
from spiral_env.roles import FEATURES, LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario, scenario_ids
from spiral_env.scenarios.meanings import MEANINGS
from spiral_env.training.runs.config import ALGO_DEFAULTS, hyperparameters

__all__ = ["pages", "write"]

ROOT = Path(__file__).parents[2]
_DEFAULTS = {q.name: q for q in PARAMETERS}


def write(docs: Path) -> None:
    """Write all of them below ``docs/generated``; a page that is as it was keeps its date, so that builds are quick."""
    folder, wanted = docs / "generated", pages()
    for old in folder.rglob("*.md"):
        if old.relative_to(docs).as_posix() not in wanted:
            old.unlink()
    for name, text in wanted.items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Place below ``docs/`` -> Markdown."""
    found = {
        "generated/actions.md": _actions(),
        "generated/observations.md": _observations(),
        "generated/state.md": _state(),
        "generated/parameters.md": _parameters(),
        "generated/measures.md": _measures(),
        "generated/hyperparameters.md": _hyperparameters(),
        "generated/commands.md": _commands(),
        "generated/scenarios.md": _scenarios(),
    }
    found |= {f"generated/scenarios/{name}.md": _scenario(load_scenario(name)) for name in scenario_ids()}
    for file, page in COPIES.items():
        found[page] = relinked(_titled(file), ROOT, Path(file), page)
    return found


def _titled(file: str) -> str:
    """Text of a file of the repository, under a title of its own or its name."""
    text = (ROOT / file).read_text(encoding="utf-8")
    title = Path(file).stem.capitalize().replace("Gpu", "GPU")
    return text if re.search(r"^# ", text, re.M) else f"# {title}: measured\n\n{text}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(x) for x in line) + " |" for line in lines) + "\n"


def _cell(x: object) -> str:
    return " ".join(str(x).split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *(part.strip() for part in parts if part.strip())]) + "\n"


def _code(x: object) -> str:
    return f"`{x}`"


def _value(value: object) -> str:
    return " ".join(f"{x:.6g}" for x in value) if isinstance(value, tuple) else f"{value:.6g}"


def _range(q: Parameter) -> str:
    return f"{q.low:g} to {q.high:g}"


def _actions() -> str:
    parts = [
        "What an agent may choose each month. A lever is an *effort* from 0 to 1: 0 is its low option, 1 its high one. "
        'In `action_mode` "multi_discrete" a graded lever has `levels` values evenly spread over that range and a '
        'category three; in "continuous" the effort itself is chosen. Options are the defaults of the parameter named '
        "in the last column, which a scenario may set anew. The same from the command line: `spiral info --role it`."
    ]
    heads = ("place", "lever", "kind", "low", "middle", "high", "unit", "what it does", "parameter")
    for role in ROLES:
        rows = [
            (k, _code(x.name), x.kind, *x.options, x.unit, x.note, _code(x.table) if x.table else "")
            for k, x in enumerate(LEVERS[role])
        ]
        parts.append(f"## {role}\n\nShape `[{len(rows)}]`.\n\n{_table(heads, rows)}")
    return _page("Actions", *parts)


def _observations() -> str:
    parts = [
        "What an agent sees: float32 Box, one number a feature, in this order. The number is what the feature measures "
        'divided by what "1 stands for", then clipped to low and high. Look features up by name: '
        "`spiral_env.roles.FEATURES[role]`. The last numbers are the agent's own last action."
    ]
    for role in ROLES:
        rows = [(k, _code(f.name), f"{f.low:g}", f"{f.high:g}", f.one) for k, f in enumerate(FEATURES[role])]
        table = _table(("place", "feature", "low", "high", "1 stands for"), rows)
        parts.append(f"## {role}\n\nShape `[{len(rows)}]`.\n\n{table}")
    return _page("Observations", *parts)


def _state() -> str:
    intro = (
        "One ecosystem is one record with these fields; `env.state()` is those marked *central* as one float32 array, "
        "named by `env.state_names` and `env.state_units` (`spiral info --state`). Each field has one writer, which a "
        "test watches. Axes: N SMEs, S services, V slots of vulnerabilities; others count what they are called."
    )
    rows = [
        (
            _code(f.name),
            _code("[" + ", ".join(map(str, f.shape)) + "]") if f.shape else "one number",
            f.unit,
            f"{f.low} to {f.high}",
            _code(f.writer),
            "yes" if f.central else "",
        )
        for f in FIELDS
    ]
    return _page("State", intro, _table(("field", "shape", "unit", "range", "written by", "central"), rows))


def _parameters() -> str:
    intro = (
        "Every number of the model that an analyst may vary. A scenario sets it in `[params]`, or draws it anew each "
        "episode from `[ranges]`. Several numbers are a list, in the order of the meaning. "
        "`spiral scenarios show ID` prints those in force in a world."
    )
    heads = ("name", "default", "unit", "range", "meaning", "source")
    parts = [intro]
    for group, rows in groupby(sorted(PARAMETERS, key=lambda q: q.group), key=lambda q: q.group):
        table = [(_code(q.name), _value(q.default), q.unit, _range(q), MEANINGS[q.name], q.source) for q in rows]
        parts.append(f"## {group}\n\n{_table(heads, table)}")
    return _page("Parameters", *parts)


def _measures() -> str:
    rows = [(_code(name), unit, *map(_bound, bounds(name)), text) for name, (unit, text) in METRICS.items()]
    months = [(_code(name), unit) for name, unit in MONTH_COLUMNS.items()]
    return _page(
        "Outcome measures",
        "What an episode is judged by. `spiral evaluate` prints the headlines, `--everything` all; in Python they are "
        "in `infos` (with the prefix `outcome_`), in `final_metrics` of `vector_env` and in every result file.",
        _table(("measure", "unit", "least", "most", "what it is"), rows),
        "## Each month\n\nThe columns of `spiral rollout`:",
        _table(("column", "unit"), months),
        f"An agent's info says of the month: {', '.join(map(_code, MONTH_KEYS))}. `security`, `cost` and `value` are "
        "its reward vector in k$; `asked` is what its levers asked for and `paid` what was paid for them, in k$.",
    )


def _bound(x: float) -> str:
    return f"{x:g}" if abs(x) < float("inf") else ""


def _hyperparameters() -> str:
    rows = []
    for x in hyperparameters():
        own = [f"{algo}: {json.dumps(v[x.name])}" for algo, v in ALGO_DEFAULTS.items() if x.name in v]
        rows.append((_code(x.name), x.kind.__name__, "; ".join([json.dumps(x.default), *own]), x.allowed, x.meaning))
    intro = "What `spiral train --set name=value`, a recipe in TOML and `load_config` take."
    return _page("Hyperparameters", intro, _table(("name", "type", "default", "allowed", "meaning"), rows))


def _commands() -> str:
    import typer
    from typer.main import get_command

    root = get_command(app)
    parts = [f"```text\n{_help(typer, root, 'spiral')}\n```"]
    parts += [f"## {name}\n\n```text\n{text}\n```" for name, text in _below(typer, root, "spiral")]
    return _page("Commands", "`python -m spiral_env` is the same as `spiral`. Every command takes `--help`.", *parts)


def _below(typer: object, group: object, name: str) -> Iterator[tuple[str, str]]:
    for key, command in group.commands.items():
        own = f"{name} {key}"
        yield own, _help(typer, command, own)
        if hasattr(command, "commands"):
            yield from _below(typer, command, own)


def _help(typer: object, command: object, name: str) -> str:
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": 80, "max_content_width": 80}
    return command.get_help(typer.Context(command, info_name=name, **settings)).strip()


def _scenarios() -> str:
    worlds = [load_scenario(name) for name in scenario_ids()]
    heads = ("scenario", "SMEs", "months", "what it is")
    rows = [(f"[{s.id}](scenarios/{s.id}.md)", s.num_smes, s.max_cycles, f"{s.title}. {s.description}") for s in worlds]
    tree = "\n".join(f"scenarios/{s.id}" for s in worlds)
    intro = (
        "A scenario is a world: sizes, and what differs from the parameters' defaults. Training draws its worlds from "
        "`train_seeds`, evaluation from `held_out_seeds`; the two never meet. "
        "[Make your own](../guides/scenarios.md) with a file of a few lines."
    )
    return _page("Scenarios", intro, _table(heads, rows), f"```{{toctree}}\n:hidden:\n\n{tree}\n```")


def _scenario(s: Scenario) -> str:
    text = (ROOT / "spiral_env" / "scenarios" / f"{s.id}.toml").read_text(encoding="utf-8").strip()
    own = tomllib.loads(text)
    base = own.get("extends")
    facts = [
        ("SMEs", s.num_smes),
        ("months", s.max_cycles),
        ("on top of", f"[{base}]({base}.md)" if base else "the parameters' defaults"),
        ("training seeds", "{} to {}".format(*_ends(s.train_seeds))),
        ("held-out seeds", "{} to {}".format(*_ends(s.held_out_seeds))),
    ]
    parts = [f"**{s.title}.** {s.description}", _table(("", ""), facts)]
    parts.append(
        f"```bash\nspiral rollout --scenario {s.id} --seed 1\n"
        f"spiral evaluate --scenario {s.id} --compare uniform,status_quo,scripted --episodes 100\n```"
    )
    changed = {name: _value(s.params[name]) for name in own.get("params", {})}
    drawn = {name: f"{low:g} to {high:g}" for name, (low, high) in s.ranges.items()}
    for heading, here, values in (
        ("What it sets", "here", changed),
        ("What every episode draws", "drawn from", drawn),
    ):
        if values:
            parts.append(f"## {heading}\n\n{_own_values(here, values)}")
    if not changed and not drawn:
        parts.append("No parameter differs; [all of them](../parameters.md).")
    parts.append(f"## Its file\n\n```toml\n{text}\n```")
    return _page(s.id, *parts)


def _own_values(here: str, values: dict[str, str]) -> str:
    rows = []
    for name, value in values.items():
        q = _DEFAULTS[name]
        rows.append((_code(name), _value(q.default), value, q.unit, MEANINGS[name], q.source))
    return _table(("parameter", "default", here, "unit", "meaning", "source of the default"), rows)


def _ends(seeds: tuple[int, int]) -> tuple[str, str]:
    return f"{seeds[0]:,}", f"{seeds[1] - 1:,}"
