"""The command line of the ecosystem: its worlds, episodes, training, evaluation and measurements."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.files import write_atomically

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
scenarios_app = typer.Typer(no_args_is_help=True, help="List, show and validate worlds.")
app.add_typer(scenarios_app, name="scenarios")

World = Annotated[str, typer.Option("--scenario", help="Scenario id or TOML file.")]
_SPEC = re.compile(r"constant:[^\s,]*(?:,[.\d][^\s,]*)*|[^\s,]+")
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Engine = Annotated[str | None, typer.Option(help="local, or ray: on a Ray cluster.  [default: local]")]
RayAddress = Annotated[str | None, typer.Option(help="Ray cluster to join.  [default: one on this machine]")]
Spec = Annotated[str, typer.Option(help="uniform, status_quo, scripted, constant:e1,..,e5 or a run's folder.")]


def _emit(as_json: bool, data: Any, show: Any) -> None:
    if as_json:
        print(_json(data))
        return
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 160).print(show)


def _json(data: Any) -> str:
    """JSON; what is not finite, which JSON does not know, as null."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: plain(value) for key, value in x.items()}
        if isinstance(x, list | tuple):
            return [plain(value) for value in x]
        return None if isinstance(x, float) and not math.isfinite(x) else x

    return json.dumps(plain(data), indent=1, allow_nan=False)


def _writable(path: Path | None) -> None:
    """Refuse an output that cannot be written, before long work."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output {path} cannot be written: {error.strerror} ({error.filename})") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"output {path} cannot be written")


def _policies(specs: dict[str, str]) -> dict[str, Any]:
    try:
        from agents import load_policy
    except ModuleNotFoundError as error:
        raise ImportError(
            f"policies need the checkout's agents folder and the extra train (missing {error.name}): "
            "run from the repository after pip install -e '.[train]'"
        ) from None
    return {role: load_policy(spec, role) for role, spec in specs.items()}


@contextmanager
def _spread(engine: str | None, address: str | None) -> Iterator[Callable[..., list[Any]] | None]:
    """How jobs are spread: None plays them here, in turn."""
    if engine not in (None, "local", "ray"):
        raise ValueError(f"engine must be one of local, ray, got {engine!r}")
    if engine != "ray" and address is not None:
        raise ValueError(f"--ray-address must be left out without --engine ray, got {address!r}")
    if engine != "ray":
        yield None
        return
    try:
        from train.distributed import cluster, fan_out
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    # Ray tells of dead nodes, to its very end, on the standard output, which is for results.
    with redirect_stdout(sys.stderr), cluster(address or ""):
        yield fan_out


@app.command()
def info(
    role: Annotated[str | None, typer.Option(help="Show this role's levers and observations instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Versions, cache folder and which extras are present; or what a role may do and see."""
    if role is not None:
        _role_info(role, as_json)
        return
    from importlib.metadata import PackageNotFoundError, version

    from spiral_env.core._jit import cache_folder

    data: dict[str, str] = {"compile cache": str(cache_folder()), "cores": str(os.cpu_count())}
    for name in ("spiral-env", "numpy", "numba", "gymnasium", "pettingzoo", "torch", "stable-baselines3"):
        try:
            data[name] = version(name)
        except PackageNotFoundError:
            data[name] = "absent (extra train)"
    _emit(as_json, data, "\n".join(f"{k:<20} {v}" for k, v in data.items()))


def _role_info(role: str, as_json: bool) -> None:
    from rich.console import Group
    from rich.table import Table

    from spiral_env.policy import check_role
    from spiral_env.roles import FEATURES, LEVERS

    check_role(role)
    levers = Table(title=f"levers of {role}")
    seen = Table(title=f"observation of {role}, float32 [{len(FEATURES[role])}]")
    for column in ("lever", "kind", "low", "middle", "high", "unit", "what it does"):
        levers.add_column(column)
    for x in LEVERS[role]:
        levers.add_row(x.name, x.kind, *x.options, x.unit, x.note)
    for column in ("feature", "low", "high", "unit"):
        seen.add_column(column)
    for f in FEATURES[role]:
        seen.add_row(f.name, f"{f.low:g}", f"{f.high:g}", f.unit)
    data = {"levers": [x._asdict() for x in LEVERS[role]], "observation": [f._asdict() for f in FEATURES[role]]}
    _emit(as_json, data, Group(levers, seen))


