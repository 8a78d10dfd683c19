"""The zoo: trained teams that come with the package, each a folder with its weights and a card.

``spiral_env/zoo/NAME`` holds ``policy.safetensors`` and ``policy.json`` (one network a role, or one for all) and
``card.json``. ``zoo:NAME`` names it wherever a policy is asked for, for one role or for all.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from spiral_env.agents.checkpoint import NetworkPolicy, read_policy
from spiral_env.checks import check_choice, shown
from spiral_env.files import parse_json, read_file, write_atomically

__all__ = ["PARTNERS", "PREFIX", "ZOO", "Card", "add_team", "check_free", "read_card", "team_policy", "zoo_names"]

PREFIX = "zoo:"
ZOO = Path(str(resources.files("spiral_env"))) / "zoo"
PARTNERS = ("", "seen", "held_out")
"""What a team is to others that are judged: no partner, one they may have trained with, or one they never met."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")
_LARGEST = 2**20


@dataclass(frozen=True)
class Card:
    """What should be known of a trained team.

    Attributes:
        name: in the zoo.
        title: what it is, in a line.
        scenario: id of the world it was trained in.
        scenario_hash: of that world.
        algo: that trained it.
        reward_mode: that it was paid by.
        seed: of the training.
        agent_steps: lived.
        hours: that training took.
        commit: of the project that trained it.
        partner: what it is in held-out evaluations, one of ``PARTNERS``.
        config: of the training, whole.
        versions: of what trained it.
        scores: measure -> mean and interval over held-out episodes of its world, beside the average firm's.
    """

    name: str
    title: str
    scenario: str
    scenario_hash: str
    algo: str
    reward_mode: str
    seed: int
    agent_steps: int
    hours: float
    commit: str
    partner: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what others rely on.

        Raises:
            ValueError: the name or the kind of partner is none.
        """
        check_name(self.name)
        check_choice("partner", self.partner, PARTNERS)


def check_name(name: Any) -> str:
    """The name of a team in the zoo, if it can be one.

    Raises:
        ValueError: it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name of a team must be lower-case letters, digits, dots and hyphens, got {shown(name)}")
    return name


def zoo_names(zoo: Path = ZOO) -> list[str]:
    """Names of the teams, in order."""
    return sorted(x.parent.name for x in zoo.glob("*/card.json")) if zoo.is_dir() else []


def read_card(name: str, zoo: Path = ZOO) -> Card:
    """The card of a team.

    Raises:
        ValueError: there is no such team, or its card cannot be read.
    """
    card = parse_json(read_file(_folder(name, zoo) / "card.json", _LARGEST, "card"), f"card of {name}")
    try:
        return Card(**card)
    except TypeError as error:
        raise ValueError(f"card of {name} cannot be read: {error}") from None


def team_policy(name: str, role: str, zoo: Path = ZOO) -> NetworkPolicy:
    """The policy of one role of a team.

    Raises:
        ValueError: there is no such team, or it was trained on other features or levers than the model's.
    """
    policy = NetworkPolicy(_folder(name, zoo), role)
    policy.name = f"{PREFIX}{name}"
    return policy


def add_team(run: Path, card: Card, zoo: Path = ZOO, *, replace: bool = False) -> Path:
    """Copy what a run learned and store it with its card; the folder.

    Raises:
        ValueError: the run holds no policy that can be read, or the name is taken and is not to be replaced.
    """
    read_policy(run)
    check_free(card.name, zoo, replace)
    folder = zoo / card.name
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("policy.safetensors", "policy.json"):
        shutil.copyfile(run / file, folder / file)
    write_atomically(folder / "card.json", json.dumps(asdict(card), indent=1) + "\n")
    return folder


def check_free(name: str, zoo: Path = ZOO, replace: bool = False) -> None:
    """Refuse a name that is taken.

    Raises:
        ValueError: it is, and is not to be replaced.
    """
    if check_name(name) in zoo_names(zoo) and not replace:
        raise ValueError(f"zoo already holds a team {name}: --replace puts the new one in its place")


def _folder(name: str, zoo: Path) -> Path:
    if check_name(name) not in (names := zoo_names(zoo)):
        raise ValueError(f"zoo has no team {name!r}; it has {', '.join(names) or 'none'}")
    return zoo / name
