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
import numpy as np

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
    tiny = jnp.finfo(right.dtype).tiny

    def times(vector: jax.Array) -> jax.Array:
        return diagonal * vector - weights @ vector

    def step(_: int, state: tuple[jax.Array, jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        solution, residual, direction, size = state
        image = times(direction)
        length = size / jnp.maximum(direction @ image, tiny)
        solution, residual = solution + length * direction, residual - length * image
        scaled = residual / diagonal
        next_size = residual @ scaled
        return solution, residual, scaled + next_size / jnp.maximum(size, tiny) * direction, next_size

    residual = right - times(start)
    direction = residual / diagonal
    # Loops, here and below: written out, they would take as long to compile as the rest of a procedure.
    return jax.lax.fori_loop(0, INNER, step, (start, residual, direction, residual @ direction))[0]


def _slopes(counts: jax.Array, wins: jax.Array, logits: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of the log likelihood in the logits, all [K, K]: chances, slope, curvature."""
    chances = jax.nn.sigmoid(logits)
    return chances, wins - counts * chances, counts * chances * (1 - chances)


def _step(counts: jax.Array, wins: jax.Array, fit: _Fit, variance: jax.Array) -> _Fit:
    """A Newton step on the strengths, the deviations of this variance integrated out, then on these."""
    _, slope, curvature = _slopes(counts, wins, fit.logits)
    share = 1 / (1 + variance * curvature)
    weights, pull = curvature * share, curvature * fit.logits + slope
    strengths = _solve(weights, jnp.sum(weights, axis=1) + 1, jnp.sum(pull * share, axis=1), fit.strengths)
    gaps = strengths[:, None] - strengths[None]
    deviations = variance * (pull - curvature * gaps) * share
    tiny = jnp.finfo(gaps.dtype).tiny
    chances, _, curvature = _slopes(counts, wins, gaps + deviations)
    spread = 1 + variance * curvature
    # Every pair stands twice in the matrices; chances are kept from 0, where a pair without wins may end.
    likelihood = jnp.sum(wins * jnp.log(jnp.maximum(chances, tiny)))
    penalty = strengths @ strengths + jnp.sum(deviations**2 / jnp.maximum(variance, tiny) + jnp.log(spread)) / 2
    determinant = jnp.sum(jnp.log(jnp.sum(curvature / spread, axis=1) + 1))
    return _Fit(strengths, gaps + deviations, likelihood - (penalty + determinant) / 2)


def best_guess(record: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """int32, the policy to name after a record [K, K, 2] of wins and losses of each policy against each."""
    wins = record[..., 0].astype(dtype)
    counts = wins + record[..., 1].astype(dtype)
    nothing = _Fit(jnp.zeros_like(wins[0]), jnp.zeros_like(wins), jnp.zeros((), dtype))
    variances = jnp.asarray(np.repeat([0.0, DEVIATION], STEPS), dtype)

    def step(fit: _Fit, variance: jax.Array) -> tuple[_Fit, _Fit]:
        after = _step(counts, wins, fit, variance)
        return after, after

    _, fits = jax.lax.scan(step, nothing, variances)
    plain, free = (jax.tree.map(lambda x, last=last: x[last], fits) for last in (STEPS[0] - 1, -1))
    _, slope, curvature = _slopes(counts, wins, free.logits)
    gaps = free.strengths[:, None] - free.strengths[None]
    spread = DOUBT / (1 + DOUBT * curvature)
    means = gaps + spread * (curvature * (free.logits - gaps) + slope)
    refutation = jnp.sum(jnp.minimum(means, 0) ** 2 / spread, axis=1)
    return vectors.argmin(jnp.where(plain.likelihood >= free.likelihood, -plain.strengths, refutation))
