"""Predicting a pair from the policies' total records, and finding out whether that works.

If policies differ in strength (Bradley-Terry and its like), who wins against the field tells much about a pair that
was never compared. On a cyclic instance it tells nothing. Both kinds occur, so the two predictions compete.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import Comparison

SHRINKAGE = 4.0
"""Wins and losses against the field that every policy is credited with."""

CONTEST_CAP = 3.0
CONTEST_COUNTS = 16


def odds(wins: jax.Array, losses: jax.Array) -> jax.Array:
    """Odds of winning against the field, shrunk towards 1; `wins`, `losses` floats of any shape."""
    return (wins + SHRINKAGE) / (losses + SHRINKAGE)


def chance(of: jax.Array, against: jax.Array) -> jax.Array:
    """Predicted chance of winning, from the odds of two policies against the field (as in Bradley-Terry)."""
    return of / (of + against)


def pair_chance(comparison: Comparison, dtype: jnp.dtype) -> jax.Array:
    """The predicted chance that `first` wins, from the total records."""
    strength = odds(comparison.total_wins.astype(dtype), comparison.total_losses.astype(dtype))
    return chance(strength[0], strength[1])


def contest(comparison: Comparison, dtype: jnp.dtype) -> jax.Array:
    """`Statistics.pooling` after a comparison.

    The log likelihood ratio of the pooled prediction to the pair's own posterior mean (Beta(2, 2)), summed over the
    comparisons of pairs with 1 to 15 earlier ones: without any the pair has nothing to say, with many it is always
    right. At most `CONTEST_CAP`, so that a late change of mind stays possible. Pooling is trusted while it is >= 0.
    """
    wins, losses = comparison.wins.astype(dtype), comparison.losses.astype(dtype)
    n = wins + losses
    pooled = pair_chance(comparison, dtype)
    own = (wins + 2) / (n + 4)
    gain = jnp.log(jnp.where(comparison.won, pooled / own, (1 - pooled) / (1 - own)))
    counts = (n >= 1) & (n < CONTEST_COUNTS)
    return jnp.where(counts, jnp.minimum(comparison.pooling + gain, CONTEST_CAP), comparison.pooling)
