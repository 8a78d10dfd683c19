"""Every hyperparameter, once: name, type and default."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made of; stored with it."""

    scenario: str = "baseline-v0"
    seed: int = 0
    num_envs: int = 32
    num_steps: int = 60
    timesteps: int = 6_000_000
    max_seconds: float = 480.0
    learning_rate: float = 6e-4
    batch_size: int = 4096
    epochs: int = 4
    gamma: float = 0.97
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    ent_coef: float = 0.005
    hidden: int = 64
    reward_mode: str = "cooperative"
    torch_threads: int = 1

    def __post_init__(self) -> None:
        """Every count and rate must be positive."""
        for name in ("num_envs", "num_steps", "timesteps", "batch_size", "epochs", "hidden", "torch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.learning_rate > 0.0 or not self.max_seconds > 0.0:
            raise ValueError(f"learning_rate and max_seconds must be > 0, got {self.learning_rate}, {self.max_seconds}")
