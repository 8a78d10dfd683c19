"""RLlib's new API stack over the batched engine: an env runner that plays whole batches and returns episodes."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    import torch
    from ray.rllib.callbacks.utils import make_callback
    from ray.rllib.core.columns import Columns
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
    from ray.rllib.env.single_agent_episode import SingleAgentEpisode
    from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
    from ray.rllib.env.vector.vector_multi_agent_env import VectorMultiAgentEnv
    from ray.rllib.utils import metrics as names
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[rllib]'") from None

__all__ = ["OUTCOME", "SpiralBatch", "SpiralEnvRunner", "role_of"]

OUTCOME = "outcome"
"""Key of the outcome measures in an env runner's metrics."""

_KEPT = (Columns.ACTIONS, Columns.ACTION_DIST_INPUTS, Columns.ACTION_LOGP)


def role_of(agent: str, *_args: Any, **_kwargs: Any) -> str:
    """A ``policy_mapping_fn``: one policy per role, shared by its agents."""
    return agent_role(agent)


class SpiralBatch(VectorMultiAgentEnv):
    """The batched engine with the names that RLlib looks for; it is stepped by arrays, not by dictionaries.

    Attributes:
        batch: the batched environment.
        agents: names of all agents, in the order of the arrays.
    """

    def __init__(self, config: Mapping[str, Any], num_envs: int) -> None:
        """Build the batch; ``config`` holds options of ``spiral_env.vector_env``."""
        self.batch = SpiralVectorEnv(num_envs=num_envs, autoreset_mode="same_step", **config)
        self.num_envs = num_envs
        self.agents = self.possible_agents = agent_names(self.batch.num_agents_of["sme"])
        self.single_observation_spaces: dict[str, spaces.Space] = {
            a: self.batch.single_observation_space[agent_role(a)] for a in self.agents
        }
        self.single_action_spaces = {a: self.batch.single_action_space[agent_role(a)] for a in self.agents}
        self.single_observation_space = self.observation_space = spaces.Dict(self.single_observation_spaces)
        self.single_action_space = self.action_space = spaces.Dict(self.single_action_spaces)

    def close_extras(self, **kwargs: Any) -> None:
        """End the batch's threads."""
        self.batch.close()


@dataclass
class _Group:
    """Agents of one module: (role, their places inside the role), in the order of the arrays."""

    parts: list[tuple[str, list[int]]]

    @property
    def agents(self) -> int:
        return sum(len(places) for _, places in self.parts)

    def gather(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """Role -> ``[E, A, ...]`` to ``[E, n, ...]``."""
        return np.concatenate([blocks[role][:, places] for role, places in self.parts], axis=1)

    def scatter(self, rows: np.ndarray, blocks: dict[str, np.ndarray]) -> None:
        """``[E, n, ...]`` back into role -> ``[E, A, ...]``."""
        start = 0
        for role, places in self.parts:
            blocks[role][:, places] = rows[:, start : start + len(places)]
            start += len(places)


class _Track:
    """What the agents of one module lived, ``[E, n, months, ...]``; observations have one month more."""

    def __init__(self, months: int) -> None:
        self.months = months
        self.columns: dict[str, np.ndarray] = {}

    def put(self, column: str, t: int, rows: np.ndarray) -> None:
        """Store month ``t`` of ``[E, n, ...]``."""
        if column not in self.columns:
            length = self.months + (column == Columns.OBS)
            self.columns[column] = np.empty((*rows.shape[:2], length, *rows.shape[2:]), rows.dtype)
        self.columns[column][:, :, t] = rows


class _Chunk(NamedTuple):
    """Months ``first`` to ``last`` of a row, the last excluded, and whether the episode ended with them."""

    row: int
    first: int
    last: int
    terminated: bool
    truncated: bool


@dataclass
class _Months:
    """Everything that one call of ``sample`` lived.

    Attributes:
        tracks: module -> what its agents lived.
        terminated: ``[E, months]``; ``truncated`` too.
        final: month -> role -> last observations ``[E, A, O]`` of the rows that ended in it.
    """

    tracks: dict[str, _Track]
    terminated: np.ndarray
    truncated: np.ndarray
    final: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)

    def chunks(self, row: int) -> list[_Chunk]:
        """The row's months, cut where episodes ended."""
        ended = self.terminated[row] | self.truncated[row]
        cuts = [0, *(np.flatnonzero(ended) + 1).tolist()]
        if cuts[-1] != len(ended):
            cuts.append(len(ended))
        flags = [(bool(self.terminated[row, b - 1]), bool(self.truncated[row, b - 1])) for b in cuts[1:]]
        return [_Chunk(row, a, b, *flag) for (a, b), flag in zip(itertools.pairwise(cuts), flags, strict=True)]


