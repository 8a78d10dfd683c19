"""Ways to spoil the folder of a run: name -> what is done to a good one (ippo, a GRU for IT, two ecosystems)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from spiral_env.core.state import capacity_for, state_dtype
from spiral_env.roles import NUM_LEVERS
from tests.bad_inputs.policy_files import FILES, TEXTS, Spoil

CONFIG, STATE, LOG, WORLD = "config.json", "state.safetensors", "progress.csv", "scenario.toml"
Arrays = dict[str, np.ndarray]


def state(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Tensors and counters of the stored state."""
    with safe_open(str(folder / STATE), "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["counters"])


def _store(folder: Path, tensors: Arrays, counters: Any) -> None:
    text = counters if isinstance(counters, str) else json.dumps(counters)
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / STATE, {"counters": text})


def _file(name: str, make: Spoil, folder: Path) -> None:
    (folder / name).unlink()
    make(folder / name)


def _text(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)


def _config(key: str, value: Any, folder: Path) -> None:
    about = json.loads((folder / CONFIG).read_text())
    about["config"][key] = value
    (folder / CONFIG).write_text(json.dumps(about))


def _about(key: str, value: Any, folder: Path) -> None:
    about = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**about, key: value}))


def _without(key: str, folder: Path) -> None:
    about = json.loads((folder / CONFIG).read_text())
    del about["config"][key]
    (folder / CONFIG).write_text(json.dumps(about))


def _record(name: str, value: Any, folder: Path) -> None:
    """A field of the first ecosystem, all of it."""
    tensors, counters = state(folder)
    tensors["env.states"] = tensors["env.states"].copy()
    tensors["env.states"].view(state_dtype(capacity_for(8, 12), tuple(NUM_LEVERS.items())))[name][0] = value
    _store(folder, tensors, counters)


def _counter(path: str, value: Any, folder: Path) -> None:
    tensors, counters = state(folder)
    *tables, last = path.split(".")
    table = counters
    for name in tables:
        table = table[name]
    if value is _GONE:
        del table[last]
    else:
        table[last] = value
    _store(folder, tensors, counters)


def _tensor(name: str, change: Callable[[np.ndarray], np.ndarray] | None, folder: Path) -> None:
    tensors, counters = state(folder)
    with np.errstate(all="ignore"):
        if change is None:
            del tensors[name]
        else:
            tensors[name] = change(tensors.get(name, np.zeros(3)))
    _store(folder, tensors, counters)


def _counters_text(text: str, folder: Path) -> None:
    _store(folder, state(folder)[0], text)


