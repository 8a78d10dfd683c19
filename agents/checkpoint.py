"""Trained policies as safetensors and JSON: read with numpy alone, never unpickled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.roles import FEATURES, ROLES
from spiral_env.spaces import Options

__all__ = ["FORMAT", "NetworkPolicy", "read_policy", "write_policy"]

FORMAT = "spiral_env-policy"
VERSION = 1
_OPTIONS = Options(homogenize=True)


def write_policy(folder: Path, tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write ``policy.safetensors`` and ``policy.json``, each to a temporary file first, then renamed."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    names = {role: [f.name for f in FEATURES[role]] for role in ROLES}
    header = {"format": FORMAT, "version": VERSION, "features": names, **meta}
    for name, data in (
        ("policy.safetensors", save({k: np.ascontiguousarray(v) for k, v in tensors.items()})),
        ("policy.json", json.dumps(header, indent=1).encode()),
    ):
        temporary = folder / f"{name}.tmp"
        temporary.write_bytes(data)
        os.replace(temporary, folder / name)


def read_policy(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and header of a checkpoint; ``ValueError`` in one line if it is missing, corrupt or foreign."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        header = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
        tensors = load((folder / "policy.safetensors").read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"checkpoint {folder} cannot be read: {reason}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ValueError(f"checkpoint {folder} must be a {FORMAT} of version {VERSION}")
    for role in ROLES:
        if header["features"].get(role) != [f.name for f in FEATURES[role]]:
            raise ValueError(f"checkpoint {folder} was trained on other features of {role}")
    _check_shapes(folder, tensors, header)
    return tensors, header


def _check_shapes(folder: Path, tensors: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    width = _OPTIONS.observation_space("it").shape[0]
    for k in range(int(header.get("layers", 0)) + 1):
        name = "head" if k == header["layers"] else f"layer{k}"
        weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        if weight is None or bias is None or weight.shape != (len(bias), width) or not np.isfinite(weight).all():
            raise ValueError(f"checkpoint {folder} has no usable tensor {name}")
        width = len(bias)
    if width != 15 or tensors.get("mean") is None or tensors.get("std") is None:
        raise ValueError(f"checkpoint {folder} must end in 15 logits with a normaliser, got {width}")


class NetworkPolicy:
    """A trained tanh network over homogenised observations; takes the likeliest value of each lever."""

    def __init__(self, folder: Path, role: str) -> None:
        """Read the checkpoint in ``folder``."""
        self.name = str(folder)
        self._role = role
        self._tensors, header = read_policy(folder)
        self._layers = int(header["layers"])

    def reset(self, seeds: np.ndarray) -> None:
        """Nothing is remembered."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Efforts ``[E, A, 5]`` of the mode of every lever."""
        t = self._tensors
        x = _OPTIONS.pad(self._role, observation).astype(np.float64)
        x = np.clip((x - t["mean"]) / t["std"], -10.0, 10.0)
        for k in range(self._layers):
            x = np.tanh(x @ t[f"layer{k}.weight"].T + t[f"layer{k}.bias"])
        logits = x @ t["head.weight"].T + t["head.bias"]
        return logits.reshape(*logits.shape[:-1], 5, 3).argmax(-1) / 2.0
