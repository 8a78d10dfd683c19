"""Checkpoints: what is written plays again with numpy alone; whatever is broken or foreign is one line."""

from __future__ import annotations

import json
import pickle
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from spiral_env.agents import NetworkPolicy, load_policy
from spiral_env.agents.checkpoint import read_policy, write_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import FEATURES, MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.spaces import Options
from tests.bad_inputs import policy_files

ROOT = Path(__file__).resolve().parent.parent
WIDE = Options(homogenize=True).observation_space("it").shape[0]
HIDDEN = 6


def _network(inputs: int, layers: int, outputs: int, seed: int) -> dict[str, np.ndarray]:
    """Random weights of a tanh network with its normaliser."""
    rng = np.random.default_rng(seed)
    widths = [inputs, *[HIDDEN] * layers, outputs]
    out = {"mean": rng.normal(size=inputs), "std": rng.uniform(0.5, 2.0, size=inputs)}
    for k in range(layers + 1):
        name = "head" if k == layers else f"layer{k}"
        out[f"{name}.weight"] = rng.normal(size=(widths[k + 1], widths[k])).astype(np.float32)
        out[f"{name}.bias"] = rng.normal(size=widths[k + 1]).astype(np.float32)
    return out


def _write(folder: Path, networks: str = "shared", layers: int = 2, head: str = "categorical") -> Path:
    each = 3 if head == "categorical" else 1
    if networks == "shared":
        tensors = _network(WIDE, layers, each * MAX_LEVERS, 0)
    else:
        sizes = {role: (len(FEATURES[role]), layers, each * NUM_LEVERS[role]) for role in ROLES}
        parts = {role: _network(*sizes[role], k) for k, role in enumerate(ROLES)}
        tensors = {f"{role}.{name}": x for role, part in parts.items() for name, x in part.items()}
    write_policy(folder, tensors, {"networks": networks, "layers": layers, "head": head})
    return folder


def _refused(folder: Path) -> str:
    """The one line with which every role refuses the checkpoint."""
    lines = set()
    for role in ROLES:
        with pytest.raises(ValueError, match="checkpoint") as caught:
            NetworkPolicy(folder, role)
        lines.add(str(caught.value))
    (line,) = lines
    assert "\n" not in line
    assert str(folder) in line
    return line


