"""RLlib's new API stack over the batched engine: an env runner that plays whole batches and returns episodes."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces

from spiral_env.spaces import agent_names, agent_role
from spiral_env.vector_env import SpiralVectorEnv

try:
    import torch
    from ray.rllib.callbacks.callbacks import RLlibCallback
    from ray.rllib.callbacks.utils import make_callback
    from ray.rllib.core.columns import Columns
    from ray.rllib.env.env_context import EnvContext
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
    from ray.rllib.env.vector.vector_multi_agent_env import VectorMultiAgentEnv
    from ray.rllib.utils import metrics as names

    from spiral_env.adapters._rllib_months import Chunk, Group, Months
except ModuleNotFoundError as error:
    raise ImportError(f"no module {error.name}: pip install 'spiral-env[rllib]'") from None

__all__ = ["OUTCOME", "SpiralBatch", "SpiralEnvRunner", "role_of"]

OUTCOME = "outcome"
"""Key of the outcome measures in an env runner's metrics."""

_EPISODE_CALLBACKS = ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end")
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
        """Build the batch; ``config`` holds options of ``spiral_env.vector_env``; ``split`` is "train" if left out."""
        self.batch = SpiralVectorEnv(num_envs=num_envs, autoreset_mode="same_step", **{"split": "train", **config})
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
class _Row:
    """The present episode of a row.

    Attributes:
        episode: its id.
        months: how many of it earlier calls of ``sample`` lived.
        returns: sum of rewards per agent so far.
        data: ``custom_data`` of its pieces, which callbacks write.
        earlier: its pieces that were handed on; kept where a callback asks for them.
    """

    returns: np.ndarray
    episode: str = field(default_factory=lambda: uuid.uuid4().hex)
    months: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    earlier: list[MultiAgentEpisode] = field(default_factory=list)


