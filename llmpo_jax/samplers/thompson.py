"""Two samplers that choose both policies by draws from the posterior: double Thompson sampling and top-two Thompson.

Every pair has a Beta(1 + wins, 1 + losses) posterior, independent of the others'. Of a draw both need only which of two
policies it has ahead, so no Beta variable is drawn for that: i is ahead of j with probability `P(Beta(1 + wins, 1 +
losses) > 1/2)`, a tail of the binomial, and of all pairs only the last one compared has a new one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, Statistics
from llmpo_jax.samplers import baselines, posterior


class Beliefs(NamedTuple):
    """What the posterior says of every pair.

    Attributes:
        record: int32 [K, K, 2], the wins and losses that are accounted for.
        ahead: [K, K], `ahead[i, j] = log P(mu[i, j] > 1/2)`.
    """

    record: jax.Array
    ahead: jax.Array


def log_ahead(wins: jax.Array, losses: jax.Array, dtype: Any) -> jax.Array:
    """[2], the logarithms of the posterior probabilities that mu > 1/2 and that mu < 1/2; -708 where they are lower.

    In float64, for float32 has too few digits for gamma functions of large counts.
    """
    few, many = (f(wins, losses).astype(jnp.float64) for f in (jnp.minimum, jnp.maximum))
    least = jax.scipy.special.betainc(many + 1, few + 1, jnp.float64(0.5))
    both = jnp.stack([jnp.log(jnp.maximum(least, jnp.finfo(jnp.float64).tiny)), jnp.log1p(-least)])
    return jnp.where(wins <= losses, both, both[::-1]).astype(dtype)


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
    copeland = jnp.sum(ahead, axis=1, dtype=jnp.int32) - jnp.sum(ahead, axis=0, dtype=jnp.int32) + np.arange(k, dtype=np.int32)
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
    best = jnp.sum(jnp.where(jnp.eye(problem.num_policies, dtype=bool), 0, beliefs.ahead), axis=1)
    # The largest of log p + Gumbel lots is a draw from the distribution p, which need not be normalised.
    first = vectors.argmin(-(best + lots[0]))
    return first, vectors.argmin_except(-(best + lots[1]), first), beliefs


DOUBLE_THOMPSON = Sampler(_init, _double, draw=_double_draw)
TOP_TWO_THOMPSON = Sampler(_init, _top_two, draw=_top_two_draw)
