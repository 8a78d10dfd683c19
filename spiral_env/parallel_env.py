"""The PettingZoo parallel environment: names and dictionaries over a batch of one."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import parallel_to_aec

from spiral_env.checks import (
    as_array,
    check_count,
    check_keys,
    check_list,
    check_numbers,
    check_options,
    shown,
)
from spiral_env.core.ledger import ACCOUNTS, Purpose
from spiral_env.core.state import Sum
from spiral_env.metrics import MONTH_KEYS, headlines, outcome
from spiral_env.render.view import RENDER_FPS, RENDER_MODES, View
from spiral_env.roles import MAX_LEVERS, NUM_LEVERS, ROLES
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.scenarios.seeds import check_seed, check_split
from spiral_env.signatures import takes_arguments_of
from spiral_env.simulator.engine import Engine, flat_state, state_labels
from spiral_env.spaces import Options, agent_names, agent_role

__all__ = ["SpiralParallelEnv", "env", "parallel_env"]

_SNAPSHOT = ("state", "params", "scalars", "vectors", "agents", "series")
_DTYPE = operator.attrgetter("dtype")
_NO_LEVELS = np.dtype(np.bool_)


class SpiralParallelEnv(ParallelEnv[str, np.ndarray, Any]):
    """PettingZoo's parallel environment: ``it_0``, ``business_0``, ``finance_0`` and ``sme_0 ...`` act at once.

    One step is a month; an episode ends by truncation after ``max_cycles`` months, or by termination of all
    agents when the ecosystem collapses. Observations are float32 Boxes with the features of
    ``spiral_env.roles.FEATURES``; infos hold the reward vector (k$), what the agent's levers asked for and what was
    paid (k$), the spiral height, the month's ecosystem value (k$), and the outcome measures of the episode so far
    (``spiral_env.metrics.HEADLINES``, with the prefix ``outcome_``), which in the last month are the episode's.

    Attributes:
        possible_agents: names of all agents, in the order of every array of agents.
        agents: names of the living agents: all of them, or none once the episode has ended.
        observation_spaces: agent -> float32 Box ``[O]``.
        action_spaces: agent -> space of its action, by ``action_mode``.
        scenario: the world.
        max_cycles: months an episode lasts at most.
        render_mode: as given.
        split: as given.
    """

    metadata: dict[str, Any] = {
        "name": "spiral_env_v0",
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        scenario: str | Path | Scenario = "baseline-v1",
        num_smes: int | None = None,
        action_mode: str = "multi_discrete",
        levels: int = 3,
        homogenize: bool = False,
        reward_mode: str = "mixed",
        reward_basis: str = "expected",
        max_cycles: int | None = None,
        render_mode: str | None = None,
        split: str | None = None,
    ) -> None:
        """Build the world; nothing is simulated before ``reset``.

        Args:
            scenario: id of a shipped scenario, path of a TOML file, or a ``Scenario``.
            num_smes: SMEs, in [1, 512]; None for the scenario's.
            action_mode: how an agent acts, with L levers of its role. "multi_discrete": int64 ``[L]``, a level a lever.
                "continuous": float ``[L]``, an effort a lever, clipped to [0, 1]. "discrete": one integer that stands
                for the three levels of all levers, the first lever's the most significant.
            levels: values of a graded lever, in [2, 101], evenly spread over the efforts 0 to 1; a category has three.
            homogenize: give all roles one space: observations padded with zeros to the longest, a one-hot of the role
                behind them; actions as long as the longest, the surplus without effect.
            reward_mode: "mixed" (own reward and a share of the ecosystem's value), "selfish" or "cooperative".
            reward_basis: losses and market income as "expected" or as "realised".
            max_cycles: months an episode lasts at most, in [1, 600]; None for the scenario's.
            render_mode: what ``render()`` gives: None, text with "ansi", pixels with "rgb_array"; with "human" every
                month is shown in a window. The last two need the extra ``render``.
            split: None, "train" or "held_out": which worlds a seed opens, see ``spiral_env.scenarios.seeds``.

        Raises:
            ImportError: a window is asked for, and what draws it is not installed.
            TypeError: an option is of the wrong type.
            ValueError: an option or the scenario is not allowed.
        """
        self.options = Options(action_mode, levels, homogenize, reward_mode, reward_basis)
        self.scenario = load_scenario(scenario)
        self._view = View(render_mode, self.scenario.id)
        self.render_mode = self._view.mode
        self.split = check_split(split)
        world = self.scenario.world(num_smes, max_cycles)
        self.max_cycles = world.max_cycles
        self.engine = Engine(world, 1, mode=reward_mode, realised=reward_basis == "realised")
        self.possible_agents = agent_names(world.num_smes)
        self.agents: list[str] = []
        roles = [agent_role(agent) for agent in self.possible_agents]
        by_role = {role: (self.options.observation_space(role), self.options.action_space(role)) for role in ROLES}
        self.observation_spaces = {a: by_role[r][0] for a, r in zip(self.possible_agents, roles, strict=True)}
        self.action_spaces = {a: by_role[r][1] for a, r in zip(self.possible_agents, roles, strict=True)}
        self._efforts = np.zeros((1, len(roles), MAX_LEVERS))
        self._lengths = [self.options.num_levers(role) for role in roles]
        self._top = np.concatenate([self.options.counts(role) - 1 for role in roles])
        self._places = np.concatenate([self.engine.world.places(role, self.options.num_levers(role)) for role in ROLES])
        self._none = dict.fromkeys(self.possible_agents, False)
        self._in_order = operator.itemgetter(*self.possible_agents)
        self._levels = np.zeros((1, len(self._top)), dtype=np.int64) if action_mode == "multi_discrete" else None
        widths = [self.options.width(role) for role in roles]
        ends = np.cumsum(widths).tolist()
        self._parts = [slice(end - width, end) for width, end in zip(widths, ends, strict=True)]
        self._seed = 0
        self._episode = -1

    def observation_space(self, agent: str) -> spaces.Space:
        """Space of an agent's observation: always the same object.

        Args:
            agent: name of the agent.

        Raises:
            ValueError: there is no such agent.
        """
        return self.observation_spaces[self._known(agent)]

    def action_space(self, agent: str) -> spaces.Space:
        """Space of an agent's action: always the same object.

        Args:
            agent: name of the agent.

        Raises:
            ValueError: there is no such agent.
        """
        return self.action_spaces[self._known(agent)]

    def _known(self, agent: Any, what: str = "agent") -> str:
        if isinstance(agent, str) and agent in self.action_spaces:
            return agent
        names = f"{', '.join(self.possible_agents[:4])} ... {self.possible_agents[-1]}"
        raise ValueError(f"{what} must be one of {names}, got {shown(agent)}")

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
        """Open an episode. A seed fixes it and all that follow; without one the next of the series opens.

        Args:
            seed: in [0, 2^63), or None. Which worlds follow from it depends on ``split``: see
                ``spiral_env.scenarios.seeds``.
            options: not used.

        Returns:
            Observations (agent -> float32 ``[O]``) and infos (agent -> name -> number).

        Raises:
            TypeError: the seed is no integer.
            ValueError: the seed is out of range.
        """
        check_options(options)
        if seed is not None or self._episode < 0:
            self._seed = check_seed(seed)
            self._episode = 0
        else:
            self._episode += 1
        world_seed = self.scenario.episode_seed(self._seed, self._episode, self.split)
        self.engine.reset(np.array([world_seed], dtype=np.int64))
        self.agents = list(self.possible_agents)
        self._show()
        return self._observations(), self._infos(*self.engine.summary[0, 2:].tolist())

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, float]]]:
        """Live one month.

        Args:
            actions: agent -> its action, one for every living agent.

        Returns:
            Observations (agent -> float32 ``[O]``), rewards (agent -> float), terminations and truncations (agent ->
            bool, all alike) and infos (agent -> name -> number). After the end: five empty dictionaries.

        Raises:
            RuntimeError: there was no reset.
            TypeError: not a dictionary.
            ValueError: an agent is unknown or missing, or an action is outside its space.
        """
        if not isinstance(actions, Mapping):
            raise TypeError(f"actions must be a dictionary from agent to action, got {shown(actions)}")
        if not self.agents:
            if self._episode < 0:
                raise RuntimeError("step() needs a reset() first")
            if actions:
                raise ValueError(f"actions must be empty after the end of an episode, got {shown(list(actions))}")
            return {}, {}, {}, {}, {}
        self.engine.step(self._encode(actions))
        summary, scalars, *_ = self.engine.first_row
        ended, fallen, height, value = summary.tolist()
        rewards = dict(zip(self.agents, scalars.tolist(), strict=True))
        terminations, truncations = self._none.copy(), self._none.copy()
        if ended > 0.0:
            (terminations if fallen > 0.0 else truncations).update(dict.fromkeys(self.agents, True))
            self.agents = []
        self._show()
        return self._observations(), rewards, terminations, truncations, self._infos(height, value)

    def _encode(self, actions: dict[str, Any]) -> np.ndarray:
        """One action per agent to efforts ``[1, A, L]``; the fast way first, then the one that names the fault."""
        if self._levels is not None and len(actions) == len(self.agents):
            try:
                rows = self._in_order(actions)
                fits = list(map(len, rows)) == self._lengths and _NO_LEVELS not in map(_DTYPE, rows)
                np.concatenate(rows, out=self._levels[0], casting="safe")
            except (AttributeError, KeyError, ValueError, TypeError):
                fits = False
            if fits and self.engine.decode(self._levels, self._top, self._places, self._efforts) < 0:
                return self._efforts
        return self._encode_checked(actions)

    def _encode_checked(self, actions: dict[str, Any]) -> np.ndarray:
        for agent in actions:
            self._known(agent, "agent of actions")
        for k, agent in enumerate(self.agents):
            if agent not in actions:
                raise ValueError(f"actions must name every living agent, {agent!r} is missing")
            self._efforts[0, k, : NUM_LEVERS[agent_role(agent)]] = self.efforts_of(agent, actions[agent])
        return self._efforts

    def efforts_of(self, agent: str, action: Any) -> np.ndarray:
        """What an agent's action stands for, float64 ``[L]`` in [0, 1].

        Args:
            agent: name of the agent.
            action: in its space; a continuous one is clipped to it.

        Raises:
            ValueError: there is no such agent, or the action is outside its space.
        """
        role = agent_role(self._known(agent))
        given = as_array(f"action of {agent}", action, self.options.action_shape(role))
        try:
            return self.options.efforts(role, given)
        except ValueError as error:
            raise ValueError(str(error).replace(f"actions of {role}", f"action of {agent}", 1)) from None

    def _observations(self) -> dict[str, np.ndarray]:
        """Fresh arrays: parts of one copy, or padded copies."""
        if not self.options.homogenize:
            seen = self.engine.observed.copy()
            return dict(zip(self.possible_agents, map(seen.__getitem__, self._parts), strict=True))
        rows: list[np.ndarray] = []
        for role in ROLES:
            rows.extend(self.options.pad(role, self.engine.observations[role][0]))
        return dict(zip(self.possible_agents, rows, strict=True))

    def _infos(self, height: float, value: float) -> dict[str, dict[str, float]]:
        shared = dict.fromkeys(MONTH_KEYS, 0.0) | {"spiral_height": height, "ecosystem_value": value}
        shared |= headlines(self.engine.states["sums"][0].tolist(), self.max_cycles, height)
        infos = {agent: shared.copy() for agent in self.possible_agents}
        _, _, vectors, spent = map(iter, map(np.ndarray.tolist, self.engine.first_row))
        months = zip(infos.values(), vectors, vectors, vectors, spent, spent, strict=True)
        for info, security, cost, gain, asked, paid in months:
            info["security"], info["cost"], info["value"] = security, cost, gain
            info["asked"], info["paid"] = asked, paid
        return infos

    def state(self) -> np.ndarray:
        """Everything but single backlog slots, float32 ``[D]``, for centralised training.

        What each number is, ``state_names`` and ``state_units`` tell.
        """
        return flat_state(self.engine.states, *self._sizes)[0]

    @property
    def _sizes(self) -> tuple[int, int]:
        """Numbers of SMEs and services."""
        return self.engine.world.num_smes, int(self.engine.params[0]["num_services"])

    @functools.cached_property
    def state_names(self) -> tuple[str, ...]:
        """Name of each number of ``state()``: ``pool``, ``sme_revenue[3]``, ``balance[treasury]``."""
        return tuple(name for name, _ in state_labels(*self._sizes))

    @functools.cached_property
    def state_units(self) -> tuple[str, ...]:
        """Unit of each number of ``state()``; "1" where it has none."""
        return tuple(unit for _, unit in state_labels(*self._sizes))

    @functools.cached_property
    def state_space(self) -> spaces.Box:
        """Space of ``state()``."""
        return spaces.Box(-np.inf, np.inf, self.state().shape, np.float32)

    def reward_vectors(self) -> dict[str, np.ndarray]:
        """Last month's vector (security, cost, value) of each agent in k$, float64 ``[3]``."""
        return dict(zip(self.possible_agents, self.engine.vectors[0].copy(), strict=True))

    def statement(self) -> dict[str, dict[str, float]]:
        """Last month's accounts: purpose -> account -> k$ received (negative: paid); each row sums to zero."""
        flows = self.engine.states[0].month_flow
        rows = zip(Purpose._fields, flows.tolist(), strict=True)
        return {name.lower(): dict(zip(ACCOUNTS, row, strict=True)) for name, row in rows}

    def metrics(self) -> dict[str, float]:
        """Outcome measures of the episode so far, as in ``spiral_env.metrics.METRICS``."""
        return {name: float(x[0]) for name, x in outcome(self.engine.states, self.engine.params).items()}

    def snapshot(self) -> dict[str, Any]:
        """An exact copy of the episode, for planning; give it to ``restore``."""
        if self._episode < 0:
            raise RuntimeError("snapshot() needs a reset() first")
        states, params = self.engine.save()
        return {
            "state": states,
            "params": params,
            "scalars": self.engine.scalars.copy(),
            "vectors": self.engine.vectors.copy(),
            "agents": list(self.agents),
            "series": (self._seed, self._episode),
        }

    def restore(self, snapshot: dict[str, Any]) -> dict[str, np.ndarray]:
        """Go back to a snapshot of this environment, or of one of the same world.

        Args:
            snapshot: what ``snapshot()`` gave.

        Returns:
            The observations, agent -> float32 ``[O]``.

        Raises:
            TypeError: not a snapshot.
            ValueError: a snapshot of another world, or a damaged one; the environment is as it was.
        """
        check_keys("snapshot", snapshot, _SNAPSHOT)
        agents, series = snapshot["agents"], check_list("series", snapshot["series"], 2)
        if agents not in ([], self.possible_agents):
            raise ValueError(f"agents of a snapshot must be none or all of this environment's, got {shown(agents)}")
        seed, episode = check_seed(series[0]), check_count("episode", series[1], 0, 2**62)
        scalars = check_numbers("scalars", snapshot["scalars"], self.engine.scalars.shape)
        vectors = check_numbers("vectors", snapshot["vectors"], self.engine.vectors.shape)
        self.engine.load(snapshot["state"], snapshot["params"])
        self.engine.scalars[:] = scalars
        self.engine.vectors[:] = vectors
        self.agents = list(agents)
        self._seed, self._episode = seed, episode
        return self._observations()

    def render(self) -> Any:
        """The month: text with ``render_mode="ansi"``, uint8 ``[H, W, 3]`` with "rgb_array", None with "human".

        Raises:
            ImportError: what draws frames is not installed.
            RuntimeError: there was no reset to draw a frame of.
        """
        return self._view.show(self.engine.states[0], self.engine.params[0])

    def _show(self) -> None:
        if self._view.live:
            self.render()

    def close(self) -> None:
        """Close the window, if one is open; the environment goes on when it is used again."""
        self._view.close()
        self.engine.close()

    @property
    def months(self) -> int:
        """Months lived in this episode."""
        return int(self.engine.states[0].sums[Sum.MONTHS])


@takes_arguments_of(SpiralParallelEnv)
def parallel_env(*args: Any, **options: Any) -> SpiralParallelEnv:
    """PettingZoo's parallel environment: all agents act at once, a month a step."""
    return SpiralParallelEnv(*args, **options)


@takes_arguments_of(SpiralParallelEnv)
def env(*args: Any, **options: Any) -> AECEnv:
    """The agent-by-agent (AEC) environment, by PettingZoo's own conversion."""
    parallel = SpiralParallelEnv(*args, **options)
    return wrappers.OrderEnforcingWrapper(_OwnTurn(parallel_to_aec(parallel), parallel))


class _OwnTurn(wrappers.BaseWrapper[str, np.ndarray, Any]):
    """Refuses a wrong action in its agent's own turn: PettingZoo's conversion hands all over at the month's end."""

    def __init__(self, turns: AECEnv, parallel: SpiralParallelEnv) -> None:
        super().__init__(turns)
        self._parallel = parallel

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if not (self.terminations[agent] or self.truncations[agent]):
            self._parallel.efforts_of(agent, action)
        elif action is not None:
            raise ValueError(f"action of {agent} must be None after the end of an episode, got {shown(action)}")
        super().step(action)

    def __str__(self) -> str:
        return str(self.env)
