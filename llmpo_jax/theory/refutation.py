"""The generalised likelihood ratio against "k is the Condorcet winner" (theory, section 5).

`Z_k = sum over the opponents j that beat k empirically of n d(wins / n)`, in nats: by so much the supremum of the
log-likelihood over mu[k, .] >= 1/2 falls short of the unconstrained one.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import Comparison


def imbalance(wins: jax.Array, losses: jax.Array) -> jax.Array:
    """`n d(wins / n)` nats, n = wins + losses: the evidence of counts against a fair coin, whoever won more.

    Computed from the counts, whose difference is exact, as `g/2 log(1 + g/a) + n/2 log(1 - (g/n)^2)` with a the smaller
    count and g the difference: a few ulp relative near 1/2, where dividing first would lose the digits that count.

    Args:
        wins, losses: whole numbers as floats, any shape.
    """
    few, many = jnp.minimum(wins, losses), jnp.maximum(wins, losses)
    gap, n = many - few, many + few
    share = gap / jnp.maximum(n, 1)
    near = share < 0.5
    # Beyond 1/2 the argument 1 - share^2 has lost its digits, and 4 a b / n^2 has not.
    product = 4 * (few / jnp.maximum(n, 1)) * (many / jnp.maximum(n, 1))
    second = jnp.where(near, jnp.log1p(-(jnp.where(near, share, 0) ** 2)), jnp.log(jnp.where(near, 1, product)))
    both = (gap * jnp.log1p(gap / jnp.maximum(few, 1)) + n * second) / 2
    return jnp.where(few > 0, both, n * math.log(2))


def pair_evidence(wins: jax.Array, losses: jax.Array) -> jax.Array:
    """`n d(wins / n)` nats if the policy lost more than it won, else 0; `wins`, `losses` floats of any shape."""
    return jnp.where(wins < losses, imbalance(wins, losses), 0)


def after(comparison: Comparison, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """Wins and losses [2] of (first, second) against each other after the comparison."""
    won = jnp.stack([comparison.won, ~comparison.won]).astype(jnp.int32)
    wins = (jnp.stack([comparison.wins, comparison.losses]) + won).astype(dtype)
    return wins, wins[::-1]


def increment(comparison: Comparison, dtype: jnp.dtype) -> jax.Array:
    """What the comparison adds to Z of (first, second), [2] nats. The increments of a pair telescope exactly."""
    wins, losses = comparison.wins.astype(dtype), comparison.losses.astype(dtype)
    won = comparison.won.astype(dtype)
    before, after = imbalance(wins, losses), imbalance(wins + won, losses + 1 - won)
    lead, next_lead = wins - losses, wins - losses + 2 * won - 1
    return jnp.stack(
        [
            jnp.where(next_lead < 0, after, 0) - jnp.where(lead < 0, before, 0),
            jnp.where(next_lead > 0, after, 0) - jnp.where(lead > 0, before, 0),
        ]
    )
