"""What a batch lives month by month, as arrays, and the way from there to RLlib's episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer

from spiral_env.metrics import OUTCOME_KEYS

__all__ = ["Chunk", "Group", "Months", "Track"]


@dataclass
class Group:
    """Agents of one module: (role, their places inside the role), in the order of the arrays."""

    parts: list[tuple[str, list[int]]]

    @property
    def agents(self) -> int:
        """How many they are."""
        return sum(len(places) for _, places in self.parts)

    def members(self) -> Iterator[tuple[str, int]]:
        """Role and place of each agent."""
        return ((role, place) for role, places in self.parts for place in places)

    def gather(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """Role -> ``[E, A, ...]`` to ``[E, n, ...]``."""
        return np.concatenate([blocks[role][:, places] for role, places in self.parts], axis=1)

    def scatter(self, rows: np.ndarray, blocks: dict[str, np.ndarray]) -> None:
        """``[E, n, ...]`` back into role -> ``[E, A, ...]``."""
        start = 0
        for role, places in self.parts:
            blocks[role][:, places] = rows[:, start : start + len(places)]
            start += len(places)


class Track:
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


@dataclass
class Chunk:
    """A piece of a row's episode: months ``first`` to ``last`` of a call, the last excluded.

    Attributes:
        episode: id of the whole episode.
        started: months of it that were lived in earlier calls.
        final: role -> last observations ``[E, A, O]`` if the episode ended with the piece.
        outcome: its measures if it ended, given to every agent as its last info, under ``OUTCOME_KEYS``.
    """

    row: int
    first: int
    last: int
    episode: str
    started: int
    terminated: bool = False
    truncated: bool = False
    final: Mapping[str, np.ndarray] = field(default_factory=dict)
    outcome: dict[str, float] = field(default_factory=dict)

    def agent_episode(self, track: Track, k: int, agent: str, module: str) -> SingleAgentEpisode:
        """The part of agent ``k`` of a module."""
        row, months = self.row, slice(self.first, self.last)
        seen = track.columns[Columns.OBS][row, k, self.first : self.last + 1].copy()
        if self.final:
            role, place = agent.rsplit("_", 1)
            seen[-1] = self.final[role][row, int(place)]
        told = {OUTCOME_KEYS[name]: value for name, value in self.outcome.items()}
        columns = {c: x for c, x in track.columns.items() if c != Columns.OBS}
        lived = {c: InfiniteLookbackBuffer(x[row, k, months].copy()) for c, x in columns.items()}
        return SingleAgentEpisode(
            observations=InfiniteLookbackBuffer(seen),
            infos=[{}] * (len(seen) - 1) + [told],
            actions=lived.pop(Columns.ACTIONS),
            rewards=lived.pop(Columns.REWARDS),
            terminated=self.terminated,
            truncated=self.truncated,
            extra_model_outputs=lived,
            t_started=self.started,
            len_lookback_buffer=0,
            agent_id=agent,
            module_id=module,
            multi_agent_episode_id=self.episode,
        )


class Months:
    """Everything that one call of ``sample`` lives.

    Attributes:
        tracks: module -> what its agents lived.
        first: month in which each row's present piece of an episode began, ``[E]``.
        steps: months of the rows that count, in all.
        kept: (row, first month, piece) of the pieces to hand on.
    """

    def __init__(self, groups: Mapping[str, Group], rows: int, months: int) -> None:
        self.groups = groups
        self.tracks = {module: Track(months) for module in groups}
        self.first = np.zeros(rows, dtype=np.int64)
        self.steps = 0
        self.kept: list[tuple[int, int, MultiAgentEpisode]] = []

    def put(self, column: str, t: int, blocks: Mapping[str, np.ndarray]) -> None:
        """Store month ``t`` of role -> ``[E, A, ...]``."""
        for module, group in self.groups.items():
            self.tracks[module].put(column, t, group.gather(blocks))

    def fill(self, episode: MultiAgentEpisode, chunk: Chunk) -> None:
        """Put a piece's months into an empty episode of RLlib's."""
        length = chunk.last - chunk.first
        episode.env_t = chunk.started + length
        episode.is_terminated, episode.is_truncated = chunk.terminated, chunk.truncated
        for module, group in self.groups.items():
            for k, (role, place) in enumerate(group.members()):
                agent = f"{role}_{place}"
                episode.agent_episodes[agent] = chunk.agent_episode(self.tracks[module], k, agent, module)
                episode.env_t_to_agent_t[agent] = InfiniteLookbackBuffer(list(range(length + 1)))

    def episodes(self) -> list[MultiAgentEpisode]:
        """The pieces to hand on, by row and month."""
        return [episode for _, _, episode in sorted(self.kept, key=lambda piece: piece[:2])]
