"""A policy of the user's code in a process of its own, as the evaluator sees it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from spiral_env.files import read_file
from spiral_env.outside.wire import receive, send
from spiral_env.policy import PolicyError, check_role
from spiral_env.provenance import file_hash

__all__ = ["Limits", "Outside"]

_PACKAGE = Path(str(resources.files("spiral_env")))
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""Variables that a policy's process inherits."""
_ALONE = 1e-6
"""How far efforts of an episode that is played alone may be from those beside others: products round by their size."""


@dataclass(frozen=True)
class Limits:
    """How long a policy may take.

    Attributes:
        start: seconds to import and make it.
        call: seconds for one ``reset`` or ``act`` of a whole batch.
        checked: months of the first episodes that ``verify`` asks again.
    """

    start: float = 60.0
    call: float = 10.0
    checked: int = 24


class Outside:
    """A policy of the user's code that is imported and asked in a process of its own, never in this one.

    The process is started by the first ``reset`` and ended by ``close``; it is given keys and observations, no world,
    no seed of one and nothing of this process's memory, and gives back arrays of plain numbers. ``walls`` says what it
    may not do. Its working folder and its home are a folder that is removed at its end.

    Attributes:
        name: what names the policy.
        digest: hash of the source file; of a module once it was loaded.
    """

    def __init__(self, spec: str, role: str, limits: Limits | None = None) -> None:
        """Of what ``spec`` names; nothing is imported yet.

        Raises:
            ValueError: the file cannot be read.
            OSError: this system has no such processes.
        """
        if sys.platform == "win32":
            raise OSError("policies in processes of their own need Linux or macOS")
        self.name, self._role, self._limits = spec, check_role(role), limits or Limits()
        self._file = Path(spec.rpartition(":")[0]) if spec.rpartition(":")[0].endswith(".py") else None
        self.digest = self._hash()
        self._process: _Process | None = None
        self._keys: np.ndarray | None = None
        self._records = False
        self._asked: list[tuple[np.ndarray, np.ndarray]] = []

    def __reduce__(self) -> tuple[type[Outside], tuple[str, str, Limits]]:
        """Another process elsewhere."""
        return Outside, (self.name, self._role, self._limits)

    def __deepcopy__(self, memo: dict[int, Any]) -> Outside:
        """Another process."""
        return Outside(self.name, self._role, self._limits)

    def reset(self, keys: np.ndarray) -> None:
        """Start the process where there is none, and open episodes in it.

        Raises:
            PolicyError: whatever goes wrong with it.
        """
        self._records = self._keys is None
        if self._keys is None:
            self._keys = keys.copy()
        self._process = self._process or self._started()
        self.digest = self.digest or self._process.digest
        self._process.call("reset", keys)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Ask the process.

        Raises:
            PolicyError: whatever goes wrong with it.
        """
        if self._process is None:
            raise PolicyError("was asked before reset()")
        answer = self._process.call("act", observation)
        assert answer is not None
        if self._records and len(self._asked) < self._limits.checked:
            self._asked.append((observation.copy(), answer.copy()))
        return answer

    def close(self) -> None:
        """End the process and remove its folder."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def verify(self) -> None:
        """Ask the first episodes again: in the same process, in a fresh one, and the first of them alone.

        Raises:
            PolicyError: it answers otherwise, or its file has changed.
        """
        if self._keys is None or not self._asked or self._process is None:
            return
        if self._differs(slice(None)):
            raise PolicyError(
                "answers otherwise when the same episodes come again: it keeps learning, remembers or draws unkeyed"
            )
        self.close()
        self._process = self._started()
        if self._differs(slice(None)):
            raise PolicyError("answers otherwise in another process: it is not deterministic under its keys")
        if self._differs(slice(1), _ALONE):
            raise PolicyError("answers otherwise when an episode comes alone: it looks at the episodes beside it")
        if self._file is not None and self._hash() != self.digest:
            raise PolicyError(f"has changed while it played: {self._file}")

    def _differs(self, rows: slice, most: float = 0.0) -> bool:
        """Whether answers to the first episodes, or to some rows of them, are others than they were."""
        assert self._process is not None
        assert self._keys is not None
        self._process.call("reset", self._keys[rows])
        for observation, before in self._asked:
            now = self._process.call("act", observation[rows])
            if now is None or now.shape != before[rows].shape or (abs(now - before[rows]) > most).any():
                return True
        return False

    def _hash(self) -> str:
        return "" if self._file is None else file_hash(read_file(self._file, 2**24, "policy"))

    def _started(self) -> _Process:
        return _Process(self.name, self._role, self._limits)


