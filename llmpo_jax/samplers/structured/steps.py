"""The regularised convex program of the structured samplers, at the present estimate: gradient steps on proportions.

The proportions w on the pairs are to maximise the information on the hardest rival, `min_k f_k(w)` (theory, section 3).
Fisher's form of it is cheap to step on,

    f_k(w) = g_k^2 / (2 c_k . H(w)^-1 c_k),    H(w) = sum_p w_p a_p z_p z_p^T,    a_p = mu_p (1 - mu_p),

with H regularised by the prior's precision and the min smoothed. The exact form, which the lower bound has, differs
where gaps are wide. By how much, in the f_k and in their gradient, `corrected` works out once a refresh near the
present proportions, and the steps multiply Fisher's by these factors: where they come to rest, the exact program has
its optimum.

Where comparisons end in ties or have costs, w are shares of the cost, and what a pair tells is multiplied by its worth:
the share of decided comparisons over the price of one (theory, section 10).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import LinearStatistics, Problem
from llmpo_jax.samplers.llm_po import decided_share
from llmpo_jax.theory import linear, program
from llmpo_jax.theory.divergence import near_kl

STEPS = 4
"""Per refresh."""
LARGEST_MOVE = 0.1
"""Of any one proportion in a step, about. Uncapped, on a few pairs of very different use steps jump from corner to
corner of the simplex, and one run in a hundred never learns a direction that it needs."""
_BLOCK = 4
"""Rivals whose alternatives are worked out together: their numbers for all pairs stay in the cache."""
_SOME = 1e-3
"""Added to both sides of the ratio of two gradients, as a share of the largest entry, where both all but vanish."""
_SMALLEST = 1e-30
"""Information, whose shares are still normal numbers of float32."""
_PROJECTION_STEPS = 10


class Present(NamedTuple):
    """The program at the present estimate.

    Attributes:
        logits: [P], of the pairs. worth: [P], of a comparison of each.
        spent: the cost so far, comparisons where costs are not known. The prior counts for `PRECISION / spent`.
        contrasts: [K, d], `c_k` of the rivals; zero for policies that are none. gaps: [K], `g_k`.
    """

    logits: jax.Array
    worth: jax.Array
    spent: jax.Array
    contrasts: jax.Array
    gaps: jax.Array

    @property
    def spread(self) -> jax.Array:
        """[P], what a comparison of each pair tells in Fisher's form."""
        mu = jax.nn.sigmoid(self.logits)
        return mu * (1 - mu) * self.worth


class Pace(NamedTuple):
    """How boldly to step; relative, so that the scale of the problem does not matter.

    Attributes:
        temperature: of the softmin over rivals, as a share of the min.
        step: by this share of 1 / P a proportion grows where its gain is twice the mean.
    """

    temperature: jax.Array | float
    step: jax.Array | float


class Factors(NamedTuple):
    """What makes Fisher's form the exact one: of the f_k [K], and of the gradient [P]."""

    values: jax.Array
    gains: jax.Array


def present(problem: Problem, statistics: LinearStatistics, contrasts: jax.Array, gaps: jax.Array) -> Present:
    """The program for rivals of these contrasts [K, d] and gaps [K]."""
    worth, spent = jnp.ones(statistics.counts.shape, problem.dtype), statistics.t.astype(problem.dtype)
    if problem.priced or statistics.ties is not None:
        worth = 1 / decided_costs(problem, statistics)
    if problem.priced:
        spent = made(statistics).astype(problem.dtype) @ pair_costs(problem)
    return Present(linear.of(problem).differences @ statistics.estimate, worth, spent, contrasts, gaps)


def improved(
    problem: Problem, at: Present, proportions: jax.Array, pace: Pace, factors: Factors | None = None
) -> jax.Array:
    """The proportions [P] after `STEPS` steps of `improve`."""
    step = functools.partial(improve, problem, at, pace=pace, factors=factors)
    return jax.lax.fori_loop(0, STEPS, lambda _, w: step(w), proportions)


def improve(
    problem: Problem, at: Present, proportions: jax.Array, pace: Pace, factors: Factors | None = None
) -> jax.Array:
    """One projected gradient step on the proportions [P], Fisher's form where there are no factors."""
    values, shifts = program.fisher(inverse(problem, at, proportions), at.contrasts, at.gaps)
    if factors is not None:
        values = values * factors.values
    prices, least = priced(values, pace)
    gain = program.fisher_gains(linear.of(problem).products, at.spread, prices, shifts) / least
    if factors is not None:
        gain = gain * factors.gains
    # Capped, so that no step can leave everything on one pair.
    step = jnp.minimum(pace.step / proportions.shape[0], LARGEST_MOVE / jnp.max(gain))
    return project(proportions + step * (gain - 1))


def priced(values: jax.Array, pace: Pace) -> tuple[jax.Array, jax.Array]:
    """The prices [K] of the rivals, and the least of the values, above 0 where a rival ties the leader."""
    least = jnp.maximum(jnp.min(values), _SMALLEST)
    return program.softmin(values, pace.temperature * least)[0], least


