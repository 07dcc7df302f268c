"""The best guess from a record of comparisons, where a budget is spent: one rule for all samplers.

What refutes policies at a level is a poor guide early: evidence on single pairs is thin when the policies' strengths
are already known well, and on an instance without strengths (a cycle) strengths lead astray. Both are one hierarchical
model of the chance that i beats j,

    logit mu[i, j] = s_i - s_j + e_ij,    s_i ~ N(0, 1),    e_ij ~ N(0, v),

with v = 0 (Bradley-Terry) where strengths explain everything. The record says which, by the marginal likelihoods for
v = 0 and v = `DEVIATION` in Laplace's approximation. With v = 0 the strongest policy is named, else the one that is
least refuted as the Condorcet winner: the smallest sum over j of m_kj^2 / v_kj for the opponents with m_kj < 0, the
posterior means m and variances of the logits under deviations of variance `DOUBT`, at the fitted strengths.

Heuristic: nothing proven rests on it. A few steps are enough for a guess: `STEPS` of Newton's method for each v, the
linear system of each by `INNER` steps of conjugate gradients with the diagonal as preconditioner, and determinants by
the diagonal, which decides as well as they do.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors

DEVIATION = 1.0
DOUBT = 3.0
STEPS = (2, 1)
"""For v = 0 from nothing, then for v = `DEVIATION` from there."""
INNER = 3


class _Fit(NamedTuple):
    """Strengths [K], logits [K, K] with the deviations in them, and the log marginal likelihood."""

    strengths: jax.Array
    logits: jax.Array
    likelihood: jax.Array


def _solve(weights: jax.Array, diagonal: jax.Array, right: jax.Array, start: jax.Array) -> jax.Array:
    """[K], nearly the solution of (diag(diagonal) - weights) s = right."""

    def times(vector: jax.Array) -> jax.Array:
        return diagonal * vector - weights @ vector

    solution, residual = start, right - times(start)
    direction = residual / diagonal
    size = residual @ direction
    tiny = jnp.finfo(right.dtype).tiny
    for _ in range(INNER):
        image = times(direction)
        step = size / jnp.maximum(direction @ image, tiny)
        solution, residual = solution + step * direction, residual - step * image
        scaled = residual / diagonal
        size, before = residual @ scaled, size
        direction = scaled + size / jnp.maximum(before, tiny) * direction
    return solution


def _slopes(counts: jax.Array, wins: jax.Array, logits: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of the log likelihood in the logits, all [K, K]: chances, slope, curvature."""
    chances = jax.nn.sigmoid(logits)
    return chances, wins - counts * chances, counts * chances * (1 - chances)


def _fit(counts: jax.Array, wins: jax.Array, start: _Fit, variance: float, steps: int) -> _Fit:
    strengths, logits, _ = start
    for _ in range(steps):
        _, slope, curvature = _slopes(counts, wins, logits)
        share = 1 / (1 + variance * curvature) if variance else jnp.ones_like(curvature)
        weights, pull = curvature * share, curvature * logits + slope
        strengths = _solve(weights, jnp.sum(weights, axis=1) + 1, jnp.sum(pull * share, axis=1), strengths)
        gaps = strengths[:, None] - strengths[None]
        logits = gaps + variance * (pull - curvature * gaps) * share if variance else gaps
    chances, _, curvature = _slopes(counts, wins, logits)
    spread = 1 + variance * curvature
    # Every pair stands twice in the matrices; chances are kept from 0, where a pair without wins may end.
    likelihood = jnp.sum(wins * jnp.log(jnp.maximum(chances, jnp.finfo(chances.dtype).tiny)))
    deviations = logits - (strengths[:, None] - strengths[None])
    penalty = jnp.sum(deviations**2) / (2 * variance) if variance else 0.0
    likelihood -= (strengths @ strengths + penalty + jnp.sum(jnp.log(spread)) / 2) / 2
    likelihood -= jnp.sum(jnp.log(jnp.sum(curvature / spread, axis=1) + 1)) / 2
    return _Fit(strengths, logits, likelihood)


def best_guess(record: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """int32, the policy to name after a record [K, K, 2] of wins and losses of each policy against each."""
    wins = record[..., 0].astype(dtype)
    counts = wins + record[..., 1].astype(dtype)
    nothing = _Fit(jnp.zeros_like(wins[0]), jnp.zeros_like(wins), jnp.zeros((), dtype))
    plain = _fit(counts, wins, nothing, 0.0, STEPS[0])
    free = _fit(counts, wins, plain, DEVIATION, STEPS[1])
    _, slope, curvature = _slopes(counts, wins, free.logits)
    gaps = free.strengths[:, None] - free.strengths[None]
    spread = DOUBT / (1 + DOUBT * curvature)
    means = gaps + spread * (curvature * (free.logits - gaps) + slope)
    refutation = jnp.sum(jnp.minimum(means, 0) ** 2 / spread, axis=1)
    return vectors.argmin(jnp.where(plain.likelihood >= free.likelihood, -plain.strengths, refutation))