@pytest.mark.parametrize("networks", ["shared", "per_role"])
@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("head", ["categorical", "continuous"])
def test_a_written_policy_plays_as_its_equation_says(networks: str, layers: int, head: str, tmp_path: Path) -> None:
    folder = _write(tmp_path, networks, layers, head)
    stored = load_file(folder / "policy.safetensors")
    for role in ROLES:
        seen = np.random.default_rng(1).normal(size=(2, 3, len(FEATURES[role]))).astype(np.float32)
        got = load_policy(str(folder), role).act(seen)
        prefix = "" if networks == "shared" else f"{role}."
        for e, a in np.ndindex(2, 3):
            x = list(map(float, seen[e, a]))
            if networks == "shared":
                x += [0.0] * (WIDE - 4 - len(x)) + [float(role == other) for other in ROLES]
            x = [
                min(10.0, max(-10.0, (v - m) / s))
                for v, m, s in zip(x, stored[prefix + "mean"], stored[prefix + "std"], strict=True)
            ]
            for name in [*(f"layer{k}" for k in range(layers)), "head"]:
                rows = zip(stored[f"{prefix}{name}.weight"], stored[f"{prefix}{name}.bias"], strict=True)
                x = [sum(w * v for w, v in zip(row.astype(float), x, strict=True)) + float(b) for row, b in rows]
                x = x if name == "head" else [float(np.tanh(v)) for v in x]
            if head == "continuous":
                want = [min(1.0, max(0.0, v)) for v in x]
            else:
                want = [max(range(3), key=lambda k: x[3 * lever + k]) / 2.0 for lever in range(len(x) // 3)]
            want = want[: NUM_LEVERS[role]]
            assert np.allclose(got[e, a], want, atol=1e-9)


def test_a_policy_of_one_role_plays_beside_scripted_ones(tmp_path: Path) -> None:
    folder = str(_write(tmp_path, "per_role"))
    team = {role: load_policy(folder if role == "it" else "scripted", role) for role in ROLES}
    table = run_episodes("small-v1", team, 2)
    assert table.names == {"it": folder, "business": "scripted", "finance": "scripted", "sme": "scripted"}
    assert np.isfinite(table.metrics["ecosystem_value"]).all()


def test_playing_a_checkpoint_needs_no_torch(tmp_path: Path) -> None:
    _write(tmp_path)
    program = (
        "import sys; sys.modules['torch'] = None; sys.modules['stable_baselines3'] = None\n"
        "from spiral_env.agents import load_policy\n"
        f"load_policy({str(tmp_path)!r}, 'it')"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


class _Bomb:
    """Marks the folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "unpickled"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_pickle_is_refused_and_never_run(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    data = pickle.dumps(_Bomb(tmp_path))
    (tmp_path / name).write_bytes(data)
    _refused(tmp_path)
    assert not (tmp_path / "unpickled").exists()
    pickle.loads(data)
    assert (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / name).unlink()
    assert "cannot be read" in _refused(tmp_path)


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_file_cut_short_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    data = (tmp_path / name).read_bytes()
    for length in [*range(0, 20), *range(20, len(data), max(1, len(data) // 40))]:
        (tmp_path / name).write_bytes(data[:length])
        _refused(tmp_path)


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_random_bytes_are_refused(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    for seed in range(50):
        (tmp_path / name).write_bytes(random.Random(seed).randbytes(200))
        _refused(tmp_path)


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_flipped_byte_is_refused_in_one_line_or_still_plays(name: str, tmp_path: Path) -> None:
    _write(tmp_path)
    data = (tmp_path / name).read_bytes()
    lines = []
    for seed in range(150):
        rng = random.Random(seed)
        broken = bytearray(data)
        broken[rng.randrange(min(len(data), 1500))] = rng.randrange(256)
        (tmp_path / name).write_bytes(bytes(broken))
        try:
            efforts = load_policy(str(tmp_path), "it").act(np.zeros((1, 1, len(FEATURES["it"])), np.float32))
            assert np.isfinite(efforts).all()
        except ValueError as error:
            lines.append(str(error))
    assert len(lines) > 50
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("name", policy_files.CASES)
def test_a_folder_that_is_no_policy_is_one_line(name: str, tmp_path: Path) -> None:
    folder = _write(tmp_path / "run")
    policy_files.CASES[name](folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = _refused(folder)
    assert len(line) < 300 + len(str(folder))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_the_list_of_bad_folders_is_long() -> None:
    assert len(policy_files.CASES) >= 80


def test_a_folder_that_is_none_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for name in ("loop", "file", "nowhere"):
        with pytest.raises(ValueError, match="policy must be"):
            load_policy(str(tmp_path / name), "it")


def test_a_missing_safetensors_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"no module safetensors: pip install 'spiral-env\[train\]'"):
        NetworkPolicy(tmp_path, "it")


def test_a_policy_tells_its_world_and_its_files(tmp_path: Path) -> None:
    here, there = _write(tmp_path / "a"), _write(tmp_path / "b")
    policy = NetworkPolicy(here, "it")
    assert policy.trained_in == {"scenario": "", "scenario_hash": ""}
    assert policy.digest == NetworkPolicy(there, "sme").digest
    header = json.loads((there / "policy.json").read_text())
    (there / "policy.json").write_text(json.dumps(header | {"scenario": "town-v0", "scenario_hash": "0" * 16}))
    changed = NetworkPolicy(there, "it")
    assert changed.trained_in == {"scenario": "town-v0", "scenario_hash": "0" * 16}
    assert changed.digest != policy.digest


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layer0.weight", lambda x: x * np.float32("nan")),
        ("head.bias", lambda x: x + np.float32("inf")),
        ("layer1.weight", lambda x: x[:, :-1]),
        ("layer1.weight", lambda x: x.reshape(-1)),
        ("layer1.bias", lambda x: x[:-1]),
        ("head.bias", lambda x: x[:, None]),
        ("head.weight", lambda x: x[0, 0]),
        ("mean", lambda x: x[:-1]),
        ("mean", lambda x: x * np.nan),
        ("std", lambda x: x * 0.0),
        ("std", lambda x: -x),
        ("std", lambda x: x[None]),
    ],
)
def test_a_tensor_that_is_not_usable_is_named(
    name: str, change: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    _write(tmp_path)
    tensors = load_file(tmp_path / "policy.safetensors")
    with np.errstate(all="ignore"):
        tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, tmp_path / "policy.safetensors")
    assert name.split(".")[0] in _refused(tmp_path)


def test_every_tensor_is_needed(tmp_path: Path) -> None:
    for networks in ("shared", "per_role"):
        _write(tmp_path, networks)
        whole = load_file(tmp_path / "policy.safetensors")
        for name in whole:
            save_file({k: x for k, x in whole.items() if k != name}, tmp_path / "policy.safetensors")
            with pytest.raises(ValueError, match="no usable tensor"):
                read_policy(tmp_path)


def test_an_unknown_policy_says_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"policy must be uniform, .* or path/file.py:name, got 'nobody'"):
        load_policy("nobody", "it")
