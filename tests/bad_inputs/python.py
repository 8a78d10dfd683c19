"""Inputs to the Python interface that are wrong, each of which must end in one clear line, and unusual ones that work.

``python tests/bad_inputs/python.py`` prints how many of how many do, and every one that does not.
"""

from __future__ import annotations

import datetime
import decimal
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

import spiral_env
from spiral_env import calibration
from spiral_env.evaluation.rollout import run_episodes
from spiral_env.policy import StatusQuo, Uniform
from spiral_env.roles import NUM_LEVERS
from spiral_env.scenarios import Scenario, load_scenario
from spiral_env.single_role_env import SingleRoleEnv
from spiral_env.single_role_vector_env import SingleRoleVectorEnv
from spiral_env.tuple_env import TupleEnv

NAN, INF = math.nan, math.inf
LONGEST_LINE = 300


class Case(NamedTuple):
    """One call: what it is about, the call, and a word that its error must hold."""

    name: str
    call: Callable[[], Any]
    word: str


class Unprintable:
    """An object whose ``repr`` fails."""

    def __repr__(self) -> str:
        raise OSError


NO_NUMBER = (None, "3", b"3", "", [3], (3,), {}, {3}, 1j, np.array([3, 4]), datetime.date(2024, 1, 1), Unprintable())
NO_COUNT = (True, False, np.True_, 3.0, 2.5, NAN, INF, -INF, np.float32(3), decimal.Decimal(3), *NO_NUMBER)
FAR = (-1, -(2**70), 2**63, 2**70, 10**5000)
NO_WORD = ("", "nope", "x" * 5000, "a\nb", 3, True, 1.5, [], {}, object(), np.array(["a", "b"]))
NO_FLAG = (0, 1, 1.0, "yes", "", "True", [], {}, object(), np.array([True, False]), NAN)
COUNT = (0, *FAR, *NO_COUNT)

OPTIONS: dict[str, tuple[Any, ...]] = {
    "scenario": (None, 5, True, NAN, b"small-v1", [], {}, "", "nope", "nope.toml", "a\0b.toml", "x" * 5000),
    "num_smes": (513, *(x for x in COUNT if x is not None)),
    "max_cycles": (601, *(x for x in COUNT if x is not None)),
    "action_mode": (None, *NO_WORD),
    "levels": (1, 102, 10**9, *COUNT),
    "homogenize": (None, *NO_FLAG),
    "reward_mode": (None, *NO_WORD),
    "reward_basis": (None, *NO_WORD),
    "render_mode": NO_WORD,
    "split": ("test", "training", *NO_WORD),
    "num_envs": (99999999999999, *COUNT),
    "num_threads": (10**8, *COUNT),
    "autoreset_mode": (None, *NO_WORD),
    "copy": (None, *NO_FLAG),
    "role": (None, "sme_0", *NO_WORD),
    "partners": (5, True, "nope", ["uniform"], {"nope": "uniform"}, {"it": "nope"}, {"it": 5}, {"it": StatusQuo}),
    "max_episode_steps": tuple(x for x in COUNT if x is not None),
}
SHARED = ("scenario", "num_smes", "max_cycles", "action_mode", "levels", "reward_mode", "reward_basis", "split")
MAKERS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "parallel_env": (spiral_env.parallel_env, (*SHARED, "homogenize", "render_mode")),
    "env": (spiral_env.env, ("levels", "num_smes", "render_mode")),
    "vector_env": (
        spiral_env.vector_env,
        (*SHARED, "homogenize", "num_envs", "num_threads", "autoreset_mode", "copy", "render_mode"),
    ),
    "SingleRoleEnv": (SingleRoleEnv, ("role", "partners", "levels", "render_mode", "split", "num_smes")),
    "SingleRoleVectorEnv": (
        SingleRoleVectorEnv,
        ("role", "partners", "num_envs", "autoreset_mode", "split", "render_mode"),
    ),
    "TupleEnv": (TupleEnv, ("levels", "homogenize", "action_mode", "split")),
    "make": (partial(gymnasium.make, "spiral_env/SingleRole-v0"), ("role", "action_mode", "max_cycles")),
    "make_vec": (partial(gymnasium.make_vec, "spiral_env/SingleRole-v0", num_envs=2), ("role", "copy")),
}


