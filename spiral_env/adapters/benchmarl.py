"""A BenchMARL task over the batched engine, for its Python API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spiral_env.scenarios import Scenario, load_scenario

try:
    from benchmarl.environments.common import TaskClass
    from torchrl.data import Composite
    from torchrl.envs import EnvBase
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[benchmarl]'") from None

from spiral_env.adapters.torchrl import SpiralEnv

__all__ = ["SpiralTask"]


class SpiralTask(TaskClass):
    """A scenario as a task: discrete actions for QMIX and its kin, continuous ones for MADDPG and its kin."""

    def __init__(self, scenario: str | Path | Scenario = "baseline-v0", **options: Any) -> None:
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

    def supports_continuous_actions(self) -> bool:
        """Yes: one effort a lever."""
        return True

    def supports_discrete_actions(self) -> bool:
        """Yes: one of the joint levels of all levers."""
        return True

    def has_render(self, env: EnvBase) -> bool:
        """No: BenchMARL films frames of pixels."""
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
        spec.pop("state", None)
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
        """None: infos are asked of ``env.batch``."""
        return None

    def action_mask_spec(self, env: EnvBase) -> Composite | None:
        """None: every action is always allowed."""
        return None

    @staticmethod
    def env_name() -> str:
        """Name of the environment in BenchMARL's logs."""
        return "spiral_env"