class _Process:
    """One process with its pipes and its folder.

    Attributes:
        digest: hash of the source that it loaded.
    """

    def __init__(self, spec: str, role: str, limits: Limits) -> None:
        """Start it and wait until the policy is made.

        Raises:
            PolicyError: it cannot be.
        """
        self._limits = limits
        scratch = os.path.realpath(tempfile.mkdtemp(prefix="spiral_env-policy-"))
        here, theirs = os.pipe(), os.pipe()
        program = str(_PACKAGE / "outside" / "child.py")
        words = [sys.executable, "-P", "-B", program, spec, role, scratch, str(here[0]), str(theirs[1])]
        with open(os.path.join(scratch, ".output"), "wb") as output:
            self._child = subprocess.Popen(
                words,
                env=_environment(scratch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(here[0], theirs[1]),
                start_new_session=True,
            )
        os.close(here[0])
        os.close(theirs[1])
        self._sink, self._source = here[1], theirs[0]
        self.close = weakref.finalize(self, _end, self._child, scratch, self._sink, self._source)
        self._named = f"policy {spec:.200} "
        header = self._receive(limits.start, "to load")[0]
        self._check("to load", header)
        self.digest = f"{header.get('digest', '')!s:.16}"

    def call(self, name: str, array: np.ndarray) -> np.ndarray | None:
        """What the policy answers to a call.

        Raises:
            PolicyError: nothing, too late, or that it failed.
        """
        limit, doing = self._limits.call, f"in {name}()"
        try:
            send(self._sink, {"call": name}, array, limit)
        except TimeoutError:
            raise PolicyError(f"took longer than {limit:g} s {doing}") from None
        except OSError:
            raise PolicyError(self._death(doing)) from None
        header, answer = self._receive(limit, doing)
        self._check(doing, header)
        if name == "act" and answer is None:
            raise PolicyError(f"gave no answer {doing}")
        return answer

    def _receive(self, limit: float, doing: str) -> tuple[dict[str, Any], np.ndarray | None]:
        try:
            return receive(self._source, limit)
        except TimeoutError:
            raise PolicyError(f"took longer than {limit:g} s {doing}") from None
        except EOFError:
            raise PolicyError(self._death(doing)) from None
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise PolicyError(f"gave what is no answer {doing}: {str(error)[:120]}") from None

    def _check(self, doing: str, header: dict[str, Any]) -> None:
        """Raise what an answer says went wrong; what was tried and hidden comes first."""
        for line in header.get("noted") or ():
            raise PolicyError(f"is refused {doing}: {line!s:.300}")
        if header.get("error"):
            line = f"{header['error']!s:.400}".removeprefix(self._named)
            raise PolicyError(line if doing == "to load" else f"failed {doing}: {line}")

    def _death(self, doing: str) -> str:
        try:
            code = self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            return f"closed its pipe {doing}"
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"ended its process {doing} ({reason})"


def _environment(scratch: str) -> dict[str, str]:
    """Variables of the process: nothing of the user's but where programs and libraries are found."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
    return {
        **kept,
        **{f"{name}_NUM_THREADS": "1" for name in threads},
        **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "SPIRAL_ENV_CACHE_DIR"), scratch),
        "PYTHONPATH": os.pathsep.join(x for x in (str(_PACKAGE.parent), *sys.path) if x and os.path.isabs(x)),
        "PYTHONHASHSEED": "0",
        "CUDA_VISIBLE_DEVICES": "",
    }


def _end(child: subprocess.Popen[bytes], scratch: str, *descriptors: int) -> None:
    """End a process and all of its group, and remove its folder."""
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for descriptor in descriptors:
        os.close(descriptor)
    shutil.rmtree(scratch, ignore_errors=True)
