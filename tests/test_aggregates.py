"""Aggregates of a benchmark against scipy, and scores between their two ends."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from spiral_env.agents import load_policy
from spiral_env.evaluation import (
    compare,
    find_reference,
    mean_of_strata,
    performance_profile,
    pooled_iqm,
    probability_of_improvement,
    score,
    stratified_bootstrap,
)
from spiral_env.evaluation.report import as_result, as_text
from spiral_env.evaluation.scoring import average_firm
from spiral_env.roles import ROLES
from spiral_env.scenarios import load_scenario, references
from spiral_env.scenarios.references import MEASURE, Reference, read_references, write_references

RNG = np.random.default_rng(0)
STRATA = [RNG.normal(k, 1.0 + k, 30 + 10 * k) for k in range(3)]
OTHERS = [RNG.normal(0.5, 2.0, 25).round(1) for _ in range(3)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 101])
def test_the_interquartile_mean_is_scipys_trimmed_mean(size: int) -> None:
    strata = [RNG.normal(0.0, 1.0, size), RNG.exponential(1.0, size)]
    assert pooled_iqm(strata) == pytest.approx(stats.trim_mean(np.concatenate(strata), 0.25))


def test_the_probability_of_improvement_is_mann_and_whitneys() -> None:
    tied = [x.round(1) for x in STRATA]
    expected = [stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in zip(tied, OTHERS, strict=True)]
    assert probability_of_improvement(tied, OTHERS) == pytest.approx(np.mean(expected))
    assert probability_of_improvement(OTHERS, tied) == pytest.approx(1.0 - np.mean(expected))
    assert probability_of_improvement(STRATA, STRATA) == pytest.approx(0.5)


def test_a_performance_profile_is_the_survival_function_of_the_scores() -> None:
    at = np.linspace(-3.0, 6.0, 19)
    expected = np.mean([stats.ecdf(x).sf.evaluate(at) for x in STRATA], axis=0)
    np.testing.assert_allclose(performance_profile(STRATA, at), expected)


@pytest.mark.parametrize("statistic", [mean_of_strata, pooled_iqm])
def test_the_stratified_bootstrap_is_scipys_within_the_noise_of_draws(statistic: object) -> None:
    assert callable(statistic)
    found = stratified_bootstrap(statistic, STRATA, draws=4000)
    library = stats.bootstrap(
        STRATA, lambda *x: statistic(x), n_resamples=4000, method="percentile", vectorized=False, rng=1
    ).confidence_interval
    wide = library.high - library.low
    assert found.mean == pytest.approx(statistic(STRATA))
    assert found.low == pytest.approx(library.low, abs=0.06 * wide)
    assert found.high == pytest.approx(library.high, abs=0.06 * wide)


def test_resampling_keeps_the_number_of_scores_of_every_stratum() -> None:
    apart = [np.zeros(20), np.ones(20)]
    assert stratified_bootstrap(mean_of_strata, apart) == (0.5, 0.5, 0.5)
    low, high = stratified_bootstrap(mean_of_strata, [np.concatenate(apart)])[1:]
    assert low < 0.45 < 0.55 < high


def test_paired_scores_are_drawn_together() -> None:
    luck = [RNG.normal(0.0, 10.0, 40)]
    better = [x + 1.0 for x in luck]

    def gap(a: list[np.ndarray], b: list[np.ndarray]) -> float:
        return mean_of_strata(a) - mean_of_strata(b)

    together, apart = (stratified_bootstrap(gap, better, luck, paired=paired) for paired in (True, False))
    assert (together.low, together.high) == pytest.approx((1.0, 1.0))
    assert apart.low < 0.0 < apart.high


def test_the_bootstrap_is_fixed_by_its_seed_and_says_when_there_is_too_little() -> None:
    once, again, other = (stratified_bootstrap(pooled_iqm, STRATA, seed=seed) for seed in (1, 1, 2))
    assert once == again != other
    assert stratified_bootstrap(pooled_iqm, [np.ones(1)])[1:] == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="strata must hold scores"):
        stratified_bootstrap(pooled_iqm, [np.zeros(0)])
    with pytest.raises(ValueError, match="paired strata must have one length"):
        stratified_bootstrap(probability_of_improvement, STRATA, OTHERS, paired=True)


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reference:
    """Of small-v1, in a file of its own."""
    world = load_scenario("small-v1")
    values = average_firm(world, 4)
    zero = float(values.mean())
    found = Reference(
        world.id, world.hash, MEASURE, 4, zero, zero + 100.0, "somebody", "", float(values[0]), {"numpy": "1"}
    )
    monkeypatch.setattr(references, "OWN_FOLDER", tmp_path)
    write_references({found.hash: found})
    return found


def test_the_average_firm_scores_0_and_the_best_known_1(reference: Reference) -> None:
    teams = {name: {role: load_policy(name, role) for role in ROLES} for name in ("status_quo", "scripted")}
    found = compare("small-v1", teams, 4)
    scoring = score(found)
    assert scoring.reference == reference
    assert scoring.scores["status_quo"].mean.mean == pytest.approx(0.0, abs=1e-12)
    raw = found.tables["scripted"].metrics[MEASURE]
    assert scoring.scores["scripted"].mean.mean == pytest.approx((raw.mean() - reference.zero) / 100.0)
    assert scoring.scores["scripted"].regret == pytest.approx(1.0 - (raw.mean() - reference.zero) / 100.0)
    assert reference.normalised(reference.one) == 1.0
    assert "to somebody (1: " in as_text(found)
    told = as_result(found, "evaluate", {})["score"]
    assert told["ends"] == {"zero": reference.zero, "one": reference.one, "best": "somebody"}
    assert told["teams"]["status_quo"]["improvement"] is None
    assert 0.0 <= told["teams"]["scripted"]["improvement"] <= 1.0


def test_ends_of_another_world_or_model_are_not_used(reference: Reference) -> None:
    world = load_scenario("small-v1")
    assert find_reference(world) == (reference, "")
    other, note = find_reference(world.model_copy(update={"num_smes": 3}))
    assert (other, "has no stored ends of the score: scores are not normalised" in note) == (None, True)
    write_references({reference.hash: replace(reference, probe=reference.probe * 1.001)})
    other, note = find_reference(world)
    assert (other, note.startswith("the model has changed since the ends of small-v1 were stored")) == (None, True)
    teams = {"status_quo": {role: load_policy("status_quo", role) for role in ROLES}}
    text = " ".join(as_text(compare(world, teams, 2)).split())
    assert f"note: {note}" in text
    assert "score: ecosystem_value, k$ a month" in text


def test_references_are_stored_a_world_each_and_refuse_ends_that_tell_nothing(reference: Reference) -> None:
    again = replace(reference, hash="0" * 16, one=reference.one + 1.0)
    write_references({again.hash: again})
    assert read_references() == {again.hash: again}
    with pytest.raises(ValueError, match="the best known of small-v1 must be above"):
        replace(reference, one=reference.zero)