_GONE = object()
_RECORDS: list[tuple[str, Any]] = [
    *[("num_smes", x) for x in (0, -1, 7, 9, 513, 2**62)],
    *[("num_services", x) for x in (0, -1, 33, 10**6)],
    *[("num_open", x) for x in (-1, 257, 2**62)],
    *[("calls_end", x) for x in (-5, 10**6, 2**62)],
    *[("callee", x) for x in (-1, 120)],
    *[("month", x) for x in (-1, 10**9)],
    *[("stage", x) for x in (-1, 3, 77)],
    *[("posture", x) for x in (-1, 10**10)],
    *[("service_tier", x) for x in (-1, 3)],
    *[("v_service", x) for x in (-1, 120)],
    ("max_cycles", 10**9),
    ("seed", -1),
    ("done", 2),
    ("sme_member", 5),
    ("alert_tier", 9),
    ("campaign", 4),
    ("stress", 7),
    ("v_tier", 3),
    ("v_fate", 9),
    ("balance", np.nan),
    ("trust", np.inf),
    ("sme_cash", np.nan),
    ("sums", np.nan),
]
_COUNTERS: list[tuple[str, Any]] = [
    *[(name, x) for name in ("agent_steps", "iteration") for x in (_GONE, -1, 1.5, True, "7", None, 2**70)],
    *[("seconds", x) for x in (_GONE, -1.0, "long", True)],
    *[("env", x) for x in (_GONE, None, [], {})],
    *[("env.base_seeds", x) for x in (_GONE, [], [1], [1, -1], [1, 2**63], [1, "2"], [1, 2.5], [1, None], "12", 7)],
    *[("env.episodes", x) for x in (_GONE, [0], [0, -1], [0, 2**70], [0, 0.5], "00", None)],
    *[("env.needs_reset", x) for x in (_GONE, [True], [2, 3], "no", None)],
    *[("player_rng", x) for x in (_GONE, None, {}, {"bit_generator": "MT19937"})],
    *[("player_rng.state.state", x) for x in (-1, 2**128, "1", None)],
    *[("player_rng.state.inc", x) for x in (-1, 2**128, 2)],
    *[("updater_rng.uinteger", x) for x in (-1, 2**32, None)],
    ("updater_rng.has_uint32", 2),
    ("updater_rng.state", []),
]
_TENSORS: list[tuple[str, str, Callable[[np.ndarray], np.ndarray] | None]] = [
    ("it.actor.head.weight", "missing", None),
    ("env.states", "missing", None),
    ("env.states", "short", lambda x: x[:, :-8]),
    ("env.states", "of one ecosystem", lambda x: x[:1]),
    ("env.states", "flat", lambda x: x.reshape(-1)),
    ("env.states", "of numbers", lambda x: x.astype(np.float64)),
    ("env.params", "of ones", lambda x: np.full_like(x, 255)),
    ("env.params", "of zeros", np.zeros_like),
    ("env.params", "short", lambda x: x[:, 8:]),
    ("player.fresh", "of integers", lambda x: x.astype(np.int64)),
    ("player.fresh", "long", lambda x: np.concatenate([x, x])),
    ("player.memory.it", "nan", lambda x: x * np.float32("nan")),
    ("player.memory.it", "short", lambda x: x[..., :-1]),
    ("sme.actor.body.0.weight", "turned", lambda x: np.ascontiguousarray(x.T)),
    ("sme.actor.body.0.weight", "of float64", lambda x: x.astype(np.float64)),
    ("sme.critic.head.bias", "inf", lambda x: x + np.float32("inf")),
    ("it.observations.count", "negative", lambda x: x - 1e9),
    ("it.observations.m2", "negative", lambda x: -1.0 - x),
    ("it.observations.mean", "nan", lambda x: x * np.nan),
    ("it.adam.actor.steps", "negative", lambda x: -1 - x),
    ("it.adam.actor.square", "negative", lambda x: -1.0 - x),
    ("it.adam.actor.mean", "long", lambda x: np.concatenate([x, x])),
    ("stranger", "on top", lambda x: x),
    ("it.adam.stranger", "on top", lambda x: x),
]
_CONFIGS: list[tuple[str, Any]] = [
    ("num_envs", 10**9),
    ("num_envs", "2"),
    ("num_envs", 2.0),
    ("layers", 0),
    ("hidden", -1),
    ("algo", "dqn"),
    ("algo", []),
    ("algo", "es"),
    ("gamma", None),
    ("gamma", "high"),
    ("recurrent", "it,it"),
    ("stranger", 1),
    ("env_threads", 10**9),
    ("scenario", 5),
    ("ray_address", "x" * 10**6),
]
_LOGS = {
    "no header": "1,2,3\n",
    "another header": "iteration,steps\n1,2\n",
    "a row of words": "HEADER\none,two,three,,,,,,,,,,\n",
    "a row too long": "HEADER\n1,2,3,,,,,,,,,,,,,,\n",
    "a row cut in the middle": "HEADER\n1,2\n1,660,0.1,,,,,,,,,,\n",
    "agent-steps that are no number": "HEADER\n1,nan,0.1,,,,,,,,,,\n",
    "endless seconds": "HEADER\n1,660,inf,,,,,,,,,,\n",
}
_WORLDS = {
    "another world": 'extends = "zero-threat-v1"\nid = "small-v1"\ntitle = "Baseline"\n',
    "more SMEs": 'extends = "small-v1"\nid = "small-v1"\ntitle = "Baseline"\nnum_smes = 12\n',
    "no world": "num_smes = 4\n",
    "no TOML": "= 3\n",
    "tables 10,000 deep": f"x = {'[' * 10_000}",
}


def _log(text: str, folder: Path) -> None:
    header = (folder / LOG).read_text().splitlines()[0]
    (folder / LOG).write_text(text.replace("HEADER", header))


def _said(value: Any) -> str:
    return "missing" if value is _GONE else json.dumps(value, default=str)[:30]


CASES: dict[str, Spoil] = {
    **{f"{what} as {file}": partial(_file, file, make) for what, make in FILES.items() for file in (CONFIG, WORLD)},
    **{f"{what} as {STATE}": partial(_file, STATE, make) for what, make in FILES.items() if "missing" not in what},
    **{f"{what} as {LOG}": partial(_file, LOG, make) for what, make in FILES.items() if "missing" not in what},
    **{f"{CONFIG}: {what}": partial(_text, CONFIG, text) for what, text in TEXTS.items()},
    **{f"counters: {what}": partial(_counters_text, text) for what, text in TEXTS.items()},
    **{f"config {key} {_said(value)}": partial(_config, key, value) for key, value in _CONFIGS},
    **{f"config without {key}": partial(_without, key) for key in ("algo", "scenario", "num_envs")},
    **{
        f"{key} {_said(value)}": partial(_about, key, value) for key in ("config", "scenario_hash") for value in (3, [])
    },
    "another hash": partial(_about, "scenario_hash", "0" * 16),
    **{f"record {name} {_said(value)}": partial(_record, name, value) for name, value in _RECORDS},
    **{f"counter {name} {_said(value)}": partial(_counter, name, value) for name, value in _COUNTERS},
    **{f"tensor {name} {what}": partial(_tensor, name, change) for name, what, change in _TENSORS},
    **{f"log with {what}": partial(_log, text) for what, text in _LOGS.items()},
    **{f"world: {what}": partial(_text, WORLD, text) for what, text in _WORLDS.items()},
}
