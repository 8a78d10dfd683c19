"""`spiral submit-check`."""

from __future__ import annotations

from typing import Annotated

import typer

from spiral_env.commands._options import AsJson, TimeLimit, World
from spiral_env.commands._output import emit


def submit_check(
    policy: Annotated[str, typer.Argument(help="module:Class, file.py:Class, a run's folder or zoo:NAME.")],
    role: Annotated[
        str | None, typer.Option(help="The only role it plays.  [default: all, one after the other]")
    ] = None,
    scenario: World = "small-v1",
    episodes: Annotated[int, typer.Option(min=2, max=1000, help="Held-out episodes of each role.")] = 4,
    time_limit: TimeLimit = 10.0,
    as_json: AsJson = False,
) -> None:
    """Play a policy in a process of its own and say in plain lines what is wrong; exit code 1 for a failed check."""
    from spiral_env.agents import NAMED, Limits, load_policy
    from spiral_env.checks import check_choice
    from spiral_env.evaluation.submission import check_submission
    from spiral_env.roles import ROLES

    played = NAMED[policy][1] if policy in NAMED else ROLES
    roles = played if role is None else (check_choice("role", role, ROLES),)
    found = {
        name: check_submission(
            load_policy(policy, name, Limits(call=time_limit, checked=_ALL)), name, scenario, episodes
        )
        for name in roles
    }
    lines = [line for name, check in found.items() for line in check.lines(name)]
    failed = [name for name, check in found.items() if check.failure]
    lines.append(f"{policy}: {'NOT fit to submit' if failed else 'fit to submit'}")
    data = {"policy": policy, "fit": not failed, "roles": {name: check.as_result() for name, check in found.items()}}
    emit(as_json, data, "\n".join(lines))
    if failed:
        raise typer.Exit(1)


_ALL = 10_000
"""Months that are asked again: all there are."""
