"""`spiral evaluate`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from spiral_env.commands._evaluation import known_answer_lines, play, result_of
from spiral_env.commands._generalisation import as_text as split_as_text
from spiral_env.commands._generalisation import play_split
from spiral_env.commands._options import POLICIES, AsJson, Engine, RayAddress, TimeLimit, World
from spiral_env.commands._output import as_json_text, emit

Mixed = Annotated[
    str | None,
    typer.Option(
        help="Policy of this role, the others playing the average firm, compared with that.", show_default=False
    ),
]
_NAME = re.compile(r"""'[^']+'(?=[\s,]|$)|"[^"]+"(?=[\s,]|$)|constant:[^\s,]*(?:,[.\d][^\s,]*)*|[^\s,]+""")


def evaluate(
    scenario: World = "baseline-v1",
    compare: Annotated[
        list[str] | None,
        typer.Option(
            help="Teams of one policy: uniform, status_quo (the average firm), scripted, another baseline by its name, "
            "constant:e1,e2,.., zoo:NAME, a run's folder, module:Class or file.py:Class; roles that it does not play "
            "are the average firm's. Several with commas or spaces between, in quotes where a name holds them, or by "
            "repeating the option.",
            show_default=False,
            autocompletion=POLICIES,
        ),
    ] = None,
    it: Mixed = None,
    business: Mixed = None,
    finance: Mixed = None,
    sme: Mixed = None,
    split: Annotated[
        str | None,
        typer.Option(help="held-out: worlds and partners seen in training and never seen, and what is lost between."),
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(min=1, help="Held-out episodes of every team.  [default: 100; of a cell of a split 10]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="First of them.")] = 0,
    reward_mode: Annotated[str, typer.Option(help="mixed, selfish or cooperative: what returns are.")] = "mixed",
    reward_basis: Annotated[str, typer.Option(help="expected or realised losses in rewards.")] = "expected",
    num_smes: Annotated[int | None, typer.Option(min=1, help="Instead of the scenario's.")] = None,
    max_cycles: Annotated[int | None, typer.Option(min=1, help="Months, instead of the scenario's.")] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cuda (cuda:1): worlds and trained networks there.  [default: NumPy on this processor]"),
    ] = None,
    everything: Annotated[bool, typer.Option(help="All outcome measures.")] = False,
    time_limit: TimeLimit = 10.0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, with every episode.")] = None,
    marl_eval: Annotated[Path | None, typer.Option(help="JSON file to write in the form of marl-eval.")] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Compare teams on the same held-out episodes: of one policy each (--compare), or a mix (--it ... --sme ...).

    Policies of your own code play in processes of their own. One that fails costs its team its row, the others
    nothing; the exit code is then 1.
    """
    from spiral_env.files import check_writable

    for file in (out, marl_eval):
        check_writable(file)
    if device is not None and engine == "ray":
        raise ValueError(f"--device must be left out with --engine ray, got {device!r}")
    specs = _teams(compare, {"it": it, "business": business, "finance": finance, "sme": sme})
    asked: dict[str, Any] = {"scenario": scenario, "teams": specs, "seed": seed}
    asked |= {"reward_mode": reward_mode, "reward_basis": reward_basis, "num_smes": num_smes, "max_cycles": max_cycles}
    asked |= {"device": device, "time_limit": time_limit, "split": _split(split), "episodes": episodes or _EPISODES}
    if asked["split"]:
        others = {"--num-smes": num_smes, "--max-cycles": max_cycles, "--device": device, "--marl-eval": marl_eval}
        _only_a_split(asked, compare is None, others | {"--engine": engine})
        asked["episodes"] = episodes or _EPISODES_OF_A_CELL
        data = play_split(asked)
        text = [split_as_text(data)]
    else:
        from spiral_env.evaluation import score
        from spiral_env.evaluation.report import as_text

        found = play(asked, engine=engine, address=ray_address)
        scoring = score(found)
        data = result_of(found, asked, scoring)
        text = [as_text(found, everything=everything, scoring=scoring), *known_answer_lines(found, data)]
    _store(data, out, marl_eval)
    emit(as_json, data, *text)
    if any("failed" in team for team in data["teams"].values()):
        raise typer.Exit(1)


_EPISODES, _EPISODES_OF_A_CELL = 100, 10


def _store(data: dict[str, Any], out: Path | None, marl_eval: Path | None) -> None:
    from spiral_env.evaluation.export import as_marl_eval
    from spiral_env.files import write_atomically

    if out is not None:
        write_atomically(out, as_json_text(data) + "\n")
    if marl_eval is not None:
        write_atomically(marl_eval, as_json_text(as_marl_eval(data)) + "\n")


def _split(split: str | None) -> str | None:
    """Written with a hyphen or, as in Python, an underscore."""
    from spiral_env.checks import check_optional

    return check_optional("split", split and split.replace("-", "_"), ("held_out",))


def _only_a_split(asked: dict[str, Any], is_mix: bool, others: dict[str, Any]) -> None:
    """Refuse options that a split does not know; the average firm is what its scores start from, so it is no team."""
    for name, value in others.items():
        if value is not None:
            raise ValueError(f"{name} must be left out with --split, got {value}")
    if is_mix:
        del asked["teams"]["status_quo"]
    if not asked["teams"]:
        raise ValueError("--split must judge somebody: a team of --compare, or a role such as --it")


def _teams(compare: list[str] | None, mix: dict[str, str | None]) -> dict[str, dict[str, str]]:
    """Name -> role -> policy: the teams compared, or the average firm and the mix beside it."""
    from spiral_env.agents import team_of
    from spiral_env.roles import ROLES

    given = {role: spec for role, spec in mix.items() if spec is not None}
    if compare is not None:
        if given:
            raise ValueError(
                f"--{next(iter(given))} must be left out with --compare: its teams play all roles that they can"
            )
        return {spec: team_of(spec) for spec in team_specs(compare)}
    average = dict.fromkeys(ROLES, "status_quo")
    return {"status_quo": average} | ({"mix": average | given} if given else {})


def team_specs(values: list[str]) -> list[str]:
    """Policies of a repeated option, each of whose values is one policy or a list.

    A value, and the longest part of a list, that names a folder or file is taken as that, whatever it holds.

    Raises:
        ValueError: there is none, or one is named twice.
    """
    found: list[str] = []
    for text in values:
        names = [] if _is_there(text) else list(_NAME.finditer(text))
        found += [text] if _is_there(text) else []
        while names:
            parts = {k: text[names[0].start() : names[k - 1].end()] for k in range(len(names), 1, -1)}
            count = next((k for k, part in parts.items() if _is_there(part)), 1)
            found.append(parts.get(count) or _unquoted(names[0].group()))
            del names[:count]
    if not found:
        raise ValueError(f"--compare must name at least one team, got {', '.join(values)!r}")
    places = [os.path.realpath(spec) if _is_there(spec) else spec for spec in found]
    for k, spec in enumerate(found):
        if places[k] in places[:k]:
            raise ValueError(f"--compare must name a team once, got {spec!r} twice")
    return found


def _is_there(spec: str) -> bool:
    """Whether a folder, a file or a file's class is named."""
    file, _, attribute = spec.rpartition(":")
    try:
        return bool(spec) and (Path(spec).exists() or (attribute.isidentifier() and Path(file).is_file()))
    except (OSError, ValueError):
        return False


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] in "'\"" and text[0] == text[-1] and len(text) > 1 else text