@scenarios_app.command("list")
def scenarios_list(as_json: AsJson = False) -> None:
    """Every scenario of the package."""
    from spiral_env.scenarios import load_scenario, scenario_ids

    rows = {name: load_scenario(name) for name in scenario_ids()}
    text = "\n".join(f"{name:<22} {s.num_smes:>4} SMEs  {s.title}" for name, s in rows.items())
    _emit(as_json, {name: s.title for name, s in rows.items()}, text)


@scenarios_app.command("show")
def scenarios_show(scenario: str, as_json: AsJson = False) -> None:
    """Every number in force, with unit, range and source."""
    from rich.table import Table

    from spiral_env.core.params import PARAMETERS
    from spiral_env.scenarios import load_scenario

    world = load_scenario(scenario)
    table = Table(title=f"{world.id}: {world.title}")
    for column in ("group", "name", "value", "unit", "range", "source"):
        table.add_column(column, overflow="fold")
    data = {}
    for q in PARAMETERS:
        value = world.value(q.name)
        data[q.name] = {"value": value, "unit": q.unit, "range": [q.low, q.high], "source": q.source}
        shown = f"{value}" + ("*" if q.name in world.params else "")
        table.add_row(q.group, q.name, shown, q.unit, f"{q.low:g} .. {q.high:g}", q.source)
    _emit(as_json, data, table)


@scenarios_app.command("validate")
def scenarios_validate(files: list[str], as_json: AsJson = False) -> None:
    """Check scenario files; exit 2 with one line at the first fault."""
    from spiral_env.scenarios import load_scenario

    names = [load_scenario(name).id for name in files]
    _emit(as_json, {"valid": names}, "\n".join(f"{name}: valid" for name in names))


@app.command()
def calibrate(
    scenario: World = "baseline-v0",
    episodes: Annotated[int, typer.Option(min=2, help="Episodes of the average firm.")] = 2048,
    write: Annotated[bool, typer.Option(help="Store the solved values in the package's baseline.")] = False,
    as_json: AsJson = False,
) -> None:
    """Solve the constants that facts fix; print every fact's target beside what is measured."""
    from rich.table import Table

    from spiral_env import calibration

    if write and scenario != "baseline-v0":
        raise ValueError(
            f"write must be left out unless scenario is baseline-v0, which holds the values, got {scenario}"
        )
    solution = calibration.solve(scenario, episodes)
    table = Table(title=f"facts under the average firm, {episodes} episodes, mean [95 % interval]")
    for column in ("no.", "fact", "target", "measured", "ok"):
        table.add_column(column)
    rows: list[dict[str, Any]] = []
    for fact in calibration.facts(scenario, episodes, solution=solution):
        m = fact.measured
        rows.append({"number": fact.number, "fact": fact.name, "target": [fact.low, fact.high], "measured": list(m)})
        rows[-1]["ok"] = fact.ok
        shown = f"{m.mean:.4g} [{m.low:.4g}, {m.high:.4g}]"
        table.add_row(fact.number, fact.name, f"{fact.low:.4g} .. {fact.high:.4g}", shown, "yes" if fact.ok else "NO")
    text = "\n".join(f"{name:<16} {value}" for name, value in solution.params.items())
    if not as_json:
        print(f"solved:\n{text}")
    _emit(as_json, {"solved": solution.params, "facts": rows}, table)
    missed = [row["fact"] for row in rows if not row["ok"]]
    if write and missed:
        raise ValueError(f"facts must lie in their targets to be stored, got outside: {'; '.join(missed)}")
    if write:
        calibration.store(solution)


