"""Keyed draws: the right laws, independent keys, and the closed forms the model takes expectations with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from spiral_env.core import rng
from spiral_env.core._jit import kernel
from spiral_env.core.params import limited_mean, pack
from spiral_env.core.rng import Stream
from spiral_env.stages.resource_aggregation.cybersecurity import draw_epss
from spiral_env.stages.risk_governance import _attack

COUNT = 40_000


@kernel
def _uniforms(seed, month, stream, out):
    for k in range(out.shape[0]):
        out[k] = rng.uniform(seed, month, stream, k)


@kernel
def _normals(seed, month, stream, out):
    for k in range(out.shape[0]):
        out[k] = rng.normal(seed, month, stream, k)


@kernel
def _lognormals(seed, mu, sigma, out):
    for k in range(out.shape[0]):
        out[k] = rng.lognormal(seed, 1, 3, k, mu, sigma)


@kernel
def _exponentials(seed, out):
    for k in range(out.shape[0]):
        out[k] = rng.exponential(seed, 1, 4, k)


@kernel
def _poissons(seed, mean, out):
    for k in range(out.shape[0]):
        out[k] = rng.poisson(seed, 1, 5, k, mean)


@kernel
def _across(seed, months, streams, out):
    for m in range(months):
        for k in range(streams):
            out[m * streams + k] = rng.uniform(seed, m, k, 0)


@kernel
def _over_seeds(out):
    for seed in range(out.shape[0]):
        out[seed] = rng.uniform(seed, 0, 0, 0)


def filled(function, *arguments, count=COUNT):
    out = np.empty(count)
    function(*arguments, out)
    return out


@pytest.mark.parametrize("seed", [0, 1, 2**62, 2**63 - 1])
def test_uniforms_are_uniform_on_the_open_interval(seed):
    drawn = filled(_uniforms, seed, 7, 3)
    assert 0.0 < drawn.min() < drawn.max() < 1.0
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4.0 / math.sqrt(COUNT)


def test_neighbouring_keys_are_independent_uniforms():
    across = filled(_across, 5, 600, 34, count=600 * 34).reshape(600, 34)
    assert stats.kstest(across.ravel(), "uniform").pvalue > 1e-3
    off = np.corrcoef(across.T) - np.eye(34)
    assert np.abs(off).max() < 5.0 / math.sqrt(600)
    assert stats.kstest(filled(_over_seeds), "uniform").pvalue > 1e-3


def test_no_two_keys_of_an_episode_collide():
    tables = [
        filled(_uniforms, seed, month, stream, count=500)
        for seed in (0, 1)
        for month in (0, 1, 599)
        for stream in Stream
    ]
    assert len(np.unique(np.concatenate(tables))) == 500 * len(tables)


def test_a_draw_depends_on_each_part_of_its_key():
    base = rng.uniform(3, 5, 7, 9)
    assert base == rng.uniform(3, 5, 7, 9)
    assert (
        len({base, rng.uniform(4, 5, 7, 9), rng.uniform(3, 6, 7, 9), rng.uniform(3, 5, 8, 9), rng.uniform(3, 5, 7, 8)})
        == 5
    )


def test_mix_is_the_published_finaliser():
    # SplitMix64 from state 1234567 (Vigna's reference implementation gives these).
    state, golden = 1234567, 0x9E3779B97F4A7C15
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(rng.mix(np.uint64((state + k * golden) % 2**64))) for k in range(3)] == published


def test_normals_are_normal():
    drawn = filled(_normals, 3, 1, 2)
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert np.isfinite(drawn).all()


def test_exponentials_are_exponential():
    assert stats.kstest(filled(_exponentials, 3), "expon").pvalue > 1e-3


@pytest.mark.parametrize("mean", [0.0, 0.3, 9.6, 30.0, 250.0])
def test_poissons_have_the_mean_and_the_variance_of_their_law(mean):
    drawn = filled(_poissons, 3, mean)
    error = math.sqrt(mean / COUNT)
    assert abs(drawn.mean() - mean) <= 4.5 * error
    assert abs(drawn.var() - mean) <= 4.5 * math.sqrt((mean + 2.0 * mean * mean) / COUNT)


def test_a_poisson_draw_never_falls_when_its_mean_rises():
    tables = np.stack([filled(_poissons, 3, mean, count=2000) for mean in np.linspace(0.0, 40.0, 30)])
    assert (np.diff(tables, axis=0) >= 0).all()
    assert tables.max() <= 400


@pytest.mark.parametrize(
    ("mu", "sigma", "cap"), [(5.65, 3.07, 1e4), (3.99, 1.78, 2000.0), (3.79, 1.8, 288.0), (0.0, 0.2, 9.0)]
)
def test_the_limited_mean_is_the_integral_and_the_mean_of_draws(mu, sigma, cap):
    law = stats.lognorm(sigma, scale=math.exp(mu))
    below, _ = integrate.quad(
        lambda z: math.exp(mu + sigma * z) * stats.norm.pdf(z), -14.0, (math.log(cap) - mu) / sigma
    )
    exact = below + cap * law.sf(cap)
    assert limited_mean(mu, sigma, cap) == pytest.approx(exact, rel=1e-7)
    assert _attack.limited_mean(mu, sigma, cap) == limited_mean(mu, sigma, cap)
    drawn = np.minimum(filled(_lognormals, 3, mu, sigma), cap)
    assert abs(drawn.mean() - exact) < 4.5 * drawn.std() / math.sqrt(COUNT)


def test_nothing_is_lost_under_a_cap_of_nothing():
    assert limited_mean(1.0, 1.0, 0.0) == _attack.limited_mean(1.0, 1.0, 0.0) == 0.0


def test_epss_follows_its_published_quantiles():
    quantiles = {0.4: 0.0049, 0.5: 0.0067, 0.9: 0.039, 0.99: 0.55}
    assert {u: draw_epss(u) for u in quantiles} == pytest.approx(quantiles, rel=1e-12)
    drawn = [draw_epss(u) for u in np.linspace(1e-9, 1.0 - 1e-9, 2001)]
    assert (np.diff(drawn) >= 0.0).all()
    assert 0.0012 <= drawn[0] < drawn[-1] <= 0.97


def test_derived_numbers_follow_from_the_parameters():
    record = pack({"campaign_onset": 0.2, "campaign_end": 0.3, "breach_mu": 12.0, "size_exponent": 0.5}, 32)[0]
    assert record["size"] == pytest.approx(2.0)
    assert record["sme_scale"] == 0.25
    assert record["breach_mean"] == pytest.approx(limited_mean(12.0 - math.log(1e3), 3.07, 1e4))
    assert record["threat_mean"] == pytest.approx(0.4 * (10.0 + 2 * 0.2) / 3 + 0.6 * 0.2)