def constructions() -> Iterator[Case]:
    """Every maker with every wrong value of every option, and a keyword it does not know."""
    for maker, (make, names) in MAKERS.items():
        for name in names:
            for value in OPTIONS[name]:
                if maker.startswith("make") and isinstance(value, Unprintable):
                    continue  # Gymnasium prints it itself
                yield Case(f"{maker}({name}={_shown(value)})", partial(make, **{name: value}), name)
        yield Case(f"{maker}(nope=1)", partial(make, nope=1), "nope")


def _shown(value: Any) -> str:
    try:
        return repr(value)[:40]
    except (OSError, ValueError):
        return f"a {type(value).__name__}"


# -- calls of environments that are at work ---------------------------------------------------------------------------

NO_SEED = (-1, 2**63, 2**70, 10**5000, *(x for x in NO_COUNT if x is not None and not isinstance(x, np.ndarray)))
NO_SEEDS = ([1], [1, 2, 3], [1.5, 2], [True, 2], ["1", 2], [[1], [2]], [-1, 2], [2**63, 1], np.array([1.0, 2]), {1, 2})
NO_OPTIONS = (5, "reset_mask", [1], True, np.array([True, True]), {"reset_mask"})
NO_MASK = (5, "ab", [True], [1, 0], [True, False, True], [[True, False]], [None, True], np.ones(2), {}, {True, False})
SME, IT = NUM_LEVERS["sme"], NUM_LEVERS["it"]


def no_levels(n: int) -> tuple[Any, ...]:
    """What is no action of ``n`` levers."""
    return (
        *(5, None, "11111", [], [1] * (n - 1), [1] * (n + 1), [1.0] * n, {0, 1}, {}, [[1], [1, 2]], [[1] * n]),
        *([*[1] * (n - 1), 3], [-1, *[1] * (n - 1)], [2**70, *[1] * (n - 1)], [True] * n, np.ones(n, dtype=np.bool_)),
        *(["1"] * n, [None] * n, [1j] * n, np.ones((n, 1), dtype=int), np.full(n, NAN), Unprintable()),
        np.array(["2024-01-01"] * n, dtype="datetime64[D]"),
    )


NO_EFFORTS = (
    *(0.5, None, "0.5", [], [0.5] * (IT - 1), [0.5] * (IT + 1), ["0.5"] * IT, [0.5j] * IT, [None] * IT, [NAN] * IT),
    *(np.array(["2024-01-01"] * IT, dtype="datetime64[D]"), [decimal.Decimal(1)] * IT, np.full(IT, "x"), [[0.5] * IT]),
    *({0.5}, Unprintable()),
)
NO_NUMBERED = (3**IT, -1, 2**70, 1.0, NAN, "1", None, [1], True, 1j, np.array([1, 1]), {}, Unprintable())


class Bench(NamedTuple):
    """An environment at work: its calls, and the bytes of its world, which no refused call may change."""

    env: Any
    good: Any
    engine: Any

    def bytes(self) -> bytes:
        """Records and counters of the world."""
        return self.engine.states.tobytes() + self.engine.params.tobytes() + self.engine.scalars.tobytes()


