"""A Bradley-Terry table of comparisons: how strong the policies seem to be, and which places they may have.

It is an ESTIMATE and no part of what is proven: it assumes that the Bradley-Terry model holds, that the rows are
independent, and that there are enough of them for normal approximations; where the pairs were chosen by outcomes, its
levels are approximate even then.

Estimator: maximum likelihood in each part of the graph of comparisons, ties counting half. It is infinite where some
policies of a part have never lost to the others; each pair between such groups is then credited with half a win on
either side (Haldane, Anscombe), which makes it finite. What has no bound gets none: an end of an interval that the
comparisons leave open is 0 or 1, and policies of different parts have no place against each other.

Places: i is ahead of j where "i and j are equally strong" is rejected, in all pairs together with an error of 1 - level
(Bonferroni). The test is the likelihood ratio's; Wald's, which costs nothing and is as a rule the weaker one far from
equality (Hauck, Donner 1977), spares it where it is strong enough. Ties that count half make both conservative.

Fit: Pearson's statistic over the pairs with at least 5 wins expected on either side (Cochran 1954).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, expit, logit, ndtri

from llmpo_jax.models.battles import part_of_each
from llmpo_jax.theory.logistic import fit_linear_bradley_terry

LEVEL = 0.95
EXPECTED = 5.0
"""Wins on either side that a pair must be expected to have to speak about the fit."""
FIT_COST = 5e8
"""What the likelihood ratios of all pairs may cost together, in units of K^3: a second. Pairs beyond it are left to
Wald's test, which is the safe side."""
MAX_STEPS = 200


@dataclass(frozen=True)
class Fit:
    """How well the model fits: Pearson's `statistic` on `freedom` degrees of freedom, and its `p_value`."""

    statistic: float
    freedom: int
    p_value: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """The table. Parts are those of the graph of comparisons; with features there is one.

    Attributes:
        level: of each interval by itself, and of all places together.
        part: int [K], the number of the policy's part.
        strength: float64 [K] logits, with mean 0 in each part.
        rate: float64 [K], the mean chance of winning against the other policies of its part, each equally often.
        low, high: float64 [K], its interval; 0 or 1 where there is no bound.
        best, worst: int [K], the first and the last place in its part that the policy may have.
        fit: None where there are too few comparisons to tell.
    """

    level: float
    part: np.ndarray
    strength: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    best: np.ndarray
    worst: np.ndarray
    fit: Fit | None


def ranking(
    counts: np.ndarray, wins: np.ndarray, coordinates: np.ndarray | None = None, level: float = LEVEL
) -> Ranking:
    """The Bradley-Terry table of comparisons.

    With features the scores are linear in them, fitted with the prior and Laplace's approximation of
    `fit_linear_bradley_terry`, and all tests are Wald's.

    Args:
        counts: [K, K], comparisons of i with j, symmetric, zero diagonal.
        wins: [K, K], those that i won; ties count half, `wins + wins^T = counts`.
        coordinates: [K, d] as in `llmpo_jax.models.identified`; None for a strength of its own for each policy.
        level: in (0, 1).
    """
    counts, wins = np.asarray(counts, np.float64), np.asarray(wins, np.float64)
    k = len(counts)
    if coordinates is None:
        part, won = part_of_each(counts), _reached(wins > 0)
        half = np.where((counts > 0) & ~(won & won.T), 0.5, 0.0)
        credited, credit = counts + 2 * half, wins + half
        strength = _fitted(credited, credit, np.zeros(k), part)
        covariance = np.linalg.inv(_information(credited, strength, part))
        unknown = len(np.unique(part))
    else:
        part, won, half = np.zeros(k, int), np.ones((k, k), bool), np.zeros((k, k))
        fit = fit_linear_bradley_terry(coordinates, counts, wins)
        strength, covariance = coordinates @ fit.theta, coordinates @ fit.covariance @ coordinates.T
        strength = strength - strength.mean()
        unknown = k - coordinates.shape[1]
    together = (part[:, None] == part) & ~np.eye(k, dtype=bool)
    critical = _critical(together, level)
    ahead = together & _ahead_by_wald(strength, covariance, critical)
    if coordinates is None:
        asked = together & ~ahead
        ahead |= _ahead_by_likelihood(counts + 2 * half, wins + half, strength, covariance, part, asked, critical)
    rate = _rates(expit(strength[:, None] - strength), together)
    low, high = (_end(side, strength, covariance, together, won, level) for side in (-1, 1))
    return Ranking(
        level=level,
        part=part,
        strength=strength,
        rate=rate,
        low=low,
        high=high,
        best=1 + ahead.sum(axis=0),
        worst=1 + together.sum(axis=1) - ahead.sum(axis=1),
        fit=goodness_of_fit(counts, wins, strength, k - unknown),
    )


