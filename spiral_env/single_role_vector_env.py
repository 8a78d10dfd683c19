"""One role in a batch of ecosystems as a Gymnasium vector environment, on the batched engine."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import vector
from gymnasium.vector.utils import batch_space

from spiral_env.checks import as_array, check_choice, check_count
from spiral_env.core.state import Sum
from spiral_env.horizon import HorizonSpec
from spiral_env.metrics import MONTH_KEYS, OUTCOME_KEYS
from spiral_env.policy import Policy, StatusQuo, ask_policy, check_role, episode_keys, reset_policy
from spiral_env.render.view import RENDER_FPS, RENDER_MODES
from spiral_env.scenarios import Scenario
from spiral_env.scenarios.seeds import check_seed, check_split, row_seeds
from spiral_env.single_role_env import partner_policies, single_role_options
from spiral_env.vector_env import SpiralVectorEnv

try:
    from gymnasium.vector import AutoresetMode
except ImportError:
    raise ImportError("no gymnasium.vector.AutoresetMode: pip install 'gymnasium>=1.1'") from None

__all__ = ["SingleRoleVectorEnv"]

_MODES = {
    "next_step": AutoresetMode.NEXT_STEP,
    "same_step": AutoresetMode.SAME_STEP,
    "disabled": AutoresetMode.DISABLED,
}


class _Partner:
    """A policy in a batch: the status quo plays all rows at once, any other is copied for each row.

    Rows restart at different times, and a policy can only be reset whole.
    """

    def __init__(self, role: str, policy: Policy, num_envs: int) -> None:
        self._role = role
        self._shared = policy if isinstance(policy, StatusQuo) else None
        self._rows = [] if self._shared else [copy.deepcopy(policy) for _ in range(num_envs)]

    def reset(self, seeds: list[int], mask: np.ndarray) -> None:
        """Open an episode in the masked rows."""
        for row, seed, chosen in zip(self._rows, seeds, mask, strict=False):
            if chosen:
                reset_policy(row, self._role, episode_keys([seed]))

    def act(self, observation: np.ndarray) -> np.ndarray:
        """``[E, A, O]`` to efforts ``[E, A, L]``."""
        if self._shared is not None:
            return ask_policy(self._shared, self._role, observation)
        rows = [ask_policy(row, self._role, observation[e : e + 1]) for e, row in enumerate(self._rows)]
        return np.concatenate(rows)


class SingleRoleVectorEnv(HorizonSpec, vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """``num_envs`` of ``SingleRoleEnv`` stepped by one compiled call; row ``i`` equals the one with its seed.

    Infos are those of ``SingleRoleEnv`` as arrays ``[E]``, each with its mask, by Gymnasium's convention.
    """

    def __init__(
        self,
        num_envs: int = 1,
        role: str = "it",
        partners: str | Mapping[str, str | Policy] | None = None,
        scenario: str | Path | Scenario = "baseline-v1",
        action_mode: str = "multi_discrete",
        levels: int = 3,
        autoreset_mode: str | AutoresetMode = "next_step",
        render_mode: str | None = None,
        split: str | None = None,
        max_episode_steps: int | None = None,
        **options: Any,
    ) -> None:
        """Build the batch with the partners in it.

        Args:
            num_envs: ecosystems E in the batch.
            role: "it", "business", "finance" or "sme".
            partners: who plays the others: role -> a ``Policy``, "status_quo" or "uniform"; one name stands for all.
                Roles not given play the status quo.
            scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
            action_mode: "multi_discrete", "continuous" or "discrete", as of ``spiral_env.parallel_env``.
            levels: values of a graded lever, in [2, 101].
            autoreset_mode: "next_step", "same_step" or "disabled", as of ``spiral_env.vector_env``, or Gymnasium's.
            render_mode: None, "ansi", "rgb_array" or "human", as of ``spiral_env.vector_env``.
            split: None, "train" or "held_out": which worlds a seed opens, see ``spiral_env.scenarios.seeds``.
            max_episode_steps: cuts episodes earlier, as Gymnasium's ``TimeLimit`` does for single environments.
            **options: ``num_threads``, ``num_smes``, ``reward_mode``, ``reward_basis`` and ``max_cycles`` of
                ``spiral_env.vector_env``.

        Raises:
            TypeError: a partner or an option is of the wrong type.
            ValueError: the role, a partner, the autoreset mode or an option is not allowed.
        """
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.role = check_role(role)
        self.split = check_split(split)
        self.options = single_role_options(action_mode, levels, options)
        options |= {"autoreset_mode": "disabled", "action_mode": "continuous", "render_mode": render_mode}
        self.batch = SpiralVectorEnv(scenario, num_envs, **options)
        self.render_mode = self.batch.render_mode
        self.num_envs = self.batch.num_envs
        self.horizon = _limit(max_episode_steps, self.batch.max_cycles)
        self.metadata = {
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self.options.observation_space(role)
        self.single_action_space = self.options.action_space(role)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._partners = {r: _Partner(r, policy, self.num_envs) for r, policy in partner_policies(partners).items()}
        self._seeds = [0] * self.num_envs
        self._episodes = np.full(self.num_envs, -1)
        self._seen: dict[str, np.ndarray] = {}
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Open an episode in every row, or in some, as ``SpiralVectorEnv.reset``.

        Args:
            seed: one seed for the batch, a sequence with one for each row, or None for the next of each series.
            options: ``{"reset_mask": mask}`` (bool ``[E]``) opens an episode in the masked rows only.

        Returns:
            Observations, float32 ``[E, O]``, and the infos.

        Raises:
            TypeError: a seed is neither an integer nor a sequence.
            ValueError: a sequence or mask of the wrong length, or a seed outside [0, 2^63).
        """
        mask = self.batch.reset_mask(options)
        given = [None] * self.num_envs if seed is None else row_seeds(seed, self.num_envs, self.split)
        self._open(mask, [None if x is None else check_seed(x) for x in given])
        return self._observation(), self._info(mask)

    def _open(self, mask: np.ndarray, given: Sequence[int | None]) -> None:
        """Open the masked rows; the series of seeds is that of ``SingleRoleEnv``."""
        for row in np.flatnonzero(mask).tolist():
            if given[row] is not None or self._episodes[row] < 0:
                self._seeds[row], self._episodes[row] = check_seed(given[row]), 0
            else:
                self._episodes[row] += 1
        number = self.batch.scenario.episode_seed
        series = zip(self._seeds, self._episodes.tolist(), strict=True)
        episodes = [number(seed, max(episode, 0), self.split) for seed, episode in series]
        self._seen, _ = self.batch.reset(seed=episodes, options={"reset_mask": mask})
        for partner in self._partners.values():
            partner.reset(episodes, mask)
        self._ended[mask] = False

    def _joint(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        given = as_array("actions", actions, (self.num_envs, *self.options.action_shape(self.role)))
        joint = {r: partner.act(self._seen[r]) for r, partner in self._partners.items()}
        joint[self.role][:, 0] = self.options.efforts(self.role, given)
        return joint

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Live one month in every row: own actions, partners' from what they see.

        Args:
            actions: of ``action_space``, ``[E, L]``, or ``[E]`` with ``action_mode="discrete"``.

        Returns:
            Observations ``[E, O]``, rewards float64 ``[E]``, terminations and truncations bool ``[E]``, and the
            infos; with ``same_step`` also ``final_obs`` and ``final_info`` of the rows that ended.
        """
        if (self._episodes < 0).any():
            raise RuntimeError("step() needs a reset() first")
        everyone = np.ones(self.num_envs, dtype=np.bool_)
        due = self._ended.copy() if self.autoreset_mode == AutoresetMode.NEXT_STEP else np.zeros_like(everyone)
        self._seen, rewards, terminations, truncations, lived = self.batch.step(self._joint(actions))
        own = rewards[self.role][:, 0].copy()
        if self.horizon < self.batch.max_cycles:
            truncations |= self.batch.engine.states["sums"][:, Sum.MONTHS] >= self.horizon
        # A row that restarts lives no month in this step.
        terminations, truncations = terminations & ~due, truncations & ~due
        ended = terminations | truncations
        outcomes = self._outcomes(lived, ended)
        if due.any():
            self._open(due, [None] * self.num_envs)
            own[due] = 0.0
        self._ended = ended
        if self.autoreset_mode == AutoresetMode.SAME_STEP and ended.any():
            final = self._final(ended, self._info(ended) | outcomes)
            self._open(ended, [None] * self.num_envs)
            return self._observation(), own, terminations, truncations, self._info(everyone) | final
        return self._observation(), own, terminations, truncations, self._info(everyone) | outcomes

    def _final(self, ended: np.ndarray, info: dict[str, Any]) -> dict[str, Any]:
        last = np.full(self.num_envs, None, dtype=object)
        for row, observation in zip(np.flatnonzero(ended), self._observation()[ended], strict=True):
            last[row] = observation
        return {"final_obs": last, "_final_obs": ended.copy(), "final_info": info, "_final_info": ended.copy()}

    @staticmethod
    def _outcomes(lived: dict[str, Any], ended: np.ndarray) -> dict[str, Any]:
        """Outcome measures of the rows whose world ended in this step, each with its mask."""
        mask = lived.get("_final_metrics", np.zeros_like(ended)) & ended
        if not mask.any():
            return {}
        measures = {OUTCOME_KEYS[name]: np.where(mask, x, 0.0) for name, x in lived["final_metrics"].items()}
        return measures | {f"_{key}": mask.copy() for key in measures}

    def _observation(self) -> np.ndarray:
        return self._seen[self.role][:, 0].copy()

    def _info(self, mask: np.ndarray) -> dict[str, Any]:
        states, vectors = self.batch.engine.states, self.batch.reward_vectors()[self.role][:, 0]
        spent = self.batch.spending()[self.role][:, 0]
        own = (*vectors.T, *spent.T, states["height"], states["ecosystem_value"])
        values = dict(zip(MONTH_KEYS, own, strict=True))
        return {key: np.where(mask, x, 0.0) for key, x in values.items()} | {f"_{key}": mask.copy() for key in values}

    def render(self) -> tuple[Any, ...] | None:
        """Every row's month, as of ``SpiralVectorEnv.render``."""
        return self.batch.render()

    def close_extras(self, **kwargs: Any) -> None:
        """End the worker threads, and close the window, if one is open."""
        self.batch.close()


def _limit(given: int | None, max_cycles: int) -> int:
    if given is None:
        return max_cycles
    return min(check_count("max_episode_steps", given, 1, 2**62), max_cycles)


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    return _MODES[check_choice("autoreset_mode", mode, _MODES)]
