"""The sufficient statistics of a structured run, and the estimate that is refreshed from them."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.arithmetic import pinned
from llmpo_jax.protocol import Coordinates, Design, LinearComparison, LinearStatistics, Problem

PERIOD = 8
"""Comparisons from one refresh to the next: what costs O(P d^2) is done once for that many comparisons."""

PRECISION = 15.0
"""Of the prior N(0, I / PRECISION) on the parameter in identified coordinates (mean square 1 per coordinate): the
scores are expected to differ by about sqrt(2 d / 15) logits, whatever the units of the features."""

NEWTON_STEPS = 2
"""Per refresh, from the last estimate. The prior keeps the steps short from the first one on."""


@functools.cache
def pairs(num_policies: int) -> tuple[np.ndarray, np.ndarray]:
    """The two policies of each pair, int32 [P] each, the lower number first."""
    first, second = np.triu_indices(num_policies, 1)
    return first.astype(np.int32), second.astype(np.int32)


def make_design(features: np.ndarray, optimal: np.ndarray | None = None, dtype: Any = jnp.float32) -> Design:
    """The design of identified coordinates [K, d], computed in float64 on the host."""
    first, second = pairs(len(features))
    differences = features[first] - features[second]
    products = (differences[:, :, None] * differences[:, None, :]).reshape(len(differences), -1)
    chosen = np.zeros(len(first)) if optimal is None else optimal[first, second]
    with pinned():
        exact = Coordinates(*(jnp.asarray(x, jnp.float64) for x in (features, differences, products)))
        rough = Coordinates(*(x.astype(dtype) for x in exact))
        return Design(rough.features, rough.differences, rough.products, jnp.asarray(chosen, dtype), exact)


def abstract_design(num_policies: int, dimension: int) -> Design:
    """The shapes and types of a design."""
    number = num_policies * (num_policies - 1) // 2
    shapes = (num_policies, dimension), (number, dimension), (number, dimension**2)
    array: Any = jax.ShapeDtypeStruct  # stands for the arrays that `Design` declares
    exact = Coordinates(*(array(shape, jnp.float64) for shape in shapes))
    features, differences, products = (array(shape, jnp.float32) for shape in shapes)
    return Design(features, differences, products, array((number,), jnp.float32), exact)


def pair_number(num_policies: int, first: jax.Array, second: jax.Array) -> jax.Array:
    """The number p of the pair of these two policies, in either order."""
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    return low * (2 * num_policies - low - 1) // 2 + high - low - 1


def nothing_yet(problem: Problem) -> LinearStatistics:
    """The statistics before the first comparison: the prior.

    Scores that are all equal would leave it to the policies' numbers who is named first. They are told apart by a
    trace of their length instead, so that neither the numbers nor the basis of the features matter.
    """
    k, d = problem.num_policies, problem.dimension or 0
    number = k * (k - 1) // 2
    return LinearStatistics(
        t=jnp.zeros((), jnp.int32),
        counts=jnp.zeros(number, jnp.int32),
        wins=jnp.zeros(number, jnp.int32),
        estimate=jnp.zeros(d, problem.dtype),
        covariance=jnp.eye(d, dtype=problem.dtype) / PRECISION,
        scores=1e-6 * jnp.sum(of(problem).features ** 2, axis=1),
        ties=jnp.zeros(number, jnp.int32) if problem.ties else None,
    )


def judged(statistics: LinearStatistics, first: jax.Array, second: jax.Array, won: jax.Array) -> LinearComparison:
    """The comparison of `first` with `second`."""
    return LinearComparison(pair_number(statistics.scores.shape[0], first, second), won == (first < second))


def favours(statistics: LinearStatistics, first: jax.Array, second: jax.Array) -> jax.Array:
    """bool, whether `first` has the better estimated score."""
    return statistics.scores[first] > statistics.scores[second]


def recommend(problem: Problem, statistics: LinearStatistics) -> jax.Array:
    """int32, the policy with the best score by the estimate from all comparisons."""
    return refresh(problem, statistics).leader


def observe(problem: Problem, statistics: LinearStatistics, comparison: LinearComparison) -> LinearStatistics:
    """The statistics with one comparison more; the estimate waits for the next refresh."""
    this = vectors.one_hot(comparison.pair, statistics.counts.shape[0])
    decided, ties = this, statistics.ties
    if ties is not None and comparison.tied is not None:
        decided, ties = this & ~comparison.tied, ties + (this & comparison.tied).astype(jnp.int32)
    return statistics._replace(
        t=statistics.t + 1,
        counts=statistics.counts + decided.astype(jnp.int32),
        wins=statistics.wins + (decided & comparison.won).astype(jnp.int32),
        ties=ties,
    )


def refresh(problem: Problem, statistics: LinearStatistics) -> LinearStatistics:
    """The estimate and its covariance after all comparisons so far."""
    design = of(problem)
    counts = statistics.counts.astype(problem.dtype)
    wins = statistics.wins.astype(problem.dtype)
    theta, covariance = statistics.estimate, statistics.covariance
    for _ in range(NEWTON_STEPS):
        mu = jax.nn.sigmoid(design.differences @ theta)
        gradient = (wins - counts * mu) @ design.differences - PRECISION * theta
        covariance, _ = inverse(information(design.products, counts * mu * (1 - mu)) + _ridge(problem, PRECISION))
        theta = theta + covariance @ gradient
    return statistics._replace(estimate=theta, covariance=covariance, scores=design.features @ theta)


def of(problem: Problem) -> Design:
    """The design, which a structured run always has."""
    assert problem.design is not None
    return problem.design


def contrasts(problem: Problem, leader: jax.Array) -> jax.Array:
    """[K, d], `c_k = x_leader - x_k` for every policy k."""
    features = of(problem).features
    return features[leader][None] - features


def information(products: jax.Array, weights: jax.Array) -> jax.Array:
    """`sum_p weights_p z_p z_p^T`, [d, d], from the products [P, d d]."""
    d = math.isqrt(products.shape[1])
    return (weights @ products).reshape(d, d)


def spread(problem: Problem, theta: jax.Array) -> jax.Array:
    """[P], the variance `mu_p (1 - mu_p)` of a comparison of each pair."""
    mu = jax.nn.sigmoid(of(problem).differences @ theta)
    return mu * (1 - mu)


def inverse_design(problem: Problem, weights: jax.Array, spent: jax.Array) -> jax.Array:
    """`H^-1` [d, d], where H is the information of `weights` [P] and the prior's share of it, `PRECISION / spent`."""
    design = information(of(problem).products, weights)
    return inverse(design + _ridge(problem, PRECISION / spent))[0]


def _ridge(problem: Problem, value: float | jax.Array) -> jax.Array:
    return value * jnp.eye(problem.dimension, dtype=problem.dtype)


def inverse(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The inverse of a symmetric positive definite [d, d] and the log of its determinant, by Gauss and Jordan.

    A loop of d vector operations over the batch; LAPACK would be called once for every matrix. Positive definite
    matrices need no pivoting.
    """
    d = matrix.shape[0]

    def sweep(k: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        a, log_determinant = state
        at = vectors.one_hot(jnp.asarray(k, jnp.int32), d)
        row = jnp.where(at, 1, a[k]) / a[k, k]
        others = jnp.where(at[:, None] | at[None, :], 0, a) - jnp.where(at, 0, a[:, k])[:, None] * row[None]
        swept = jnp.where(at[:, None], row[None], others)
        return swept, log_determinant + jnp.log(a[k, k])

    return jax.lax.fori_loop(0, d, sweep, (matrix, jnp.zeros((), matrix.dtype)))
