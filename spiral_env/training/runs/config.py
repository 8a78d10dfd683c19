"""Every hyperparameter, once: name, type, default and meaning."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario
from spiral_env.simulator.engine import REWARD_MODES

__all__ = ["ALGOS", "TrainConfig", "load_config", "parse_override"]

ALGOS = ("ippo", "mappo", "es", "sb3-ppo")
POLICIES = ("shared", "per_role")
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made of; stored with it.

    es learns from whole episodes: it reads neither ``num_steps`` nor what belongs to gradients of a rollout
    (``minibatches`` to ``target_kl``), and ``gradient_pieces`` belongs to ippo and mappo alone.

    Attributes:
        scenario: id or TOML file of the world.
        algo: ippo, mappo, es or sb3-ppo.
        policy: sb3-ppo's networks, shared (one for all agents) or per_role; IPPO and MAPPO are per_role.
        seed: of networks, worlds and draws.
        num_envs: ecosystems side by side.
        num_steps: months a rollout.
        timesteps: agent-months in all.
        max_seconds: stop earlier when this much time has passed.
        learning_rate: of Adam; ``anneal`` lets it fall in a line over ``timesteps``.
        minibatches: of a rollout.
        epochs: passes over a rollout.
        gamma: discount a month.
        gae_lambda: of generalised advantage estimation.
        clip_coef: bound of the probability ratio.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the value loss.
        max_grad_norm: bound of the gradient's norm, per role.
        target_kl: a role's actor rests for the rollout past 1.5 times this; 0 for never.
        hidden: units a layer; ``layers`` of them.
        start_logit: how far the logit of what the average firm does starts above the others; 0 is uniform play, as
            sb3-ppo always starts.
        es_sigma: standard deviation of the noise of es on every weight.
        es_decay: pull of es towards zero weights, against a gradient in units of return deviations.
        recurrent: roles with a GRU in the actor, comma-separated.
        continuous: act in [0, 1] by normals instead of three values a lever.
        reward_mode: mixed, selfish or cooperative.
        gradient_pieces: parts of a minibatch whose gradients are taken side by side; changes no result but rounding.
        env_threads: threads of the simulator; changes no result.
        torch_threads: threads inside one torch operation.
        checkpoint_seconds: time between two stored states.
        device: cpu or cuda.
        engine: local, or ray: RLlib's PPO on a cluster.
        runners: with engine ray, processes that share the ``num_envs`` ecosystems.
        ray_address: of the cluster; none for one on this machine.
    """

    scenario: str = "baseline-v0"
    algo: str = "ippo"
    policy: str = "shared"
    seed: int = 0
    num_envs: int = 128
    num_steps: int = 60
    timesteps: int = 24_000_000
    max_seconds: float = 480.0
    learning_rate: float = 1.5e-3
    anneal: bool = True
    minibatches: int = 16
    epochs: int = 4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    ent_coef: float = 0.001
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float = 0.03
    hidden: int = 64
    layers: int = 2
    start_logit: float = 2.0
    es_sigma: float = 0.2
    es_decay: float = 0.0
    recurrent: str = ""
    continuous: bool = False
    reward_mode: str = "mixed"
    gradient_pieces: int = 2
    env_threads: int = 2
    torch_threads: int = 1
    checkpoint_seconds: float = 30.0
    device: str = "cpu"
    engine: str = "local"
    runners: int = 2
    ray_address: str = ""

    def __post_init__(self) -> None:
        """Every value must be of its type and in its range.

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is out of range.
        """
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            good = isinstance(value, int | float) if kind is float else isinstance(value, kind)
            if not good or (kind is not bool and isinstance(value, bool)):
                raise TypeError(f"{field.name} must be of type {kind.__name__}, got {value!r}")
            if kind in (int, float) and field.name not in _MAY_BE_ZERO and not value > 0:
                raise ValueError(f"{field.name} must be > 0, got {value}")
            if kind in (int, float) and not 0 <= value < float("inf"):
                raise ValueError(f"{field.name} must be >= 0 and finite, got {value}")
        for name in ("gamma", "gae_lambda"):
            if getattr(self, name) > 1.0:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if self.algo not in ALGOS:
            raise ValueError(f"algo must be one of {', '.join(ALGOS)}, got {self.algo!r}")
        if self.reward_mode not in REWARD_MODES:
            raise ValueError(f"reward_mode must be one of {', '.join(REWARD_MODES)}, got {self.reward_mode!r}")
        if re.fullmatch(r"cpu|cuda(:\d+)?", self.device) is None:
            raise ValueError(f"device must be cpu, cuda or cuda:<number>, got {self.device!r}")
        # A world that cannot be built is refused before any folder is made for it.
        load_scenario(self.scenario)
        if self.policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {self.policy!r}")
        if self.engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {self.engine!r}")
        for role in filter(None, self.recurrent.split(",")):
            if role not in ROLES:
                raise ValueError(f"recurrent must name roles of {', '.join(ROLES)}, got {role!r}")


ALGO_DEFAULTS: dict[str, dict[str, Any]] = {
    "es": {"num_envs": 1024, "layers": 0, "learning_rate": 0.08, "timesteps": 100_000_000},
}
"""What differs from the dataclass's defaults for one algorithm."""

_MAY_BE_ZERO = ("seed", "ent_coef", "target_kl", "gae_lambda", "start_logit", "es_decay", "layers")


def load_config(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Defaults, those of the algorithm, then the TOML file, then ``overrides``.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: the file cannot be read, a name is unknown or a value is out of range.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"config {path} cannot be read: {error}") from None
    values |= overrides or {}
    names = {field.name for field in fields(TrainConfig)}
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise ValueError(f"config has no {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    return TrainConfig(**ALGO_DEFAULTS.get(values.get("algo", ""), {}) | values)


def parse_override(text: str) -> tuple[str, Any]:
    """``name=value`` with the value in TOML's notation, or a bare string.

    Raises:
        ValueError: there is no ``=``.
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"--set must be name=value, got {text!r}")
    try:
        return name.strip(), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()
