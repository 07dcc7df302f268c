"""Confidence intervals of simulated quantities: error rates (exact), means and their ratios (asymptotic)."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from llmpo_jax.arguments import between, whole


def clopper_pearson(errors: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided binomial interval of a rate (Clopper and Pearson 1934), equal tails.

    Covers the true rate with probability at least `level`, for any number of trials. (0, 1) without trials.

    Args:
      errors: number of errors, 0 <= errors <= trials.
      trials: number of independent trials.
      level: in (0, 1); accurate up to 1 - 1e-15.

    Raises:
      ValueError: counts that are not such integers, or level outside (0, 1).
    """
    level, trials = between("level", level, 0, 1), whole("trials", trials, 0)
    errors = whole("errors", errors, 0, trials)
    tail = (1 - level) / 2
    low = special.betaincinv(errors, trials - errors + 1, tail) if errors > 0 else 0.0
    # The complement keeps its digits where 1 - tail would round to 1.
    high = special.betainccinv(errors + 1, trials - errors, tail) if errors < trials else 1.0
    return float(low), float(high)


def mean_interval(samples: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of samples and its two-sided Student interval: `(mean, low, high)`, in the unit of the samples.

    Asymptotic: the level is reached as the number of samples grows (exact for normal samples only), later for
    heavy tails. One sample leaves the interval unbounded.

    Args:
      samples: [n] independent and identically distributed, n >= 1.
      level: in (0, 1).

    Raises:
      ValueError: no samples, samples that are not finite or not 1-D, or level outside (0, 1).
    """
    level = between("level", level, 0, 1)
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"samples has shape {samples.shape}, expected [n] with n >= 1")
    if not np.isfinite(samples).all():
        index = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise ValueError(f"samples[{index}] = {samples[index]:g}, expected finite samples")
    mean = float(samples.mean())
    if samples.size == 1:
        return mean, -math.inf, math.inf
    quantile = special.stdtrit(samples.size - 1, (1 + level) / 2)
    half_width = float(quantile * samples.std(ddof=1) / math.sqrt(samples.size))
    return mean, mean - half_width, mean + half_width


def ratio_of_means(theirs: np.ndarray, own: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Ratio of two means of positive samples and its interval, `(ratio, low, high)`: the delta method on its logarithm.

    Asymptotic, as `mean_interval`. Samples are paired: what the two of a pair have in common cancels.

    Args:
      theirs, own: [n], n >= 2, positive, entry for entry from the same seeds.
      level: in (0, 1).

    Raises:
      ValueError: samples that are not two such arrays of one length, or level outside (0, 1).
    """
    theirs, own = np.asarray(theirs, np.float64), np.asarray(own, np.float64)
    if theirs.shape != own.shape:
        raise ValueError(f"theirs has shape {theirs.shape}, expected {own.shape} as own has, pair by pair")
    ratio = mean_interval(theirs, level)[0] / mean_interval(own, level)[0]
    _, low, high = mean_interval(theirs / theirs.mean() - own / own.mean(), level)
    return ratio, ratio * math.exp(low), ratio * math.exp(high)