class SpiralEnvRunner(MultiAgentEnvRunner):
    """Plays ``num_envs_per_env_runner`` ecosystems at once and returns ``MultiAgentEpisode`` objects.

    For ``config.env_runners(env_runner_cls=SpiralEnvRunner)`` with ``config.environment(SpiralBatch, env_config=...)``;
    the options are those of ``spiral_env.vector_env``. ``split`` is "train" unless the config says otherwise, and
    "held_out" in RLlib's evaluation. Modules are called on ``[rows, features]`` directly: custom env-to-module and
    module-to-env connectors and stateful modules are refused. Which module plays an agent is asked once, when the
    runner is built.
    """

    env: Any
    module: Any
    _once = False
    """Whether a row's first episode alone is reported."""

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
        split = {"split": "held_out"} if self.config.in_evaluation else {}
        self.env = SpiralBatch({**split, **self.config.env_config}, self.config.num_envs_per_env_runner)
        self.num_envs = self.env.num_envs
        self._needs_initial_reset, self._seeded = True, False
        self._module_of = {a: self.config.policy_mapping_fn(a, MultiAgentEpisode()) for a in self.env.agents}
        self._groups = self._group()
        self._rng = np.random.default_rng(self._seed)
        self._heard = {name for name in _EPISODE_CALLBACKS if self._listeners(name)}
        context = EnvContext(self.config.env_config, self.worker_index or 0, num_workers=self.num_workers)
        self._call("on_environment_created", env_runner=self, env=self.env.unwrapped, env_context=context)

    def make_module(self) -> None:
        """Build the networks.

        Raises:
            ValueError: a module has a memory.
        """
        super().make_module()
        for name in self.module.keys() if self.module is not None else ():
            if self.module[name].is_stateful():
                raise ValueError(f"modules must have no memory with SpiralEnvRunner, {name!r} has one")

    def _group(self) -> dict[str, Group]:
        parts: dict[str, dict[str, list[int]]] = {}
        for agent, module in self._module_of.items():
            role, place = agent.rsplit("_", 1)
            parts.setdefault(module, {}).setdefault(role, []).append(int(place))
        return {module: Group(list(roles.items())) for module, roles in parts.items()}

    def _listeners(self, name: str) -> bool:
        """Whether a callback does anything."""
        written = any(getattr(type(x), name) is not getattr(RLlibCallback, name) for x in self._callbacks)
        return written or bool(getattr(self.config, f"callbacks_{name}"))

    def _call(self, name: str, **given: Any) -> None:
        given["metrics_logger"] = self.metrics
        make_callback(name, self._callbacks, getattr(self.config, f"callbacks_{name}"), kwargs=given)

    def _tell(self, name: str, row: int, episode: MultiAgentEpisode, **given: Any) -> None:
        """Call a callback of the row's episode, if anyone listens."""
        if name in self._heard:
            where = {"env_runner": self, "env": self.env.unwrapped, "env_index": row, "rl_module": self.module}
            self._call(name, episode=episode, **where, **given)
            self._rows[row].data = dict(episode.custom_data)

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[MultiAgentEpisode]:
        """Live at least ``num_timesteps`` months in all rows together, or exactly ``num_episodes`` whole episodes.

        Raises:
            ValueError: there is no environment, or both amounts are given.
        """
        if self.env is None or (num_timesteps is not None and num_episodes is not None):
            raise ValueError("sample() needs an environment and at most one of num_timesteps and num_episodes")
        how = (self.config.explore if explore is None else explore, random_actions)
        if num_timesteps is None and num_episodes is None:
            if self.config.batch_mode == "truncate_episodes":
                num_timesteps = self.config.get_rollout_fragment_length(self.worker_index) * self.num_envs
            else:
                num_episodes = self.num_envs
        self._once = num_episodes is not None
        self.metrics.log_value(names.WEIGHTS_SEQ_NO, self._weights_seq_no, window=1)
        with self.metrics.log_time(names.SAMPLE_TIMER):
            if num_episodes is not None:
                samples = self._sample_episodes(num_episodes, *how)
            else:
                assert num_timesteps is not None
                if force_reset or self._needs_initial_reset:
                    self._open(self.num_envs, again=self.config.in_evaluation)
                samples = self._sample_months(math.ceil(num_timesteps / self.num_envs), *how)
        self._call("on_sample_end", env_runner=self, samples=samples)
        return samples

    def _open(self, count: int, again: bool = False) -> None:
        """Open an episode in every row, of which the first ``count`` are reported.

        The first time, and ``again``, in the worlds that the runner's seed fixes; else in the next of their series.
        """
        fixed = self._seed is not None and (again or not self._seeded)
        self._seen, _ = self.env.batch.reset(seed=self._seed if fixed else None)
        self._seeded, self._needs_initial_reset = True, False
        self._counts = np.arange(self.num_envs) < count
        self._rows = [_Row(np.zeros(len(self.env.agents))) for _ in range(self.num_envs)]
        for row in np.flatnonzero(self._counts):
            self._begin(int(row))

    def _begin(self, row: int) -> None:
        """Tell of an episode that has just been opened; RLlib creates it before the reset, here it is after."""
        if not self._heard:
            return
        episode = self._empty(row)
        self._tell("on_episode_created", row, episode)
        members = [(f"{role}_{place}", role, place) for g in self._groups.values() for role, place in g.members()]
        seen = {agent: self._seen[role][row, place].copy() for agent, role, place in members}
        episode.add_env_reset(observations=seen, infos={agent: {} for agent in seen})
        self._tell("on_episode_start", row, episode)

    def _empty(self, row: int) -> MultiAgentEpisode:
        """A piece of the row's episode without months yet."""
        now = self._rows[row]
        mapping = self.config.policy_mapping_fn
        episode = MultiAgentEpisode(now.episode, env_t_started=now.months, agent_to_module_mapping_fn=mapping)
        episode.custom_data.update(now.data)
        return episode

    def _sample_episodes(self, count: int, explore: bool, random_actions: bool) -> list[MultiAgentEpisode]:
        """``count`` whole episodes: the first one of a row, in as many rounds as needed; unbiased by length.

        An evaluation opens in the same worlds each time; training goes on to others.
        """
        samples: list[MultiAgentEpisode] = []
        while len(samples) < count:
            self._open(count - len(samples), again=self.config.in_evaluation and not samples)
            samples += self._sample_months(self.env.batch.max_cycles, explore, random_actions)
        self._needs_initial_reset = True
        return samples

    def _sample_months(self, months: int, explore: bool, random_actions: bool) -> list[MultiAgentEpisode]:
        lived = Months(self._groups, self.num_envs, months)
        lived.put(Columns.OBS, 0, self._seen)
        for t in range(months):
            if not self._counts.any():
                break
            self._live(lived, t, explore, random_actions)
        for row in np.flatnonzero(self._counts & (lived.first < months)).tolist():
            chunk, episode = self._chunk(lived, row, months), self._empty(row)
            lived.fill(episode, chunk)
            self._keep(lived, chunk, episode)
            if "on_episode_end" in self._heard:
                self._rows[row].earlier.append(episode)
        self._count_steps(lived.steps)
        return lived.episodes()

    def _live(self, lived: Months, t: int, explore: bool, random_actions: bool) -> None:
        """One month of every row."""
        actions = self._act(lived, t, explore, random_actions)
        with self.metrics.log_time(names.ENV_STEP_TIMER):
            self._seen, rewards, ended, cut, info = self.env.batch.step(actions)
        lived.put(Columns.REWARDS, t, rewards)
        lived.put(Columns.OBS, t + 1, self._seen)
        lived.steps += int(self._counts.sum())
        done = (ended | cut) & self._counts
        for row in np.flatnonzero(self._counts if "on_episode_step" in self._heard else done).tolist():
            chunk = self._chunk(lived, row, t + 1)
            if done[row]:
                chunk.terminated, chunk.truncated = bool(ended[row]), bool(cut[row])
                chunk.final = info["final_obs"]
                chunk.outcome = {name: float(x[row]) for name, x in info["final_metrics"].items()}
            episode = self._empty(row)
            lived.fill(episode, chunk)
            self._tell("on_episode_step", row, episode)
            if done[row]:
                self._end(lived, chunk, episode)

    def _chunk(self, lived: Months, row: int, last: int) -> Chunk:
        now = self._rows[row]
        return Chunk(row, int(lived.first[row]), last, now.episode, now.months)

    def _act(self, lived: Months, t: int, explore: bool, random_actions: bool) -> dict[str, np.ndarray]:
        """Every agent's action, role -> ``[E, A, ...]``; what was seen and done is stored as month ``t``."""
        batch = self.env.batch
        kind = np.float32 if batch.options.action_mode == "continuous" else np.int64
        actions = {
            role: np.empty((self.num_envs, n, *batch.options.action_shape(role)), kind)
            for role, n in batch.num_agents_of.items()
        }
        for module, group in self._groups.items():
            out = self._random(group) if random_actions else self._decide(module, group.gather(self._seen), explore, t)
            for column, rows in out.items():
                lived.tracks[module].put(column, t, rows)
            group.scatter(self._bounded(out[Columns.ACTIONS]), actions)
        return actions

    def _bounded(self, actions: np.ndarray) -> np.ndarray:
        """What the environment is given and clips: RLlib's modules act in [-1, 1] where it normalises actions."""
        scaled = self.env.batch.options.action_mode == "continuous" and self.config.normalize_actions
        return (actions + 1.0) / 2.0 if scaled else actions

    def _random(self, group: Group) -> dict[str, np.ndarray]:
        role, options = group.parts[0][0], self.env.batch.options
        shape = (self.num_envs, group.agents, *options.action_shape(role))
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

    def _keep(self, lived: Months, chunk: Chunk, episode: MultiAgentEpisode) -> None:
        """Hand a piece on."""
        now = self._rows[chunk.row]
        lived.kept.append((chunk.row, chunk.first, episode))
        now.months += chunk.last - chunk.first
        now.returns += [episode.agent_episodes[agent].get_return() for agent in self.env.agents]

    def _end(self, lived: Months, chunk: Chunk, episode: MultiAgentEpisode) -> None:
        """Report an episode that ended, and give its row to the next."""
        row, now = chunk.row, self._rows[chunk.row]
        self._tell("on_episode_end", row, episode, prev_episode_chunks=now.earlier)
        self._keep(lived, chunk, episode)
        self._log(now, chunk.outcome)
        lived.first[row] = chunk.last
        self._rows[row] = _Row(np.zeros(len(self.env.agents)))
        self._counts[row] = not self._once
        if self._counts[row]:
            self._begin(row)

    def _log(self, ended: _Row, outcome: Mapping[str, float]) -> None:
        """Log an episode's length, returns and outcome."""
        returns = dict(zip(self.env.agents, ended.returns.tolist(), strict=True))
        modules: dict[str, float] = {}
        for agent, value in returns.items():
            modules[self._module_of[agent]] = modules.get(self._module_of[agent], 0.0) + value
        steps = dict.fromkeys(self.env.agents, ended.months)
        self._log_episode_metrics(ended.months, sum(returns.values()), 0.0, returns, modules, steps)
        window = math.ceil(self.config.metrics_num_episodes_for_smoothing / (self.config.num_env_runners or 1))
        self.metrics.log_dict({OUTCOME: dict(outcome)}, window=max(1, window))
        for name, kind in ((names.NUM_EPISODES, "sum"), (names.NUM_EPISODES_LIFETIME, "lifetime_sum")):
            self.metrics.log_value(name, 1, reduce=kind)

    def _count_steps(self, steps: int) -> None:
        log = self.metrics.log_value
        log(names.NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        log(names.NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        for agent in self.env.agents:
            log((names.NUM_AGENT_STEPS_SAMPLED, agent), steps, reduce="sum")
            log((names.NUM_AGENT_STEPS_SAMPLED_LIFETIME, agent), steps, reduce="lifetime_sum")
        for module, group in self._groups.items():
            log((names.NUM_MODULE_STEPS_SAMPLED, module), steps * group.agents, reduce="sum")
            log((names.NUM_MODULE_STEPS_SAMPLED_LIFETIME, module), steps * group.agents, reduce="lifetime_sum")