def inverse(problem: Problem, at: Present, proportions: jax.Array) -> jax.Array:
    """`H(w)^-1` [d, d], regularised."""
    return linear.inverse_design(problem, proportions * at.spread, at.spent)


def corrected(
    problem: Problem,
    at: Present,
    proportions: jax.Array,
    metric: jax.Array,
    fisher: tuple[jax.Array, jax.Array],
    prices: jax.Array,
    shifts: jax.Array,
) -> tuple[Factors, jax.Array]:
    """By how much the two forms differ near the proportions [P], and better shifts for the next time.

    The alternatives move by one step of Newton's method each, with the information at the estimate in place of that at
    the alternative; where the latter is larger, the step is shorter by as much. As `f_k` is a minimum, its value and
    gradient hardly suffer from an alternative that is a little off.

    Args:
        metric: [d, d], `inverse` at the proportions. fisher: the values and shifts of Fisher's form there.
        prices: [K], of the rivals.
        shifts: [K, d], from the estimate to about the nearest alternatives, in which the rival ties the leader.
    """
    design, (values, rough_shifts) = linear.of(problem), fisher
    mu, weights, ridge = jax.nn.sigmoid(at.logits), proportions * at.worth, linear.PRECISION / at.spent
    flatness = jnp.where(proportions > 0, 1 / jnp.maximum(mu * (1 - mu), jnp.finfo(mu.dtype).tiny), 0)

    def some(gains: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        shifts, prices = block
        logits, moved = at.logits[None], shifts @ design.differences.T
        costs, ends = near_kl(logits, moved), jax.nn.sigmoid(logits + moved)
        slopes = (weights[None] * (ends - mu[None])) @ design.differences + ridge * shifts
        curved = jnp.maximum(jnp.max(ends * (1 - ends) * flatness[None], axis=1), 1)
        found = costs @ weights + ridge / 2 * jnp.sum(shifts**2, axis=1)
        return gains + prices @ costs, (found, shifts - slopes @ metric / curved[:, None])

    blocks = _blocks(_tied(at, metric, shifts)), _blocks(prices)
    gains, (exact, shifts) = jax.lax.scan(some, jnp.zeros_like(proportions), blocks)
    exact, shifts = (x.reshape(-1, *x.shape[2:])[: problem.num_policies] for x in (exact, shifts))
    usual = jnp.isfinite(values) & (values > 0)
    rough = program.fisher_gains(design.products, at.spread, prices, rough_shifts)
    added = _SOME * jnp.max(rough) + jnp.finfo(rough.dtype).tiny
    return Factors(
        values=jnp.where(usual, exact / jnp.where(usual, values, 1), 1),
        gains=(gains * at.worth + added) / (rough + added),
    ), shifts


def _tied(at: Present, metric: jax.Array, shifts: jax.Array) -> jax.Array:
    """The shifts [K, d] nearest to these, by the information, after which the rivals tie the leader; 0 for no rival."""
    directions = at.contrasts @ metric
    variance = jnp.sum(directions * at.contrasts, axis=1)
    rival = variance > 0
    past = (jnp.sum(at.contrasts * shifts, axis=1) + at.gaps) / jnp.where(rival, variance, 1)
    return jnp.where(rival[:, None], shifts - directions * past[:, None], 0)


def _blocks(rows: jax.Array) -> jax.Array:
    """[K, ...] as [K / BLOCK, BLOCK, ...], filled up with zeros."""
    padded = jnp.pad(rows, [(0, -rows.shape[0] % _BLOCK)] + [(0, 0)] * (rows.ndim - 1))
    return padded.reshape(-1, _BLOCK, *rows.shape[1:])


def project(values: jax.Array) -> jax.Array:
    """The point of the simplex nearest to `values` [P], to about 1e-3 (Michelot 1986, from below, then rescaled).

    A few passes over the vector instead of the sort that an exact projection takes.
    """

    def raise_floor(_: int, floor: jax.Array) -> jax.Array:
        above = values > floor
        return (jnp.sum(jnp.where(above, values, 0)) - 1) / jnp.sum(above).astype(values.dtype)

    start = (jnp.sum(values) - 1) / values.shape[0]
    kept = jnp.maximum(values - jax.lax.fori_loop(0, _PROJECTION_STEPS, raise_floor, start), 0)
    return kept / jnp.sum(kept)


def pair_costs(problem: Problem) -> jax.Array:
    """[P], what a comparison of each pair costs; ones where that is not known."""
    first, second = linear.pairs(problem.num_policies)
    if problem.costs is None:
        return jnp.ones(len(first), problem.dtype)
    return problem.costs[first, second].astype(problem.dtype)


def made(statistics: LinearStatistics) -> jax.Array:
    """int32 [P], comparisons of each pair, ties among them."""
    return statistics.counts if statistics.ties is None else statistics.counts + statistics.ties


def decided_costs(problem: Problem, statistics: LinearStatistics) -> jax.Array:
    """[P], what a decided comparison of each pair costs; in comparisons where costs are not known."""
    costs, decided = pair_costs(problem), statistics.counts
    if statistics.ties is None:
        return costs
    return costs / decided_share(decided, statistics.ties, jnp.sum(decided), statistics.t, problem.dtype)
