"""Training runs behind the tables: made once for a world, gone on with where they stopped, and then left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from spiral_env.files import write_atomically
from spiral_env.scenarios import Scenario

__all__ = ["Kind", "Run", "Runs"]


class Kind(NamedTuple):
    """What is trained: a file of hyperparameters, and what differs from it."""

    config: Path
    differs: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One training: a kind, a seed, and the world if it is not the one that is examined."""

    kind: str
    seed: int
    world: Scenario
    world_name: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.world_name or 'whole'}-{self.kind}-{self.seed}"


@dataclass(frozen=True)
class Runs:
    """Trainings of a folder.

    Attributes:
        folder: where they lie, a folder a world below it: a changed world is trained in anew.
        timesteps: agent-steps of each.
        jobs: trained side by side, one thread each.
        overrides: hyperparameters for all, ``name -> value``.
        kinds: name -> what it trains.
    """

    folder: Path
    timesteps: int
    jobs: int
    overrides: Mapping[str, Any]
    kinds: Mapping[str, Kind]

    def path(self, run: Run) -> Path:
        """Folder of a run."""
        return self.folder / run.world.hash / run.name

    def trained(self, runs: Iterable[Run]) -> list[Path]:
        """Folders of the runs, each trained to its end."""
        todo = list(runs)
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(self._train, todo))
        return [self.path(run) for run in todo]

    def _train(self, run: Run) -> None:
        out = self.path(run)
        if self._is_done(out):
            return
        if not self.kinds[run.kind].config.is_file():
            raise ValueError(f"config {self.kinds[run.kind].config} of trainings must be a file: name another")
        world = out.with_name("world.toml")
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(world, run.world.to_toml())
        kind = self.kinds[run.kind]
        values = {**kind.differs, "scenario": str(world), "seed": run.seed, "timesteps": self.timesteps}
        values |= {"max_seconds": 36_000.0, "env_threads": 1, **self.overrides}
        start = ["--config", str(kind.config)]
        start += [x for name, value in values.items() for x in ("--set", f"{name}={_toml(value)}")]
        command = [sys.executable, "-m", "spiral_env", "train", "--json", "--out", str(out)]
        done = subprocess.run(
            [*command, *(["--resume"] if (out / "config.json").exists() else start)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ValueError(f"training {out} failed: {(done.stderr.strip().splitlines() or ['it says nothing'])[-1]}")
        write_atomically(out / "done.json", json.dumps({"timesteps": self.timesteps}) + "\n")
        print(f"trained {out}", file=sys.stderr, flush=True)

    def _is_done(self, out: Path) -> bool:
        """Whether it came to its end; one of another length would be no fair comparison.

        Raises:
            ValueError: it did, with another number of agent-steps.
        """
        if not (out / "done.json").exists():
            return False
        length = json.loads((out / "done.json").read_text())["timesteps"]
        if length != self.timesteps:
            raise ValueError(
                f"run {out} has {length:,} agent-steps, not {self.timesteps:,}: name another --runs folder"
            )
        return True


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)