@cache
def benches() -> dict[str, Bench]:
    """One environment of each kind, in its second month."""
    parallel = spiral_env.parallel_env()
    batch = spiral_env.vector_env(num_envs=2)
    single = SingleRoleEnv(action_mode="continuous")
    numbered = SingleRoleEnv(action_mode="discrete")
    rows = SingleRoleVectorEnv(num_envs=2)
    tuples = TupleEnv("small-v1")
    made = {
        "parallel_env": Bench(
            parallel, {a: np.ones_like(x.nvec) for a, x in parallel.action_spaces.items()}, parallel.engine
        ),
        "vector_env": Bench(
            batch, {r: np.ones((2, n, NUM_LEVERS[r]), dtype=int) for r, n in batch.num_agents_of.items()}, batch.engine
        ),
        "SingleRoleEnv": Bench(single, np.full(IT, 0.5), single.inner.engine),
        "SingleRoleEnv, discrete": Bench(numbered, 7, numbered.inner.engine),
        "SingleRoleVectorEnv": Bench(rows, np.ones((2, IT), dtype=int), rows.batch.engine),
        "TupleEnv": Bench(tuples, [0] * tuples.n_agents, tuples.inner.engine),
    }
    for bench in made.values():
        bench.env.reset(seed=1)
        bench.env.step(bench.good)
    return made