def _reached(edges: np.ndarray) -> np.ndarray:
    """bool [K, K], whether a chain of edges (of any length, 0 too) leads from i to j."""
    reached = edges | np.eye(len(edges), dtype=bool)
    for _ in range(max(len(edges) - 1, 1).bit_length()):
        reached = reached.astype(np.float32) @ reached.astype(np.float32) > 0
    return reached


def _information(counts: np.ndarray, strength: np.ndarray, part: np.ndarray) -> np.ndarray:
    """[K, K], the Fisher information, and 1 within parts, of whose level the comparisons say nothing."""
    difference = strength[:, None] - strength
    weight = counts * expit(difference) * expit(-difference)
    return np.diag(weight.sum(axis=1)) - weight + (part[:, None] == part)


def _fitted(counts: np.ndarray, wins: np.ndarray, strength: np.ndarray, part: np.ndarray) -> np.ndarray:
    """[K], the maximum likelihood, by damped Newton from `strength`; steps that move no logit by more than 1 ascend.

    K x K, where the fit with features would take its pairs by one-hot features, 100 times as much at K = 100.
    """
    met = counts > 0
    for _ in range(MAX_STEPS):
        slope = (wins - counts * expit(strength[:, None] - strength)).sum(axis=1)
        move = np.linalg.solve(_information(counts, strength, part), slope)
        furthest = np.abs(move[:, None] - move)[met].max(initial=0)
        strength = strength + move / max(furthest, 1)
        if furthest < 1e-9:
            break
    return strength


def _log_likelihood(wins: np.ndarray, strength: np.ndarray) -> float:
    return -float((wins * np.logaddexp(0, strength - strength[:, None])).sum())


