"""Training with all on one device: the same functions run here on tensors of a CPU, and of a GPU where there is one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from spiral_env.agents import load_policy
from spiral_env.agents.checkpoint import write_policy
from spiral_env.evaluation import run_episodes
from spiral_env.roles import ROLES
from spiral_env.training import TrainConfig, load_config
from spiral_env.training.algorithms.ippo import LocalCritic
from spiral_env.training.algorithms.mappo import CentralCritic
from spiral_env.training.algorithms.ppo import Trainer
from spiral_env.training.device.captured import NoRoom, memory_suffices
from spiral_env.training.device.es import DeviceEsTrainer
from spiral_env.training.device.learner import DeviceLearner
from spiral_env.training.device.ppo import DeviceTrainer
from spiral_env.training.learning.flat import Adam, FusedAdam
from spiral_env.training.learning.gradients import Batch
from spiral_env.training.learning.returns import gae, gae_tensors
from spiral_env.training.runs.run import run
from tests.command_line import refused
from tests.test_ppo import SMALL

SAFE = "zero-threat-v1"
"""A world in which no ecosystem falls under random play."""

ROOT = Path(__file__).resolve().parent.parent
DEVICES = ["cpu", *(["cuda:0"] if torch.cuda.is_available() else [])]
CRITICS = {"ippo": LocalCritic, "mappo": CentralCritic}


def _trainer(config: TrainConfig, device: str = "cpu") -> Any:
    if config.algo == "es":
        return DeviceEsTrainer(config, torch.device(device))
    critic = CRITICS[config.algo]
    return DeviceTrainer(config, critic, central=critic is CentralCritic, device=torch.device(device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"algo": "mappo"},
        {"recurrent": "sme,it"},
        {"algo": "mappo", "continuous": True},
        {"algo": "es", "timesteps": 8 * 60 * 11 * 3, "layers": 0},
    ],
    ids=["ippo", "mappo", "recurrent", "continuous", "es"],
)
def test_a_resumed_device_run_equals_an_uninterrupted_one_byte_for_byte(
    options: dict[str, Any], device: str, tmp_path: Path
) -> None:
    short = {"num_steps": 8, "epochs": 1, "timesteps": 8 * 8 * 11 * 3}
    config = replace(SMALL, **short | options)
    run(_trainer(config, device), tmp_path / "whole", resume=False)
    cut = tmp_path / "cut"
    run(_trainer(config, device), cut, resume=False, report=lambda share, figures: True)
    assert len((cut / "progress.csv").read_text().splitlines()) == 2
    run(_trainer(config, device), cut, resume=True)
    whole = (tmp_path / "whole/policy.safetensors").read_bytes()
    assert (cut / "policy.safetensors").read_bytes() == whole


def test_the_seed_decides_what_a_device_learns() -> None:
    heads = []
    for seed in (4, 4, 5):
        trainer = _trainer(replace(SMALL, seed=seed, num_steps=4))
        trainer.iterate()
        heads.append(trainer.policy()[0]["sme.head.bias"])
        trainer.close()
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])


@pytest.mark.parametrize("options", [{"recurrent": "sme"}, {"continuous": True}, {"algo": "es"}], ids=str)
def test_a_policy_of_a_device_scores_the_same_there_and_on_a_cpu(options: dict[str, Any], tmp_path: Path) -> None:
    trainer = _trainer(replace(SMALL, **options))
    trainer.iterate()
    tensors, header = trainer.policy()
    write_policy(tmp_path, tensors, header)
    trainer.close()
    team = {role: load_policy(str(tmp_path), role) for role in ROLES} | {"it": load_policy("uniform", "it")}
    tables = [run_episodes("small-v1", team, 3, num_envs=2, device=device) for device in (None, "cpu")]
    for name, values in tables[0].metrics.items():
        np.testing.assert_allclose(values, tables[1].metrics[name], rtol=1e-12)
    for role in ROLES:
        np.testing.assert_array_equal(tables[0].lever_use[role], tables[1].lever_use[role])
    assert tables[0].average_firm == tables[1].average_firm


@pytest.mark.parametrize("algo", CRITICS)
def test_a_gradient_step_on_a_device_is_that_of_a_cpu(algo: str) -> None:
    """Of the same months: the order of a single minibatch does not matter."""
    config = replace(SMALL, algo=algo, minibatches=1, epochs=1)
    cpu = Trainer(config, CRITICS[algo], central=algo == "mappo")
    there = _trainer(config)
    rollout = cpu.player.collect(config.num_steps)
    cpu.player.judge(rollout, config.gamma, config.gae_lambda)
    for role, learner in there.team.items():
        r, batch = rollout.roles[role], there.player.batch[role]
        torch.testing.assert_close(learner.flat, cpu.team[role].flat)
        advantages = (r.advantages - r.advantages.mean()) / (r.advantages.std() + 1e-8)
        arrays = {"x": r.x, "actions": r.actions, "log_p": r.log_p, "advantages": advantages}
        for name, array in (arrays | {"targets": learner.rescale(r.targets)}).items():
            getattr(batch, name).copy_(torch.from_numpy(array).flatten(0, 1))
        if rollout.state is not None:
            batch.state.copy_(torch.from_numpy(rollout.state).flatten(0, 1))
    losses = [cpu.updater.step(rollout, 0.01), there.updater.step(0.01)]
    for role, learner in there.team.items():
        torch.testing.assert_close(learner.flat, cpu.team[role].flat, atol=1e-4, rtol=1e-4)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3, abs=1e-5)
    for trainer in (cpu, there):
        trainer.close()


def test_the_device_values_what_lies_beyond_a_cut_and_nothing_beyond_a_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = _trainer(replace(SMALL, scenario=SAFE, num_steps=70))
    player = trainer.player
    player.collect()
    assert player.truncated[59].any()
    monkeypatch.setattr(DeviceLearner, "judge", lambda self, x, state: torch.full(x.shape[:2], 5.0))
    player.rewards.zero_()
    player.values.fill_(5.0)
    player.ends[3, 2], player.truncated[3, 2] = True, False
    shown: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(DeviceLearner, "renew_targets", lambda self, *moments: shown.update(moments=moments))
    player.judge(0.9, 0.0)
    targets = player.batch["sme"].targets.view(70, 8, -1)
    assert targets[3, 2].tolist() == [0.0] * 8
    targets[3, 2] = 4.5
    torch.testing.assert_close(targets, torch.full_like(targets, 4.5))
    trainer.close()


def test_what_a_cut_row_saw_last_is_kept_until_it_is_valued() -> None:
    trainer = _trainer(replace(SMALL, scenario=SAFE, num_steps=130))
    player, last = trainer.player, []
    reopen = trainer.env.reopen

    def noted(mask: torch.Tensor) -> Any:
        if bool(mask.any()):
            last.append(trainer.env.engine.observations["sme"].clone())
        return reopen(mask)

    trainer.env.reopen = noted
    player.collect()
    assert player.truncated.sum(0).tolist() == [2] * 8
    for kept, seen in zip(player._noted["sme"].cut[:2], last, strict=True):
        torch.testing.assert_close(kept, seen)
    trainer.close()


def test_returns_of_tensors_are_those_of_arrays() -> None:
    rng = np.random.default_rng(0)
    rewards, values, end_values = rng.normal(size=(3, 9, 4))
    ends, last = rng.random((9, 4)) < 0.3, rng.normal(size=4)
    wanted = gae(rewards, values, last, ends, end_values, 0.97, 0.9)
    given = [torch.from_numpy(x) for x in (rewards, values, last, ends, end_values)]
    for found, want in zip(gae_tensors(*given, 0.97, 0.9), wanted, strict=True):
        np.testing.assert_allclose(found, want)


@pytest.mark.parametrize("device", DEVICES)
def test_the_fused_optimiser_steps_as_the_other_and_rests_where_it_is_told(device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(40, generator=generator)
    adam, fused = Adam(start.clone()), FusedAdam(start.to(device))
    flat = fused._adam.param_groups[0]["params"][0]
    fused.rate.fill_(0.01)
    for _ in range(4):
        gradient = torch.randn(40, generator=generator)
        adam.step(gradient, 0.01)
        fused.gradient.copy_(gradient)
        fused.step(torch.zeros((), device=device))
        torch.testing.assert_close(flat.cpu(), adam.flat)
        before = flat.clone(), fused.tensors()
        fused.step(torch.ones((), device=device))
        assert torch.equal(flat, before[0])
        assert all(np.array_equal(x, before[1][name]) for name, x in fused.tensors().items())


def test_an_actor_that_went_too_far_rests_on_a_device() -> None:
    ends = []
    for epochs in (1, 3):
        trainer = _trainer(replace(SMALL, epochs=epochs, target_kl=1e-12))
        trainer.iterate()
        ends.append(trainer.team["sme"].tensors())
        trainer.close()
    for name in ("actor.head.weight", "adam.actor.mean", "adam.actor.steps"):
        assert np.array_equal(ends[0][name], ends[1][name]), name
    assert not np.array_equal(ends[0]["critic.head.weight"], ends[1]["critic.head.weight"])


def test_networks_that_do_not_fit_on_the_chip_learn_and_act_as_others_do() -> None:
    class TooLarge:
        def write(self, *given: Any) -> torch.Tensor:
            raise NoRoom("out of resource: shared memory")

        act = write

    trainer = _trainer(replace(SMALL, num_steps=4))
    trainer.updater._gradients["sme"] = trainer.player._fused["sme"] = TooLarge()
    before = trainer.team["sme"].flat.clone()
    trainer.iterate()
    assert not trainer.player._fused
    assert not torch.equal(trainer.team["sme"].flat, before)
    trainer.close()


class _NoWaiting(TorchDispatchMode):
    """Refuses what makes the host wait for the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func._opname not in ("_local_scalar_dense", "nonzero", "masked_select", "equal"), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", [{}, {"algo": "mappo", "recurrent": "sme"}, {"continuous": True}], ids=str)