class SpiralEnvRunner(MultiAgentEnvRunner):
    """Plays ``num_envs_per_env_runner`` ecosystems at once and returns ``MultiAgentEpisode`` objects.

    For ``config.env_runners(env_runner_cls=SpiralEnvRunner)`` with ``config.environment(SpiralBatch, env_config=...)``;
    the options are those of ``spiral_env.vector_env``. Modules are called on ``[rows, features]`` directly: custom
    env-to-module and module-to-env connectors and stateful modules are refused, and of the callbacks only
    ``on_sample_end`` is called. Which module plays an agent is asked once, when the runner is built.
    """

    env: Any
    module: Any

    def make_env(self) -> None:
        """Build the batch.

        Raises:
            ValueError: the config asks for connectors that would not be called.
        """
        for name in ("_env_to_module_connector", "_module_to_env_connector"):
            if getattr(self.config, name) is not None:
                raise ValueError(f"{name.strip('_')} must be left out with SpiralEnvRunner")
        if self.env is not None:
            self.env.close()
        self.env = SpiralBatch(self.config.env_config, self.config.num_envs_per_env_runner)
        self.num_envs = self.env.num_envs
        self._needs_initial_reset = True
        self._module_of = {a: self.config.policy_mapping_fn(a, MultiAgentEpisode()) for a in self.env.agents}
        self._groups = self._group()
        self._rng = np.random.default_rng(self._seed)

    def make_module(self) -> None:
        """Build the networks.

        Raises:
            ValueError: a module has a memory.
        """
        super().make_module()
        for name in self.module.keys() if self.module is not None else ():
            if self.module[name].is_stateful():
                raise ValueError(f"modules must have no memory with SpiralEnvRunner, {name!r} has one")

    def _group(self) -> dict[str, _Group]:
        parts: dict[str, dict[str, list[int]]] = {}
        for agent, module in self._module_of.items():
            role, place = agent.rsplit("_", 1)
            parts.setdefault(module, {}).setdefault(role, []).append(int(place))
        return {module: _Group(list(roles.items())) for module, roles in parts.items()}

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[MultiAgentEpisode]:
        """Live at least ``num_timesteps`` months in all rows together, or until ``num_episodes`` episodes ended.

        Raises:
            ValueError: there is no environment, or both amounts are given.
        """
        if self.env is None or (num_timesteps is not None and num_episodes is not None):
            raise ValueError("sample() needs an environment and at most one of num_timesteps and num_episodes")
        explore = self.config.explore if explore is None else explore
        if num_timesteps is None and num_episodes is None:
            if self.config.batch_mode == "truncate_episodes":
                num_timesteps = self.config.get_rollout_fragment_length(self.worker_index) * self.num_envs
            else:
                num_episodes = self.num_envs
        self.metrics.log_value(names.WEIGHTS_SEQ_NO, self._weights_seq_no, window=1)
        with self.metrics.log_time(names.SAMPLE_TIMER):
            if num_episodes is not None:
                samples = self._sample_episodes(num_episodes, explore, random_actions)
            else:
                assert num_timesteps is not None
                if force_reset or self._needs_initial_reset:
                    self._open()
                samples = self._sample_months(math.ceil(num_timesteps / self.num_envs), explore, random_actions)
        given = {"env_runner": self, "metrics_logger": self.metrics, "samples": samples}
        make_callback("on_sample_end", self._callbacks, self.config.callbacks_on_sample_end, kwargs=given)
        return samples

    def _open(self) -> None:
        """Open an episode in every row; the first time with training seeds that the runner's own seed fixes."""
        batch = self.env.batch
        fixed = self._seed is not None and self._needs_initial_reset
        self._seen, _ = batch.reset(seed=batch.scenario.training_seeds(self._seed, self.num_envs) if fixed else None)
        self._needs_initial_reset = False
        self._lived = np.zeros(self.num_envs, dtype=np.int64)
        self._returns = np.zeros((self.num_envs, len(self.env.agents)))
        self._ids = [uuid.uuid4().hex for _ in range(self.num_envs)]

    def _sample_episodes(self, count: int, explore: bool, random_actions: bool) -> list[MultiAgentEpisode]:
        """``count`` whole episodes: the first one of every row, in as many rounds as needed; unbiased by length."""
        samples: list[MultiAgentEpisode] = []
        while len(samples) < count:
            self._open()
            firsts = set(self._ids)
            lived = self._sample_months(self.env.batch.max_cycles, explore, random_actions)
            samples += [episode for episode in lived if episode.id_ in firsts]
        self._needs_initial_reset = True
        return samples[:count]

    def _sample_months(self, months: int, explore: bool, random_actions: bool) -> list[MultiAgentEpisode]:
        lived = self._live(months, explore, random_actions)
        samples = [self._episode(lived, chunk) for row in range(self.num_envs) for chunk in lived.chunks(row)]
        self._count_steps(months)
        return samples

    def _live(self, months: int, explore: bool, random_actions: bool) -> _Months:
        shape = (self.num_envs, months)
        lived = _Months({m: _Track(months) for m in self._groups}, np.zeros(shape, bool), np.zeros(shape, bool))
        for t in range(months):
            actions = self._act(lived, t, explore, random_actions)
            with self.metrics.log_time(names.ENV_STEP_TIMER):
                self._seen, rewards, ended, cut, info = self.env.batch.step(actions)
            lived.terminated[:, t], lived.truncated[:, t] = ended, cut
            for module, group in self._groups.items():
                lived.tracks[module].put(Columns.REWARDS, t, group.gather(rewards))
            if "final_obs" in info:
                lived.final[t] = info["final_obs"]
                for name, values in info["final_metrics"].items():
                    for value in values[ended | cut]:
                        self.metrics.log_value((OUTCOME, name), float(value))
        for module, group in self._groups.items():
            lived.tracks[module].put(Columns.OBS, months, group.gather(self._seen))
        return lived

    def _act(self, lived: _Months, t: int, explore: bool, random_actions: bool) -> dict[str, np.ndarray]:
        """Every agent's action, role -> ``[E, A, ...]``; what was seen and done is stored as month ``t``."""
        batch = self.env.batch
        kind = np.float32 if batch.options.action_mode == "continuous" else np.int64
        actions = {
            role: np.empty((self.num_envs, n, *batch.options.action_shape()), kind)
            for role, n in batch.num_agents_of.items()
        }
        for module, group in self._groups.items():
            seen = group.gather(self._seen)
            out = self._random(group) if random_actions else self._decide(module, seen, explore, t)
            lived.tracks[module].put(Columns.OBS, t, seen)
            for column, rows in out.items():
                lived.tracks[module].put(column, t, rows)
            group.scatter(self._bounded(out[Columns.ACTIONS]), actions)
        return actions

    def _bounded(self, actions: np.ndarray) -> np.ndarray:
        """What the environment is given: continuous actions brought into [0, 1] as RLlib's own pipeline does."""
        if self.env.batch.options.action_mode != "continuous":
            return actions
        return np.clip((actions + 1.0) / 2.0 if self.config.normalize_actions else actions, 0.0, 1.0)

    def _random(self, group: _Group) -> dict[str, np.ndarray]:
        role, options = group.parts[0][0], self.env.batch.options
        shape = (self.num_envs, group.agents, *options.action_shape())
        if options.action_mode == "continuous":
            low = -1.0 if self.config.normalize_actions else 0.0
            return {Columns.ACTIONS: self._rng.uniform(low, 1.0, shape).astype(np.float32)}
        space = self.env.batch.single_action_space[role]
        top = space.n if isinstance(space, spaces.Discrete) else space.nvec
        return {Columns.ACTIONS: self._rng.integers(0, top, shape)}

    @torch.no_grad()
    def _decide(self, name: str, seen: np.ndarray, explore: bool, t: int) -> dict[str, np.ndarray]:
        """Actions ``[E, n, ...]`` of a module for observations ``[E, n, O]``, and what learning needs of them."""
        module = self.module[name]
        batch = {Columns.OBS: torch.from_numpy(seen.reshape(-1, seen.shape[-1])).to(self._device)}
        with self.metrics.log_time(names.RLMODULE_INFERENCE_TIMER):
            if explore:
                lived = self.num_env_steps_sampled_lifetime + t * self.num_envs * max(1, self.config.num_env_runners)
                out = module.forward_exploration(batch, t=lived)
            else:
                out = module.forward_inference(batch)
        if Columns.ACTIONS not in out:
            kind = module.get_exploration_action_dist_cls() if explore else module.get_inference_action_dist_cls()
            chances = kind.from_logits(out[Columns.ACTION_DIST_INPUTS])
            chances = chances if explore else chances.to_deterministic()
            out[Columns.ACTIONS] = chances.sample()
            if explore:
                out[Columns.ACTION_LOGP] = chances.logp(out[Columns.ACTIONS])
        kept = {c: x.cpu().numpy() for c, x in out.items() if c in _KEPT}
        return {c: x.reshape(*seen.shape[:2], *x.shape[1:]) for c, x in kept.items()}

    def _episode(self, lived: _Months, chunk: _Chunk) -> MultiAgentEpisode:
        """A row's months as RLlib's episode; begins the row's next episode if it ended."""
        row, length = chunk.row, chunk.last - chunk.first
        start = int(self._lived[row])
        episode = MultiAgentEpisode(
            self._ids[row], env_t_started=start, agent_to_module_mapping_fn=self.config.policy_mapping_fn
        )
        episode.env_t = start + length
        episode.is_terminated, episode.is_truncated = chunk.terminated, chunk.truncated
        for module, group in self._groups.items():
            track = lived.tracks[module]
            k = 0
            for role, places in group.parts:
                for place in places:
                    last = lived.final[chunk.last - 1][role][row, place] if episode.is_done else None
                    agent = f"{role}_{place}"
                    episode.agent_episodes[agent] = _agent_episode(track, chunk, k, last, agent, module, episode)
                    episode.env_t_to_agent_t[agent] = InfiniteLookbackBuffer(list(range(length + 1)))
                    k += 1
        self._lived[row] += length
        self._returns[row] += [episode.agent_episodes[a].get_return() for a in self.env.agents]
        if episode.is_done:
            self._finish(row)
        return episode

    def _finish(self, row: int) -> None:
        """Log the row's episode and give the row to the next."""
        returns = dict(zip(self.env.agents, self._returns[row].tolist(), strict=True))
        modules: dict[str, float] = {}
        for agent, value in returns.items():
            modules[self._module_of[agent]] = modules.get(self._module_of[agent], 0.0) + value
        length = int(self._lived[row])
        steps = dict.fromkeys(self.env.agents, length)
        self._log_episode_metrics(length, sum(returns.values()), 0.0, returns, modules, steps)
        for name, kind in ((names.NUM_EPISODES, "sum"), (names.NUM_EPISODES_LIFETIME, "lifetime_sum")):
            self.metrics.log_value(name, 1, reduce=kind)
        self._lived[row], self._returns[row], self._ids[row] = 0, 0.0, uuid.uuid4().hex

    def _count_steps(self, months: int) -> None:
        steps = months * self.num_envs
        log = self.metrics.log_value
        log(names.NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        log(names.NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        for agent in self.env.agents:
            log((names.NUM_AGENT_STEPS_SAMPLED, agent), steps, reduce="sum")
            log((names.NUM_AGENT_STEPS_SAMPLED_LIFETIME, agent), steps, reduce="lifetime_sum")
        for module, group in self._groups.items():
            log((names.NUM_MODULE_STEPS_SAMPLED, module), steps * group.agents, reduce="sum")
            log((names.NUM_MODULE_STEPS_SAMPLED_LIFETIME, module), steps * group.agents, reduce="lifetime_sum")


def _agent_episode(
    track: _Track, chunk: _Chunk, k: int, last: np.ndarray | None, agent: str, module: str, whole: MultiAgentEpisode
) -> SingleAgentEpisode:
    """Agent ``k``'s part of a chunk; ``last`` is the observation after its end, if it ended."""
    row, months = chunk.row, slice(chunk.first, chunk.last)
    seen = track.columns[Columns.OBS][row, k, chunk.first : chunk.last + 1].copy()
    if last is not None:
        seen[-1] = last
    lived = {c: InfiniteLookbackBuffer(x[row, k, months].copy()) for c, x in track.columns.items() if c != Columns.OBS}
    return SingleAgentEpisode(
        observations=InfiniteLookbackBuffer(seen),
        infos=[{}] * len(seen),
        actions=lived.pop(Columns.ACTIONS),
        rewards=lived.pop(Columns.REWARDS),
        terminated=chunk.terminated,
        truncated=chunk.truncated,
        extra_model_outputs=lived,
        t_started=whole.env_t_started,
        len_lookback_buffer=0,
        agent_id=agent,
        module_id=module,
        multi_agent_episode_id=whole.id_,
    )