def _with(good: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {**good, **changed}


def resets() -> Iterator[Case]:
    """Seeds, options and masks that are none."""
    for name, bench in benches().items():
        batched = name in ("vector_env", "SingleRoleVectorEnv")
        for seed in (*(x for x in NO_SEED if not batched or not isinstance(x, list)), *(NO_SEEDS if batched else ())):
            yield Case(f"{name}.reset(seed={_shown(seed)})", partial(bench.env.reset, seed=seed), "seed")
        for options in NO_OPTIONS:
            yield Case(f"{name}.reset(options={_shown(options)})", partial(bench.env.reset, options=options), "options")
        for mask in NO_MASK if batched else ():
            call = partial(bench.env.reset, options={"reset_mask": mask})
            yield Case(f"{name}.reset(reset_mask={_shown(mask)})", call, "reset_mask")


def steps() -> Iterator[Case]:
    """Actions that are none."""
    made = benches()
    parallel, batch = made["parallel_env"], made["vector_env"]
    for action in no_levels(SME):
        joint = _with(parallel.good, sme_3=action)
        yield Case(f"parallel_env.step(sme_3: {_shown(action)})", partial(parallel.env.step, joint), "sme_3")
        joint = _with(batch.good, sme=action)
        yield Case(f"vector_env.step(sme: {_shown(action)})", partial(batch.env.step, joint), "sme")
    for action in no_levels(IT):
        rows = made["SingleRoleVectorEnv"].env
        yield Case(f"SingleRoleVectorEnv.step({_shown(action)})", partial(rows.step, action), "action")
    for action in NO_EFFORTS:
        yield Case(f"SingleRoleEnv.step({_shown(action)})", partial(made["SingleRoleEnv"].env.step, action), "action")
    for action in NO_NUMBERED:
        numbered = made["SingleRoleEnv, discrete"].env
        yield Case(f"SingleRoleEnv.step({_shown(action)}), discrete", partial(numbered.step, action), "action")
    for actions in (None, 5, True, "it_0", [1], [0] * 10, [0] * 12, {}, {0}, [NAN] * 11, [[0]] * 11, Unprintable()):
        yield Case(f"TupleEnv.step({_shown(actions)})", partial(made["TupleEnv"].env.step, actions), "action")
    turns = spiral_env.env()
    turns.reset(seed=1)
    for action in no_levels(IT):
        yield Case(f"env.step({_shown(action)})", partial(turns.step, action), "action of it_0")
    for name, bench in (("parallel_env", parallel), ("vector_env", batch)):
        short = dict(list(bench.good.items())[1:])
        for actions in (None, 5, [], "it_0", {}, {"it_0"}, short, _with(bench.good, nope=1), {**bench.good, 5: 1}):
            yield Case(f"{name}.step({_shown(actions)})", partial(bench.env.step, actions), "")


def names() -> Iterator[Case]:
    """Agents there are not."""
    env = benches()["parallel_env"].env
    for agent in ("it", "sme_99", "", None, 5, [], {}, "x" * 5000, Unprintable()):
        yield Case(f"action_space({_shown(agent)})", partial(env.action_space, agent), "agent")
        yield Case(f"observation_space({_shown(agent)})", partial(env.observation_space, agent), "agent")


def snapshots() -> Iterator[Case]:
    """What snapshot() never gave, and snapshots of other worlds."""
    for name, key in (("parallel_env", "state"), ("vector_env", "states")):
        env = benches()[name].env
        saved = env.snapshot()
        for value in (None, {}, 5, [], "snapshot", saved[key], Unprintable(), {key: saved[key]}):
            yield Case(f"{name}.restore({_shown(value)})", partial(env.restore, value), "")
        for part in saved:
            for value in (None, 5, "x", {}, np.zeros(3), saved[key][:0], [NAN], ["x", "y"], [-1, -1], [True, 2**70]):
                call = partial(env.restore, {**saved, part: value})
                yield Case(f"{name}.restore({part}={_shown(value)})", call, "")
        maker = MAKERS[name][0]
        rows = {"num_envs": 2} if name == "vector_env" else {}
        for options in ({"num_smes": 7}, {"num_smes": 9}, {"max_cycles": 12}, {"scenario": "strict-privacy-v1"}):
            other = maker(**rows, **options)
            other.reset(seed=1)
            yield Case(f"{name}.restore(of {options})", partial(env.restore, other.snapshot()), "")


# -- worlds, evaluation, calibration ----------------------------------------------------------------------------------

WORLD = {"id": "mine-v0", "title": "Mine"}
WORLDS: dict[str, tuple[Any, ...]] = {
    "id": (None, 5, "", "Mine-v0", "mine", "mine-v", "mine-v0 ", "x" * 5000, "[/eu]-v0"),
    "title": (None, 5, "a\nb", "\x1b[2J", "x" * 5000, b"Mine", ["Mine"]),
    "description": (None, 5, "\x00", "x" * 5000),
    "num_smes": OPTIONS["num_smes"],
    "max_cycles": OPTIONS["max_cycles"],
    "params": (
        *(
            None,
            5,
            [],
            "spill",
            {5: 1.0},
            {"spil": 0.1},
            {"x" * 5000: 1},
            {"spill": NAN},
            {"spill": True},
            {"spill": "1"},
        ),
        *({"spill": None}, {"spill": [0.1]}, {"spill": 1j}, {"spill": 10**5000}, {"loss_share": 0.3}, {"attacks": 0.5}),
        *({"loss_share": [0.5, 0.5, 0.5]}, {"num_services": 4.5}, {"fraud_base": 1.5}, {"spill": np.array([0.1, 0.2])}),
    ),
    "ranges": (
        *(None, 5, [], {"spil": [0, 1]}, {"spill": 0.1}, {"spill": [0.1]}, {"spill": [0.2, 0.1]}, {"spill": [0, NAN]}),
        *({"spill": [0, 2]}, {"spill": ["a", "b"]}, {"loss_share": [0, 1]}, {"attacks": [0, 1]}, {"spill": "ab"}),
    ),
    "train_seeds": (None, 5, [], [1], [1, 2, 3], [5, 5], [7, 5], [-1, 5], [0.0, 5], [True, 5], ["1", 5], [0, 2**63]),
    "held_out_seeds": (None, 5, "ab", [5, 5], [0, 2**40], [NAN, 5], {0, 1}, np.zeros(2)),
    "nope": (1,),
}


def worlds() -> Iterator[Case]:
    """Scenarios that are none, built in Python."""
    for key, values in WORLDS.items():
        for value in values:
            yield Case(f"Scenario({key}={_shown(value)})", partial(Scenario, **{**WORLD, key: value}), key)
    yield Case("Scenario()", Scenario, "id")
    for value in OPTIONS["scenario"]:
        yield Case(f"load_scenario({_shown(value)})", partial(load_scenario, value), "scenario")
    for name in ("nope", "", None, 5, "x" * 5000):
        yield Case(f"Scenario.value({_shown(name)})", partial(load_scenario("small-v1").value, name), "params")


def evaluations() -> Iterator[Case]:
    """Evaluations and calibrations that cannot be."""
    team = {role: StatusQuo(role) for role in ("it", "business", "finance", "sme")}
    play = partial(run_episodes, "small-v1", team)
    for value in COUNT:
        yield Case(f"run_episodes(episodes={_shown(value)})", partial(play, value), "episodes")
        yield Case(f"run_episodes(num_envs={_shown(value)})", partial(play, 1, num_envs=value), "num_envs")
        yield Case(f"solve(episodes={_shown(value)})", partial(calibration.solve, episodes=value), "episodes")
        yield Case(f"facts(episodes={_shown(value)})", partial(calibration.facts, episodes=value), "episodes")
    for value in (*NO_SEED, None, 2**32):
        yield Case(f"run_episodes(seed={_shown(value)})", partial(play, 1, seed=value), "seed")
    for value in (-1, NAN, "0", True, None):
        yield Case(f"solve(seed={_shown(value)})", partial(calibration.solve, seed=value), "seed")
    for value in (None, 5, {}, [], {"it": StatusQuo("it")}, {**team, "it": 5}, {**team, "nope": StatusQuo("it")}):
        yield Case(f"run_episodes({_shown(value)})", partial(run_episodes, "small-v1", value, 1), "")
    few = Scenario(**WORLD, held_out_seeds=(0, 5))
    yield Case("run_episodes(episodes of few seeds)", partial(run_episodes, few, team, 6), "held_out_seeds")
    yield Case("solve(zero-threat-v1)", partial(calibration.solve, "zero-threat-v1", 2), "attacks")


GROUPS = (constructions, resets, steps, names, snapshots, worlds, evaluations)


def fault(case: Case) -> str:
    """What is wrong with how a call ends; nothing if it ends in one clear line."""
    try:
        case.call()
    except (TypeError, ValueError) as error:
        line = str(error)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    else:
        return "accepted"
    if "\n" in line or len(line) > LONGEST_LINE:
        return f"no line of at most {LONGEST_LINE} characters: {line[:200]!r} ({len(line)})"
    return "" if case.word in line else f"does not name {case.word}: {line}"


def bad() -> tuple[int, list[str]]:
    """How many wrong inputs were tried, and those that did not end in one clear line or left a trace."""
    before = {name: bench.bytes() for name, bench in benches().items()}
    tried, faults = 0, []
    for group in GROUPS:
        for case in group():
            tried += 1
            found = fault(case)
            for name, bench in benches().items():
                if bench.bytes() != before[name]:
                    found = f"{found}; changes the world of {name}"
                    before[name] = bench.bytes()
            if found:
                faults.append(f"{case.name}: {found}")
    for bench in benches().values():
        bench.env.step(bench.good)
    return tried, faults


# -- unusual, and right -----------------------------------------------------------------------------------------------


def unusual() -> Iterator[Case]:
    """Calls that must work."""
    made = benches()
    parallel, batch = made["parallel_env"], made["vector_env"]
    for options in (
        *({"levels": np.int64(5)}, {"levels": np.uint8(101)}, {"num_smes": np.int32(3)}, {"max_cycles": np.int16(600)}),
        *(
            {"homogenize": np.True_},
            {"action_mode": np.str_("continuous")},
            {"split": np.str_("train")},
            {"num_smes": 512},
        ),
        *({"scenario": load_scenario("procedural-v1")}, {"render_mode": "ansi"}, {"reward_mode": np.str_("selfish")}),
    ):
        yield Case(f"parallel_env({options})", partial(spiral_env.parallel_env, **options), "")
    for options in (
        {"num_envs": np.int64(3)},
        {"num_threads": np.int8(2)},
        {"copy": np.True_},
        {"levels": np.int64(4)},
    ):
        yield Case(f"vector_env({options})", partial(spiral_env.vector_env, **options), "")
    for options in (
        {"partners": {}},
        {"partners": "uniform"},
        {"partners": {"sme": Uniform("sme")}},
        {"levels": np.int8(5)},
    ):
        yield Case(f"SingleRoleEnv({options})", partial(SingleRoleEnv, **options), "")
    for seed in (0, 2**63 - 1, np.int64(3), np.uint64(2**63 - 1), np.int8(5), None):
        for name, bench in made.items():
            if seed != 2**63 - 1 or name not in ("vector_env", "SingleRoleVectorEnv"):
                yield Case(f"{name}.reset(seed={seed!r})", partial(bench.env.reset, seed=seed), "")
    for seeds in ([1, 2], (1, 2), range(2), np.arange(2), np.arange(2, dtype=np.uint8), [np.int64(5), 5]):
        yield Case(f"vector_env.reset(seed={seeds!r})", partial(batch.env.reset, seed=seeds), "")
    for options in (None, {}, {"reset_mask": None}, {"reset_mask": [True, False]}, {"other": 1}):
        yield Case(f"vector_env.reset(options={options})", partial(batch.env.reset, options=options), "")
    for action in ([1] * SME, (0,) * SME, np.ones(SME, dtype=np.int8), np.ones(2 * SME, dtype=np.uint64)[::2]):
        joint = dict(reversed(_with(parallel.good, sme_3=action).items()))
        yield Case(f"parallel_env.step(sme_3: {action!r})", partial(parallel.env.step, joint), "")
    for action in (
        [0, *[1] * (IT - 1)],
        (0.5,) * IT,
        np.ones(IT, dtype=np.float16),
        [1.0000001] * IT,
        [INF, -INF, *[-7] * (IT - 2)],
    ):
        yield Case(f"SingleRoleEnv.step({action!r})", partial(made["SingleRoleEnv"].env.step, action), "")
    for action in (7, np.int64(7), np.array(7), np.uint8(242)):
        yield Case(f"SingleRoleEnv.step({action!r})", partial(made["SingleRoleEnv, discrete"].env.step, action), "")
    yield Case("TupleEnv.step(array)", partial(made["TupleEnv"].env.step, np.zeros(11, dtype=int)), "")
    for params in (
        {"spill": np.float32(0.5)},
        {"spill": 0},
        {"loss_share": np.array([0.4, 0.3, 0.3])},
        {"spill": -0.0},
    ):
        yield Case(f"Scenario(params={params})", partial(Scenario, **WORLD, params=params), "")
    few = Scenario(**WORLD, train_seeds=(7, 8), held_out_seeds=(np.int64(0), 5))
    team = {role: StatusQuo(role) for role in ("it", "business", "finance", "sme")}
    play = partial(run_episodes, few, team)
    yield Case("run_episodes(all held-out seeds)", partial(play, np.int64(5), num_envs=np.int8(2), max_cycles=2), "")
    yield Case("vector_env(two rows, one training seed)", partial(_reset_twice, few), "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "[eu] a,b #%20.toml")
        path.write_text("\ufeff" + few.to_toml(), encoding="utf-8")
        yield Case("load_scenario(odd path, BOM)", partial(load_scenario, path), "")


def _reset_twice(scenario: Scenario) -> None:
    env = spiral_env.vector_env(scenario, 2)
    env.reset(seed=scenario.training_seeds(0, 2))
    env.reset()


def right() -> tuple[int, list[str]]:
    """How many unusual inputs were tried, and those that were refused."""
    tried, faults = 0, []
    for case in unusual():
        tried += 1
        try:
            case.call()
        except Exception as error:
            faults.append(f"{case.name}: {type(error).__name__}: {str(error)[:200]}")
    return tried, faults


def main() -> None:
    """Print both counts and every fault."""
    for what, measure in (("wrong inputs end in one clear line", bad), ("unusual inputs work", right)):
        tried, faults = measure()
        print(f"{tried - len(faults)} of {tried} {what}")
        print("".join(f"  {line}\n" for line in faults), end="")


if __name__ == "__main__":
    main()
