"""Worker threads: results in order, and no hang where a process was forked after they were used."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import threading
import warnings

import numpy as np
import pytest

import spiral_env
from spiral_env.roles import NUM_LEVERS
from spiral_env.threads import Threads, cores


def test_results_come_in_the_order_of_the_jobs() -> None:
    for count in (1, 2, 5):
        threads = Threads(count)
        assert threads.each(lambda a, b: a - b, [(k, 1) for k in range(7)]) == list(range(-1, 6))
        assert threads.each(abs, []) == []
        threads.close()
        threads.close()
        assert threads.each(abs, [(-1,), (-2,)]) == [1, 2]
        threads.close()


def test_an_error_in_any_thread_is_the_callers() -> None:
    threads = Threads(3)
    for bad in range(3):
        with pytest.raises(ZeroDivisionError):
            threads.each(lambda x: 1 / x, [(0 if k == bad else 1,) for k in range(3)])
    threads.close()


def test_threads_end_with_close_and_are_not_copied() -> None:
    before = threading.active_count()
    threads = Threads(4)
    threads.each(abs, [(k,) for k in range(8)])
    assert threading.active_count() > before
    for twin in (copy.deepcopy(threads), pickle.loads(pickle.dumps(threads))):
        assert twin.count == 4
        assert twin._pool is None
    threads.close()
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity")
def test_cores_are_those_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)


def _forked(work: object) -> object:
    """What a forked child answers within a minute."""
    with warnings.catch_warnings():
        # Newer Pythons warn of just this.
        warnings.simplefilter("ignore", DeprecationWarning)
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        child = context.Process(target=lambda: answers.put(work()), daemon=True)  # type: ignore[operator]
        child.start()
    child.join(60.0)
    alive = child.is_alive()
    child.kill()
    child.join()
    assert not alive, "the child hangs"
    return answers.get()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_environment_steps_as_its_parent_does() -> None:
    env = spiral_env.vector_env("small-v1", num_envs=4, num_threads=2)
    env.reset(seed=0)
    actions = {role: np.ones((4, count, NUM_LEVERS[role]), dtype=np.int64) for role, count in env.num_agents_of.items()}

    def step() -> bytes:
        observations, *_ = env.step(actions)
        return b"".join(observations[role].tobytes() for role in sorted(observations))

    step()
    assert _forked(step) == step()
    env.close()