@app.command()
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
    from spiral_env.render.text import MONTH_COLUMNS, month_row
    from spiral_env.roles import ROLES

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"out must end in .csv or .parquet, got {out}")
    _writable(out)
    team = _policies(dict.fromkeys(ROLES, policy))
    env = parallel_env(scenario, action_mode="continuous")
    env.reset(seed=seed)
    import numpy as np

    for member in team.values():
        member.reset(np.array([seed]))
    rows: list[dict[str, Any]] = []
    while env.agents:
        efforts = np.concatenate([team[r].act(env.engine.observations[r].copy())[0] for r in ROLES])
        env.step(dict(zip(env.agents, efforts, strict=True)))
        rows.append(month_row(env.engine.states[0]))
    if out is not None:
        _write_rows(out, rows)
    table = Table(title=f"{env.scenario.id}, {policy}, seed {seed}")
    for name in MONTH_COLUMNS:
        table.add_column(name)
    for row in rows:
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    _emit(as_json, rows, table)


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


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    scenario: Annotated[str | None, typer.Option(help="Scenario id or TOML file.  [default: baseline-v0]")] = None,
    algo: Annotated[str | None, typer.Option(help="ippo, mappo, es or sb3-ppo.  [default: ippo]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run.  [default: 0]")] = None,
    timesteps: Annotated[int | None, typer.Option(min=1, help="Agent-months in all.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Stop after this time.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.  [default: cpu]")] = None,
    policy: Annotated[str | None, typer.Option(help="sb3-ppo: shared or per_role.")] = None,
    reward_mode: Annotated[str | None, typer.Option(help="mixed, selfish or cooperative.")] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of hyperparameters.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="name=value, any hyperparameter.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train one policy per role on the batched engine, PPO of stable-baselines3, or RLlib's on a Ray cluster."""
    try:
        import train as training
        from train.run import stored_config
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    given: dict[str, Any] = {"scenario": scenario, "algo": algo, "seed": seed, "timesteps": timesteps}
    given |= {"max_seconds": max_seconds, "device": device, "policy": policy, "reward_mode": reward_mode}
    given |= {"engine": engine, "ray_address": ray_address}
    values = {name: value for name, value in given.items() if value is not None}
    values |= dict(training.parse_override(text) for text in set_ or [])
    if resume and config is not None:
        raise ValueError(f"--config must be left out with --resume, got {config}: the run keeps its own")
    resolved = training.load_config(config, values)
    if resume:
        resolved = replace(stored_config(out), **values)
    try:
        folder = training.train(resolved, out, resume=resume, quiet=as_json)
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    except KeyboardInterrupt:
        print(f"stopped; what was learned is in {out}; go on with: spiral train --out {out} --resume", file=sys.stderr)
        raise SystemExit(130) from None
    _emit(as_json, {"run": str(folder)}, f"run stored in {folder}")


