"""Intervals: their definition, known values, coverage, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmpo_jax.theory.intervals import clopper_pearson, mean_interval


@pytest.mark.parametrize("level", [0.5, 0.95, 1 - 1e-6, 1 - 2**-45])
@pytest.mark.parametrize(("errors", "trials"), [(0, 10), (10, 10), (3, 10), (200, 2000), (1, 2000)])
def test_clopper_pearson_tails_hold_exactly_half_the_rest(errors, trials, level):
    low, high = clopper_pearson(errors, trials, level)
    tail = (1 - level) / 2
    assert low <= errors / trials <= high
    if errors > 0:
        assert stats.binom.sf(errors - 1, trials, low) == pytest.approx(tail, rel=1e-6, abs=0)
    else:
        assert low == 0
    if errors < trials:
        assert stats.binom.cdf(errors, trials, high) == pytest.approx(tail, rel=1e-6, abs=0)
    else:
        assert high == 1


def test_clopper_pearson_without_trials_knows_nothing():
    assert clopper_pearson(0, 0, 0.95) == (0.0, 1.0)


@pytest.mark.parametrize(("errors", "trials"), [(-1, 10), (11, 10), (0.5, 10), (0, -1)])
def test_clopper_pearson_refuses_impossible_counts(errors, trials):
    with pytest.raises(ValueError, match=r"(errors|trials) = .*, expected a whole number"):
        clopper_pearson(errors, trials, 0.95)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_levels_outside_the_unit_interval_are_refused(level):
    with pytest.raises(ValueError, match=r"level = .*, expected a number strictly between 0 and 1"):
        clopper_pearson(1, 2, level)
    with pytest.raises(ValueError, match=r"level = .*, expected a number strictly between 0 and 1"):
        mean_interval(np.ones(3), level)


def test_mean_interval_is_students():
    samples = np.random.default_rng(0).exponential(size=40)
    expected = stats.t.interval(0.9, 39, loc=samples.mean(), scale=stats.sem(samples))
    assert mean_interval(samples, 0.9) == pytest.approx((samples.mean(), *expected), rel=1e-12)


def test_mean_interval_covers():
    # Exact for normal samples: misses ~ Binomial(4000, 0.05); the band has a false-alarm rate below 1e-6.
    samples = np.random.default_rng(1).normal(3.0, 2.0, size=(4000, 5))
    misses = sum(not low <= 3.0 <= high for _, low, high in map(mean_interval, samples))
    low, high = stats.binom.interval(1 - 1e-6, 4000, 0.05)
    assert low <= misses <= high


def test_mean_interval_of_one_sample_is_unbounded():
    assert mean_interval(np.array([2.0])) == (2.0, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], r"samples has shape \(0,\), expected \[n\]"),
        ([[1.0, 2.0]], r"samples has shape \(1, 2\), expected \[n\]"),
        ([1.0, math.nan], r"samples\[1\] = nan, expected finite samples"),
    ],
)
def test_mean_interval_refuses_bad_samples(samples, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(samples)
