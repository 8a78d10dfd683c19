"""Trained policies as safetensors and JSON: read with numpy alone, never unpickled."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spiral_env.files import parse_json, read_file, write_atomically
from spiral_env.policy import check_role
from spiral_env.provenance import file_hash
from spiral_env.roles import FEATURES, LEVERS, MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.text import one_line

if TYPE_CHECKING:
    from spiral_env.spaces import Options

__all__ = ["FORMAT", "NetworkPolicy", "read_policy", "write_policy"]

FORMAT = "spiral_env-policy"
VERSION = 1
MAX_LAYERS = 64
_LARGEST_HEADER, _LARGEST = 2**20, 2**30
"""Bytes of the two files."""
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
_LEAST_STD = 1e-12


def write_policy(folder: Path, tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write ``policy.safetensors`` and ``policy.json``.

    ``meta`` holds ``networks``: "shared" (one network over homogenised observations) or "per_role" (names prefixed
    with ``<role>.``), ``layers``, ``head``: "categorical" (three logits a lever) or "continuous" (its mean effort),
    and ``scenario`` and ``scenario_hash`` of the world it was trained in.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    header = {"format": FORMAT, "version": VERSION, **_tables(), **meta}
    write_atomically(folder / "policy.safetensors", save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
    write_atomically(folder / "policy.json", json.dumps(header, indent=1).encode())


def read_policy(folder: Path | str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and header of a checkpoint.

    Raises:
        ImportError: safetensors is not installed.
        ValueError: in one line, it is missing, corrupt, of a strange size or kind, or of another version or model.
    """
    tensors, header, _ = _read(Path(folder))
    return tensors, header


def _read(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], str]:
    """Tensors, header, and the hash of both files."""
    text = read_file(folder / "policy.json", _LARGEST_HEADER, "checkpoint")
    header = parse_json(text, f"checkpoint {folder / 'policy.json'}")
    _check_header(folder, header)
    data = read_file(folder / "policy.safetensors", _LARGEST, "checkpoint")
    tensors = _unpacked(folder, data)
    known: set[str] = set()
    for role in ROLES:
        known |= _check_network(folder, tensors, header, role)
    if tensors.keys() > known:
        raise ValueError(f"checkpoint {folder} has a tensor that no layer uses: {min(tensors.keys() - known)[:60]!r}")
    return tensors, header, file_hash(text, data)


def _unpacked(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ModuleNotFoundError as error:
        raise ImportError(f"no module {error.name}: pip install 'spiral-env[train]'") from None
    try:
        return dict(load(data))
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        reason = one_line(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
        raise ValueError(f"checkpoint {folder / 'policy.safetensors'} cannot be read: {reason}") from None


def _check_header(folder: Path, header: dict[str, Any]) -> None:
    """Every value of the header, against what it may be."""
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ValueError(f"checkpoint {folder} must be a {FORMAT} of version {VERSION}")
    layers, recurrent = header.get("layers"), header.get("recurrent", [])
    if isinstance(layers, bool) or not isinstance(layers, int) or not 0 <= layers <= MAX_LAYERS:
        got = one_line(repr(layers), 60)
        raise ValueError(f"checkpoint {folder} must name a count of layers in [0, {MAX_LAYERS}], got {got}")
    for name, allowed in {"networks": ("shared", "per_role"), "head": ("categorical", "continuous")}.items():
        value = header.get(name, allowed[0])
        if value not in allowed:
            got = one_line(repr(value), 60)
            raise ValueError(f"checkpoint {folder} must have {name} {' or '.join(allowed)}, got {got}")
    if not isinstance(recurrent, list) or any(role not in ROLES for role in recurrent):
        got = one_line(repr(recurrent), 60)
        raise ValueError(f"checkpoint {folder} must list recurrent roles of {', '.join(ROLES)}, got {got}")
    for name in ("scenario", "scenario_hash"):
        if not isinstance(header.get(name, ""), str):
            raise ValueError(f"checkpoint {folder} must name its {name} as text, got {one_line(header[name], 60)}")
    for kind, names in _tables().items():
        found = header.get(kind)
        for role in ROLES:
            if not isinstance(found, dict) or found.get(role) != names[role]:
                raise ValueError(f"checkpoint {folder} was trained on other {kind} of {role}")


def _tables() -> dict[str, dict[str, list[str]]]:
    """What a policy sees and chooses: names of every role's features and levers."""
    tables: dict[str, Any] = {"features": FEATURES, "levers": LEVERS}
    return {kind: {role: [x.name for x in table[role]] for role in ROLES} for kind, table in tables.items()}


def _prefix(header: dict[str, Any], role: str) -> str:
    return f"{role}." if header.get("networks") == "per_role" else ""


def _check(folder: Path, tensors: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]]) -> set[str]:
    """Names of tensors, each found, of its shape and of numbers that float32 can hold."""
    for name, shape in shapes.items():
        tensor = tensors.get(name)
        if (
            tensor is None
            or tensor.dtype.kind != "f"
            or tensor.shape != shape
            or not (abs(tensor) <= _LARGEST_NUMBER).all()
        ):
            raise ValueError(f"checkpoint {folder} has no usable tensor {name}: finite floats of shape {shape}")
    return set(shapes)


