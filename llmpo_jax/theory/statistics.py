"""The sufficient statistics of a run, and how one comparison changes them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Comparison, Problem, Statistics
from llmpo_jax.theory import recommendation, refutation, strength


def nothing_yet(problem: Problem) -> Statistics:
    """The statistics before the first comparison."""
    k = problem.num_policies
    return Statistics(
        t=jnp.zeros((), jnp.int32),
        record=jnp.zeros((k, k, 2), jnp.int32),
        totals=jnp.zeros((2, k), jnp.int32),
        sums=jnp.zeros((2, k), problem.dtype),
        pooling=jnp.zeros((), problem.dtype),
        ties=jnp.zeros((k, k), jnp.int32) if problem.ties else None,
    )


def judged(statistics: Statistics, first: jax.Array, second: jax.Array, won: jax.Array) -> Comparison:
    """The comparison of `first` with `second`, with what is known of them so far."""
    entry = vectors.take(statistics.record, first, second)
    totals = vectors.take_two(statistics.totals, first, second)
    return Comparison(
        first=first,
        second=second,
        won=won,
        wins=entry[0],
        losses=entry[1],
        total_wins=totals[0],
        total_losses=totals[1],
        pooling=statistics.pooling,
    )


def favours(statistics: Statistics, first: jax.Array, second: jax.Array) -> jax.Array:
    """bool, whether `first` has won more of the pair's comparisons or, where they are even, more against the field."""
    entry = vectors.take(statistics.record, first, second)
    wins, losses = vectors.take_two(statistics.totals, first, second).astype(statistics.pooling.dtype)
    odds = strength.odds(wins, losses)
    return jnp.where(entry[0] != entry[1], entry[0] > entry[1], odds[0] > odds[1])


def recommend(problem: Problem, statistics: Statistics) -> jax.Array:
    """int32, the best guess by `llmpo_jax.theory.recommendation`."""
    return recommendation.best_guess(statistics.record, problem.dtype)


def observe(problem: Problem, statistics: Statistics, comparison: Comparison) -> Statistics:
    """The statistics with one comparison more."""
    first, second = comparison.first, comparison.second
    scores = jnp.stack([comparison.won, ~comparison.won]).astype(jnp.int32)
    more, pooling = refutation.increment(comparison, problem.dtype), strength.contest(comparison, problem.dtype)
    ties, tied = statistics.ties, comparison.tied
    if ties is not None and tied is not None:
        # Entry by entry, since a choice between two whole records would take many times as long.
        scores, more = jnp.where(tied, 0, scores), jnp.where(tied, 0, more)
        pooling = jnp.where(tied, statistics.pooling, pooling)
        ties = ties.at[jnp.stack([first, second]), jnp.stack([second, first])].add(tied.astype(jnp.int32))
    # Written as old + new rather than added in place: the write then depends on the read, which is what lets XLA
    # update the record without copying the whole of it at every step.
    entry = jnp.stack([comparison.wins, comparison.losses]) + scores
    change = jnp.stack([scores, scores[::-1]])
    pair = jnp.stack([first, second])
    high, low = vectors.take_two(statistics.sums, first, second)
    sums = jnp.stack(vectors.accumulate(high, low, more))
    return Statistics(
        t=statistics.t + 1,
        record=statistics.record.at[pair, pair[::-1]].set(
            jnp.stack([entry, entry[::-1]]), mode="promise_in_bounds", wrap_negative_indices=False
        ),
        totals=vectors.add_two(statistics.totals, first, second, change),
        sums=vectors.put_two(statistics.sums, first, second, sums),
        pooling=pooling,
        ties=ties,
    )
