"""A BenchMARL task over the batched engine, for its Python API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spiral_env.scenarios import Scenario, load_scenario

try:
    import torch
    from benchmarl.environments.common import TaskClass
    from benchmarl.experiment import Callback
    from tensordict import TensorDictBase
    from torchrl.data import Composite
    from torchrl.envs import EnvBase, Transform
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[benchmarl]'") from None

from spiral_env.adapters.torchrl import SpiralEnv, outcomes

__all__ = ["LogOutcomes", "SpiralTask"]


class LogOutcomes(Callback):
    """Gives BenchMARL's loggers ``eval/outcome/<measure>``: means over the episodes of each evaluation."""

    def on_evaluation_end(self, rollouts: list[TensorDictBase]) -> None:
        """Log the first episode of every row, which is the one that BenchMARL counts."""
        flags = [months["next", "done"].squeeze(-1) for months in rollouts]
        whole = [
            months[: int(done.nonzero()[0]) + 1] for months, done in zip(rollouts, flags, strict=True) if done.any()
        ]
        means = outcomes(torch.cat(whole)) if whole else {}
        told = {f"eval/outcome/{name}": value for name, value in means.items()}
        self.experiment.logger.log(told, step=self.experiment.n_iters_performed)


class SpiralTask(TaskClass):
    """A scenario as a task: discrete actions for QMIX and its kin, continuous ones for MADDPG and its kin.

    Training draws its worlds from the scenario's ``train_seeds``, BenchMARL's evaluation from ``held_out_seeds``.
    """

    def __init__(self, scenario: str | Path | Scenario = "baseline-v1", **options: Any) -> None:
        """``options`` as in ``SpiralEnv`` of the TorchRL adapter; ``action_mode`` is the algorithm's choice.

        Raises:
            ValueError: ``action_mode`` is given, or the scenario is not allowed.
        """
        if "action_mode" in options:
            raise ValueError(f"action_mode must be left to the algorithm, got {options['action_mode']!r}")
        self.scenario = load_scenario(scenario)
        super().__init__(self.scenario.id, {"scenario": self.scenario.id, "return_state": True, **options})

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
    ) -> Callable[[], EnvBase]:
        """A maker of a batch of ``num_envs`` ecosystems."""
        options = self.config | {"scenario": self.scenario}
        mode = "continuous" if continuous_actions else "discrete"
        return lambda: SpiralEnv(num_envs=num_envs, action_mode=mode, seed=seed, device=device, **options)

    def get_env_transforms(self, env: EnvBase) -> list[Transform]:
        """None. BenchMARL asks this of the environment it evaluates in, which draws held-out worlds from now on."""
        env.draw_from("held_out")
        return []

    def supports_continuous_actions(self) -> bool:
        """Yes: one effort a lever."""
        return True

    def supports_discrete_actions(self) -> bool:
        """Yes: one of the joint levels of all levers."""
        return True

    def has_render(self, env: EnvBase) -> bool:
        """No: the batch behind the task is not drawn."""
        return False

    def max_steps(self, env: EnvBase) -> int:
        """Months until an episode is cut."""
        return env.batch.max_cycles

    def group_map(self, env: EnvBase) -> dict[str, list[str]]:
        """Group -> names of its agents."""
        return env.group_map

    def observation_spec(self, env: EnvBase) -> Composite:
        """Observations of the groups."""
        spec = env.full_observation_spec_unbatched.clone()
        for whole in ("state", "outcome"):
            spec.pop(whole, None)
        return spec

    def state_spec(self, env: EnvBase) -> Composite | None:
        """The whole state, for central critics and mixers."""
        if not env.return_state:
            return None
        return Composite({"state": env.full_observation_spec_unbatched["state"].clone()})

    def action_spec(self, env: EnvBase) -> Composite:
        """Actions of the groups."""
        return env.full_action_spec_unbatched

    def info_spec(self, env: EnvBase) -> Composite | None:
        """None: outcomes are not a group's."""
        return None

    def action_mask_spec(self, env: EnvBase) -> Composite | None:
        """None: every action is always allowed."""
        return None

    @staticmethod
    def log_info(batch: TensorDictBase) -> dict[str, float]:
        """``collection/outcome/<measure>`` for the loggers: means over the episodes that ended in the batch."""
        return {f"collection/outcome/{name}": value for name, value in outcomes(batch).items()}

    @staticmethod
    def env_name() -> str:
        """Name of the environment in BenchMARL's logs."""
        return "spiral_env"
