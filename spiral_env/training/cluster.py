"""Ray: jobs over a cluster, and training on one that outlives its runners."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from spiral_env.roles import ROLES
from spiral_env.threads import cores
from spiral_env.training.learning.torch_state import adam_tensors, layer_tensors, load_adam
from spiral_env.training.runs.config import TrainConfig
from spiral_env.training.runs.run import Report, run

try:
    import ray
    from ray.exceptions import RayTaskError
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[train,rllib]'") from None

if TYPE_CHECKING:
    from spiral_env.training.algorithms.rllib import RoleModule

__all__ = ["RayTrainer", "cluster", "fan_out", "train"]

Job = TypeVar("Job")
Result = TypeVar("Result")

STORE_BYTES = 400 * 2**20
"""Object store of a cluster that is started here."""
PATIENCE = 600.0
"""Seconds without a single runner before training gives up; what was learned is stored."""
_LOSSES = {"policy_loss": "policy_loss", "value_loss": "vf_loss", "entropy": "entropy", "kl": "mean_kl_loss"}


@contextmanager
def cluster(address: str = "", cpus: int | None = None) -> Iterator[None]:
    """Join the cluster at ``address``, or start one on this machine, for the time of the block.

    Inside another ``cluster`` block nothing happens: that one stays in use.

    Raises:
        OSError: no cluster answers at ``address``.
    """
    if ray.is_initialized():
        yield
        return
    # Ray reports usage to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common = {"log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    if address:
        _knock(address)
        try:
            ray.init(address=address, **common)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise OSError(f"no Ray cluster at {address!r}: {str(error).splitlines()[0]}") from None
    else:
        count = max(cores(), cpus or 1)
        ray.init(address="local", num_cpus=count, object_store_memory=STORE_BYTES, include_dashboard=False, **common)
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Refuse ``host:port`` where nothing listens at once; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10.0).close()
    except (OSError, OverflowError) as error:
        raise OSError(f"no Ray cluster at {address!r}: {error}") from None


def fan_out(function: Callable[[Job], Result], jobs: Sequence[Job], address: str = "") -> list[Result]:
    """``[function(job) for job in jobs]`` as Ray tasks of one core each; a task whose node dies runs again elsewhere.

    Raises:
        OSError: no cluster answers at ``address``.
        Exception: whatever ``function`` raised, as itself.
    """
    with cluster(address):
        remote = ray.remote(num_cpus=1, max_retries=-1)(function)
        pending = [remote.remote(job) for job in jobs]
        try:
            return ray.get(pending)
        except RayTaskError as error:
            raise error.cause from None
        finally:
            for task in pending:
                ray.cancel(task, force=True)


class RayTrainer:
    """PPO of RLlib on a cluster: ``config.runners`` batches of ecosystems, the learner in this process.

    A runner that dies is started again where there is room; until then the others play its share. Going on from a
    stored state keeps networks, optimisers and counters; the runners open new worlds.

    Attributes:
        agent_steps: agent-steps lived so far.
        iteration: rollouts learned from so far.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        """The cluster is first needed when ``algorithm`` is."""
        self.config, self.log = config, folder / "runners.csv"
        self.agent_steps = 0
        self.iteration = 0
        self._algorithm: Any = None
        self._healthy = -1

    @property
    def algorithm(self) -> Any:
        """RLlib's algorithm, built when first asked for.

        Raises:
            ValueError: the cluster has fewer cores than runners.
        """
        if self._algorithm is None:
            from spiral_env.training.algorithms.rllib import ppo_config

            there_are = int(ray.cluster_resources().get("CPU", 0))
            if there_are < self.config.runners:
                raise ValueError(f"runners must be at most the cluster's cores {there_are}, got {self.config.runners}")
            torch.set_num_threads(self.config.torch_threads)
            seed = (self.config.seed + 7919 * self.iteration) % 2**31
            self._algorithm = ppo_config(self.config, seed).build_algo()
        return self._algorithm

    def _module(self, role: str) -> RoleModule:
        return self._learner().module[role].unwrapped()

    def _learner(self) -> Any:
        return self.algorithm.learner_group._learner

    def _optimiser(self, role: str) -> torch.optim.Optimizer:
        ((_, optimiser),) = self._learner().get_optimizers_for_module(role)
        return optimiser

    def iterate(self) -> dict[str, float]:
        """One rollout and the learning from it; returns losses and the outcomes of episodes that ended.

        Raises:
            OSError: there was no runner for ``PATIENCE`` seconds.
        """
        from spiral_env.adapters.rllib import OUTCOME

        left = max(0.05, 1.0 - self.agent_steps / self.config.timesteps)
        for role in ROLES:
            self._optimiser(role).param_groups[0]["lr"] = self.config.learning_rate * (
                left if self.config.anneal else 1.0
            )
        start = time.monotonic()
        result = self.algorithm.train()
        while "learners" not in result or not set(ROLES) <= result["learners"].keys():
            self._note()
            if time.monotonic() - start > PATIENCE:
                raise OSError(f"no env runner answered for {PATIENCE:.0f} s: stopped")
            time.sleep(1.0)
            result = self.algorithm.train()
        lived = result["env_runners"]
        self.agent_steps += int(sum(lived["num_agent_steps_sampled"].values()))
        self.iteration += 1
        self._note()
        figures = {f"runners/{name}": float(count) for name, count in self._counts().items()}
        for role in ROLES:
            losses = result["learners"][role]
            figures |= {f"{ours}/{role}": float(losses[its]) for ours, its in _LOSSES.items()}
        # RLlib says nan where no episode ended, as of its own returns.
        ended = {name: float(value) for name, value in lived.get(OUTCOME, {}).items() if not math.isnan(value)}
        return figures | {f"outcome/{name}": value for name, value in ended.items()}

    def _counts(self) -> dict[str, int]:
        group = self.algorithm.env_runner_group
        return {"healthy": group.num_healthy_remote_workers(), "restarts": group.num_remote_worker_restarts()}

    def _note(self) -> None:
        """Write a row when the number of healthy runners changed."""
        counts = self._counts()
        if counts["healthy"] == self._healthy:
            return
        self._healthy = counts["healthy"]
        fresh = not self.log.exists()
        with self.log.open("a") as file:
            if fresh:
                file.write("time,iteration,agent_steps,healthy,runners,restarts\n")
            row = [time.strftime("%H:%M:%S"), self.iteration, self.agent_steps, counts["healthy"]]
            file.write(",".join(str(x) for x in [*row, self.config.runners, counts["restarts"]]) + "\n")

    def tensors(self) -> dict[str, np.ndarray]:
        """Networks and optimisers."""
        out: dict[str, np.ndarray] = {}
        for role in ROLES:
            out |= {f"{role}.net.{k}": v.detach().cpu().numpy() for k, v in self._module(role).state_dict().items()}
            out |= {f"{role}.adam.{k}": v for k, v in adam_tensors(self._optimiser(role)).items()}
        return {name: np.array(x) for name, x in out.items()}

    def counters(self) -> dict[str, Any]:
        """All numbers of the state."""
        return {"agent_steps": self.agent_steps, "iteration": self.iteration}

    def load(self, tensors: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Go on from ``tensors()`` and ``counters()``, in new worlds."""
        self.agent_steps, self.iteration = counters["agent_steps"], counters["iteration"]
        for role in ROLES:
            own = {k.removeprefix(f"{role}."): v for k, v in tensors.items() if k.startswith(f"{role}.")}
            module = self._module(role)
            module.load_state_dict({k: torch.from_numpy(own[f"net.{k}"].copy()) for k in module.state_dict()})
            adam = {k.removeprefix("adam."): v for k, v in own.items() if k.startswith("adam.")}
            load_adam(self._optimiser(role), adam)
        # RLlib's own sync waits for nothing: right after the start the runners kept their first networks.
        state = self.algorithm.learner_group.get_state(components="learner/rl_module", inference_only=True)["learner"]
        self.algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.set_state(state))

    def policy(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors and header of the policy as a checkpoint holds it."""
        out: dict[str, np.ndarray] = {}
        for role in ROLES:
            module = self._module(role)
            out |= {f"{role}.{name}": x for name, x in layer_tensors(module.actor.body, module.actor.head).items()}
            out |= {f"{role}.{name}": getattr(module, name).cpu().numpy().copy() for name in ("mean", "std")}
        return out, {"networks": "per_role", "layers": self.config.layers, "head": "categorical"}

    def close(self) -> None:
        """End the runners."""
        if self._algorithm is not None:
            self._algorithm.stop()
            # RLlib makes an empty folder a run in the user's home.
            with suppress(OSError):
                Path(self._algorithm.logdir).rmdir()


def train(config: TrainConfig, folder: Path, *, resume: bool = False, report: Report | None = None) -> Path:
    """Train on the cluster at ``config.ray_address``, or on one of this machine; see ``runs.run.run``.

    Raises:
        ValueError: the folder or the config does not fit, or a loss is no longer a number.
        OSError: the folder cannot be written, no cluster answers or no runner does.
        KeyboardInterrupt: Ctrl-C, after what is learned was stored.
    """
    trainer = RayTrainer(config, folder)
    # Ray tells of dead nodes, to its very end, on the standard output, which is for results.
    with redirect_stdout(sys.stderr), cluster(config.ray_address, config.runners):
        return run(trainer, folder, resume=resume, report=report)
