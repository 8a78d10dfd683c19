"""`spiral sweep`."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._options import AsJson, Engine, RayAddress, spread_over
from spiral_env.commands._output import emit
from spiral_env.commands._progress import progress
from spiral_env.text import Table, one_line

_LOOK_SECONDS = 2.0


def sweep(
    out: Annotated[
        str | None, typer.Option(help="The sweep's folder; without it results/sweeps/<scenario>-<algo>-<seed>.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Runs in all.  [default: 20]")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes side by side; more may join with --resume.")] = 1,
    ranges: Annotated[Path | None, typer.Option(help="TOML file of what is searched.")] = None,
    set_range: Annotated[list[str] | None, typer.Option(help="name=low:high, name=low:high:log or name=a,b,c.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of hyperparameters of all runs.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="name=value, for all runs.")] = None,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Held-out episodes that score a run.  [default: 200]")
    ] = None,
    prune: Annotated[bool | None, typer.Option(help="End runs that fall behind.  [default: prune]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in --out.")] = False,
    engine: Engine = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Search hyperparameters: one training run a trial, scored by ecosystem value; the best as TOML in best.toml."""
    import spiral_env.training as training
    from spiral_env.training.runs import sweep as sweeping
    from spiral_env.training.runs.ranges import load_ranges, parse_range

    asked = None
    given: dict[str, Any] = {"--ranges": ranges, "--set-range": set_range, "--config": config, "--set": set_}
    given |= {"--episodes": episodes, "--prune": prune}
    kept = [name for name, value in given.items() if value is not None]
    if resume and kept:
        raise ValueError(f"{kept[0]} must be left out with --resume: the sweep keeps its own")
    if resume and out is None:
        raise ValueError("--resume needs the sweep's folder: --out results/sweeps/<sweep>")
    if out == "":
        raise ValueError("--out must name a folder, got ''")
    if not resume:
        searched = (load_ranges(ranges) if ranges else {}) | _once("--set-range", map(parse_range, set_range or []))
        base = training.load_config(config, _once("--set", map(training.parse_override, set_ or [])))
        asked = sweeping.SweepConfig(base, searched, trials or 20, episodes or 200, prune is not False)
        out = out or f"results/sweeps/{base.world.id}-{base.algo}-{base.seed}"
    folder = Path(out or "")
    try:
        with spread_over(engine, ray_address) as spread, _watched(folder, as_json):
            sweeping.sweep(folder, asked, trials=trials, workers=workers, spread=spread)
    except KeyboardInterrupt:
        again = _command("sweep", "--out", str(folder), "--resume")
        print(f"stopped; every run is in {one_line(folder)}; go on with: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    data = sweeping.summary(folder)
    ahead = (f"next: {_command('train', '--config', data['best'])}",) if data["best"] else ()
    emit(as_json, data, _trial_table(data), *ahead)
    failed = [row for row in data["trials"] if row["state"] == "fail"]
    if failed and len(failed) == len(data["trials"]):
        raise ValueError(f"every one of {len(failed)} trials failed, the first: {failed[0]['reason']}")


def _command(*words: str) -> str:
    return one_line(shlex.join(("spiral", *words)))


def _once(option: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{option} {name[:60]} must be given once, got it twice")
        found[name] = value
    return found


@contextmanager
def _watched(out: Path, as_json: bool) -> Iterator[None]:
    """Show how far the sweep has come, whoever plays its trials; with ``--json`` nothing."""
    if as_json:
        yield
        return
    from spiral_env.training.runs.sweep import standing

    over = threading.Event()
    with progress("sweep", unit="trials") as bar:

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                # Not there yet, or busy for a moment.
                with suppress(ValueError, OSError):
                    done, bar.total, note = standing(out)
                    bar.reach(done, note)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _trial_table(data: dict[str, Any]) -> Table:
    hidden = {"run", "last_rung"} | ({"reason"} if not any(row["reason"] for row in data["trials"]) else set())
    rows = [{k: v for k, v in row.items() if k not in hidden} for row in data["trials"]]
    title = data["note"] or f"best: {data['best']}"
    table = Table(list(rows[0]) if rows else ["trial"], title=title)
    for row in rows:
        table.add_row(*("" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    return table
