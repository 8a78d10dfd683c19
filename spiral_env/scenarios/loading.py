"""From an id or a TOML file to a scenario: what a file may be, and how it extends another."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from spiral_env.checks import shown
from spiral_env.files import parse_toml, read_file
from spiral_env.scenarios.own import OWN_FOLDER, read_own
from spiral_env.scenarios.schema import Scenario
from spiral_env.text import one_line

__all__ = ["load_scenario", "scenario_ids"]

MAX_BYTES = 2**20
MAX_EXTENDS = 16
"""How many files a scenario file may stand on, one below the other."""


@cache
def scenario_ids() -> tuple[str, ...]:
    """Ids of the scenarios that come with the package."""
    return tuple(sorted(x.name[:-5] for x in OWN_FOLDER.iterdir() if x.name.endswith(".toml")))


def load_scenario(id_or_path: str | os.PathLike[str] | Scenario) -> Scenario:
    """Load a scenario.

    Args:
        id_or_path: id of a shipped scenario, path of a TOML file, or a ``Scenario``, which is returned as it is.

    Raises:
        TypeError: neither an id, a path nor a scenario.
        ValueError: anything is wrong with the file, in one line.
    """
    if isinstance(id_or_path, Scenario):
        return id_or_path
    if not isinstance(id_or_path, str | os.PathLike):
        raise TypeError(f"scenario must be an id, a path or a Scenario, got {shown(id_or_path)}")
    name = os.fsdecode(id_or_path)
    merged = _merged(name)
    try:
        return Scenario(**merged)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scenario {_named(name)}: {error}") from None


def _named(name: str) -> str:
    return one_line(name, 120)


def _read(name: str) -> dict[str, Any]:
    if name in scenario_ids():
        return parse_toml(read_own(f"{name}.toml"), f"scenario {name}")
    if not name.endswith(".toml"):
        ids = " ".join(scenario_ids())
        raise ValueError(f"scenario must be a .toml file or one of {ids}, got {shown(name, 40)}")
    return parse_toml(read_file(name, MAX_BYTES, "scenario"), f"scenario {_named(name)}")


def _merged(name: str) -> dict[str, Any]:
    """The file over what it extends; tables ``params`` and ``ranges`` merge key by key."""
    chain: list[str] = []
    layers: list[dict[str, Any]] = []
    following: str | None = name
    while following is not None:
        if following in chain:
            raise ValueError(f"scenario {_named(following)} extends itself through {len(chain) - 1} others")
        if len(chain) > MAX_EXTENDS:
            raise ValueError(f"scenario {_named(name)} must extend at most {MAX_EXTENDS} others, one after the other")
        chain.append(following)
        layers.append(_read(following))
        following = _parent(following, layers[-1])
    merged = layers.pop()
    for layer in reversed(layers):
        merged = _over(layer, merged)
    return merged


def _parent(name: str, raw: dict[str, Any]) -> str | None:
    """What the file extends, beside itself where it is a path."""
    parent = raw.pop("extends", None)
    if parent is None:
        return None
    if not isinstance(parent, str):
        raise ValueError(f"scenario {_named(name)}: extends must be a scenario id or file, got {shown(parent)}")
    beside = parent.endswith(".toml") and not Path(parent).is_absolute()
    return str(Path(name).parent / parent) if beside else parent


def _over(layer: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, "known_answer": "", **layer}
    if "services" in layer and isinstance(base.get("params"), dict):
        # How many there are is told by naming them, and what was open on others is not open on these.
        base = {**base, "params": {name: x for name, x in base["params"].items() if name != "num_services"}}
        merged |= {"params": base["params"]} if "params" not in layer else {}
        merged["backlog"] = layer.get("backlog", [])
    for table in ("params", "ranges"):
        if isinstance(layer.get(table), dict) and isinstance(base.get(table), dict):
            merged[table] = {**base[table], **layer[table]}
    return merged
