"""Two samplers that choose both policies by draws from the posterior: double Thompson sampling and top-two Thompson.

Every pair has a Beta(1 + wins, 1 + losses) posterior, independent of the others'. Of a draw both need only which of two
policies it has ahead, so no Beta variable is drawn for that: i is ahead of j with probability `P(Beta(1 + wins, 1 +
losses) > 1/2)`, a tail of the binomial, and of all pairs only the last one compared has a new one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, Statistics
from llmpo_jax.samplers import baselines, posterior
from llmpo_jax.theory.refutation import imbalance

DEPTH = 18.0
"""Nats below its maximum at which an integrand is no longer looked at."""
_NODES, _WEIGHTS = (np.polynomial.legendre.leggauss(20) + np.array([[1.0], [0.0]])) / 2
_FACTORIALS = [math.lgamma(x + 1) - x * math.log(max(x, 1)) + x for x in range(8)]


class Beliefs(NamedTuple):
    """What the posterior says of every pair.

    Attributes:
        record: int32 [K, K, 2], the wins and losses that are accounted for.
        ahead: [K, K], `ahead[i, j] = log P(mu[i, j] > 1/2)`.
    """

    record: jax.Array
    ahead: jax.Array


def log_ahead(wins: jax.Array, losses: jax.Array, dtype: Any) -> jax.Array:
    """[2], the logarithms of the posterior probabilities that mu > 1/2 and that mu < 1/2, to within 1e-6.

    In float64 and then rounded, so that how a program is compiled, for one run or for many, changes no digit.

    With few and many the smaller and the larger count, the less likely one is the probability of `few` heads at most in
    N = few + many + 1 tosses. That is the probability of exactly `few`, which Stirling's series gives, times
    `(many + 1) int_0^1 (1 + u)^few (1 - u)^many du`, a smooth function that decreases from 1: Gauss and Legendre's rule
    over the part of it that is above exp(-`DEPTH`).
    """
    few, many = (extreme(wins, losses).astype(jnp.float64) for extreme in (jnp.minimum, jnp.maximum))
    gap = many - few
    # Beyond this, -log of the integrand, which is at least gap u + (few + gap / 2) u^2, is DEPTH or more.
    end = 2 * DEPTH / jnp.maximum(gap + jnp.sqrt(gap * gap + 2 * DEPTH * (few + many)), 2 * DEPTH)
    u = end * jnp.asarray(_NODES, jnp.float64)
    integrand = jnp.exp(few * jnp.log1p(-u * u) + gap * jnp.log1p(-u))
    tail = (many + 1) * end * vectors.total(jnp.asarray(_WEIGHTS, jnp.float64) * integrand)
    whole, one, other = _factorial(jnp.stack([few + many + 1, few, many + 1]))
    least = whole - one - other - imbalance(few, many + 1) + jnp.log(tail)
    both = jnp.stack([least, jnp.log1p(-jnp.exp(least))])
    return jnp.where(wins <= losses, both, both[::-1]).astype(dtype)


def _factorial(x: jax.Array) -> jax.Array:
    """`log x! - (x log x - x)` of whole numbers."""
    small = vectors.take(jnp.asarray(_FACTORIALS, x.dtype), jnp.minimum(x, len(_FACTORIALS) - 1).astype(jnp.int32))
    large = jnp.maximum(x, len(_FACTORIALS))
    stirling = jnp.log(2 * math.pi * large) / 2 + (1 - 1 / (30 * large * large)) / (12 * large)
    return jnp.where(x < len(_FACTORIALS), small, stirling)


def _init(problem: Problem) -> Beliefs:
    k = problem.num_policies
    return Beliefs(jnp.zeros((k, k, 2), jnp.int32), jnp.full((k, k), -np.log(2), problem.dtype))


def _upper(problem: Problem) -> np.ndarray:
    return np.triu(np.ones((problem.num_policies,) * 2, bool), 1)


def _updated(problem: Problem, beliefs: Beliefs, statistics: Statistics) -> Beliefs:
    """The beliefs with one pair whose record has changed brought up to date: the last one compared.

    (Where outcomes are believed before they are told, several may have changed; each next turn mends one.)
    """
    k = problem.num_policies
    changed = jnp.any(statistics.record != beliefs.record, axis=-1) & _upper(problem)
    numbers = jnp.arange(k * k, dtype=jnp.int32).reshape(k, k)
    pair = jnp.max(jnp.where(changed, numbers, 1))  # (0, 1), which is up to date, where none has
    first, second = pair // k, pair % k
    entry = vectors.take(statistics.record, first, second)
    here, there = jnp.stack([first, second]), jnp.stack([second, first])
    how = {"mode": "promise_in_bounds", "unique_indices": True, "wrap_negative_indices": False}
    return Beliefs(
        beliefs.record.at[here, there].set(jnp.stack([entry, entry[::-1]]), **how),
        beliefs.ahead.at[here, there].set(log_ahead(entry[0], entry[1], problem.dtype), **how),
    )


def _double_draw(problem: Problem, key: jax.Array) -> tuple[jax.Array, jax.Array, posterior.Proposals]:
    """Exponential lots [P] for which of each pair is ahead, lots [K] for ties, and Beta draws [K] for the opponents."""
    k, dtype = problem.num_policies, problem.dtype
    ahead_key, tie_key, beta_key = jax.random.split(key, 3)
    lots = jax.random.exponential(ahead_key, (baselines.num_pairs(problem),), dtype)
    return lots, jax.random.uniform(tie_key, (k,), dtype), posterior.proposals(beta_key, 2 * k, dtype)


def _double(
    problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, beliefs: Beliefs
) -> tuple[jax.Array, jax.Array, Beliefs]:
    lots, ties, given = drawn
    k, dtype = problem.num_policies, problem.dtype
    beliefs = _updated(problem, beliefs, statistics)
    bounds = baselines.upper_bounds(problem, statistics)
    optimistic = jnp.sum(bounds > 0.5, axis=1, dtype=jnp.int32)
    upper = _upper(problem)
    numbers = np.zeros((k, k), np.int32)
    numbers[upper] = np.arange(len(lots))
    # An exponential lot exceeds -log p with probability p.
    ahead = upper & (lots[jnp.asarray(numbers)] > -beliefs.ahead)
    copeland = (
        jnp.sum(ahead, axis=1, dtype=jnp.int32) - jnp.sum(ahead, axis=0, dtype=jnp.int32) + np.arange(k, dtype=np.int32)
    )
    candidates = optimistic == jnp.max(optimistic)
    first = vectors.argmin(jnp.where(candidates, ties - copeland.astype(dtype), jnp.inf))

    row = statistics.record[first].astype(dtype)
    chances = posterior.beta_draws(given, row[:, 1] + 1, row[:, 0] + 1)
    # (Lower bound of i over first) <= 1/2, that is (upper bound of first over i) >= 1/2.
    return first, vectors.argmin_except(jnp.where(bounds[first] >= 0.5, -chances, 1 - chances), first), beliefs


def _top_two_draw(problem: Problem, key: jax.Array) -> jax.Array:
    return jax.random.gumbel(key, (2, problem.num_policies), problem.dtype)


def _top_two(
    problem: Problem, lots: jax.Array, statistics: Statistics, evidence: jax.Array, beliefs: Beliefs
) -> tuple[jax.Array, jax.Array, Beliefs]:
    beliefs = _updated(problem, beliefs, statistics)
    best = vectors.total(jnp.where(jnp.eye(problem.num_policies, dtype=bool), 0, beliefs.ahead))
    # The largest of log p + Gumbel lots is a draw from the distribution p, which need not be normalised.
    first = vectors.argmin(-(best + lots[0]))
    return first, vectors.argmin_except(-(best + lots[1]), first), beliefs


DOUBLE_THOMPSON = Sampler(_init, _double, draw=_double_draw)
"""Double Thompson sampling (Wu and Liu 2016, arXiv 1604.07101, algorithm 1), with RUCB's alpha = 0.51 as there.

First the policy that has most others behind it in one draw from the posterior, among those with the most upper bounds
above 1/2; ties by lot. Then the one that a further draw makes likeliest to beat it, among those whose lower bound does
not say that they do. For identification a policy is never compared with itself (for regret that is the aim); where all
others surely beat the first one, all are candidates."""

TOP_TWO_THOMPSON = Sampler(_init, _top_two, draw=_top_two_draw)
"""Top-two Thompson sampling (Russo 2016, arXiv 1602.08448, section 4) carried over from arms to pairs.

There the best arm of a posterior draw is measured with probability beta = 1/2, and else that of a further draw, which
is repeated until it is another one. Here the two are compared with each other: each comparison measures both, as often
as with beta = 1/2. Best is the Condorcet winner, and the prior is uniform over the matrices that have
one: given that there is one, policy i is it with probability proportional to `prod_j P(mu[i, j] > 1/2)`, from which
both policies are drawn, the other one without repetition."""
