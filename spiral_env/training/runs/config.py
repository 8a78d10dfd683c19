"""Every hyperparameter, once: name, type, default, what is allowed and meaning."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spiral_env.checks import shown
from spiral_env.files import parse_toml, read_file
from spiral_env.roles import ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.simulator.engine import REWARD_MODES
from spiral_env.training.runs.demands import check_demands, fitted

__all__ = [
    "ALGOS",
    "ALGO_DEFAULTS",
    "Hyperparameter",
    "TrainConfig",
    "check_value",
    "hyperparameters",
    "load_config",
    "parse_override",
]

ALGOS = ("ippo", "mappo", "es", "sb3-ppo")
POLICIES = ("shared", "per_role")
ENGINES = ("local", "ray")
_MAX_CONFIG_BYTES = 1_000_000
_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


class Hyperparameter(NamedTuple):
    """One field of ``TrainConfig`` as it is shown and checked."""

    name: str
    kind: type
    default: Any
    low: float
    high: float
    above: bool
    """Whether ``low`` itself is left out."""
    among: tuple[str, ...]
    meaning: str

    @property
    def allowed(self) -> str:
        """What a value must be, as errors and tables say it."""
        if self.among:
            return f"one of {', '.join(self.among)}"
        if self.kind not in (int, float):
            return _KINDS[self.kind]
        if self.above:
            return f"{_KINDS[self.kind]} > {self.low:g} and <= {self.high:,g}"
        low, high = (f"{x:,d}" if self.kind is int else f"{x:g}" for x in (self.low, self.high))  # type: ignore[str-bytes-safe]
        return f"{_KINDS[self.kind]} from {low} to {high}"


def _is(default: Any, meaning: str, low: float = 0, high: float = 0, *, above: bool = False, among: Any = ()) -> Any:
    """A field with what is said about it."""
    said = {"meaning": meaning, "low": low, "high": high, "above": above, "among": tuple(among)}
    return field(default=default, metadata=said)


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made of; stored with it. ``hyperparameters()`` lists every field with its meaning.

    es learns from whole episodes: it reads neither ``num_steps`` nor what belongs to gradients of a rollout
    (``minibatches`` to ``target_kl``), and ``gradient_pieces`` belongs to ippo and mappo alone.
    """

    scenario: str = _is("baseline-v1", "id or TOML file of the world")
    algo: str = _is("ippo", "how is learned", among=ALGOS)
    policy: str = _is("shared", "networks of sb3-ppo: one for all agents, or one a role as the others", among=POLICIES)
    seed: int = _is(0, "of networks, worlds and draws", 0, 2**63 - 1)
    num_envs: int = _is(32, "ecosystems side by side; as many as suit it on a CUDA device", 1, 1_000_000)
    num_steps: int = _is(60, "months a rollout", 1, 100_000)
    timesteps: int = _is(24_000_000, "agent-steps in all (agents x months), to the nearest rollout", 1, 10**15)
    max_seconds: float = _is(480.0, "stop earlier when this much time has passed", 0, 1e9, above=True)
    learning_rate: float = _is(1.5e-3, "of Adam", 0, 10, above=True)
    anneal: bool = _is(True, "let the learning rate fall in a line over all agent-steps")
    minibatches: int = _is(16, "of a rollout", 1, 65_536)
    epochs: int = _is(4, "passes over a rollout", 1, 1_000)
    gamma: float = _is(0.99, "discount a month", 0, 1, above=True)
    gae_lambda: float = _is(0.95, "of generalised advantage estimation", 0, 1)
    clip_coef: float = _is(0.2, "bound of the probability ratio", 0, 100, above=True)
    ent_coef: float = _is(0.001, "weight of the entropy bonus", 0, 100)
    vf_coef: float = _is(0.5, "weight of the value loss", 0, 100, above=True)
    max_grad_norm: float = _is(0.5, "bound of the gradient's norm, per role", 0, 1e9, above=True)
    target_kl: float = _is(0.03, "a role's actor rests for the rollout past 1.5 times this; 0 for never", 0, 1e9)
    hidden: int = _is(64, "units a layer", 1, 4_096)
    layers: int = _is(2, "hidden layers; es can do without", 0, 32)
    start_logit: float = _is(
        2.0, "how far what the average firm does starts above the rest; 0: uniform play (sb3-ppo always)", 0, 100
    )
    es_sigma: float = _is(0.2, "standard deviation of the noise of es on every weight", 0, 100, above=True)
    es_decay: float = _is(0.0, "pull of es towards zero weights", 0, 100)
    recurrent: str = _is("", "roles with a GRU in the actor, comma-separated")
    continuous: bool = _is(False, "act in [0, 1] by normals instead of three values a lever")
    reward_mode: str = _is("mixed", "whose profit is rewarded", among=REWARD_MODES)
    gradient_pieces: int = _is(
        2, "parts of a minibatch whose gradients are taken side by side; changes no result but rounding", 1, 64
    )
    env_threads: int = _is(2, "threads of the simulator; changes no result", 1, 256)
    torch_threads: int = _is(1, "threads inside one torch operation", 1, 256)
    checkpoint_seconds: float = _is(30.0, "time between two stored states", 0, 1e9, above=True)
    device: str = _is("cpu", "cpu, cuda or cuda:<number>")
    engine: str = _is("local", "this process, or RLlib's PPO on a Ray cluster", among=ENGINES)
    runners: int = _is(2, "with engine ray, processes that share the ecosystems", 1, 1_024)
    ray_address: str = _is("", "with engine ray, the cluster to join; none for one on this machine")

    def __post_init__(self) -> None:
        """Every value must be of its type and in its range, and all together what the trainer needs.

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is out of range or does not go with the others; the scenario cannot be built.
        """
        for known in hyperparameters():
            object.__setattr__(self, known.name, check_value(known, getattr(self, known.name)))
        if re.fullmatch(r"cpu|cuda(:\d{1,3})?", self.device) is None:
            raise ValueError(f"device must be cpu, cuda or cuda:<number>, got {shown(self.device)}")
        for role in self.recurrent_roles:
            if role not in ROLES or self.recurrent_roles.count(role) > 1:
                raise ValueError(
                    f"recurrent must name roles of {', '.join(ROLES)} once each, got {shown(self.recurrent)}"
                )
        # A world that cannot be built is refused before any folder is made for it.
        assert self.world
        check_demands(self)

    @cached_property
    def world(self) -> Scenario:
        """The scenario, read once."""
        return load_scenario(self.scenario)

    @property
    def recurrent_roles(self) -> tuple[str, ...]:
        """Roles with a memory."""
        return tuple(self.recurrent.split(",")) if self.recurrent else ()

    @property
    def on_device(self) -> bool:
        """Whether simulator, networks and learning are all on a CUDA device."""
        return self.device != "cpu" and self.engine == "local" and self.algo != "sb3-ppo"

    @property
    def num_agents(self) -> int:
        """Of one ecosystem: IT, business, finance and the SMEs."""
        return len(ROLES) - 1 + self.world.num_smes

    @property
    def steps_per_iteration(self) -> int:
        """Agent-steps of a rollout, of es of a generation."""
        months = self.world.max_cycles if self.algo == "es" else self.num_steps
        return self.num_envs * months * self.num_agents

    @property
    def num_iterations(self) -> int:
        """Rollouts or generations in all: those nearest to ``timesteps``, at least one."""
        left = self.timesteps - self.steps_per_iteration // 2 - 1
        return 1 + max(0, left // self.steps_per_iteration)

    def is_finished(self, agent_steps: int) -> bool:
        """Whether no further iteration would bring a run nearer to ``timesteps``."""
        return self.timesteps - agent_steps <= self.steps_per_iteration // 2


DEVICE_DEFAULTS: dict[str, Any] = {"num_steps": 20, "timesteps": 1_000_000_000}
"""What differs where all is on a CUDA device, beside ``num_envs``: short rollouts of many ecosystems."""
ALGO_DEFAULTS: dict[str, dict[str, Any]] = {
    "es": {"num_envs": 128, "layers": 1, "hidden": 16, "learning_rate": 0.08, "timesteps": 100_000_000},
}
"""What differs from the dataclass's defaults for one algorithm."""


def hyperparameters() -> tuple[Hyperparameter, ...]:
    """All of them, in order."""
    return tuple(Hyperparameter(x.name, type(x.default), x.default, **x.metadata) for x in fields(TrainConfig))


def check_value(known: Hyperparameter, value: Any) -> Any:
    """The value as a plain bool, int, float or str.

    Raises:
        TypeError: it is of another type.
        ValueError: it is out of range.
    """
    wrong = f"{known.name} must be {known.allowed}, got {shown(value)}"
    plain: Any = value.item() if isinstance(value, np.generic) else value
    kinds = (int, float) if known.kind is float else (known.kind,)
    of_kind = isinstance(plain, kinds) and isinstance(plain, bool) == (known.kind is bool)
    if not of_kind:
        raise TypeError(wrong)
    if known.among and plain not in known.among:
        raise ValueError(wrong)
    if known.kind in (int, float):
        if not known.low <= plain <= known.high or (known.above and plain == known.low):
            raise ValueError(wrong)
        return known.kind(plain)
    return plain


def check_names(names: Iterable[Any], what: str) -> None:
    """Refuse what is no hyperparameter.

    Raises:
        ValueError: a name is unknown; the nearest is proposed.
    """
    known = [x.name for x in fields(TrainConfig)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name)[:60], known, 1)
            raise ValueError(f"{what} has no {shown(name)}" + (f", did you mean {near[0]!r}?" if near else ""))


def load_config(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Defaults, those of the algorithm, then the TOML file, then ``overrides``.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: the file cannot be read, a name is unknown or a value is out of range.
    """
    values: dict[str, Any] = {}
    if path is not None:
        what = f"config {path}"
        values = parse_toml(read_file(path, _MAX_CONFIG_BYTES, "config"), what)
    values |= overrides or {}
    check_names(values, "config")
    algo = values.get("algo")
    defaults = ALGO_DEFAULTS.get(algo, {}) if isinstance(algo, str) else {}
    config = TrainConfig(**defaults | values)
    if not config.on_device:
        return config
    config = replace(config, **DEVICE_DEFAULTS | values)
    return config if "num_envs" in values else fitted(config)


def parse_override(text: str) -> tuple[str, Any]:
    """``name=value`` with the value in TOML's notation, or a bare string.

    Raises:
        ValueError: there is no ``=``.
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"--set must be name=value, got {shown(text)}")
    try:
        parsed = parse_toml(f"x = {value}", "value")
    except ValueError:
        return name.strip(), value.strip()
    return name.strip(), parsed["x"] if len(parsed) == 1 else value.strip()
