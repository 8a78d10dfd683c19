"""`spiral rollout`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, Columns, Seed, Spec, World, load_team
from spiral_env.commands._output import chosen, emit
from spiral_env.text import Table

USUAL = ("month", "level", "stage", "A", "R", "V", "trust", "ecosystem_value")
"""Columns of a month that fit a terminal."""


def rollout(
    scenario: World = "baseline-v1",
    policy: Spec = "status_quo",
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv or .parquet.")] = None,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """One episode as a monthly table."""
    from spiral_env.files import check_writable, write_atomically
    from spiral_env.parallel_env import parallel_env
    from spiral_env.policy import ask_policy, episode_keys, reset_policy
    from spiral_env.render.text import MONTH_COLUMNS, episode_words, month_row
    from spiral_env.roles import ROLES

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"out must end in .csv or .parquet, got {out}")
    check_writable(out)
    team = load_team(dict.fromkeys(ROLES, policy))
    env = parallel_env(scenario, action_mode="continuous")
    env.reset(seed=seed)
    for role, member in team.items():
        reset_policy(member, role, episode_keys([seed]))
    rows: list[dict[str, Any]] = []
    while env.agents:
        efforts = [row for r in ROLES for row in ask_policy(team[r], r, env.engine.observations[r])[0]]
        env.step(dict(zip(env.agents, efforts, strict=True)))
        rows.append(month_row(env.engine.states[0]))
    if out is not None:
        write_atomically(out, _as_csv(rows) if out.suffix == ".csv" else _as_parquet(rows))
    title = f"{env.scenario.id}, {policy}, seed {seed}"
    table = Table(list(MONTH_COLUMNS), title=title, units=_units(MONTH_COLUMNS))
    for row in rows:
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    emit(as_json, rows, chosen(table, columns, USUAL), episode_words(rows))


def _units(columns: Mapping[str, str]) -> list[str]:
    """A unit a column, but where its name is one."""
    return ["" if unit.removesuffix("s") == name else unit for name, unit in columns.items()]


def _as_csv(rows: list[dict[str, Any]]) -> str:
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    return "\n".join(lines) + "\n"


def _as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    content: bytes = buffer.getvalue().to_pybytes()
    return content