def _check_network(folder: Path, tensors: dict[str, np.ndarray], header: dict[str, Any], role: str) -> set[str]:
    """Names of the tensors of the role's network, all of which can be used."""
    prefix, layers = _prefix(header, role), header["layers"]
    width = len(FEATURES[role]) if prefix else _padded("it", np.zeros(len(FEATURES["it"]))).shape[-1]
    known = _check(folder, tensors, {f"{prefix}{name}": (width,) for name in ("mean", "std")})
    if not (tensors[f"{prefix}std"] >= _LEAST_STD).all():
        raise ValueError(f"checkpoint {folder} must have std >= {_LEAST_STD}, got {tensors[f'{prefix}std'].min():g}")
    for k in range(layers + 1):
        name = prefix + ("head" if k == layers else f"layer{k}")
        bias = tensors.get(f"{name}.bias", np.zeros(0))
        size = len(bias) if bias.ndim == 1 and len(bias) else 1
        known |= _check(folder, tensors, {f"{name}.weight": (size, width), f"{name}.bias": (size,)})
        width = size
        if role in header.get("recurrent", []) and k == layers - 1:
            known |= _check(folder, tensors, _memory_shapes(prefix, width))
    levers = NUM_LEVERS[role] if prefix else MAX_LEVERS
    want = levers if header.get("head") == "continuous" else 3 * levers
    if width != want:
        raise ValueError(f"checkpoint {folder} must end in {want} outputs, got {width}")
    return known


def _padded(role: str, observation: np.ndarray) -> np.ndarray:
    """Homogenised observations, for one network of all roles."""
    return _homogenised().pad(role, observation)


@cache
def _homogenised() -> Options:
    # Policies in processes of their own import this module, and no spaces.
    from spiral_env.spaces import Options

    return Options(homogenize=True)


def _memory_shapes(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    """Of a gated recurrent unit."""
    weights = {f"{prefix}memory.weight_{x}": (3 * width, width) for x in ("ih", "hh")}
    return weights | {f"{prefix}memory.bias_{x}": (3 * width,) for x in ("ih", "hh")}


class NetworkPolicy:
    """A trained tanh network, with memory if it was trained with one; takes the likeliest value of each lever.

    Attributes:
        name: the checkpoint's folder.
        digest: hash of its files.
        trained_in: ``scenario`` and ``scenario_hash`` of the world it was trained in; empty where it does not say.
    """

    def __init__(self, folder: Path | str, role: str) -> None:
        """Read the checkpoint in ``folder``; errors as of ``read_policy``."""
        self.name = str(folder)
        self._role = check_role(role)
        tensors, header, self.digest = _read(Path(folder))
        self.trained_in = {name: str(header.get(name, "")) for name in ("scenario", "scenario_hash")}
        self._prefix = _prefix(header, role)
        mine = {k: v for k, v in tensors.items() if k.startswith(self._prefix)}
        self._tensors: dict[str, Any] = {k.removeprefix(self._prefix): v.astype(np.float64) for k, v in mine.items()}
        for tensor in self._tensors.values():
            # Frozen: whatever plays it, it does not learn.
            tensor.setflags(write=False)
        self._layers = int(header["layers"])
        self._continuous = header.get("head") == "continuous"

        self._memory: Any = None

    def reset(self, keys: np.ndarray) -> None:
        """Forget what was seen."""
        self._memory = None

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, L]`` of the mode of every lever."""
        x = (observation if self._prefix else _padded(self._role, observation)).astype(np.float64)
        efforts: np.ndarray = self._efforts(x, np.tanh)
        return efforts

    def to(self, device: Any) -> Callable[[Any], Any]:
        """This policy at the start of new episodes, on a device of torch: observations and efforts are tensors there.

        Args:
            device: ``torch.device``.
        """
        import torch

        mine = copy.copy(self)
        mine._tensors = {name: torch.from_numpy(x.copy()).to(device) for name, x in self._tensors.items()}
        mine.reset(np.zeros(0))
        nothing = np.zeros(len(FEATURES[self._role]), np.float32)
        behind = nothing[:0] if self._prefix else _padded(self._role, nothing)[len(nothing) :]
        padding = torch.from_numpy(behind).to(device)

        def act(observation: Any) -> Any:
            x = torch.cat([observation, padding.expand(*observation.shape[:-1], -1)], -1)
            return mine._efforts(x.double(), torch.tanh)

        return act

    def _efforts(self, x: Any, tanh: Callable[[Any], Any]) -> Any:
        """Efforts of observations in float64, arrays or tensors as the network's are."""
        t = self._tensors
        x = ((x - t["mean"]) / t["std"]).clip(-10.0, 10.0)
        for k in range(self._layers):
            x = tanh(x @ t[f"layer{k}.weight"].T + t[f"layer{k}.bias"])
        if "memory.weight_ih" in t:
            x = self._remember(x, tanh)
        out = x @ t["head.weight"].T + t["head.bias"]
        if not self._continuous:
            out = out.reshape(*out.shape[:-1], -1, 3).argmax(-1) / 2.0
        return out.clip(0.0, 1.0)[..., : NUM_LEVERS[self._role]]

    def _remember(self, x: Any, tanh: Callable[[Any], Any]) -> Any:
        """One step of the gated recurrent unit (Cho et al. 2014)."""
        t, width = self._tensors, x.shape[-1]
        old = x * 0.0 if self._memory is None else self._memory
        new_in = x @ t["memory.weight_ih"].T + t["memory.bias_ih"]
        new_old = old @ t["memory.weight_hh"].T + t["memory.bias_hh"]
        gates = 0.5 + 0.5 * tanh(0.5 * (new_in[..., : 2 * width] + new_old[..., : 2 * width]))
        reset, update = gates[..., :width], gates[..., width:]
        candidate = tanh(new_in[..., 2 * width :] + reset * new_old[..., 2 * width :])
        self._memory = (1.0 - update) * candidate + update * old
        return self._memory