def test_what_is_recorded_waits_for_nothing(options: dict[str, Any]) -> None:
    trainer = _trainer(replace(SMALL, **options))
    trainer.iterate()
    player, updater = trainer.player, trainer.updater
    player._t.zero_()
    player.env.check = lambda: None
    player.env.engine.step = player.env.engine.reset = lambda *given: None
    with _NoWaiting():
        player._live()
        updater._learn()
        updater._rest()
    strategy = _trainer(replace(SMALL, algo="es"))
    strategy.iterate()
    strategy.env.check = strategy.env.engine.step = lambda *given: None
    with _NoWaiting():
        strategy._live()
    for each in (trainer, strategy):
        each.close()


def test_the_number_of_ecosystems_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    from spiral_env.training.runs import demands

    free = 80 * 2**30
    monkeypatch.setattr("spiral_env.tensor_engine.as_device", torch.device)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(multi_processor_count=132))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    config = load_config(None, {"device": "cuda"})
    assert (config.num_envs, config.num_steps, config.timesteps) == (16_384, 20, 1_000_000_000)
    assert load_config(None, {"device": "cuda", "timesteps": 7}).timesteps == 7
    given = load_config(None, {"device": "cuda", "num_envs": 7, "minibatches": 2})
    assert (given.num_envs, given.num_steps) == (7, 20)
    free = 2**28
    small = load_config(None, {"device": "cuda"})
    assert 2 <= small.num_envs < 16_384
    assert demands.needed_bytes(small) <= free // 2 < demands.needed_bytes(replace(small, num_envs=2 * small.num_envs))
    with pytest.raises(ValueError, match=r"num_envs 16384, num_steps 20, hidden 64 need at least .* GiB of memory"):
        demands.check_memory(config)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", [("train",), ("evaluate", "--compare", "uniform")], ids=str)