def _critical(together: np.ndarray, level: float) -> float:
    """Standard deviations at which a pair, one among all, is told apart."""
    pairs = max(int(together.sum()) // 2, 1)
    return -float(ndtri((1 - level) / (2 * pairs)))


def _variance(matrix: np.ndarray) -> np.ndarray:
    """[K, K], `(e_i - e_j)^T matrix (e_i - e_j)`."""
    diagonal = np.diagonal(matrix)
    return np.maximum(diagonal[:, None] + diagonal - 2 * matrix, 0)


def _ahead_by_wald(strength: np.ndarray, covariance: np.ndarray, critical: float) -> np.ndarray:
    """bool [K, K], whether i is ahead of j by the normal approximation."""
    difference = strength[:, None] - strength
    return (difference > 0) & (difference >= critical * np.sqrt(_variance(covariance)))


def _ahead_by_likelihood(
    counts: np.ndarray,
    wins: np.ndarray,
    strength: np.ndarray,
    covariance: np.ndarray,
    part: np.ndarray,
    asked: np.ndarray,
    critical: float,
) -> np.ndarray:
    """bool [K, K], whether i is ahead of j by the likelihood ratio, of the pairs `asked`.

    Where i and j are equally strong they may be taken for one policy, whose comparisons with itself are fair coins.
    Most pairs need no such fit: the likelihood falls from its maximum along a line to a point of equality by no more
    than a parabola with the greatest curvature that it can have, a quarter for each comparison.
    """
    ahead = np.zeros_like(asked)
    difference, variance = strength[:, None] - strength, _variance(covariance)
    steepest = covariance @ (np.diag(counts.sum(axis=1)) - counts) @ covariance / 4
    with np.errstate(divide="ignore", invalid="ignore"):
        most = difference**2 * _variance(steepest) / variance**2
        strongest = difference**2 / variance
    first, second = np.nonzero(asked & (difference > 0) & (most >= critical**2))
    order = np.argsort(-strongest[first, second], kind="stable")[: int(FIT_COST / len(counts) ** 3)]
    greatest = _log_likelihood(wins, strength)
    for i, j in zip(first[order], second[order], strict=True):
        ahead[i, j] = 2 * (greatest - _equal(counts, wins, strength, part, i, j)) >= critical**2
    return ahead


def _equal(counts: np.ndarray, wins: np.ndarray, strength: np.ndarray, part: np.ndarray, i: int, j: int) -> float:
    """The greatest log-likelihood where i and j are equally strong."""

    def one(matrix: np.ndarray) -> np.ndarray:
        matrix = matrix.copy()
        matrix[i] += matrix[j]
        matrix[:, i] += matrix[:, j]
        matrix[i, i] = 0
        return np.delete(np.delete(matrix, j, axis=0), j, axis=1)

    start = strength.copy()
    start[i] = (start[i] + start[j]) / 2
    together = _fitted(one(counts), one(wins), np.delete(start, j), np.delete(part, j))
    return _log_likelihood(one(wins), together) - counts[i, j] * math.log(2)


def _rates(chance: np.ndarray, together: np.ndarray) -> np.ndarray:
    """[K], the mean of the chances [K, K] over the other policies of a part; NaN where there are none."""
    others = together.sum(axis=1)
    return np.divide(
        np.where(together, chance, 0).sum(axis=1), others, out=np.full(len(others), np.nan), where=others > 0
    )


def _end(
    side: int, strength: np.ndarray, covariance: np.ndarray, together: np.ndarray, won: np.ndarray, level: float
) -> np.ndarray:
    """[K], the lower (-1) or upper (1) ends of the rates' intervals, by the delta method on the scale of logits.

    Nothing bounds the chance of k against j from above where no chain of wins leads from j to k, nor from below where
    none leads from k to j: it enters as 1 or as 0.
    """
    bounded = won.T if side > 0 else won
    chance = expit(strength[:, None] - strength)
    others = np.maximum(together.sum(axis=1, keepdims=True), 1)
    slope = np.where(together & bounded, chance * (1 - chance), 0) / others
    gradient = np.diag(slope.sum(axis=1)) - slope
    deviation = np.sqrt(np.maximum(((gradient @ covariance) * gradient).sum(axis=1), 0))
    rate = _rates(np.where(bounded, chance, side > 0), together)
    open_ = (rate <= 0) | (rate >= 1)
    middle = np.where(open_, 0.5, rate)
    shift = side * -ndtri((1 - level) / 2) * deviation / (middle * (1 - middle))
    return np.where(open_, rate, expit(logit(middle) + shift))


def goodness_of_fit(counts: np.ndarray, wins: np.ndarray, strength: np.ndarray, parameters: int) -> Fit | None:
    """How well the pairs agree with fitted strengths: Pearson's test, None where too few pairs speak about it.

    Args:
        counts: [K, K], comparisons, symmetric. wins: [K, K], those that i won of j.
        strength: [K], logits. parameters: how many of them were fitted.
    """
    first, second = np.nonzero(np.triu(counts, 1))
    n, chance = counts[first, second], expit(strength[first] - strength[second])
    many = n * np.minimum(chance, 1 - chance) >= EXPECTED
    freedom = int(many.sum()) - parameters
    if freedom < 1:
        return None
    residual = wins[first, second] - n * chance
    statistic = float((residual[many] ** 2 / (n * chance * (1 - chance))[many]).sum())
    return Fit(statistic, freedom, float(chdtrc(freedom, statistic)))
