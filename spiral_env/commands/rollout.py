"""`spiral rollout`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, Columns, Seed, Spec, World, load_team
from spiral_env.commands._output import chosen, emit
from spiral_env.text import Table, one_line

_TABLES = (".csv", ".parquet")
_VIDEOS = (".mp4", ".gif")
_PICTURES = (".png",)
_TITLE = 44
"""Characters that a frame has room for."""

USUAL = ("month", "level", "stage", "A", "R", "V", "trust", "ecosystem_value")
"""Columns of a month that fit a terminal."""


def rollout(
    scenario: World = "baseline-v1",
    policy: Spec = "status_quo",
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="File to write: .csv or .parquet.")] = None,
    video: Annotated[Path | None, typer.Option(help="Film to write: .mp4 or .gif, a frame a month.")] = None,
    frame: Annotated[Path | None, typer.Option(help="Picture to write: .png.")] = None,
    month: Annotated[int | None, typer.Option(min=1, help="Month of --frame.  [default: the last]")] = None,
    fps: Annotated[int | None, typer.Option(min=1, max=60, help="Months a second of --video.  [default: 4]")] = None,
    width: Annotated[
        int | None, typer.Option(min=320, max=1280, help="Pixels of --video and --frame.  [default: 1280]")
    ] = None,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """One episode as a monthly table, and as a film or a picture."""
    from spiral_env.files import write_atomically
    from spiral_env.parallel_env import SpiralParallelEnv
    from spiral_env.render.text import MONTH_COLUMNS, episode_words, month_row

    _check_output("out", out, _TABLES)
    _check_output("video", video, _VIDEOS)
    _check_output("frame", frame, _PICTURES)
    _check_needs({"month": (month, frame), "fps": (fps, video), "width": (width, frame or video)})
    env = SpiralParallelEnv(scenario, action_mode="continuous")
    if month is not None and month > env.max_cycles:
        raise ValueError(f"month must be in [1, {env.max_cycles}], got {month}")
    rows: list[dict[str, Any]] = []
    scenes: list[Any] = []
    for state, params in _months(env, policy, seed):
        rows.append(month_row(state))
        if video or frame:
            from spiral_env.render.scene import scene

            scenes.append(scene(state, params))
    title = one_line(f"{env.scenario.id}, {policy}", _TITLE)
    if out is not None:
        write_atomically(out, _as_csv(rows) if out.suffix == ".csv" else _as_parquet(rows))
    if video is not None:
        from spiral_env.render.video import film
        from spiral_env.render.view import RENDER_FPS

        write_atomically(video, film(scenes, video.suffix, fps or RENDER_FPS, title, width))
    if frame is not None:
        from spiral_env.render.video import picture

        write_atomically(frame, picture(scenes[min(month or len(scenes), len(scenes)) - 1], title, width))
    table = Table(list(MONTH_COLUMNS), title=f"{env.scenario.id}, {policy}, seed {seed}", units=_units(MONTH_COLUMNS))
    for row in rows:
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    written = [f"Written: {path}" for path in (out, video, frame) if path is not None]
    emit(as_json, rows, chosen(table, columns, USUAL), "\n".join([episode_words(rows), *written]))


def _check_output(name: str, path: Path | None, allowed: tuple[str, ...]) -> None:
    """Refuse a file of another kind, or one that cannot be written, and what nothing here can draw."""
    from spiral_env.files import check_writable

    if path is None:
        return
    if path.suffix not in allowed:
        raise ValueError(f"{name} must end in {' or '.join(allowed)}, got {path}")
    check_writable(path)
    if allowed != _TABLES:
        from spiral_env.render.video import check_encoder

        check_encoder(path.suffix)


def _check_needs(options: dict[str, tuple[int | None, Path | None]]) -> None:
    """Refuse what says something of a picture that nobody asked for."""
    needs = {"month": "--frame", "fps": "--video", "width": "--video or --frame"}
    for name, (given, path) in options.items():
        if given is not None and path is None:
            raise ValueError(f"--{name} must be left out without {needs[name]}, got {given}")


def _months(env: Any, policy: str, seed: int) -> Iterator[tuple[Any, Any]]:
    """Records of state and parameters after every month of one episode; the next month overwrites them."""
    from spiral_env.policy import ask_policy, episode_keys, reset_policy
    from spiral_env.roles import ROLES

    team = load_team(dict.fromkeys(ROLES, policy))
    env.reset(seed=seed)
    for role, member in team.items():
        reset_policy(member, role, episode_keys([seed]))
    while env.agents:
        efforts = [row for r in ROLES for row in ask_policy(team[r], r, env.engine.observations[r])[0]]
        env.step(dict(zip(env.agents, efforts, strict=True)))
        yield env.engine.states[0], env.engine.params[0]


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