@app.command()
def sweep(
    out: Annotated[Path, typer.Option(help="The sweep's folder.")],
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
    try:
        import train as training
        from train import sweep as sweeping
        from train.ranges import load_ranges, parse_range
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    asked = None
    given: dict[str, Any] = {"--ranges": ranges, "--set-range": set_range, "--config": config, "--set": set_}
    given |= {"--episodes": episodes, "--prune": prune}
    kept = [name for name, value in given.items() if value is not None]
    if resume and kept:
        raise ValueError(f"{kept[0]} must be left out with --resume: the sweep keeps its own")
    if not resume:
        searched = (load_ranges(ranges) if ranges else {}) | dict(parse_range(text) for text in set_range or [])
        base = training.load_config(config, dict(training.parse_override(text) for text in set_ or []))
        asked = sweeping.SweepConfig(base, searched, trials or 20, episodes or 200, prune is not False)
    try:
        with _spread(engine, ray_address) as spread:
            sweeping.sweep(out, asked, trials=trials, workers=workers, quiet=as_json, spread=spread)
    except KeyboardInterrupt:
        print(f"stopped; every run is in {out}; go on with: spiral sweep --out {out} --resume", file=sys.stderr)
        raise SystemExit(130) from None
    data = sweeping.summary(out)
    _emit(as_json, data, _trial_table(data))


def _trial_table(data: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"best: {data['best']}")
    rows = [{k: v for k, v in row.items() if k not in ("run", "last_rung")} for row in data["trials"]]
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*("" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    return table


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help="One part; may be given again.  [default: all]")] = None,
    out: Annotated[Path, typer.Option(help="JSON file; its table is written beside it.")] = Path("results/bench.json"),
    peers: Annotated[Path | None, typer.Option(help="Folder of the peers' virtual environments.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure speed beside limits taken in the same run: the simulator, the trainers, other packages."""
    try:
        from tests.benchmarks.bench import bench as measure
        from tests.benchmarks.bench import markdown
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    _writable(out)
    report = measure(only or [], out, peers)
    _emit(as_json, report, markdown(report))


def _missing(error: ModuleNotFoundError) -> ImportError:
    return ImportError(f"no module {error.name}: this needs the checkout and pip install 'spiral-env[train]'")


@app.command()
def plot(run: Annotated[Path, typer.Argument(help="The run's folder.")], as_json: AsJson = False) -> None:
    """Draw a run's learning curve and the lever use of its policy as PNG files in its folder."""
    try:
        from train.plot import plot_run
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    files = [str(path) for path in plot_run(run)]
    _emit(as_json, {"files": files}, "\n".join(files))


@app.command()
def evaluate(
    scenario: World = "baseline-v0",
    compare: Annotated[str, typer.Option(help="Whole-team policies, separated by spaces or commas.")] = "",
    it: Spec = "status_quo",
    business: Spec = "status_quo",
    finance: Spec = "status_quo",
    sme: Spec = "status_quo",
    episodes: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    everything: Annotated[bool, typer.Option(help="All outcome measures.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Outcome measures over paired seeds: of teams (--compare), or of a mix (--it ... --sme ...)."""
    from spiral_env.evaluation import run_episodes
    from spiral_env.evaluation.report import as_dict, as_table
    from spiral_env.roles import ROLES

    _writable(out)
    mix = {"it": it, "business": business, "finance": finance, "sme": sme}
    teams = {spec: dict.fromkeys(ROLES, spec) for spec in _SPEC.findall(compare)} or {"mix": mix}
    loaded = {name: _policies(specs) for name, specs in teams.items()}
    with _spread(engine, ray_address) as spread:
        tables = {name: run_episodes(scenario, team, episodes, seed, spread=spread) for name, team in loaded.items()}
    data = as_dict(tables)
    if out is not None:
        write_atomically(out, _json({"scenario": scenario, "teams": data}) + "\n")
    _emit(as_json, data, as_table(tables, everything=everything))


@app.command()
def game(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    scenario: World = "baseline-v0",
    episodes: Annotated[int, typer.Option(min=2)] = 200,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at the game: uniform, average firm, best constant, scripted and a trained run; share of levers at an end."""
    from rich.table import Table

    from spiral_env.evaluation.game import best_constant, compare, constant_share, lever_ends
    from spiral_env.evaluation.report import as_dict, as_table
    from spiral_env.roles import ROLES

    _writable(out)
    specs = {"uniform": "uniform", "average_firm": "status_quo", "scripted": "scripted", "trained": str(run)}
    teams = {name: _policies(dict.fromkeys(ROLES, spec)) for name, spec in specs.items()}
    found = best_constant(scenario)
    constant = {r: f"constant:{','.join(f'{x:g}' for x in e)}" for r, e in found.efforts.items()}
    teams["constant"] = _policies(constant)
    tables = compare(scenario, teams, episodes)
    share, levers = constant_share(tables), lever_ends(tables["trained"])
    data = {"scenario": scenario, "episodes": episodes, "constant": constant, "constants_tried": found.tried}
    data |= {"constant_share": share, "levers": levers, "teams": as_dict(tables)}
    if out is not None:
        write_atomically(out, _json(data) + "\n")
    use = Table(title="share of the trained team's decisions")
    for column in ("role", "lever", "low", "middle", "high", "stuck"):
        use.add_column(column)
    for row in levers:
        use.add_row(*(str(x) for x in row.values()))
    _emit(as_json, data, as_table(tables))
    if not as_json:
        _emit(False, {}, use)
        print(f"constant share of what is gained over uniform: {share:.2f}")


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    sys.path.append(os.getcwd())
    try:
        app()
    except (ValueError, TypeError, ImportError, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        print(f"error: {lines[0]}", file=sys.stderr)
        raise SystemExit(2) from None