def test_a_device_that_is_not_there_is_one_line(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "device 'cuda' cannot be used: " in refused(*command, "--device", "cuda")
    assert not list(tmp_path.iterdir())


def test_memory_of_a_device_that_runs_out_is_one_line() -> None:
    words = "num_envs 9 or num_steps must be lower on this device: out of memory"
    with pytest.raises(MemoryError, match=words) as caught, memory_suffices(9):
        raise torch.cuda.OutOfMemoryError("out of memory\nand much more")
    assert "\n" not in str(caught.value)


def _check_pass(device: str) -> None:
    """The one pass of Triton against torch's autograd."""
    from spiral_env.training.device.fused import Fused, suits
    from spiral_env.training.learning.gradients import ByAutograd

    for algo in CRITICS:
        trainer = _trainer(replace(SMALL, algo=algo), device)
        trainer.player.collect()
        trainer.player.judge(0.99, 0.95)
        index = torch.randperm(160, device=trainer.device)[:45]
        for role in ("business", "sme"):
            learner, batch = trainer.team[role], trainer.player.batch[role]
            assert suits(learner)
            torch.nn.init.normal_(learner.actor.head.weight)
            batch.log_p.add_(0.5 * torch.randn_like(batch.log_p))
            for moving in (1.0, 0.0):
                _compare([x(learner, trainer.weights) for x in (Fused, ByAutograd)], batch, index, moving)
        trainer.close()


def _compare(gradients: list[Any], batch: Batch, index: torch.Tensor, moving: float) -> None:
    told = [x.write(batch, index, 0.01, torch.tensor(moving, device=index.device)) for x in gradients]
    rounding = 1e-5 if index.device.type == "cpu" else 2e-2
    torch.testing.assert_close(*told, rtol=rounding, atol=rounding)
    difference = (gradients[0].out - gradients[1].out).norm() / gradients[1].out.norm()
    assert difference < rounding, difference


def _check_act(device: str) -> None:
    """The one pass of Triton against torch's way of acting, on the same luck."""
    from spiral_env.training.device.fused_act import FusedActor

    for algo in CRITICS:
        trainers = [_trainer(replace(SMALL, algo=algo, num_steps=3), device) for _ in range(2)]
        for trainer, fused in zip(trainers, (False, True), strict=True):
            player = trainer.player
            player._fused = {
                role: FusedActor(x, player.batch[role], player.actions[role], player.values, player._columns[role])
                for role, x in trainer.team.items()
                if fused
            }
            for each in trainer.team.values():
                each.observations.update(np.random.default_rng(0).normal(0.1, 0.5, (9, len(each.observations.mean))))
                each.scaled.refresh()
            trainer._generator.manual_seed(5)
            player.collect()
        rounding = 1e-4 if device == "cpu" else 2e-2
        for role in ROLES:
            ours, torchs = (x.player.batch[role] for x in trainers)
            assert (ours.actions != torchs.actions).float().mean() <= (0.0 if device == "cpu" else 0.01)
            torch.testing.assert_close(ours.x[:8], torchs.x[:8], atol=1e-4, rtol=1e-4)
            if device == "cpu":
                torch.testing.assert_close(ours.log_p, torchs.log_p, atol=rounding, rtol=rounding)
        first = [x.player.values[0] for x in trainers]
        torch.testing.assert_close(*first, atol=rounding, rtol=rounding)
        for trainer in trainers:
            trainer.close()


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("check", [_check_pass, _check_act])
@pytest.mark.parametrize("device", DEVICES)
def test_one_pass_of_triton_does_what_torch_does(device: str, check: Callable[[str], None]) -> None:
    """On a CPU under Triton's interpreter, which a process chooses once."""
    if device != "cpu":
        check(device)
        return
    code = f"from tests import test_device_training as tests; tests.{check.__name__}('cpu')"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _compiled(kernel: Any, constants: dict[str, Any], kinds: dict[str, str], capability: int) -> Any:
    """A kernel of Triton for GPUs of a compute capability; the types of its arguments are float but for ``kinds``."""
    import triton
    from triton.backends.compiler import GPUTarget

    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else kinds.get(name, "*fp32") for name in names}
    attributes = {(k,): [["tt.divisibility", 16]] for k, name in enumerate(names) if signature[name][0] == "*"}
    places = {(names.index(name),): value for name, value in constants.items()}
    source = triton.compiler.ASTSource(kernel, signature, places, attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4, "num_stages": 1})


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("capability", [80, 90])
def test_the_passes_compile_for_gpus_and_fit_on_their_chips(capability: int) -> None:
    """A block has at most 163 KiB of a multiprocessor of compute capability 8.0, 227 of one of 9.0."""
    room = {80: 163, 90: 227}[capability] * 1024
    from spiral_env.training.device import fused, fused_act

    sizes = {"INPUTS": 64, "HIDDEN": 64, "BLOCK": fused.BLOCK, "SHARED": True}
    whole = dict.fromkeys(("rows", "agents", "inputs", "levers", "width", "size", "everybody", "column"), "i32")
    reals = dict.fromkeys(("clip", "entropy_weight", "value_weight", "scale"), "fp32")
    kinds = whole | {"cells": "*i64", "counts": "*i64", "month": "*i64"}
    learning = kinds | reals | {"actions": "*u8"}
    acting = kinds | {"actions": "*i64", "stored": "*u8"}
    for levers, values, policy in ((16, 4, True), (1, 16, False)):
        constants = sizes | {"LEVERS": levers, "VALUES": values, "POLICY": policy, "SHARED": not policy}
        assert _compiled(fused._pass, constants, learning, capability).metadata.shared <= room
    constants = sizes | {"LEVERS": 16, "VALUES": 4}
    assert _compiled(fused_act._act, constants, acting, capability).metadata.shared <= room
