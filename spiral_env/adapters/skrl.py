"""The parallel environment as skrl's trainers like it: what they log of an episode is in the infos."""

from __future__ import annotations

from typing import Any

from spiral_env.parallel_env import SpiralParallelEnv

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[skrl]'") from None

__all__ = ["SkrlEnv"]


class SkrlEnv(SpiralParallelEnv):
    """``parallel_env`` for ``wrap_env(env, wrapper="pettingzoo")``, in worlds to learn from unless told otherwise.

    In the step that ends an episode, ``infos["episode"]`` holds its outcome measures as tensors, which skrl's trainers
    write under ``Info / <measure>``.
    """

    def __init__(self, scenario: Any = "baseline-v1", *, split: str | None = "train", **options: Any) -> None:
        """``options`` as in ``parallel_env``; evaluate with ``split="held_out"``."""
        super().__init__(scenario, split=split, **options)

    def step(self, actions: dict[str, Any]) -> Any:
        """Live one month."""
        *step, said = super().step(actions)
        infos: dict[str, Any] = dict(said)
        if infos and not self.agents:
            infos["episode"] = {name: torch.tensor(value) for name, value in self.metrics().items()}
        return *step, infos
