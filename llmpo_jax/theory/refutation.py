"""The generalised likelihood ratio against "k is the Condorcet winner" (theory, section 5).

`Z_k = sum over the opponents j that beat k empirically of n d(wins / n)`, in nats: by so much the supremum of the
log-likelihood over mu[k, .] >= 1/2 falls short of the unconstrained one.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import Comparison
from llmpo_jax.theory.divergence import half_divergence


def pair_evidence(wins: jax.Array, losses: jax.Array) -> jax.Array:
    """`n d(wins / n)` nats if the policy lost more than it won, else 0; `wins`, `losses` floats of any shape."""
    n = wins + losses
    return jnp.where(wins < losses, n * half_divergence(wins / jnp.maximum(n, 1)), 0)


def before(comparison: Comparison, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """Wins and losses [2] of (first, second) against each other before the comparison."""
    wins = jnp.stack([comparison.wins, comparison.losses]).astype(dtype)
    return wins, wins[::-1]


def after(comparison: Comparison, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """Wins and losses [2] of (first, second) against each other after the comparison."""
    won = jnp.stack([comparison.won, ~comparison.won]).astype(jnp.int32)
    wins = (jnp.stack([comparison.wins, comparison.losses]) + won).astype(dtype)
    return wins, wins[::-1]


def increment(comparison: Comparison, dtype: jnp.dtype) -> jax.Array:
    """What the comparison adds to Z of (first, second), [2] nats. The increments of a pair telescope exactly."""
    return pair_evidence(*after(comparison, dtype)) - pair_evidence(*before(comparison, dtype))
