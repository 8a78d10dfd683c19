"""`spiral rollout`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, Spec, World, load_team
from spiral_env.commands._output import emit
from spiral_env.files import check_writable, write_atomically


def rollout(
    scenario: World = "baseline-v0",
    policy: Spec = "status_quo",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv or .parquet.")] = None,
    as_json: AsJson = False,
) -> None:
    """One episode as a monthly table."""
    from rich.table import Table

    from spiral_env.parallel_env import parallel_env
    from spiral_env.policy import ask_policy, episode_keys, reset_policy
    from spiral_env.render.text import MONTH_COLUMNS, month_row
    from spiral_env.roles import ROLES

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"out must end in .csv or .parquet, got {out}")
    check_writable(out)
    team = load_team(dict.fromkeys(ROLES, policy))
    env = parallel_env(scenario, action_mode="continuous")
    env.reset(seed=seed)
    import numpy as np

    for role, member in team.items():
        reset_policy(member, role, episode_keys([seed]))
    rows: list[dict[str, Any]] = []
    while env.agents:
        efforts = np.concatenate([ask_policy(team[r], r, env.engine.observations[r])[0] for r in ROLES])
        env.step(dict(zip(env.agents, efforts, strict=True)))
        rows.append(month_row(env.engine.states[0]))
    if out is not None:
        _write_rows(out, rows)
    table = Table(title=f"{env.scenario.id}, {policy}, seed {seed}")
    for name in MONTH_COLUMNS:
        table.add_column(name)
    for row in rows:
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    emit(as_json, rows, table)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
        write_atomically(path, "\n".join(lines) + "\n")
        return
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ImportError("writing .parquet needs pyarrow: pip install 'spiral-env[train]'") from None
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    write_atomically(path, buffer.getvalue().to_pybytes())
