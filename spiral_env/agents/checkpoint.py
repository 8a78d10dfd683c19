"""Trained policies as safetensors and JSON: read with numpy alone, never unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.files import write_atomically
from spiral_env.roles import FEATURES, NUM_LEVERS, ROLES
from spiral_env.spaces import Options

__all__ = ["FORMAT", "NetworkPolicy", "read_policy", "write_policy"]

FORMAT = "spiral_env-policy"
VERSION = 1
_OPTIONS = Options(homogenize=True)
_LOGITS = 3 * NUM_LEVERS


def write_policy(folder: Path, tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write ``policy.safetensors`` and ``policy.json``.

    ``meta`` holds ``networks``: "shared" (one network over homogenised observations) or "per_role" (names prefixed
    with ``<role>.``), ``layers`` and ``head``: "categorical" (three logits a lever) or "continuous" (its mean effort).
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    names = {role: [f.name for f in FEATURES[role]] for role in ROLES}
    header = {"format": FORMAT, "version": VERSION, "features": names, **meta}
    write_atomically(folder / "policy.safetensors", save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
    write_atomically(folder / "policy.json", json.dumps(header, indent=1).encode())


def read_policy(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and header of a checkpoint; ``ValueError`` in one line if it is missing, corrupt or foreign."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        header = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
        tensors = load((folder / "policy.safetensors").read_bytes())
    except (OSError, ValueError, SafetensorError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"checkpoint {folder} cannot be read: {reason}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ValueError(f"checkpoint {folder} must be a {FORMAT} of version {VERSION}")
    features, layers = header.get("features"), header.get("layers")
    if not isinstance(features, dict) or isinstance(layers, bool) or not isinstance(layers, int) or layers < 0:
        raise ValueError(f"checkpoint {folder} must name its features and a count of layers, got layers {layers!r}")
    if header.get("networks", "shared") not in ("shared", "per_role"):
        raise ValueError(f"checkpoint {folder} must hold shared or per_role networks, got {header['networks']!r}")
    if header.get("head", "categorical") not in ("categorical", "continuous"):
        raise ValueError(f"checkpoint {folder} must have a categorical or continuous head, got {header['head']!r}")
    recurrent = header.get("recurrent", [])
    if not isinstance(recurrent, list) or any(role not in ROLES for role in recurrent):
        raise ValueError(f"checkpoint {folder} must list recurrent roles of {', '.join(ROLES)}, got {recurrent!r}")
    known: set[str] = set()
    for role in ROLES:
        if features.get(role) != [f.name for f in FEATURES[role]]:
            raise ValueError(f"checkpoint {folder} was trained on other features of {role}")
        known |= _check_shapes(folder, tensors, header, role)
    if tensors.keys() > known:
        raise ValueError(f"checkpoint {folder} has a tensor that no layer uses: {min(tensors.keys() - known)!r}")
    return tensors, header


def _prefix(header: dict[str, Any], role: str) -> str:
    return f"{role}." if header.get("networks") == "per_role" else ""


def _check_shapes(folder: Path, tensors: dict[str, np.ndarray], header: dict[str, Any], role: str) -> set[str]:
    """Names of the tensors of the role's network, each found, of its shape and finite."""
    prefix = _prefix(header, role)
    known = {f"{prefix}mean", f"{prefix}std"}
    width = len(FEATURES[role]) if prefix else _OPTIONS.observation_space("it").shape[0]
    for name in ("mean", "std"):
        moments = tensors.get(prefix + name)
        if moments is None or moments.shape != (width,) or not np.isfinite(moments).all():
            raise ValueError(f"checkpoint {folder} has no usable tensor {prefix}{name}")
    if not (tensors[f"{prefix}std"] > 0.0).all():
        raise ValueError(f"checkpoint {folder} must have std > 0, got {tensors[f'{prefix}std'].min()}")
    for k in range(header["layers"] + 1):
        name = prefix + ("head" if k == header["layers"] else f"layer{k}")
        weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        usable = weight is not None and bias is not None and bias.ndim == 1 and weight.shape == (len(bias), width)
        if not usable or not (np.isfinite(weight).all() and np.isfinite(bias).all()):  # type: ignore[arg-type]
            raise ValueError(f"checkpoint {folder} has no usable tensor {name}")
        assert bias is not None
        width = len(bias)
        known |= {f"{name}.weight", f"{name}.bias"}
        if role in header.get("recurrent", []) and k == header["layers"] - 1:
            known |= _check_memory(folder, tensors, prefix, width)
    want = NUM_LEVERS if header.get("head") == "continuous" else _LOGITS
    if width != want:
        raise ValueError(f"checkpoint {folder} must end in {want} outputs, got {width}")
    return known


def _check_memory(folder: Path, tensors: dict[str, np.ndarray], prefix: str, width: int) -> set[str]:
    """Names of a gated recurrent unit's tensors, each found, of its shape and finite."""
    shapes = {f"weight_{x}": (3 * width, width) for x in ("ih", "hh")} | {
        f"bias_{x}": (3 * width,) for x in ("ih", "hh")
    }
    for name, shape in shapes.items():
        tensor = tensors.get(f"{prefix}memory.{name}")
        if tensor is None or tensor.shape != shape or not np.isfinite(tensor).all():
            raise ValueError(f"checkpoint {folder} has no usable tensor {prefix}memory.{name}")
    return {f"{prefix}memory.{name}" for name in shapes}


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class NetworkPolicy:
    """A trained tanh network, with memory if it was trained with one; takes the likeliest value of each lever."""

    def __init__(self, folder: Path, role: str) -> None:
        """Read the checkpoint in ``folder``."""
        self.name = str(folder)
        self._role = role
        tensors, header = read_policy(folder)
        self._prefix = _prefix(header, role)
        mine = {k: v for k, v in tensors.items() if k.startswith(self._prefix)}
        self._tensors = {k.removeprefix(self._prefix): v.astype(np.float64) for k, v in mine.items()}
        self._layers = int(header["layers"])
        self._continuous = header.get("head") == "continuous"

        self._memory: np.ndarray | None = None

    def reset(self, keys: np.ndarray) -> None:
        """Forget what was seen."""
        self._memory = None

    def _remember(self, x: np.ndarray) -> np.ndarray:
        """One step of the gated recurrent unit (Cho et al. 2014)."""
        t = self._tensors
        old = np.zeros_like(x) if self._memory is None else self._memory
        new_in = np.split(x @ t["memory.weight_ih"].T + t["memory.bias_ih"], 3, axis=-1)
        new_old = np.split(old @ t["memory.weight_hh"].T + t["memory.bias_hh"], 3, axis=-1)
        reset, update = (_logistic(a + b) for a, b in zip(new_in[:2], new_old[:2], strict=True))
        candidate = np.tanh(new_in[2] + reset * new_old[2])
        self._memory = (1.0 - update) * candidate + update * old
        return self._memory

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, 5]`` of the mode of every lever."""
        t = self._tensors
        x = (observation if self._prefix else _OPTIONS.pad(self._role, observation)).astype(np.float64)
        x = np.clip((x - t["mean"]) / t["std"], -10.0, 10.0)
        for k in range(self._layers):
            x = np.tanh(x @ t[f"layer{k}.weight"].T + t[f"layer{k}.bias"])
        if "memory.weight_ih" in t:
            x = self._remember(x)
        out = x @ t["head.weight"].T + t["head.bias"]
        if self._continuous:
            return np.clip(out, 0.0, 1.0)
        return out.reshape(*out.shape[:-1], NUM_LEVERS, 3).argmax(-1) / 2.0
